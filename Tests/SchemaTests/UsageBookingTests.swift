import Core
import Postgres
import TestSupport
import Testing

/// What is booked for a task: what verdicts and lists say, until a bill says otherwise.
@Suite struct UsageBooking {
    private func scene() throws -> Books {
        let books = try Books()
        try books.grant("a", 1000)
        try books.open("j", "a", 100, task: "t")
        return books
    }

    private func say(_ books: Books, _ amount: String, _ unit: String = "credits") throws {
        try books.run(
            "UPDATE holdfast.task SET cost_amount = \(amount), cost_unit = \(unit)", role: nil)
    }

    /// `line_key amount unit booked` of every line, in the order they were written.
    private func lines(_ books: Books) throws -> [String] {
        try books.run(
            """
            SELECT concat_ws(' ', line_key, source, trim_scale(amount), unit, trim_scale(booked))
                AS line FROM holdfast.usage_line ORDER BY usage_id
            """, role: nil
        ).map { try $0.text("line") }
    }

    /// What each task costs us in each unit.
    private func booked(_ books: Books) throws -> String {
        try books.text(
            """
            SELECT string_agg(concat(task_id, ' ', booked, ' ', unit), ', '
                ORDER BY task_id, unit) FROM (
                SELECT coalesce(task_id, '-') AS task_id, unit, trim_scale(sum(booked)) AS booked
                FROM holdfast.usage_line GROUP BY 1, 2 HAVING sum(booked) <> 0) s
            """)
    }

    @discardableResult
    private func bill(
        _ books: Books, _ lines: [JSONValue], provider: String = "kie"
    ) throws -> String {
        let all = lines.enumerated().map { index, line in
            var object = line.object ?? JSONObject()
            if !object.has("line_key") { object["line_key"] = .string("id:\(index)") }
            if !object.has("unit") { object["unit"] = "credits" }
            if !object.has("happened_us") { object["happened_us"] = 1_795_000_000_000_000 }
            return JSONValue.object(object)
        }
        return try books.run(
            """
            SELECT concat_ws('/', new_lines, known_lines, new_conflicts) AS counts
            FROM holdfast.record_usage(NULL, 'person:test', \(provider), 'import', NULL,
                \(JSON.write(.array(all)))::jsonb, '0')
            """, role: "holdfast_jobs"
        ).single().text("counts")
    }

