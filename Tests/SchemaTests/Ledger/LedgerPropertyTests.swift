import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// All operations of the ledger, in random interleavings on many connections, against a plain model.
@Suite struct LedgerProperties {
    static let connections = 8
    /// More of both by `HOLDFAST_LEDGER_ROUNDS`.
    static let rounds =
        ProcessInfo.processInfo.environment["HOLDFAST_LEDGER_ROUNDS"].flatMap(Int.init)
        ?? 4
    static let stepsInRound = 40

    private func books() throws -> Books {
        let books = try Books()
        try books.run(
            "INSERT INTO holdfast.policy (key, value) VALUES ('brake_jobs', 'off')", role: nil)
        return books
    }

    /// One worker's accounts, its model of them, and its chance.
    private struct Worker {
        var accounts: [String]
        var model = LedgerModel()
        var generator: SeededGenerator
        var count = 0
        var mistakes: [String] = []
        /// Jobs in the order in which they were opened.
        var jobs: [String] = []
        var codes: Set<String> = []

        private mutating func note(
            _ operation: LedgerModel.Operation, _ answer: LedgerModel.Answer
        ) {
            if case .refused(let code) = answer { codes.insert(code) }
            if case .open(let job, _, _, _) = operation, answer == .done, !jobs.contains(job) {
                jobs.append(job)
            }
        }

        /// Plays operations in order and compares.
        mutating func play(
            _ operations: [LedgerModel.Operation], _ database: ScratchDatabase
        ) throws {
            let player = try LedgerPlayer(database)
            for operation in operations { try once(operation, player) }
        }

        /// Plays some operations, every third of them on two connections at once, and compares.
        mutating func play(_ database: ScratchDatabase, steps: Int) async throws {
            let player = try LedgerPlayer(database)
            for _ in 0..<steps {
                let operation = LedgerModel.Operation.random(
                    accounts, jobs: jobs, count: &count, using: &generator)
                guard Int.random(in: 0..<3, using: &generator) == 0 else {
                    try once(operation, player)
                    continue
                }
                let first = model.apply(operation)
                note(operation, first)
                let second = model.apply(operation)
                async let other = LedgerPlayer(database).play(operation)
                let answers = [try player.play(operation), try await other]
                // Either of the two may have been the first.
                if answers != [first, second] && answers != [second, first] {
                    mistakes.append("twice \(operation): \(answers), not \(first) and \(second)")
                }
            }
        }

        private mutating func once(
            _ operation: LedgerModel.Operation, _ player: borrowing LedgerPlayer
        ) throws {
            let meant = model.apply(operation)
            note(operation, meant)
            let answer = try player.play(operation)
            if answer != meant { mistakes.append("\(operation): \(answer), and not \(meant)") }
        }
    }

    /// A life in which every rule is met, so that chance alone does not say what is proved.
    private static func wholeLife(_ a: String) -> [LedgerModel.Operation] {
        func open(_ job: String, _ credits: Int, outputs: Int = 1) -> LedgerModel.Operation {
            .open(job: "\(a)-\(job)", account: a, credits: credits, outputs: outputs)
        }
        func name(_ job: String) -> String { "\(a)-\(job)" }
        return [
            .grant(account: a, credits: 100, reference: "\(a)-first"),
            .grant(account: a, credits: 101, reference: "\(a)-first"),
            .adjust(account: a, credits: -101, reference: "\(a)-too-much", reason: "r"),
            .adjust(account: a, credits: -10, reference: "\(a)-some", reason: "r"),
            .adjust(account: "\(a)-nobody", credits: 5, reference: "\(a)-none", reason: "r"),
            open("part", 30, outputs: 3), .succeeded(job: name("part"), files: 3),
            .filesEnd(job: name("part"), stored: 2), open("part", 30, outputs: 3),
            open("whole", 30), .submitted(job: name("whole")),
            .succeeded(job: name("whole"), files: 1), .filesEnd(job: name("whole"), stored: 1),
            .returned(job: name("whole")),
            open("late", 20), .abandoned(job: name("late")),
            .succeeded(job: name("late"), files: 1), .filesEnd(job: name("late"), stored: 1),
            // Nothing is left when the next one comes late.
            open("waived", 10), .abandoned(job: name("waived")), open("rest", 50),
            .succeeded(job: name("waived"), files: 1),
            .filesEnd(job: name("waived"), stored: 1), open("poor", 1),
            open("lost", 0), .succeeded(job: name("lost"), files: 1),
            .filesEnd(job: name("lost"), stored: 0), open("waits", 0),
            .timedOut(job: name("waits")), open("sent", 0), .submitted(job: name("sent")),
            open("named", 0), .succeeded(job: name("named"), files: 1), open("new", 0),
            open("given-up", 0), .abandoned(job: name("given-up")), open("closed", 0),
            .dismissed(job: name("closed")), .submitting(job: name("nobody")),
        ]
    }

