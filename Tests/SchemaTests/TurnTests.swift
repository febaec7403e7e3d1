import Postgres
import TestSupport
import Testing

/// Accounts take turns, so that the busiest customer keeps nobody waiting, and is not kept waiting.
@Suite struct TurnTests {
    @Test func `claims take turns among accounts, the longest due of each first`() throws {
        let books = try Books()
        try books.run(
            "UPDATE holdfast.policy SET value = '1000' WHERE key IN ('rate', 'rate_burst')",
            role: nil)
        for account in ["busy", "calm", "rare"] { try books.grant(account, 100) }
        func open(_ account: String, _ jobs: ClosedRange<Int>, due minutes: Int) throws {
            for n in jobs {
                try books.open("\(account)-\(n)", account, 1, task: "\(account)-\(n)")
                try books.run(
                    """
                    UPDATE holdfast.job SET next_poll_at = now() - make_interval(mins => \(minutes)::integer,
                        secs => \(-n)::integer) WHERE job_id = \("\(account)-\(n)")
                    """, role: nil)
            }
        }
        try open("busy", 1...30, due: 60)
        try open("calm", 1...3, due: 30)
        try open("rare", 1...1, due: 1)
        let first = Set(try books.claim(run: RunIDs.first, offset: "0", most: 9).keys)
        #expect(
            first == [
                "busy-1", "busy-2", "busy-3", "busy-4", "busy-5", "calm-1", "calm-2", "calm-3",
                "rare-1",
            ])
        // Nobody else is due: the rest is the busy one's.
        #expect(try books.claim(run: RunIDs.second, offset: "0", most: 50).count == 25)
    }
}
