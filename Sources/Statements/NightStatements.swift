package import Ledger

/// One file of a night's report, written as the night's pages go by.
protocol NightWriter {
    mutating func take(_ page: [AccountDay]) throws
    mutating func take(_ page: [BreakDay]) throws
    /// Writes what needs the totals, and hands on the rest.
    mutating func end(_ audit: NightAudit) throws
}

extension NightWriter {
    mutating func take(_ page: [AccountDay]) throws {}
    mutating func take(_ page: [BreakDay]) throws {}
}

/// A night in every form that people and programs read it in.
package enum NightStatements {
    /// Writes the files of a night while its pages are read once, and checks that it adds up.
    ///
    /// - Parameters:
    ///   - files: Which files to write; none, to learn the totals alone.
    ///   - open: Called once for each file, in the order of `ReportFile`, before anything is read.
    /// - Returns: What the night adds up to. A night that does not add up is written all the same,
    ///   and says so in every file.
    /// - Throws: What the pages and the sinks throw; `report_overflow` (70); `workbook_too_large`
    ///   (78).
    package static func write(
        _ pages: NightPages, style: ReportStyle, files: Set<ReportFile> = Set(ReportFile.allCases),
        open: (ReportFile) throws -> Ink.Sink
    ) throws -> NightAudit {
        let figures = pages.figures
        var audit = try NightAudit(figures)
        var writers: [any NightWriter] = []
        for file in ReportFile.allCases where files.contains(file) {
            writers.append(try writer(file, figures, style, Ink(try open(file))))
        }
        try pages.accounts { page in
            try audit.take(page)
            for index in writers.indices { try writers[index].take(page) }
        }
        try pages.breaks { page in
            try audit.take(page)
            for index in writers.indices { try writers[index].take(page) }
        }
        try audit.end()
        for index in writers.indices { try writers[index].end(audit) }
        return audit
    }

    private static func writer(
        _ file: ReportFile, _ figures: NightFigures, _ style: ReportStyle, _ ink: Ink
    ) throws -> any NightWriter {
        switch file {
        case .summary: SummaryTable(ink, style)
        case .accounts: AccountTable(figures, ink, style)
        case .models: ModelTable(ink, style)
        case .usage: UsageTable(ink, style)
        case .breaks: BreakTable(figures, ink, style)
        case .json: try JSONStatement(figures, ink)
        case .journal: try Journal(figures, ink)
        case .workbook: try NightWorkbook(figures, ink)
        case .page: NightPage(ink, style)
        }
    }
}