    @Test func `a verdict's cost becomes a line, and another amount corrects it`() throws {
        let books = try scene()
        try say(books, "60")
        try say(books, "60.00")
        try say(books, "75.5")
        #expect(
            try lines(books) == [
                "task:t verdict 60 credits 60", "task/2:t verdict 75.5 credits 15.5",
            ])
        #expect(try booked(books) == "t 75.5 credits")
    }

    @Test func `another unit takes back what was said in the first`() throws {
        let books = try scene()
        try say(books, "60")
        try say(books, "0.3", "USD")
        try say(books, "60", "credits")
        #expect(try booked(books) == "t 60 credits")
        #expect(try lines(books).count == 5)
    }

    @Test(arguments: [
        "", "x", "-5", "1e3", "60 credits", "99999999999999999999", "1000000000.01", "NaN",
        "Infinity", "0x10", String(repeating: "9", count: 400),
    ])
    func `a cost that is none is left out, and the task is written all the same`(_ amount: String)
        throws
    {
        let books = try scene()
        try say(books, amount)
        #expect(try lines(books) == [])
        #expect(try books.text("SELECT cost_amount FROM holdfast.task") == amount)
        try say(books, "5", "")
        #expect(try lines(books) == [])
    }

    @Test func `a move with a cost books it with the model and what became of the task`() throws {
        let books = try scene()
        _ = try books.claim(run: RunIDs.first)
        let move = """
            {"job_id": "j", "token": 1, "new_state": "failed", "error_code": "provider_failed",
             "task_id": "t", "task_state": "failed", "cost_amount": "12.5", "cost_unit": "credits"}
            """
        #expect(try books.move(run: RunIDs.first, move) == "go")
        #expect(
            try books.text(
                "SELECT concat_ws(' ', source, model, status, job_id, amount) FROM holdfast.usage_line"
            ) == "verdict model failed j 12.5")
    }

    @Test func `a stray task books what its list says, once also when a job takes it`() throws {
        let books = try scene()
        try books.run(
            """
            INSERT INTO holdfast.stray_task (provider, task_id, endpoint, state, cost_amount,
                cost_unit, first_seen_at, last_seen_at)
            VALUES ('kie', 's', '', 'succeeded', '7', 'credits', now(), now())
            """, role: nil)
        try books.run(
            "UPDATE holdfast.stray_task SET last_seen_at = now(), state = 'failed'", role: nil)
        try books.run(
            """
            INSERT INTO holdfast.task (provider, task_id, job_id, cost_amount, cost_unit, created_at)
            VALUES ('kie', 's', 'j', '7', 'credits', now())
            """, role: nil)
        #expect(try lines(books) == ["task:s list 7 credits 7"])
    }

    @Test func `what a list says of a known task has the list as its source`() throws {
        let books = try scene()
        try books.open("k", "a", 10, provider: "kling", task: "k1")
        try books.run(
            "SELECT * FROM holdfast.begin_walk(\(RunIDs.first)::uuid, 'kling', '', '0')",
            role: "holdfast_jobs")
        let listed =
            #"[{"task_id": "k1", "state": "running", "cost_amount": "3.5", "cost_unit": "units"}]"#
        for _ in 0..<2 {
            try books.run(
                """
                SELECT * FROM holdfast.record_listed(\(RunIDs.first)::uuid, 'kling', '', '0',
                    \(listed)::jsonb)
                """, role: "holdfast_jobs")
        }
        #expect(try lines(books) == ["task:k1 list 3.5 units 3.5"])
    }

    @Test func `a bill takes the place of a verdict, once`() throws {
        let books = try scene()
        try say(books, "60")
        #expect(
            try bill(
                books,
                [
                    ["task_id": "t", "amount": "65"], ["task_id": "t", "amount": "-5"],
                    ["task_id": "other", "amount": "3"], ["amount": "1.5"],
                ]) == "4/0/0")
        #expect(try booked(books) == "- 1.5 credits, other 3 credits, t 60 credits")
        // More of the bill adds up, and what a verdict says from now on is kept and books nothing.
        try bill(books, [["line_key": "id:9", "task_id": "t", "amount": "2"]])
        try say(books, "80")
        #expect(try booked(books) == "- 1.5 credits, other 3 credits, t 62 credits")
        #expect(try lines(books).last == "task/2:t verdict 80 credits 0")
    }

    @Test func `a bill in another unit takes back what the verdict booked`() throws {
        let books = try scene()
        try say(books, "60")
        try bill(books, [["task_id": "t", "amount": "0.3", "unit": "USD"]])
        #expect(try booked(books) == "t 0.3 USD")
        try bill(books, [["line_key": "id:2", "task_id": "t", "amount": "1"]])
        #expect(try booked(books) == "t 0.3 USD, t 1 credits")
    }

    @Test func `a bill that comes before the verdict stays what it is`() throws {
        let books = try scene()
        try bill(books, [["task_id": "t", "amount": "65"]])
        try say(books, "60")
        #expect(try booked(books) == "t 65 credits")
    }

    @Test func `a line that names our job is about its only task`() throws {
        let books = try scene()
        try say(books, "60")
        try bill(books, [["job_id": "j", "amount": "65"]])
        #expect(try booked(books) == "t 65 credits")
        #expect(try bill(books, [["job_id": "j", "amount": "65"]]) == "0/1/0")
    }

    @Test func `the same lines again change nothing; other content is a conflict, told once`()
        throws
    {
        let books = try scene()
        let lines: [JSONValue] = [
            ["task_id": "t", "amount": "65.0"], ["task_id": "t", "amount": "5", "model": "m"],
        ]
        #expect(try bill(books, lines) == "2/0/0")
        let before = try books.text(
            "SELECT md5(string_agg(l::text, '')) FROM holdfast.usage_line l")
        #expect(try bill(books, lines) == "0/2/0")
        let changed: [JSONValue] = [
            ["task_id": "t", "amount": "65"], ["task_id": "t", "amount": "6", "model": "m"],
        ]
        #expect(try bill(books, changed) == "0/2/1")
        #expect(try bill(books, changed) == "0/2/0")
        #expect(
            try books.text("SELECT md5(string_agg(l::text, '')) FROM holdfast.usage_line l")
                == before)
        #expect(
            try books.text(
                """
                SELECT concat_ws(' ', line_key, kept->>'amount', offered->>'amount')
                FROM holdfast.usage_conflict
                """) == "id:1 5 6")
    }

    @Test func `one key twice in a batch with other content is a conflict`() throws {
        let books = try scene()
        #expect(
            try bill(
                books,
                [
                    ["line_key": "x", "task_id": "t", "amount": "1"],
                    ["line_key": "x", "task_id": "t", "amount": "1"],
                    ["line_key": "x", "task_id": "t", "amount": "2"],
                ]) == "1/0/1")
        #expect(try booked(books) == "t 1 credits")
    }

    @Test func `providers do not meet`() throws {
        let books = try scene()
        try say(books, "60")
        try bill(books, [["task_id": "t", "amount": "65"]], provider: "kling")
        #expect(try booked(books) == "t 125 credits")
    }

    /// Guard: the lock of `book_said_cost` and `record_usage`.
    @Test func `a verdict and a bill at once never both count`() async throws {
        let books = try Books()
        try books.grant("a", 1000)
        let tasks = (0..<40).map { "t\($0)" }
        for task in tasks { try books.open("j-\(task)", "a", 1, task: task) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Tasks that have no row yet are billed too.
                for task in tasks + ["late"] {
                    try bill(
                        books,
                        [
                            [
                                "line_key": .string("id:" + task), "task_id": .string(task),
                                "amount": "7",
                            ]
                        ])
                }
            }
            for part in 0..<3 {
                group.addTask {
                    for task in tasks.reversed() {
                        try books.run(
                            """
                            UPDATE holdfast.task SET cost_amount = \(String(part + 1)),
                                cost_unit = 'credits' WHERE task_id = \(task)
                            """, role: nil)
                    }
                    guard part == 0 else { return }
                    try books.run(
                        """
                        INSERT INTO holdfast.task (provider, task_id, job_id, cost_amount,
                            cost_unit, created_at)
                        VALUES ('kie', 'late', 'j-t0', '9', 'credits', now())
                        """, role: nil)
                }
            }
            try await group.waitForAll()
        }
        #expect(
            try books.text(
                """
                SELECT count(*) || ' ' || min(s.booked) || ' ' || max(s.booked) FROM (
                    SELECT sum(booked) AS booked FROM holdfast.usage_line GROUP BY task_id) s
                """) == "41 7 7")
    }

    @Test(arguments: [
        "UPDATE holdfast.usage_line SET booked = 1", "DELETE FROM holdfast.usage_line",
        "TRUNCATE holdfast.usage_line",
    ])
    func `usage lines are never changed`(_ statement: String) throws {
        let books = try scene()
        try say(books, "60")
        #expect(try books.failure(SQL(raw: statement), role: nil) == "HF011")
    }

    @Test func `the programs write usage through functions alone`() throws {
        let books = try scene()
        let direct: SQL = """
            INSERT INTO holdfast.usage_line (provider, line_key, source, amount, unit, booked,
                happened_at, recorded_at)
            VALUES ('kie', 'x', 'import', 1, 'credits', 1, now(), now())
            """
        #expect(try books.failure(direct, role: "holdfast_jobs") == "42501")
        #expect(
            try books.failure(
                "SELECT * FROM holdfast.record_usage(NULL, 'p', 'nobody', 'import', NULL, '[]', '0')",
                role: "holdfast_jobs") == "22023")
    }
}
