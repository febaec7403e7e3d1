import Postgres
import TestSupport
import Testing

/// The end of a watch at a provider that keeps calling back about other jobs.
@Suite struct WatchEnds {
    private func watched(_ id: String, task: String) throws -> Books {
        let books = try Books()
        try books.grant("a", 300)
        try books.open(id, "a", 100, task: task)
        try books.run("SELECT holdfast.mark_timed_out(\(id))")
        return books
    }

    private func end(_ books: Books, _ id: String) throws -> String {
        let claimed = try books.claim(
            run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours")
        let token = try #require(claimed[id])
        return try books.move(
            run: RunIDs.first, pass: "orphan-recoverer", offset: "30 hours",
            #"{"job_id": "\#(id)", "token": \#(token), "new_state": "abandoned", "answer": "healthy"}"#
        )
    }

    struct Callback: Sendable, CustomTestStringConvertible {
        var query = ""
        var body: String
        var headers = "{}"
        var provider = "kie"
        var postpones: Bool
        var testDescription: String { "\(provider) \(query) \(body) \(headers)" }
    }

    static let callbacks: [Callback] = [
        .init(body: #"{"code":200,"data":{"taskId":"foreign1"}}"#, postpones: false),
        .init(
            query: "job=job-77&tag=00", body: #"{"data":{"taskId":"foreign2"}}"#, postpones: false),
        .init(body: "x", postpones: false),
        .init(body: #"{"data":{"taskId":"task/4:7"}}"#, provider: "kling", postpones: false),
        .init(body: #"{"data":{"taskId":"task/4:7"}}"#, postpones: true),
        .init(body: #"{"data":{"taskId":"task\/4:7"}}"#, postpones: true),
        .init(query: "job=job-7&tag=00", body: "{}", postpones: true),
        .init(query: "job=job%2D7&tag=00", body: "{}", postpones: true),
        .init(query: "task=task%2F4%3A7", body: "", postpones: true),
        .init(body: #"{"external_task_id":"job-7"}"#, postpones: true),
        .init(body: "", headers: #"{"X-Task-Id":"task/4:7"}"#, postpones: true),
    ]

    /// Guard: the condition of `judge_move` on callbacks that may be about the job.
    @Test(arguments: callbacks)
    func `only a waiting callback that may be about the job puts the end of its watch off`(
        _ one: Callback
    ) throws {
        let books = try watched("job-7", task: "task/4:7")
        try books.run(
            """
            SELECT holdfast.record_callback(\(one.provider), \(one.headers)::jsonb, \(one.query),
                convert_to(\(one.body), 'UTF8'))
            """)
        #expect(try end(books, "job-7") == (one.postpones ? "postponed" : "go"))
        #expect(
            try books.outcome("job-7")
                == (one.postpones ? "timed_out/held" : "abandoned/voided"))
        guard one.postpones else { return }
        // It comes back soon, and as if it had not been claimed.
        let state = try books.text(
            """
            SELECT concat_ws(' ', claims, lease_owner IS NULL, blocked, next_poll_at
                BETWEEN now() + interval '30 hours' AND now() + interval '30 hours 1 minute')
            FROM holdfast.job
            """)
        #expect(state == "0 t t")
    }

    @Test func `a provider that calls back all the time lets watches end`() throws {
        let books = try watched("job-7", task: "task-7")
        for n in 1...50 {
            try books.run(
                """
                SELECT holdfast.record_callback('kie', '{}', \("job=other-\(n)"),
                    convert_to(\("{\"taskId\":\"foreign-\(n)\"}"), 'UTF8'))
                """)
        }
        #expect(try end(books, "job-7") == "go")
    }
}
