import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// One of PostgreSQL's settings, and a value that it hardly ever has.
struct OddSetting: Sendable, CustomTestStringConvertible {
    var name: String
    var value: String

    var testDescription: String { "\(name)=\(value)" }

    /// What the kind of a setting does not tell.
    private static let chosen = [
        "DateStyle": "SQL, DMY", "TimeZone": "Asia/Kathmandu", "IntervalStyle": "sql_standard",
        "application_name": "odd", "default_table_access_method": "heap",
        "default_tablespace": "pg_default", "default_text_search_config": "pg_catalog.simple",
        "jit_above_cost": "0", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0",
        "lc_monetary": "C.UTF-8", "lc_numeric": "C.UTF-8", "lc_time": "C.UTF-8",
        "search_path": "pg_temp", "temp_tablespaces": "pg_default",
        "timezone_abbreviations": "India", "client_encoding": "LATIN1",
        "default_transaction_isolation": "serializable", "client_min_messages": "debug5",
        "restrict_nonsystem_relation_kind": "foreign-table", "geqo_threshold": "2",
        "password_encryption": "md5", "plan_cache_mode": "force_generic_plan",
        "bytea_output": "escape", "xmloption": "document", "force_parallel_mode": "regress",
        "debug_parallel_query": "regress", "constraint_exclusion": "on",
        "backslash_quote": "off", "default_toast_compression": "lz4",
        "stats_fetch_consistency": "none", "synchronous_commit": "on", "xmlbinary": "hex",
        // A thousandth of a second would only show that nothing can be done within it.
        "statement_timeout": "20s", "lock_timeout": "10ms", "transaction_timeout": "20s",
        "idle_in_transaction_session_timeout": "10s", "idle_session_timeout": "10s",
    ]
    /// Those that a database cannot be given.
    private static let unsettable: Set<String> = [
        "local_preload_libraries", "transaction_deferrable", "transaction_isolation",
        "transaction_read_only", "exit_on_error", "role", "session_authorization",
    ]

    static let all: [OddSetting] = (try? read()) ?? []

    private static func read() throws -> [OddSetting] {
        try TestCluster.shared().connect().query(
            """
            SELECT name, vartype, boot_val, min_val, max_val FROM pg_settings
            WHERE context = 'user' ORDER BY name COLLATE "C"
            """
        ).compactMap { row in
            let name = try row.text("name")
            guard !unsettable.contains(name) else { return nil }
            if let value = chosen[name] { return OddSetting(name: name, value: value) }
            let usual = try row.optionalText("boot_val") ?? ""
            switch try row.text("vartype") {
            case "bool": return OddSetting(name: name, value: usual == "on" ? "off" : "on")
            case "integer", "real":
                let least = try row.text("min_val")
                if least != usual { return OddSetting(name: name, value: least) }
                let most = Double(try row.text("max_val")) ?? 1
                let isReal = try row.text("vartype") == "real"
                return OddSetting(name: name, value: isReal ? "\(min(most, 1000))" : "1")
            default: return nil
            }
        }
    }
}

/// Each of PostgreSQL's settings that a database or a login may bear is set to something unusual, one
/// at a time, through one whole scenario: the end is the same, or a message names it.
///
/// `scripts/test` takes a few with the seed of the day; `scripts/check-settings` names them in
/// `HOLDFAST_SETTINGS`, or all.
@Suite struct SettingSweep {
    static let chosen = ProcessInfo.processInfo.environment["HOLDFAST_SETTINGS"]
    static let sampled = 2
    static let seed = SeededGenerator.seedOfTheDay()

    static let settings: [OddSetting] = {
        if let chosen {
            let words = chosen.split(whereSeparator: \.isWhitespace).map { $0.lowercased() }
            let after = ProcessInfo.processInfo.environment["HOLDFAST_SETTINGS_AFTER"] ?? ""
            return words == ["all"]
                ? OddSetting.all.filter { $0.name > after }
                : OddSetting.all.filter { one in
                    words.contains { one.name.lowercased().contains($0) }
                }
        }
        var chance = SeededGenerator(seed: seed)
        return Array(OddSetting.all.shuffled(using: &chance).prefix(sampled))
    }()

