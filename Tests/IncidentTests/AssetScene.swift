import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Where the files of a replay go.
enum StoreKind: CustomTestStringConvertible, Sendable {
    case folder
    case s3(S3Peer.Kind)

    static let all: [StoreKind] = [.folder, .s3(.stub(.aws)), .s3(.rclone)]

    var testDescription: String {
        switch self {
        case .folder: "folder"
        case .s3(let kind): "\(kind)"
        }
    }
}

/// A line whose files go to a store of one kind, into which the test can reach past everything.
final class AssetScene: Sendable {
    let line: RescueLine
    let peer: S3Peer?
    let changes: [String: String?]

    init(_ store: StoreKind, publicBaseURL: String? = "https://cdn.example.com") throws {
        line = try RescueLine()
        if case .s3(let kind) = store { peer = try S3Peer(kind) } else { peer = nil }
        changes = (peer.map(Self.settings) ?? [:])
            .merging(["HOLDFAST_PUBLIC_BASE_URL": publicBaseURL]) { $1 }
    }

    private static func settings(_ peer: S3Peer) -> [String: String?] {
        let profile =
            switch peer.kind {
            case .stub(.plain): "generic"
            case .stub(let vendor): vendor.rawValue
            default: "generic"
            }
        return [
            "HOLDFAST_STORAGE_URL":
                "s3://\(peer.bucket)/made/here?endpoint=\(peer.endpoint)&region=\(peer.region)"
                + "&profile=\(profile)&style=path",
            "HOLDFAST_S3_ACCESS_KEY_ID": peer.accessKeyID,
            "HOLDFAST_S3_SECRET_ACCESS_KEY": peer.secretAccessKey,
        ]
    }

    // MARK: Steps

    func run(
        _ name: String, _ arguments: [String] = [], offset: String? = nil,
        _ more: [String: String?] = [:]
    ) async throws -> Finished {
        try await line.run(name, arguments, offset: offset, changes.merging(more) { $1 })
    }

    /// `holdfast asset …` with `--output json`.
    func asset(
        _ arguments: [String], offset: String? = nil, _ more: [String: String?] = [:]
    ) async throws -> JSONValue {
        let finished = try await run(
            "holdfast", ["asset"] + arguments + ["--output", "json"], offset: offset, more)
        let object = try JSON.parse(finished.stdoutBytes)
        #expect(object["command"]?.text == "holdfast asset \(arguments[0])")
        #expect(object["exit_status"]?.int == Int64(finished.status))
        return object
    }

    func start(_ arguments: [String], offset: String? = nil) throws -> RunningProcess {
        try line.begin("holdfast", ["asset"] + arguments, offset: offset, changes)
    }

    func deliver(
        _ id: String = "job-1", outputs: Int = 1, promised: Int? = nil, bytes: Int = 50_000
    ) async throws {
        try line.open(
            id, outputs: promised ?? outputs, taskID: "task-\(id)",
            task: .init([
                .init(key: "outputs", value: .integer(outputs)),
                .init(key: "file_bytes", value: .integer(bytes)),
            ]))
        try await line.minute(offset: "+6m", changes)
        #expect(try line.outcome(id).hasPrefix("delivered/"))
    }

    // MARK: The store

    /// The key of a file, as the database has it.
    func key(_ id: String = "job-1", _ ordinal: Int = 0) throws -> String {
        try line.value(
            """
            SELECT object_key FROM holdfast.asset
            WHERE job_id = \(id) AND ordinal = \(ordinal)::integer
            """)
    }

    /// Size and SHA-256 of what is at a key: `4096 0a1b…`; `nothing` where nothing is.
    func object(_ key: String) throws -> String {
        if let peer {
            guard let found = try peer.object("made/here/" + key) else { return "nothing" }
            return "\(found.size) \(found.sha256)"
        }
        guard FileManager.default.fileExists(atPath: line.assets + "/" + key) else {
            return "nothing"
        }
        let bytes = try line.storedBytes(key)
        return "\(bytes.count) \(try line.sha256(bytes))"
    }

    /// What the provider made, in the same words.
    func made(_ id: String = "job-1", _ ordinal: Int = 0) throws -> String {
        let file = try line.simulator.task("task-\(id)")["files"]?.array?[ordinal]
        return "\(file?["bytes"]?.int ?? -1) \(file?["sha256"]?.text ?? "?")"
    }

    func remove(_ key: String) throws {
        if let peer { return try peer.delete("made/here/" + key) }
        try FileManager.default.removeItem(atPath: line.assets + "/" + key)
    }

    func replace(_ key: String, _ text: String) throws {
        try remove(key)
        if let peer { return try peer.put("made/here/" + key, Array(text.utf8)) }
        try Data(text.utf8).write(to: URL(fileURLWithPath: line.assets + "/" + key))
    }

    /// Everything in the store, finished or not.
    func everything() throws -> [String] {
        if let peer {
            // An empty list of uploads is an error at rclone.
            let uploads = peer.kind == .rclone ? [] : try peer.uploads()
            return try peer.objects().map(\.key) + uploads.map { "upload of " + $0.key }
        }
        return line.storedFiles().filter { !$0.hasPrefix(".probe-") }
    }

    // MARK: The books

    /// All that is known of a job and its credits, but for the addresses of its files.
    func books(_ id: String = "job-1") throws -> String {
        try line.value(
            """
            SELECT (to_jsonb(s) - 'asset_urls')::text FROM holdfast.job_status s
            WHERE s.job_id = \(id)
            """)
            + line.transfers(id).joined(separator: ", ") + line.balance("account-\(id)")
    }

    /// The row of a file, all of it.
    func row(_ id: String = "job-1", _ ordinal: Int = 0) throws -> String {
        try line.value(
            """
            SELECT to_jsonb(a)::text FROM holdfast.asset a
            WHERE a.job_id = \(id) AND a.ordinal = \(ordinal)::integer
            """)
    }

    /// What a person did to the files, in order.
    func deeds(_ id: String = "job-1") throws -> [String] {
        try line.sql(
            """
            SELECT actor || ' ' || detail AS line FROM holdfast.job_event
            WHERE job_id = \(id) AND deed = 'refetch' ORDER BY event_id
            """
        ).map { try $0.text("line") }
    }

    /// No refetch is left over, no invariant is broken, and the store has these keys and no others.
    func checkClean(_ keys: [String], _ place: SourceLocation = #_sourceLocation) throws {
        #expect(
            try line.value("SELECT count(*) FROM holdfast.refetch") == "0", sourceLocation: place)
        #expect(try line.violations() == [], sourceLocation: place)
        let names = peer == nil ? keys : keys.map { "made/here/" + $0 }
        #expect(try everything() == names.sorted(), sourceLocation: place)
    }
}
