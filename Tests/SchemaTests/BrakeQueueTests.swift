import Foundation
import Postgres
import TestSupport
import Testing

/// Runs that wait for each other make no application wait.
@Suite struct BrakeQueueTests {
    private final class Ended: @unchecked Sendable {
        private let lock = NSLock()
        private var value = false
        var isOver: Bool { lock.withLock { value } }
        func end() { lock.withLock { value = true } }
    }

    /// Guard: `await_brakes` in `record_moves`.
    @Test func `whoever waits for the brakes holds no job and no account`() throws {
        let books = try Books()
        try books.grant("a", 500)
        try books.open("j", "a", 100, task: "t")
        let tokens = try books.claim(run: RunIDs.first)
        let moves =
            #"[{"job_id":"j","token":\#(tokens["j"] ?? 0),"new_state":"failed","answer":"healthy"}]"#
        let counting = try books.database.connect()
        try counting.execute("BEGIN")
        try counting.execute("SELECT holdfast.take_brakes()")
        let looker = try books.database.connect()
        // A run waits for a tenth of a second: until it was seen to, it is asked again.
        var held: [String] = []
        let deadline = ContinuousClock.now + .seconds(20)
        while held.isEmpty, .now < deadline {
            let ended = Ended()
            let database = books.database
            Thread.detachNewThread {
                defer { ended.end() }
                _ = try? database.connect().query(
                    """
                    SELECT * FROM holdfast.record_moves(
                        \(RunIDs.first)::uuid, 'stuck-sweeper', '10 minutes', \(moves)::jsonb)
                    """)
            }
            while !ended.isOver {
                let seen = try looker.query(
                    """
                    SELECT coalesce(string_agg(DISTINCT l.relation::regclass::text, ' '), '') AS held
                    FROM pg_stat_activity s JOIN pg_locks l ON l.pid = s.pid
                    WHERE s.datname = current_database() AND s.wait_event_type = 'Lock'
                        AND l.granted AND l.locktype = 'relation'
                        AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
                    HAVING count(*) > 0
                    """)
                held += try seen.map { try $0.text("held") }
            }
        }
        #expect(!held.isEmpty)
        for seen in Set(held) {
            #expect(!seen.contains("holdfast.account") && !seen.contains("holdfast.job"), "\(seen)")
        }
        try counting.execute("COMMIT")
        #expect(
            try books.text(
                """
                SELECT outcome FROM holdfast.record_moves(
                    \(RunIDs.first)::uuid, 'stuck-sweeper', '10 minutes', \(moves)::jsonb)
                """) == "go")
        #expect(try books.outcome("j") == "failed/voided")
    }
}
