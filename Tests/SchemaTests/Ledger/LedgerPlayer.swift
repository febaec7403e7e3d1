import Core
import Postgres
import TestSupport

/// Plays the model's operations against the database, over one connection.
struct LedgerPlayer: ~Copyable {
    private let connection: Connection

    init(_ database: ScratchDatabase) throws { connection = try database.connect() }

    /// How the database answers; anything but a code of its own is thrown.
    borrowing func play(_ operation: LedgerModel.Operation) throws -> LedgerModel.Answer {
        do {
            try connection.repeatable(attempts: 50) {
                if case .filesEnd(let job, let stored) = operation {
                    return try endFiles(job, stored)
                }
                try connection.execute(Self.statement(operation))
            }
            return .done
        } catch let error as PostgresError where error.sqlState.hasPrefix("HF00") {
            return .refused(error.sqlState)
        }
    }

    /// What the mirrorer comes to, without the files: its assets end, and the job is delivered.
    private borrowing func endFiles(_ job: String, _ stored: Int) throws {
        try connection.execute("SELECT FROM holdfast.job WHERE job_id = \(job) FOR NO KEY UPDATE")
        try connection.execute(
            """
            UPDATE holdfast.asset a SET
                state = CASE WHEN o.place <= \(stored)::integer THEN 'stored' ELSE 'lost' END,
                object_key = a.job_id || '/' || a.ordinal, sha256 = 'x', bytes = 1, public_url = 'x'
            FROM (SELECT b.job_id, b.ordinal,
                    row_number() OVER (PARTITION BY b.job_id ORDER BY b.ordinal) AS place
                FROM holdfast.asset b WHERE b.job_id = \(job)) o
            WHERE o.job_id = a.job_id AND o.ordinal = a.ordinal AND a.state = 'pending'
            """)
        try connection.execute("SELECT * FROM holdfast.deliver_jobs(ARRAY[\(job)])")
    }

    private static func statement(_ operation: LedgerModel.Operation) -> SQL {
        switch operation {
        case .grant(let account, let credits, let reference):
            "SELECT holdfast.grant_credits(\(account), \(credits)::bigint, \(reference))"
        case .adjust(let account, let credits, let reference, let reason):
            """
            SELECT holdfast.adjust_credits(\(account), \(credits)::bigint, \(reason), \(reference),
                'person:test')
            """
        case .open(let job, let account, let credits, let outputs):
            """
            SELECT holdfast.open_job(\(job), \(account), 'kie', 'm', 'video', \(credits)::bigint,
                NULL, \(outputs)::integer)
            """
        case .submitting(let job): "SELECT holdfast.mark_submitting(\(job))"
        case .submitted(let job): "SELECT holdfast.mark_submitted(\(job), \("task-" + job))"
        case .timedOut(let job): "SELECT holdfast.mark_timed_out(\(job))"
        case .succeeded(let job, let files):
            """
            SELECT holdfast.finish_job(\(job), 'succeeded',
                \((1...files).map { "https://files.example/\(job)/\($0)" })::text[])
            """
        case .failed(let job): "SELECT holdfast.finish_job(\(job), 'failed', reason => 'no')"
        case .returned(let job): "SELECT holdfast.return_credits(\(job), 'given back')"
        case .dismissed(let job): "SELECT holdfast.dismiss_job(\(job), 'closed')"
        case .abandoned(let job):
            "SELECT holdfast.abandon_job(\(job), 'given up', 'person:test')"
        case .filesEnd: "SELECT 1"
        }
    }
}

extension LedgerModel.Operation {
    /// Any operation on one of the accounts: new names most of the time, and known ones, also with
    /// other arguments.
    static func random(
        _ accounts: [String], jobs: [String], count: inout Int,
        using generator: inout SeededGenerator
    ) -> Self {
        count += 1
        let account = accounts.randomElement(using: &generator) ?? ""
        // The latest jobs are the ones that something can still become of.
        let pool = Bool.random(using: &generator) ? jobs.suffix(4) : jobs[...]
        let isNew = pool.isEmpty || Int.random(in: 0..<8, using: &generator) == 0
        let job = isNew ? "\(account)-j\(count)" : pool.randomElement(using: &generator) ?? ""
        let credits = Int.random(in: 0...60, using: &generator)
        // A small choice of references, so that many are met again.
        let reference = "\(account)-\(Int.random(in: 0..<20, using: &generator))"
        let outputs = Int.random(in: 1...3, using: &generator)
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: return .grant(account: account, credits: 2 * credits + 1, reference: reference)
        case 1:
            return .adjust(
                account: account,
                credits: Bool.random(using: &generator) ? credits + 1 : -credits - 1,
                reference: reference, reason: "reason \(credits % 2)")
        case 2...5:
            // A new job mostly; now and then one that is there.
            let id = Int.random(in: 0..<5, using: &generator) == 0 ? job : "\(account)-j\(count)"
            return .open(job: id, account: account, credits: credits, outputs: outputs)
        case 6: return .succeeded(job: job, files: outputs)
        case 7: return .submitting(job: job)
        case 8, 9: return .submitted(job: job)
        case 10: return .timedOut(job: job)
        case 11, 12: return .succeeded(job: job, files: outputs)
        case 13: return .failed(job: job)
        case 14: return .returned(job: job)
        case 15: return .dismissed(job: job)
        case 16: return .abandoned(job: job)
        default:
            return .filesEnd(job: job, stored: Int.random(in: 0...3, using: &generator))
        }
    }
}
