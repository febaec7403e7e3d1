package import Core
import Foundation
package import Postgres
import Schema

/// A migrated database, a simulator that plays the providers, a folder for files, and the built
/// executables between them: everything that an incident needs, of one test's own.
package final class RescueLine: Sendable {
    package let database: ScratchDatabase
    package let simulator: Simulator
    private let providers: [PlayedProvider]
    /// The root of permanent storage, where that is a folder.
    package let assets: String
    /// The bucket that takes the files, where that is no folder.
    private let bucket: S3Peer?

    /// A database as `holdfast setup` leaves it.
    package static let template = DatabaseTemplate(
        name: "holdfast", digest: digest
    ) { connection in
        _ = try Installer().setUp(connection)
        // Each copy of it is an installation of its own: its first run writes that down.
        try connection.script(
            "DELETE FROM holdfast.installation_event; DELETE FROM holdfast.installation")
        if let sabotage { try connection.script(sabotage) }
    }

    /// SQL that takes a guard out of the schema, for `scripts/check-guards`, which proves that a test
    /// fails without it.
    private static let sabotage = ProcessInfo.processInfo.environment["HOLDFAST_TEST_SABOTAGE"]

    /// FNV-1a over all migrations, so that an edited one makes another template.
    private static let digest: String = {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for text in Migration.all.map(\.sql) + [sabotage ?? ""] {
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return String(hash, radix: 16)
    }()

    /// - Parameters:
    ///   - providers: Whose credentials the executables get; KIE's and Kling's unless said.
    ///   - bucket: Where files go; a folder of the test's own unless said.
    package init(
        providers: [PlayedProvider] = PlayedProvider.named("kie", "kling"),
        simulatorArguments: [String] = [], bucket: S3Peer? = nil
    ) throws {
        self.providers = providers
        self.bucket = bucket
        database = try ScratchDatabase(Self.template)
        simulator = try Simulator(arguments: simulatorArguments)
        assets = NSTemporaryDirectory() + "holdfast-assets-" + RunID.make()
    }

    deinit {
        try? FileManager.default.removeItem(atPath: assets)
    }

    // MARK: The executables

    /// The environment of a host, as cron would have it from its file.
    ///
    /// - Parameter offset: The clock offset, such as `+6m`; nil for the real time.
    package func environment(
        offset: String? = nil, _ changes: [String: String?] = [:]
    ) -> [String: String] {
        var all: [String: String] = [
            "HOLDFAST_DATABASE_URL": database.url,
            "HOLDFAST_STORAGE_URL": "file://" + assets,
            "HOLDFAST_PUBLIC_BASE_URL": "https://cdn.example.com",
            "HOLDFAST_EGRESS_ALLOW": "127.0.0.0/8",
            "HOLDFAST_RETRIGGER_URL": simulator.baseURL + "/app/trigger",
            "HOLDFAST_RETRIGGER_SECRET": "simulator-trigger-secret",
        ]
        if let bucket { all.merge(bucket.environment()) { $1 } }
        for provider in providers {
            all.merge(provider.environment(at: simulator.baseURL)) { $1 }
        }
        if let offset {
            all["HOLDFAST_CLOCK_OFFSET"] = offset
            all["HOLDFAST_ALLOW_CLOCK_OFFSET"] = "1"
        }
        for (name, value) in changes { all[name] = value }
        return all
    }

    /// Runs an executable to its end.
    package func run(
        _ name: String, _ arguments: [String] = [], offset: String? = nil,
        _ changes: [String: String?] = [:], input: [UInt8] = []
    ) async throws -> Finished {
        try await Executable.run(
            name, arguments: arguments, environment: environment(offset: offset, changes),
            input: input)
    }

    /// Runs an executable with `--output json` and returns its object.
    package func report(
        _ name: String, _ arguments: [String] = [], offset: String? = nil,
        _ changes: [String: String?] = [:]
    ) async throws -> JSONValue {
        let finished = try await run(
            name, arguments + ["--output", "json"], offset: offset, changes)
        return try JSON.parse(finished.stdoutBytes)
    }

    /// The three minutely jobs once each, in the order of the crontab.
    @discardableResult
    package func minute(
        offset: String? = nil, _ changes: [String: String?] = [:]
    ) async throws -> [Finished] {
        var finished: [Finished] = []
        for name in ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"] {
            finished.append(try await run(name, offset: offset, changes))
        }
        return finished
    }

    // MARK: The application

    /// Runs one statement on a connection of its own, as the server's owner unless `role` says else.
    @discardableResult
    package func sql(_ statement: SQL, role: String? = nil) throws -> Rows {
        try database.connect(role: role).query(statement)
    }

    /// What the application does for a customer: credits, the job and its hold, the marks, and the
    /// task at the simulated provider.
    ///
    /// - Parameters:
    ///   - id: The job id, and the account's unless `account` says else.
    ///   - taskID: nil for a job that never got one.
    ///   - task: Members of the simulator's order beside provider, endpoint and ids; nil for a task
    ///     that the provider does not know.
    package func open(
        _ id: String, account: String? = nil, provider: String = "kie",
        model: String = "test-model",
        kind: String = "video", credits: Int = 100, outputs: Int = 1, endpoint: String? = "market",
        taskID: String?, task: JSONObject? = JSONObject()
    ) throws {
        let account = account ?? "account-\(id)"
        let connection = try database.connect()
        if credits > 0 {
            try connection.execute(
                """
                SELECT holdfast.grant_credits(\(account), \(credits)::bigint, \("grant for \(id)"))
                """)
        }
        try connection.execute(
            """
            SELECT holdfast.open_job(\(id), \(account), \(provider), \(model), \(kind),
                \(credits)::bigint, NULL, \(outputs)::integer, \(endpoint))
            """)
        guard let taskID else { return }
        try connection.execute("SELECT holdfast.mark_submitting(\(id))")
        try connection.execute("SELECT holdfast.mark_submitted(\(id), \(taskID))")
        if let task {
            try order(
                provider: provider, endpoint: endpoint, taskID: taskID, externalID: id,
                outputs: outputs, task)
        }
    }

    /// Places a task at the simulated provider, or changes one.
    package func order(
        provider: String = "kie", endpoint: String? = "market", taskID: String,
        externalID: String? = nil, outputs: Int = 1, _ task: JSONObject = JSONObject()
    ) throws {
        var members: [JSONObject.Member] = [
            .init(key: "provider", value: .string(provider)),
            .init(key: "endpoint", value: .string(endpoint ?? "market")),
            .init(key: "task_id", value: .string(taskID)),
        ]
        if provider == "kling", let externalID {
            members.append(.init(key: "external_task_id", value: .string(externalID)))
        }
        if !task.has("outputs") { members.append(.init(key: "outputs", value: .integer(outputs))) }
        _ = try simulator.post("/control/tasks", json: .object(JSONObject(members + task.members)))
    }

    /// Makes a provider misbehave; members as the simulator's control page names them.
    package func fault(_ members: JSONValue) throws {
        _ = try simulator.post("/control/faults", json: members)
    }

    // MARK: What is checked

    /// One job as the application sees it.
    package func status(_ id: String) throws -> Row {
        try sql("SELECT * FROM holdfast.job_status WHERE job_id = \(id)").single()
    }

    /// `state` and `credit_state` of one job, with its error code if it has one:
    /// `failed/voided/result_lost`.
    package func outcome(_ id: String) throws -> String {
        let row = try status(id)
        let parts = [
            try row.text("state"), try row.text("credit_state"),
            try row.optionalText("error_code"),
            try row.optionalText("blocked").map { "blocked=\($0)" },
        ]
        return parts.compactMap { $0 }.joined(separator: "/")
    }

    /// `available/held/spent` of an account.
    package func balance(_ account: String) throws -> String {
        let row = try sql(
            "SELECT * FROM holdfast.account_balance WHERE account_id = \(account)"
        ).single()
        return "\(try row.int64("available"))/\(try row.int64("held"))/\(try row.int64("spent"))"
    }

    /// Every violated invariant, in words; empty when the books are right.
    package func violations() throws -> [String] {
        try sql("SELECT invariant, subject, detail FROM holdfast.invariant_violation").map {
            "\(try $0.text("invariant")) \(try $0.text("subject")): \(try $0.text("detail"))"
        }
    }

    /// The transfers of a job, as `kind amount`, in the order they were made.
    package func transfers(_ id: String) throws -> [String] {
        try sql(
            """
            SELECT kind || ' ' || amount AS line FROM holdfast.transfer
            WHERE job_id = \(id) ORDER BY sequence
            """
        ).map { try $0.text("line") }
    }

    /// How often the simulated provider was asked about a task.
    package func polls(_ taskID: String, provider: String = "kie") throws -> Int {
        let counts = try simulator.get("/control/counts")
        return Int(counts["polls"]?["\(provider):\(taskID)"]?.int ?? 0)
    }
}