    /// Open, sweep, recover, mirror, close the night: what it all came to.
    private func play(_ setting: OddSetting?) async throws -> (end: [String], said: String) {
        let line = try RescueLine()
        if let setting {
            try line.sql(
                """
                ALTER DATABASE \(raw: line.database.name)
                SET \(raw: setting.name) = \(raw: Self.literal(setting))
                """)
        }
        try line.liftRates()
        try line.open("Good", account: "B_2", outputs: 2, taskID: "t-1")
        try line.open(
            "bad", account: "a", taskID: "t-2",
            task: JSONObject([.init(key: "outcome", value: "fail")]))
        try line.open(
            "slow", account: "b-1", taskID: "t-3",
            task: JSONObject([.init(key: "outcome", value: "never")]))
        try line.open("nowhere", account: "Ä", taskID: nil)
        try line.callBack(#"{"data":{"taskId":"t-1"}}"#)
        var said = ""
        for offset in ["+6m", "+70m", "+26h"] {
            for program in ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"] {
                let run = try await line.run(program, offset: offset)
                said += run.stderr
            }
        }
        for (program, arguments) in [
            ("ledger-reconciler", []), ("holdfast", ["books", "verify"]), ("holdfast", ["status"]),
            ("holdfast", ["job", "show", "Good"]),
        ] {
            let run = try await line.run(program, arguments, offset: "+50h")
            if run.status > 1 { said += "\(program) \(arguments): \(run.status) " }
            said += run.stderr
        }
        let end = try line.sql(
            """
            SELECT concat_ws(' ', 'job', job_id, state, credit_state, blocked, error_code,
                credits_captured, credits_voided, cardinality(asset_urls)) AS line
            FROM holdfast.job_status
            UNION ALL SELECT concat_ws(' ', 'account', account_id, available, held, spent)
            FROM holdfast.account_balance
            UNION ALL SELECT concat_ws(' ', 'day', entries, figures ->> 'closing')
            FROM holdfast.business_day
            UNION ALL SELECT concat_ws(' ', 'break', class, subject) FROM holdfast.break
            UNION ALL SELECT concat_ws(' ', 'callback', result) FROM holdfast.callback
            UNION ALL SELECT concat_ws(' ', 'invariant', invariant, subject)
            FROM holdfast.invariant_violation
            """
        ).map { try $0.text("line") }
        return (end.sorted(), said)
    }

    private static func literal(_ setting: OddSetting) -> String {
        let isList = ["search_path", "temp_tablespaces", "DateStyle"].contains(setting.name)
        return isList ? setting.value : "'\(setting.value)'"
    }

    private static let usual = Once<[String]>()

    @Test(.timeLimit(.minutes(2)), arguments: settings)
    func `under an unusual setting the end is the same, or a message names it`(
        _ setting: OddSetting
    )
        async throws
    {
        let expected = try await Self.usual.get { try await play(nil).end }
        let words = "HOLDFAST_TEST_SEED=\(Self.seed) HOLDFAST_SETTINGS=\(setting.name)"
        do {
            let (end, said) = try await play(setting)
            // The server says "lock timeout" for lock_timeout.
            let isNamed = [setting.name, setting.name.replacing("_", with: " ")].contains {
                said.contains($0)
            }
            print(
                "settings: \(setting.testDescription) \(end == expected ? "same" : isNamed ? "named" : "DIFFERS")"
            )
            #expect(end == expected || isNamed, "\(words)\n\(said)")
        } catch let error as PostgresError {
            // The application's own statements are refused, in PostgreSQL's words.
            print("settings: \(setting.testDescription) refused: \(error.message)")
            #expect(
                setting.name.hasPrefix("default_transaction_read_only"),
                "\(words) \(error.message)")
        }
    }
}

/// A value that whoever comes first makes.
private final class Once<Value: Sendable>: Sendable {
    private let made = OnceBox<Value>()

    func get(_ make: @Sendable () async throws -> Value) async throws -> Value {
        if let value = made.value { return value }
        let value = try await make()
        made.value = value
        return value
    }
}

private final class OnceBox<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var kept: Value?
    var value: Value? {
        get { lock.withLock { kept } }
        set { lock.withLock { kept = newValue } }
    }
}
