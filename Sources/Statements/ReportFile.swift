/// The files that a night's report consists of.
package enum ReportFile: String, CaseIterable, Sendable {
    case summary = "-summary.csv"
    case accounts = "-accounts.csv"
    case models = "-models.csv"
    case usage = "-usage.csv"
    case breaks = "-breaks.csv"
    case json = ".json"
    case journal = ".journal"
    case workbook = ".xlsx"
    case page = ".html"

    /// The number of what writes these files: it grows when the same day would have other bytes, and
    /// stands beside each report that was published.
    package static let renderer = 1

    /// As in `holdfast-2026-11-20.html`.
    package func name(day: String) -> String { "holdfast-\(day)\(rawValue)" }

    package var contentType: String {
        switch self {
        case .summary, .accounts, .models, .usage, .breaks: "text/csv; charset=utf-8"
        case .json: "application/json"
        case .journal: "text/plain; charset=utf-8"
        case .workbook: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        case .page: "text/html; charset=utf-8"
        }
    }

    package var fileExtension: String {
        switch self {
        case .summary, .accounts, .models, .usage, .breaks: "csv"
        case .json, .journal, .workbook, .page: String(rawValue.dropFirst())
        }
    }
}

/// What an installation may choose about its reports; a day's files have the same bytes as long as
/// this stays the same.
package struct ReportStyle: Equatable, Sendable {
    /// Whether CSV files begin with a byte order mark, which Excel wants and others dislike.
    package var hasByteOrderMark: Bool
    /// The page that explains the kinds of breaks; a kind is added as `#kind`.
    package var runbookURL: String?

    package init(hasByteOrderMark: Bool = false, runbookURL: String? = nil) {
        self.hasByteOrderMark = hasByteOrderMark
        self.runbookURL = runbookURL
    }
}
