import Postgres
import TestSupport
import Testing

/// Two clock offsets at once would take each other's leases.
@Suite struct ClockOffsets {
    private func begin(
        _ connection: borrowing Connection, _ run: String, _ command: String, _ offset: String,
        host: String
    ) throws {
        _ = try connection.query(
            """
            SELECT * FROM holdfast.begin_run(\(run)::uuid, \(command), \(host), 1, 'test',
                \(offset)::interval)
            """)
    }

    /// Guard: the check of `begin_run`.
    @Test func `a second offset is refused while a run with another one is at work`() throws {
        let books = try Books()
        let first = try books.database.connect()
        try begin(first, RunIDs.first, "stuck-sweeper", "6 minutes", host: "alpha")
        let second = try books.database.connect()
        for offset in ["0", "20 minutes", "-1 day"] {
            do {
                try begin(second, RunIDs.second, "orphan-recoverer", offset, host: "beta")
                Issue.record("\(offset) was let in")
            } catch let error as PostgresError {
                let text = "\(error)"
                #expect(text.contains("alpha") && text.contains("00:06:00"), "\(text)")
                #expect(text.contains("HOLDFAST_CLOCK_OFFSET"), "\(text)")
            }
        }
        // The same offset is no trouble, and none is when the first has ended.
        try begin(second, RunIDs.second, "orphan-recoverer", "6 minutes", host: "beta")
        for run in [RunIDs.first, RunIDs.second] {
            try books.run(
                "SELECT holdfast.finish_run(\(run)::uuid, '6 minutes', 0, '{}', '{}', 0)", role: nil
            )
        }
        try begin(
            second, "33333333-3333-4333-8333-333333333333", "stuck-sweeper", "20 minutes",
            host: "beta")
    }

    @Test func `a run that died is no reason to refuse another offset`() throws {
        let books = try Books()
        func died() throws {
            let gone = try books.database.connect()
            try begin(gone, RunIDs.first, "stuck-sweeper", "6 minutes", host: "alpha")
        }
        try died()
        let second = try books.database.connect()
        try begin(second, RunIDs.second, "stuck-sweeper", "16 minutes", host: "beta")
    }
}
