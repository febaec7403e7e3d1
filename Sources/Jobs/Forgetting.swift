package import Postgres

/// What is personal of an account, and how much of it there is.
package struct PersonalCounts: Equatable, Sendable {
    package var jobs, files, quarantined, observations, callbacks: Int64

    package var isNothing: Bool { jobs + files + quarantined + observations + callbacks == 0 }

    init(_ row: Row) throws {
        jobs = try row.int64("jobs")
        files = try row.int64("files")
        quarantined = try row.int64("quarantined")
        observations = try row.int64("observations")
        callbacks = try row.int64("callbacks")
    }
}

/// A job over which nobody may be forgotten.
package struct UnforgettableJob: Equatable, Sendable {
    package var state: String
    package var blocked: String?
    /// Its id as a word for a shell.
    package var word: String
}

/// An object in the store of a job that is forgotten.
package struct ForgottenObject: Equatable, Sendable {
    package var objectKey: String
    package var uploadID: String?
}

/// The database's side of forgetting an account; each step can be repeated.
package struct Forgetting: Sendable {
    /// Jobs of one transaction, each with all of its evidence.
    private static let jobPage = 20
    /// Objects that are looked up at once.
    private static let objectPage = 500
    /// Files that prove that the store is the one.
    private static let samplePage = 20

    private let account: String

    package init(account: String) { self.account = account }

    package func isKnown(_ connection: borrowing Connection) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT FROM holdfast.account WHERE account_id = \(account)) AS known
            """
        ).single().bool("known")
    }

    package func openJobs(
        _ connection: borrowing Connection, most: Int
    ) throws -> [UnforgettableJob] {
        try connection.query(
            "SELECT * FROM holdfast.unforgettable_jobs(\(account), \(most)::integer)"
        ).map {
            UnforgettableJob(
                state: try $0.text("state"), blocked: try $0.optionalText("blocked"),
                word: try $0.text("shown"))
        }
    }

    package func counts(_ connection: borrowing Connection) throws -> PersonalCounts {
        try PersonalCounts(
            try connection.query("SELECT * FROM holdfast.count_personal(\(account))").single())
    }

    /// Some files that are stored, by their keys: the store must have one of them.
    package func sample(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT a.object_key FROM holdfast.job j JOIN holdfast.asset a USING (job_id)
            WHERE j.account_id = \(account) AND a.state = 'stored'
            ORDER BY a.stored_at DESC, a.job_id, a.ordinal LIMIT \(Self.samplePage)::integer
            """
        ).map { try $0.text("object_key") }
    }

    /// - Throws: HF003 when a job is open after all, HF005 when there is no such account.
    package func begin(_ connection: borrowing Connection, person: String) throws {
        try connection.execute("SELECT holdfast.begin_forgetting(\(account), \(person))")
    }

    /// - Returns: How many jobs were forgotten; 0 when none is left.
    package func forgetJobs(_ connection: borrowing Connection, person: String) throws -> Int {
        try connection.repeatableStatement {
            try connection.query(
                """
                SELECT holdfast.forget_jobs(\(account), \(Self.jobPage)::integer, \(person))
                    AS jobs
                """
            ).single().int("jobs")
        }
    }

    package func objects(_ connection: borrowing Connection) throws -> [ForgottenObject] {
        try connection.query(
            """
            SELECT object_key, upload_id
            FROM holdfast.forgotten_objects(\(account), \(Self.objectPage)::integer)
            """
        ).map {
            ForgottenObject(
                objectKey: try $0.text("object_key"), uploadID: try $0.optionalText("upload_id"))
        }
    }

    package func forgot(_ connection: borrowing Connection, object key: String) throws {
        try connection.execute("SELECT holdfast.forgot_object(\(account), \(key))")
    }

    package func quarantined(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT name FROM holdfast.forgotten_quarantined(
                \(account), \(Self.objectPage)::integer) AS name
            """
        ).map { try $0.text("name") }
    }

    package func forgot(_ connection: borrowing Connection, quarantined name: String) throws {
        try connection.execute("SELECT holdfast.forgot_quarantined(\(account), \(name))")
    }

    /// - Returns: What the whole forgetting came to; nil when there was nothing to forget.
    package func finish(_ connection: borrowing Connection) throws -> PersonalCounts? {
        try connection.query("SELECT * FROM holdfast.finish_forgetting(\(account))").first
            .map { try PersonalCounts($0) }
    }
}

extension Health {
    /// Accounts whose ids look like e-mail addresses, and forgettings that were not finished.
    package func personalIDs(
        _ connection: borrowing Connection
    ) throws -> (addresses: Int64, unfinished: [String]) {
        let addresses = try connection.query(
            """
            SELECT count(*) AS addresses FROM (SELECT FROM holdfast.account
                WHERE account_id LIKE '%_@_%._%' LIMIT 1000) a
            """
        ).single().int64("addresses")
        let unfinished = try connection.query(
            """
            SELECT holdfast.shell_word(account_id) AS account FROM holdfast.forgotten_account
            WHERE finished_at IS NULL ORDER BY begun_at LIMIT 10
            """
        ).map { try $0.text("account") }
        return (addresses, unfinished)
    }
}