    /// What came to pass at all in these workers' lives: a rule that was never met proves nothing.
    private func events(_ workers: [Worker]) -> Set<String> {
        var events = Set(workers.flatMap(\.codes))
        for job in workers.flatMap(\.model.jobs.values) {
            events.insert(job.state)
            if job.captured > 0, job.voided > 0 { events.insert("captured in part") }
            if job.captured > 0, job.voided == 0 { events.insert("captured whole") }
            if job.charged > 0 { events.insert("charged late") }
            if job.waived > 0 { events.insert("waived") }
            if job.refunded > 0 { events.insert("refunded") }
            if job.errorCode == "result_lost" { events.insert("lost") }
        }
        return events
    }

    static let expectedEvents: Set<String> = [
        "HF001", "HF002", "HF003", "HF005", "created", "submitted", "timed_out", "succeeded",
        "delivered", "failed", "abandoned", "dismissed", "captured in part", "captured whole",
        "charged late", "waived", "refunded", "lost",
    ]

    /// What the model and the database say of the same accounts and jobs, where they differ.
    private func differences(_ worker: Worker, _ books: Books) throws -> [String] {
        var differences = worker.mistakes
        for account in worker.accounts {
            let found = try books.balance(account)
            let meant = worker.model.balance(account) ?? "(none)"
            if found != meant { differences.append("\(account): \(found), and not \(meant)") }
        }
        let rows = try books.run(
            """
            SELECT job_id, concat_ws('/', state, captured, voided, charged, refunded, waived) AS line
            FROM holdfast.job WHERE account_id = ANY (\(worker.accounts)) ORDER BY job_id
            """, role: nil)
        let found = try rows.map { "\(try $0.text("job_id")) \(try $0.text("line"))" }
        let meant = worker.model.jobs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { "\($0.key) \($0.value.line)" }
        differences += Set(found).symmetricDifference(meant).sorted()
        return differences
    }

    @Test func `one life meets every rule`() throws {
        let books = try books()
        var worker = Worker(accounts: ["life"], generator: SeededGenerator(seed: 1))
        try worker.play(Self.wholeLife("life"), books.database)
        #expect(try differences(worker, books) == [])
        #expect(Self.expectedEvents.subtracting(events([worker])) == [])
        #expect(try books.violations() == "")
    }

    @Test func `every operation answers and leaves behind what the model says`() async throws {
        let books = try books()
        var chance = SeededGenerator()
        let seed = Comment(rawValue: chance.description)
        print("ledger model: \(chance)")
        var workers = (0..<Self.connections).map { number in
            Worker(
                accounts: ["a\(number)x", "a\(number)y"],
                generator: SeededGenerator(seed: chance.next()))
        }
        for round in 1...Self.rounds {
            workers = try await withThrowingTaskGroup(of: (Int, Worker).self) { group in
                for (index, worker) in workers.enumerated() {
                    group.addTask {
                        var worker = worker
                        try await worker.play(books.database, steps: Self.stepsInRound)
                        return (index, worker)
                    }
                }
                return try await group.reduce(into: workers) { $0[$1.0] = $1.1 }
            }
            for worker in workers {
                #expect(try differences(worker, books) == [], "round \(round), \(seed)")
            }
            #expect(try books.violations() == "", "round \(round), \(seed)")
        }
    }

    /// Where everybody works on the same few accounts nobody can say what an operation answers; what
    /// was transferred tells whether the end is right.
    @Test func `operations on the same accounts leave the books right`() async throws {
        let books = try books()
        var chance = SeededGenerator()
        let seed = Comment(rawValue: chance.description)
        print("ledger crowd: \(chance)")
        let accounts = ["hot1", "hot2"]
        let jobs = (0..<25).flatMap { number in accounts.map { "\($0)-j\(number)" } }
        for account in accounts { try books.grant(account, 500) }
        for round in 1...Self.rounds {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<Self.connections {
                    var generator = SeededGenerator(seed: chance.next())
                    group.addTask {
                        let player = try LedgerPlayer(books.database)
                        var count = round * 100_000 + number * 1000
                        for _ in 0..<Self.stepsInRound {
                            _ = try player.play(
                                .random(accounts, jobs: jobs, count: &count, using: &generator))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try books.violations() == "", "round \(round), \(seed)")
            #expect(try doubtful(books) == "", "round \(round), \(seed)")
        }
    }

    /// Jobs whose transfers are not one hold, one resolution of it, and at most one late charge.
    private func doubtful(_ books: Books) throws -> String {
        try books.text(
            """
            SELECT coalesce(string_agg(s.job_id || ': ' || s.story, '; '), '') FROM (
                SELECT job_id, string_agg(kind, ' ' ORDER BY sequence) AS story
                FROM holdfast.transfer WHERE job_id IS NOT NULL GROUP BY job_id) s
            WHERE s.story !~ '^hold( capture( void)?( refund)*| void( capture)?( refund)*| void( charge)?( refund)*)?$'
            """)
    }
}
