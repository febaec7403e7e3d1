import Core
import Postgres
import TestSupport
import Testing

/// What of a balance at a provider no line and no top-up explains, with jobs under way or without.
@Suite struct ProviderDrift {
    enum Step: Sendable {
        /// A job whose task has the same name.
        case submit(String)
        /// Its task is over; nil where the provider names no cost.
        case over(String, cost: Int?)
        case balance(Int)
        case topUp(Int)
    }

    struct Story: Sendable, CustomTestStringConvertible {
        var name: String
        var steps: [Step]
        /// From each balance to the next.
        var missing: [String]

        init(_ name: String, _ steps: [Step], missing: [String]) {
            self.name = name
            self.steps = steps
            self.missing = missing
        }

        var testDescription: String { name }
    }

    static let stories = [
        Story(
            "one credit is missed",
            [.balance(1000), .submit("t"), .over("t", cost: 60), .balance(939)], missing: ["1"]),
        Story(
            "all is explained",
            [.balance(1000), .submit("t"), .over("t", cost: 60), .topUp(5), .balance(945)],
            missing: ["0"]),
        Story(
            "a top-up that nobody recorded", [.balance(1000), .balance(1500)], missing: ["-500"]),
        Story(
            "paid for at the start, told of after the balance",
            [
                .submit("t"), .balance(940), .over("t", cost: 60), .balance(940),
            ], missing: ["0"]),
        Story(
            "paid for at the end",
            [.submit("t"), .balance(1000), .over("t", cost: 60), .balance(940)], missing: ["0"]),
        Story(
            "more is gone than the job under way may cost",
            [.submit("t"), .balance(1000), .over("t", cost: 60), .balance(939)], missing: ["1"]),
        Story(
            "more is there than any job explains",
            [.submit("t"), .balance(1000), .over("t", cost: 60), .balance(1001)], missing: ["-1"]),
        Story(
            "a job that is still under way may cost as much as another did",
            [
                .submit("t"), .balance(1000), .over("t", cost: 60), .submit("u"), .balance(880),
                .over("u", cost: 50), .balance(880),
            ], missing: ["10", "0"]),
        Story(
            "one that failed was paid for and given back",
            [
                .submit("t"), .submit("u"), .balance(940), .over("t", cost: nil),
                .over("u", cost: 60), .balance(940),
            ], missing: ["0"]),
        Story(
            "nobody knows what one costs yet",
            [.balance(1000), .submit("t"), .balance(700)], missing: ["0"]),
        Story(
            "a job that was over before is no excuse",
            [.submit("t"), .over("t", cost: 60), .balance(1000), .balance(990)], missing: ["10"]),
    ]

    @Test(arguments: stories)
    func `what is missing`(_ story: Story) throws {
        let books = try Books()
        try books.grant("a", 1000)
        for step in story.steps { try play(step, books) }
        let missing = try books.run(
            """
            SELECT trim_scale(missing)::text AS missing FROM holdfast.provider_drift('-infinity')
            ORDER BY taken_at
            """, role: "holdfast_jobs")
        #expect(try missing.map { try $0.text("missing") } == story.missing)
    }

    @Test func `an amount that stood a minute ago concerns what was under way then`() throws {
        let books = try Books()
        try books.grant("a", 1000)
        try play(.submit("t"), books)
        try play(.over("t", cost: 60), books)
        for (margin, jobs) in [("0", "{}"), ("1 minute", "{t}")] {
            try record(1000, margin, books)
            #expect(
                try books.text(
                    """
                    SELECT jobs_under_way::text FROM holdfast.provider_balance
                    ORDER BY taken_at DESC LIMIT 1
                    """) == jobs)
        }
    }

    private func record(_ amount: Int, _ margin: String, _ books: Books) throws {
        try books.run(
            """
            SELECT holdfast.record_provider_balance('person:test', 'kie', 'credits',
                \(amount)::integer, NULL, 'person', \(margin)::interval, '0')
            """, role: "holdfast_jobs")
    }

    private func play(_ step: Step, _ books: Books) throws {
        switch step {
        case .submit(let name): try books.open(name, "a", 10, task: name)
        case .over(let name, let cost):
            try books.run(
                """
                UPDATE holdfast.task SET finished_at = clock_timestamp(),
                    cost_amount = \(cost.map(String.init)), cost_unit = 'credits',
                    state = CASE WHEN \(cost != nil)::boolean THEN 'succeeded' ELSE 'failed' END
                WHERE task_id = \(name)
                """, role: nil)
        case .balance(let amount): try record(amount, "0", books)
        case .topUp(let amount):
            try books.run(
                """
                SELECT holdfast.record_top_up('person:test', 'kie', 'receipt', 'credits',
                    \(amount)::integer, NULL, '0')
                """, role: "holdfast_jobs")
        }
    }
}
