import ArgumentParser
import BookReports
import Core
import Ledger
import Postgres
import Reports
import Runner
import Bills

struct UsageImport: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Takes in a file of usage lines from a provider's console.",
        discussion: """
            The whole file is checked before the first line is written; a broken line stops it \
            all, unless --skip-bad-lines. Lines are written in short transactions: when that is \
            cut short, the same command goes on where it ended. Importing the same lines again \
            changes nothing.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("The provider.", valueName: "name"))
    var provider: String

    @OptionGroup(title: "Mapping") var options: MappingOptions

    @Flag(help: "Write the good lines although others are broken.")
    var skipBadLines = false

    @Flag(help: "Check the file, say what would be new, and write nothing.")
    var dryRun = false

    @Argument(help: ArgumentHelp("The file; - for standard input.", valueName: "file"))
    var path: String

    var isDryRun: Bool { dryRun }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        try ProviderName.check(provider)
        let mapping = try options.mapping(connection)
        let file = try StatementFile(path)
        let books = UsageBooks(
            actor: Person.actor, clockOffset: try context.settings.clockOffset())
        var result = UsageImportResult(provider: provider, file: file.name)
        let now = try books.now(connection)
        let zone =
            mapping.timeZone == "UTC"
            ? ZoneTable.utc
            : ZoneTable(try UsageBooks.offsets(connection, zone: mapping.timeZone))
        func reader() -> StatementReader {
            StatementReader(file: file.name, mapping: mapping, zone: zone, now: now)
        }
        try check(connection, file, reader(), mapping, &result)
        if let refusal = result.refusal(skipsBadLines: skipBadLines) {
            return answer(result, refusal, context)
        }
        if let name = options.saveProfile, !dryRun {
            try UsageBooks.saveProfile(connection, name, mapping.json, by: Person.actor)
        }
        if !dryRun { try write(connection, file, reader(), books, &result) }
        return answer(result, nil, context)
    }

    /// Reads the file to its end, and what it holds against the books.
    private func check(
        _ connection: borrowing Connection, _ file: borrowing StatementFile,
        _ reader: consuming StatementReader, _ mapping: StatementMapping,
        _ result: inout UsageImportResult
    ) throws {
        var reader = reader
        var missing: Int64 = 0
        func page(_ offers: [UsageOffer]) throws {
            missing += try UsageBooks.missing(connection, provider: provider, offers)
        }
        result.sha256 = try file.read { try reader.read($0, page) }
        result.summary = try reader.finish(page)
        result.missing = missing
        let units = result.summary.units.keys.sorted()
        guard mapping.columns[.unit] != nil, units.count > 1 else { return }
        let valued = try UsageBooks.valued(connection, provider: provider, units: units)
        let unknown = units.filter { !valued.contains($0) && !mapping.acceptedUnits.contains($0) }
        guard let first = unknown.first else { return }
        throw Failure(
            .wrongUsage, code: "usage_units",
            "\(file.name) has the units \(units.joined(separator: ", ")), and nobody has said what "
                + "\(unknown.joined(separator: ", ")) \(unknown.count == 1 ? "is" : "are") worth: "
                + "holdfast policy set unit_value 'AMOUNT CURRENCY' --provider \(provider) "
                + "--unit \(first); or take it as it is with --accept-unit \(first)")
    }

    private func write(
        _ connection: borrowing Connection, _ file: borrowing StatementFile,
        _ reader: consuming StatementReader, _ books: UsageBooks,
        _ result: inout UsageImportResult
    ) throws {
        var reader = reader
        let importID = try books.beginImport(connection, provider: provider, result.facts)
        result.importID = importID
        var counts = UsageCounts()
        var isStopped = false
        func page(_ offers: [UsageOffer]) throws {
            guard !isStopped, !StopSignal.isRaised else { return isStopped = true }
            counts.add(
                try books.record(
                    connection, provider: provider, source: .import, importID: importID, offers))
        }
        let digest = try file.read { if !isStopped { try reader.read($0, page) } }
        if !isStopped { _ = try reader.finish(page) }
        result.counts = counts
        result.isStopped = isStopped
        guard digest == result.sha256 else {
            throw Failure(
                .needsPerson, code: "usage_file",
                "\(file.name) changed while it was read, and \(counts.new) new lines are written; "
                    + "import the file again now that it is whole")
        }
    }

    private func answer(
        _ result: UsageImportResult, _ refusal: Failure?, _ context: RunContext
    ) -> ExitStatus {
        let status = StopSignal.outranking(
            refusal?.status
                ?? (result.counts.conflicts > 0 || !result.counts.refused.isEmpty
                    ? .needsPerson : .done))
        if reporting.output == .text {
            for line in result.complaints { Output.error("\(context.command): \(line)") }
            for line in result.counts.refused.prefix(20) {
                Output.error("\(context.command): left out, \(Plain.line(line))")
            }
            if let refusal {
                Output.error("\(context.command): \(refusal.message)")
                return status
            }
        }
        Say.answer(
            context, reporting, isDryRun: dryRun, result.members,
            errors: [refusal].compactMap { $0 },
            status: status, text: result.text(isDryRun: dryRun))
        return status
    }
}
