import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Who may send a task to a provider, and what a name may be like.
@Suite struct SubmittingTests {
    private func maySend(_ books: Books, _ id: String = "j") throws -> String {
        try books.run("SELECT holdfast.mark_submitting(\(id))::text AS answer").single()
            .text("answer")
    }

    @Test func `the first to mark a job may send it, and nobody after that`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100)
        #expect(try maySend(books) == "true")
        #expect(try maySend(books) == "false")
        try books.run("SELECT holdfast.mark_submitted('j', 't')")
        #expect(try maySend(books) == "false")
    }

    @Test(arguments: [
        ("SELECT holdfast.mark_submitted('j', 't')", "false"),
        ("SELECT holdfast.mark_timed_out('j')", "false"),
        ("SELECT holdfast.finish_job('j', 'failed')", "false"),
        ("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])", "false"),
        ("SELECT holdfast.dismiss_job('j', 'x')", "false"),
        ("SELECT holdfast.heartbeat('j', 'x')", "true"),
        ("SELECT holdfast.return_credits('j', 'x')", "true"),
    ])
    func `a job that has a task or an end is not sent`(_ before: String, _ answer: String) throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100)
        try books.run(SQL(raw: before))
        #expect(try maySend(books) == answer)
    }

    @Test func `of many callers at once exactly one may send`() throws {
        let books = try Books()
        try books.grant("a", 800)
        for job in 1...8 { try books.open("j\(job)", "a", 100) }
        let answers = Answers()
        DispatchQueue.concurrentPerform(iterations: 6) { _ in
            guard let connection = try? books.database.connect(role: "holdfast_app") else { return }
            for job in 1...8 {
                let answer = try? connection.query(
                    "SELECT holdfast.mark_submitting(\("j\(job)"))::text AS answer"
                ).single().text("answer")
                answers.add("\(job) \(answer ?? "failed")")
            }
        }
        for job in 1...8 {
            #expect(answers.all.filter { $0 == "\(job) true" }.count == 1)
            #expect(answers.all.filter { $0 == "\(job) false" }.count == 5)
        }
    }

    /// Answers from several threads.
    private final class Answers: @unchecked Sendable {
        private let lock = NSLock()
        private var kept: [String] = []
        func add(_ answer: String) { lock.withLock { kept.append(answer) } }
        var all: [String] { lock.withLock { kept } }
    }

    @Test func `the application gets back what it asked for`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.run(
            """
            SELECT holdfast.open_job('j', 'a', 'kie', 'm', 'video', 1, '{"prompt": "a cat"}')
            """)
        try books.open("plain", "a", 1)
        let request: (String) throws -> String? = { id in
            try books.run("SELECT holdfast.job_request(\(id))::text AS request").single()
                .optionalText("request")
        }
        #expect(try request("j") == #"{"prompt": "a cat"}"#)
        #expect(try request("plain") == nil)
        #expect(try books.failure("SELECT holdfast.job_request('nowhere')") == "HF005")
    }

    @Test(arguments: [(0, "22023"), (1, nil), (200, nil), (201, "22023"), (3000, "22023")])
    func `a model's name is 1 to 200 characters`(_ length: Int, _ state: String?) throws {
        let books = try Books()
        try books.grant("a", 100)
        let name = String(repeating: "ä", count: length)
        #expect(
            try books.failure("SELECT holdfast.open_job('j', 'a', 'kie', \(name), 'video', 1)")
                == state)
    }

    @Test(arguments: [(0, nil), (200, nil), (201, "22023"), (3000, "22023")])
    func `a family's name has 200 characters at most`(_ length: Int, _ state: String?) throws {
        let books = try Books()
        try books.grant("a", 100)
        let name = String(repeating: "v", count: length)
        #expect(
            try books.failure(
                """
                SELECT holdfast.open_job('j', 'a', 'kie', 'm', 'video', 1, endpoint => \(name))
                """) == state)
        try books.open("k", "a", 1)
        #expect(
            try books.failure("SELECT holdfast.mark_submitted('k', 't', \(name))") == state)
    }

    @Test func `the programs and the database have the same limit of a task id`() throws {
        let books = try Books()
        try books.grant("a", 100)
        for (index, letter) in ["q", "ä"].enumerated() {
            let bytes = letter.utf8.count
            let longest = String(repeating: letter, count: TaskID.limitBytes / bytes)
            let job = "j\(index)"
            try books.open(job, "a", 1)
            #expect(
                try books.failure("SELECT holdfast.mark_submitted(\(job), \(longest + letter))")
                    == "22023")
            #expect(
                try books.failure("SELECT holdfast.mark_submitted(\(job), \(longest))") == nil)
            #expect(
                try books.failure(
                    """
                    INSERT INTO holdfast.task (provider, task_id, job_id, created_at)
                    VALUES ('kie', \(longest + letter), \(job), now())
                    """, role: nil) == "23514")
        }
    }

    // MARK: Who acts

    /// What a login of the application may set says nothing about who acts.
    @Test(arguments: ["return_credits", "dismiss_job"])
    func `the application names no person in the story of a job`(_ function: String) throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100)
        let connection = try books.database.connect(role: "holdfast_app")
        try connection.execute("BEGIN")
        for setting in ["person", "actor"] {
            try connection.execute(
                "SELECT set_config(\("holdfast.\(setting)"), 'boss@example.com', true)")
        }
        try connection.execute("SELECT holdfast.\(raw: function)('j', 'because')")
        try connection.execute("COMMIT")
        #expect(
            try books.text(
                "SELECT actor FROM holdfast.transfer WHERE kind = 'void'") == "application")
        #expect(
            try books.failure(
                "SELECT holdfast.\(raw: function)_by('j', 'because', 'boss@example.com')")
                == "42501")
    }

    // MARK: Offers

    /// Tries to sell a model while somebody else's transaction is the first of the day to do so.
    private func sell(_ books: Books, _ jobs: [(String, String)], beside others: [(String, String)])
        throws
    {
        let holder = try books.database.connect(role: "holdfast_app")
        try holder.execute("BEGIN")
        for (id, model) in others {
            try holder.execute(
                "SELECT holdfast.open_job(\(id), 'a', 'kie', \(model), 'video', 1)")
        }
        let connection = try books.database.connect(role: "holdfast_app")
        try connection.execute("BEGIN")
        try connection.execute("SET LOCAL lock_timeout = '250ms'")
        for (id, model) in jobs {
            try connection.execute(
                "SELECT holdfast.open_job(\(id), 'b', 'kie', \(model), 'video', 1)")
        }
        try connection.execute("COMMIT")
        try holder.execute("COMMIT")
    }

    @Test(arguments: [nil, "25 hours", "1 hour"])
    func `nobody waits for another customer's first sale of a model`(_ age: String?) throws {
        let books = try Books()
        for account in ["a", "b"] { try books.grant(account, 100) }
        if let age {
            try books.run(
                "SELECT holdfast.open_job('old', 'a', 'kie', 'model', 'video', 1)")
            try books.run(
                "UPDATE holdfast.offer SET last_used_at = now() - \(age)::interval", role: nil)
        }
        try sell(books, [("2", "model")], beside: [("1", "model")])
        #expect(
            try books.text("SELECT count(*)::text FROM holdfast.offer WHERE model = 'model'") == "1"
        )
        // Whoever was passed over is noted by the next.
        try books.run("DELETE FROM holdfast.offer", role: nil)
        try books.open("3", "a", 1)
        #expect(try books.text("SELECT count(*)::text FROM holdfast.offer") == "1")
    }

    @Test func `two transactions that sell the same models crosswise both go on`() throws {
        let books = try Books()
        for account in ["a", "b"] { try books.grant(account, 100) }
        try sell(
            books, [("3", "y"), ("4", "x")], beside: [("1", "x"), ("2", "y")])
        #expect(
            try books.text("SELECT string_agg(model, ' ' ORDER BY model) FROM holdfast.offer")
                == "x y")
    }
}
