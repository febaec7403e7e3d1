import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A world in which each of the four jobs has work, and every secret is a canary.
final class BadInputScene: Sendable {
    static let jobs = [
        "stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler",
    ]
    static let minutely = Array(jobs.dropLast())

    /// What no output, no log line and no stored observation may ever hold.
    static let canaries = [
        "canary-kie-api-key-0001", "canary-kling-secret-key-0002", "canary-trigger-secret-0003",
        "canary-database-password-0004", "canary-callback-secret-0005",
        "a lighthouse in the canary islands", "sim%2F", "sim/0/", "token=sim",
        // The simulator gives our own prompt back in its answers.
        "a paper boat on a canal",
    ]

    let line: RescueLine
    /// A folder for files that a case needs.
    let folder: String

    init() throws {
        line = try RescueLine(simulatorArguments: [
            "--api-key", "kie=\(Self.canaries[0])", "--kling-secret-key", Self.canaries[1],
            "--trigger-secret", Self.canaries[2],
        ])
        folder = NSTemporaryDirectory() + "holdfast-bad-input-" + RunID.make()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try line.open("stuck", taskID: "task-stuck")
        try line.open("stuck-kling", provider: "kling", endpoint: "image2video", taskID: "9001")
        try line.open("waited", taskID: "task-waited")
        try line.sql("SELECT holdfast.mark_timed_out('waited')")
        try line.open(
            "finished", taskID: "task-finished",
            task: .init([.init(key: "file_bytes", value: 200_000)]))
        let urls = try line.simulator.get("/control/tasks/task-finished")["files"]?.array ?? []
        try line.sql(
            """
            SELECT holdfast.finish_job('finished', 'succeeded',
                \(urls.compactMap { $0["url"]?.text })::text[])
            """)
        try line.sql(
            """
            SELECT holdfast.grant_credits('asker', 100, 'asker');
            """)
        try line.sql(
            """
            SELECT holdfast.open_job('created', 'asker', 'kie', 'm', 'video', 100,
                \(#"{"prompt": "\#(Self.canaries[5])"}"#)::jsonb)
            """)
        try line.callBack(
            #"{"data":{"taskId":"task-stuck","input":{"prompt":"\#(Self.canaries[5])"}}}"#,
            query: "secret=\(Self.canaries[4])")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// The environment with all canaries in it, and a case's changes to it.
    func environment(_ changes: [String: String?] = [:]) throws -> [String: String] {
        var own: [String: String?] = [
            "HOLDFAST_DATABASE_URL": try database(),
            "HOLDFAST_KIE_API_KEY": Self.canaries[0],
            "HOLDFAST_KLING_SECRET_KEY": Self.canaries[1],
            "HOLDFAST_RETRIGGER_SECRET": Self.canaries[2],
            "HOLDFAST_CALLBACK_SECRET": Self.canaries[4],
        ]
        own.merge(changes) { $1 }
        return line.environment(offset: "+6m", own)
    }

    /// The address of a database with a password in it, which this server does not ask for.
    func database(_ name: String? = nil, user: String? = nil) throws -> String {
        var parts = try #require(URLComponents(string: line.database.url))
        parts.password = Self.canaries[3]
        if let user { parts.user = user }
        if let name { parts.path = "/" + name }
        return try #require(parts.string)
    }

    /// Writes a file that a case needs, and returns its path.
    func file(_ name: String, _ text: String) throws -> String {
        let path = folder + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    func run(
        _ name: String, _ arguments: [String] = [], _ changes: [String: String?] = [:]
    ) async throws -> Finished {
        try await Executable.run(
            name, arguments: arguments, environment: try environment(changes))
    }

    /// One digest over everything that jobs, files, credits and evidence say.
    func fingerprint() throws -> String {
        let tables = [
            "job", "asset", "transfer", "account", "task", "observation", "job_event", "callback",
            "break", "policy", "provider",
        ]
        let parts = tables.map { table in
            """
            SELECT '\(table)' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))
                AS digest FROM holdfast.\(table) t
            """
        }
        return try line.sql(SQL(raw: parts.joined(separator: " UNION ALL "))).map { row in
            "\(try row.text("name")) \(try row.text("digest"))"
        }.sorted().joined(separator: "\n")
    }

    // MARK: What is checked

    /// Members that the reconciler's object has beside those of every run.
    static let nightly: Set<String> = [
        "day", "day_sealed", "day_credits", "days_sealed", "breaks", "breaks_omitted",
        "unknown_submissions_voided",
    ]

    /// One valid JSON object on standard output that tells the same as the exit status.
    @discardableResult
    func checkJSON(
        _ finished: Finished, _ name: String, _ place: SourceLocation = #_sourceLocation
    ) throws -> JSONValue {
        let text = finished.stdout
        #expect(text.hasSuffix("\n") && !text.dropLast().contains("\n"), sourceLocation: place)
        let object = try JSON.parse(finished.stdoutBytes)
        #expect(
            object.object?.keys.filter { !Self.nightly.contains($0) } == [
                "command", "version", "run_id", "dry_run", "started_at", "finished_at", "examined",
                "outcomes", "credits", "errors", "exit_status",
            ], "\(text)", sourceLocation: place)
        #expect(object["command"]?.text == name, sourceLocation: place)
        #expect(object["exit_status"]?.int == Int64(finished.status), sourceLocation: place)
        return object
    }

    /// No secret, signed query or prompt anywhere.
    func checkSecrets(
        _ finished: Finished, _ what: String, _ place: SourceLocation = #_sourceLocation
    ) throws {
        var spoken = ["standard output": finished.stdout, "standard error": finished.stderr]
        // The inbox keeps bodies whole, as bytes; its words are looked at all the same.
        let rows = ["observation", "job_event", "run", "break", "callback"].map {
            "SELECT '\($0)' AS place, t::text AS words FROM holdfast.\($0) t"
        }
        let messages = [
            "job.error_message", "job.blocked_reason", "asset.error_message", "task.error_message",
        ].map { place in
            let table = place.prefix { $0 != "." }
            return "SELECT '\(place)', \(place) FROM holdfast.\(table)"
        }
        let kept = SQL(raw: (rows + messages).joined(separator: " UNION ALL "))
        for row in try line.sql(kept) {
            spoken[try row.text("place"), default: ""] += try row.optionalText("words") ?? ""
        }
        for canary in Self.canaries {
            for (source, text) in spoken {
                #expect(
                    !text.contains(canary), "\(canary) in \(source) (\(what))",
                    sourceLocation: place)
            }
        }
    }
}
