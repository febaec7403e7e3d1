import Core
package import Recovery

/// How files come along, on lines for somebody who watches.
package enum ProgressText {
    /// `stored  a1/video/job-1_0.mp4  12.4 MB  38 MB/s`; with the reason where there is no object.
    package static func line(_ file: EndedFile) -> String {
        let parts = [
            file.outcome, file.name, file.bytes > 0 ? size(file.bytes) : nil,
            file.duration > .zero && file.bytes > 0 ? speed(file.bytes, file.duration) : nil,
            file.reason,
        ]
        return parts.compactMap { $0.map(Plain.line) }.joined(separator: "  ")
    }

    /// `[#####.....] 5 of 10 files  1.2 GB  38 MB/s  nearest expiry in 3h 2m`, in one line of at most
    /// `columns` characters; the last parts are left out first.
    package static func bar(_ totals: FileTotals, columns: Int) -> String {
        bar(
            done: totals.ended, of: totals.claimed, isEstimated: false,
            [
                size(totals.bytes), speed(totals.bytes, totals.duration),
                totals.untilExpiry.map { left in
                    left > .zero
                        ? "nearest expiry in \(Plain.span(left))" : "nearest expiry is over"
                },
            ], columns: columns)
    }

    /// The same for a verification, whose number of files may be an estimate.
    package static func bar(
        verified: Int, of all: Int64, isEstimated: Bool, bytes: Int64, duration: Duration,
        columns: Int
    ) -> String {
        bar(
            done: verified, of: Int(clamping: all), isEstimated: isEstimated,
            [size(bytes), speed(bytes, duration)], columns: columns)
    }

    private static let cells = 20

    private static func bar(
        done: Int, of all: Int, isEstimated: Bool, _ rest: [String?], columns: Int
    ) -> String {
        let share = all > 0 ? min(Double(done) / Double(all), 1) : 0
        let full = Int(share * Double(cells))
        var line =
            "[" + String(repeating: "#", count: full)
            + String(repeating: ".", count: cells - full)
            + "] \(done) of \(isEstimated ? "about " : "")\(all) files"
        for part in rest.compactMap({ $0 }) {
            guard line.count + 2 + part.count <= columns else { break }
            line += "  " + part
        }
        return String(line.prefix(max(columns, 0)))
    }

    /// `412 B`, `12.4 MB`, `124 MB`: three digits at most, in the decimal units of disks and networks.
    package static func size(_ bytes: Int64) -> String { scaled(max(bytes, 0), below: 1000) }

    /// `3.8 MB/s`, `38 MB/s`; `-` while no time has passed.
    package static func speed(_ bytes: Int64, _ duration: Duration) -> String {
        let microseconds = duration.microseconds
        guard microseconds > 0 else { return "-" }
        let second = Double(max(bytes, 0)) * 1_000_000 / Double(microseconds)
        guard second < Double(Int64.max) else { return "-" }
        return scaled(Int64(second), below: 100) + "/s"
    }

    private static let units = ["kB", "MB", "GB", "TB", "PB", "EB"]

    /// With one decimal where the number without it, in tenths, is below `below`.
    private static func scaled(_ bytes: Int64, below: Int64) -> String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        var unit: Int64 = 1000
        for name in units {
            // Halves are rounded up, and what comes to a thousand is one of the next unit.
            let tenths = bytes / (unit / 10) + (bytes % (unit / 10) >= unit / 20 ? 1 : 0)
            if tenths < below { return "\(tenths / 10).\(tenths % 10) \(name)" }
            let whole = bytes / unit + (bytes % unit >= unit / 2 ? 1 : 0)
            if whole < 1000 || name == units.last { return "\(whole) \(name)" }
            unit *= 1000
        }
        return "\(bytes) B"
    }
}
