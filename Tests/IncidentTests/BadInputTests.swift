import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Wrong settings of every kind, over all four jobs: the right status, a word that helps, one JSON
/// object, no secret, and nothing changed.
@Suite(.serialized) struct BadInput {
    /// A case: what is changed, the status of each job, and words that the complaint must hold.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// Sweeper, recoverer, mirrorer, reconciler.
        var statuses: [Int32]
        var words: [String]
        var arguments: [String] = []
        var changes: @Sendable (BadInputScene) throws -> [String: String?]

        init(
            _ name: String, _ statuses: [Int32], _ words: [String], arguments: [String] = [],
            _ changes: @escaping @Sendable (BadInputScene) throws -> [String: String?]
        ) {
            self.name = name
            self.statuses = statuses
            self.words = words
            self.arguments = arguments
            self.changes = changes
        }

        var testDescription: String { name }
    }

    private static let all = [78, 78, 78, 78] as [Int32]
    private static let providers = [78, 78, 78, 0] as [Int32]
    private static let mirrorer = [0, 0, 78, 0] as [Int32]
    /// What the sweeper makes of it stands in a test of its own.
    private static let store = [-1, 0, 78, 0] as [Int32]

    static let cases: [Case] = [
        // The database.
        Case("database down", [75, 75, 75, 75], ["127.0.0.1:1", "HOLDFAST_DATABASE_URL"]) { _ in
            ["HOLDFAST_DATABASE_URL": "postgres://u:\(BadInputScene.canaries[3])@127.0.0.1:1/x"]
        },
        Case("no such database", all, ["refuses the login", "HOLDFAST_DATABASE_URL"]) {
            ["HOLDFAST_DATABASE_URL": try $0.database("no_such_database")]
        },
        Case("no such login", all, ["refuses the login", "HOLDFAST_DATABASE_URL"]) {
            ["HOLDFAST_DATABASE_URL": try $0.database(user: "no_such_login")]
        },
        Case("a login without rights", all, ["may not do", "HOLDFAST_DATABASE_URL"]) {
            ["HOLDFAST_DATABASE_URL": try $0.database(user: "holdfast_app")]
        },
        Case("a login that may only read", all, ["may not do", "HOLDFAST_DATABASE_URL"]) {
            ["HOLDFAST_DATABASE_URL": try $0.database(user: "holdfast_report")]
        },
        Case("not a database's address", all, ["HOLDFAST_DATABASE_URL", "postgres://"]) { _ in
            ["HOLDFAST_DATABASE_URL": "mysql://u:\(BadInputScene.canaries[3])@127.0.0.1/x"]
        },
        Case("no address of a database", all, ["HOLDFAST_DATABASE_URL", "not set"]) { _ in
            ["HOLDFAST_DATABASE_URL": nil]
        },
        // Variables.
        Case("no storage", mirrorer, ["HOLDFAST_STORAGE_URL", "not set"]) { _ in
            ["HOLDFAST_STORAGE_URL": nil]
        },
        Case("storage elsewhere", store, ["HOLDFAST_STORAGE_URL", "file:///"]) { _ in
            ["HOLDFAST_STORAGE_URL": "https://user:\(BadInputScene.canaries[3])@store.example/a"]
        },
        Case("storage without a folder", store, ["HOLDFAST_STORAGE_URL", "file:///"]) { _ in
            ["HOLDFAST_STORAGE_URL": "file://"]
        },
        Case("storage on a host", store, ["HOLDFAST_STORAGE_URL", "names a host"]) { _ in
            ["HOLDFAST_STORAGE_URL": "file://var/lib/assets"]
        },
        Case("storage in a file", mirrorer, ["Not a directory", "not a folder"]) {
            ["HOLDFAST_STORAGE_URL": "file://" + (try $0.file("plain", "not a folder")) + "/assets"]
        },
        Case("egress without sense", mirrorer, ["HOLDFAST_EGRESS_ALLOW"]) { _ in
            ["HOLDFAST_EGRESS_ALLOW": "10.0.0.0/99"]
        },
        Case("trigger without secret", providers, ["HOLDFAST_RETRIGGER_SECRET"]) { _ in
            ["HOLDFAST_RETRIGGER_SECRET": nil]
        },
        Case("trigger that is no address", providers, ["HOLDFAST_RETRIGGER_URL"]) { _ in
            ["HOLDFAST_RETRIGGER_URL": "app.example.com/start"]
        },
        Case("provider that is no address", providers, ["HOLDFAST_KIE_BASE_URL"]) { _ in
            ["HOLDFAST_KIE_BASE_URL": "api.kie.ai"]
        },
        Case("half of a pair of keys", [0, 0, 0, 0], []) { _ in
            ["HOLDFAST_KLING_ACCESS_KEY": nil]
        },
        Case("a secret's file that is not there", providers, ["HOLDFAST_KIE_API_KEY_FILE"]) {
            [
                "HOLDFAST_KIE_API_KEY": nil,
                "HOLDFAST_KIE_API_KEY_FILE": $0.folder + "/no-such-file",
            ]
        },
        Case("a secret given twice", providers, ["HOLDFAST_KIE_API_KEY_FILE", "unset one"]) {
            ["HOLDFAST_KIE_API_KEY_FILE": try $0.file("key", BadInputScene.canaries[0])]
        },
        Case("a clock that cannot be read", all, ["HOLDFAST_CLOCK_OFFSET", "+90m"]) { _ in
            ["HOLDFAST_CLOCK_OFFSET": "tomorrow"]
        },
        Case("a shifted clock without leave", all, ["HOLDFAST_ALLOW_CLOCK_OFFSET"]) { _ in
            ["HOLDFAST_ALLOW_CLOCK_OFFSET": nil]
        },
        // Files of settings.
        Case("a settings file that is not there", all, ["HOLDFAST_ENV_FILE", "No such file"]) {
            ["HOLDFAST_ENV_FILE": $0.folder + "/no-such.env"]
        },
        Case("a settings file that is a folder", all, ["HOLDFAST_ENV_FILE"]) {
            ["HOLDFAST_ENV_FILE": $0.folder]
        },
        Case("a settings file that is no text", all, ["HOLDFAST_ENV_FILE", "UTF-8"]) {
            ["HOLDFAST_ENV_FILE": try $0.file("nul.env", "A=b\n\u{0}C=d\n")]
        },
        Case("a settings file with a wrong line", all, ["line 2 of", "NAME=value"]) {
            [
                "HOLDFAST_ENV_FILE": try $0.file(
                    "wrong.env", "A=b\n\(BadInputScene.canaries[0]) canary\n")
            ]
        },
        Case("a quote that is never closed", all, ["line 1 of", "never closed"]) {
            [
                "HOLDFAST_ENV_FILE": try $0.file(
                    "quote.env", "HOLDFAST_KIE_API_KEY='\(BadInputScene.canaries[0])\n")
            ]
        },
        // Providers.
        Case(
            "an unknown provider", [78, 78, 78, 64], ["fal"], arguments: ["--provider", "fal"]
        ) { _ in [:] },
        Case(
            "a provider that is off", [78, 78, 78, 64], ["--provider|HOLDFAST_KIE_API_KEY"],
            arguments: ["--provider", "kie"]
        ) { _ in ["HOLDFAST_KIE_API_KEY": nil] },
    ]

    @Test(arguments: cases)
    func `wrong settings`(_ one: Case) async throws {
        let scene = try BadInputScene()
        let changes = try one.changes(scene)
        for (name, status) in zip(BadInputScene.jobs, one.statuses) where status >= 0 {
            let before = try scene.fingerprint()
            let text = try await scene.run(name, one.arguments, changes)
            #expect(text.status == status, "\(name): \(text.stderr)")
            try scene.checkSecrets(text, name)
            let json = try await scene.run(name, one.arguments + ["--output", "json"], changes)
            #expect(json.status == status, "\(name): \(json.stderr)")
            let object = try scene.checkJSON(json, name)
            try scene.checkSecrets(json, "\(name) --output json")
            guard status != 0 else { continue }

            #expect(text.stdout == "", "\(name): \(text.stdout)")
            let complaint = object["errors"]?.array?.first?["message"]?.text ?? ""
            for words in one.words where status != 64 {
                let either = words.split(separator: "|")
                #expect(either.contains { text.stderr.contains($0) }, "\(name): \(text.stderr)")
                #expect(either.contains { complaint.contains($0) }, "\(name): \(complaint)")
            }
            // One line that bears the name of whoever complains.
            if status != 64 {
                #expect(text.stderr.hasPrefix("\(name): "), "\(text.stderr)")
                #expect(text.stderr.split(separator: "\n").count == 1, "\(text.stderr)")
            }
            #expect(try scene.fingerprint() == before, "\(name) changed something")
        }
    }

    /// Whether the database has lost commits cannot be told then: what that may change waits, and a
    /// person is told; everything else goes on.
    @Test(arguments: ["https://store.example/a", "file://", "file://var/lib/assets"])
    func `a sweeper that cannot tell where the store is goes on`(_ url: String) async throws {
        let scene = try BadInputScene()
        let run = try await scene.run("stuck-sweeper", [], ["HOLDFAST_STORAGE_URL": url])
        #expect(run.status == 78, "\(run.stderr)")
        #expect(run.stderr.contains("HOLDFAST_STORAGE_URL"), "\(run.stderr)")
        #expect(run.stderr.contains("everything else goes on"), "\(run.stderr)")
        #expect(run.stdout.contains("2 succeeded"), "\(run.stdout)")
    }

    // MARK: The schema

    @Test(arguments: [
        ("none", "holdfast setup"), ("older", "holdfast migrate"), ("newer", "newer build"),
    ])
    func `a database with another schema is refused`(
        _ schema: String, _ advice: String
    ) async throws {
        let scene = try BadInputScene()
        let empty = try ScratchDatabase()
        var changes: [String: String?] = [:]
        switch schema {
        case "none": changes["HOLDFAST_DATABASE_URL"] = empty.url
        case "older":
            try scene.line.sql(
                """
                DELETE FROM holdfast.schema_version
                WHERE version = (SELECT max(version) FROM holdfast.schema_version)
                """)
        default:
            try scene.line.sql("INSERT INTO holdfast.schema_version VALUES (9999, 'future')")
        }
        let before = try scene.fingerprint()
        for name in BadInputScene.jobs {
            for arguments in [[], ["--dry-run"]] {
                let text = try await scene.run(name, arguments, changes)
                #expect(text.status == 78, "\(name): \(text.stderr)")
                #expect(text.stderr.contains(advice), "\(name): \(text.stderr)")
                #expect(text.stdout == "")
                let json = try await scene.run(
                    name, arguments + ["--output", "json"], changes)
                #expect(json.status == 78)
                let object = try scene.checkJSON(json, name)
                #expect(object["dry_run"]?.bool == !arguments.isEmpty)
                #expect(object["errors"]?.array?.first?["message"]?.text?.contains(advice) == true)
                try scene.checkSecrets(json, name)
            }
        }
        #expect(try scene.fingerprint() == before)
    }

    // MARK: Flags

    @Test func `wrong flags are wrong usage`() async throws {
        let common = [
            ["--no-such-flag"], ["surplus"], ["--time-budget", "banana"], ["--time-budget", "0s"],
            ["--time-budget", "10"], ["--time-budget"], ["--output", "yaml"],
            ["--log-format", "xml"], ["--verbose", "--quiet"], ["--env-file", ""],
        ]
        let minutely = [
            ["--limit", "0"], ["--limit", "-1"], ["--limit", "many"], ["--concurrency", "0"],
            ["--concurrency", "100000"], ["--job", ""], ["--provider", ""],
            ["--day", "2026-11-21"],
        ]
        let nightly = [
            ["--day", "yesterday"], ["--day", "2026-02-30"], ["--day", "2026-13-01"],
            ["--limit", "5"], ["--job", "a"], ["--concurrency", "5"],
        ]
        let scene = try BadInputScene()
        let before = try scene.fingerprint()
        for name in BadInputScene.jobs {
            let own = name == "ledger-reconciler" ? nightly : minutely
            for flags in common + own { try await checkUsage(scene, name, flags) }
        }
        #expect(try scene.fingerprint() == before)
        #expect(try scene.line.value("SELECT count(*) FROM holdfast.run") == "0")
    }

    private func checkUsage(
        _ scene: BadInputScene, _ name: String, _ flags: [String]
    ) async throws {
        let text = try await scene.run(name, flags)
        #expect(text.status == 64, "\(name) \(flags): \(text.stderr)")
        #expect(text.stdout == "")
        #expect(text.stderr.contains("Usage: \(name)"), "\(name) \(flags): \(text.stderr)")
        try scene.checkSecrets(text, "\(name) \(flags)")
        let json = try await scene.run(name, ["--output", "json"] + flags)
        // Where another --output follows, nobody can say which one was meant.
        if !flags.contains("--output") {
            #expect(json.status == 64)
            try scene.checkJSON(json, name)
        }
    }
}
