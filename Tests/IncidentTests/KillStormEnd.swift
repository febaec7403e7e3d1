import Core
import Foundation
import Postgres
import TestSupport

/// What a storm left behind, held against the database, the providers and the undisturbed twin.
struct StormEnd {
    let world: StormWorld

    /// One line for each job: state, money, transfers, and its files with their digests and their
    /// keys up to alternatives.
    func jobs() throws -> [String: String] { try Self.jobs(world.line) }

    static func jobs(_ line: RescueLine) throws -> [String: String] {
        let rows = try line.sql(
            #"""
            SELECT s.job_id, concat_ws(' ', s.state, s.credit_state, s.error_code, s.blocked,
                s.credits_held, s.credits_captured, s.credits_voided, s.credits_charged,
                s.credits_refunded, s.credits_waived, '[' || t.moves || ']', '[' || a.files || ']')
                AS line
            FROM holdfast.job_status s
            CROSS JOIN LATERAL (SELECT string_agg(kind || ' ' || amount, ', ' ORDER BY kind, amount)
                AS moves FROM holdfast.transfer t WHERE t.job_id = s.job_id) t
            CROSS JOIN LATERAL (SELECT string_agg(concat_ws(' ', ordinal, state, sha256, bytes,
                regexp_replace(object_key, '-\d+(\.[^.]+)$', '\1')), ', ' ORDER BY ordinal)
                AS files FROM holdfast.asset a WHERE a.job_id = s.job_id) a
            """#)
        return Dictionary(
            uniqueKeysWithValues: try rows.map { (try $0.text("job_id"), try $0.text("line")) })
    }

    /// One object as it lies in the store.
    struct Object {
        var key: String
        var bytes: Int
        var sha256: String
    }

    func objects() throws -> [Object] {
        guard let peer = world.peer else { return try files() }
        let prefix = "made/here/"
        return try peer.objects().filter { !$0.key.contains(".probe-") }.map { listed in
            let stored = try peer.object(listed.key)
            return Object(
                key: listed.key.hasPrefix(prefix)
                    ? String(listed.key.dropFirst(prefix.count)) : listed.key,
                bytes: listed.size, sha256: stored?.sha256 ?? "")
        }
    }

    /// The files of the folder that a customer could ask for; what is hidden nobody reaches.
    private func files() throws -> [Object] {
        let paths =
            FileManager.default.enumerator(atPath: world.line.assets)?
            .compactMap { $0 as? String } ?? []
        let seen = paths.filter { path in
            !path.split(separator: "/").contains { $0.hasPrefix(".") }
        }
        return try seen.compactMap { path in
            let url = URL(fileURLWithPath: world.line.assets + "/" + path)
            guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true
            else { return nil }
            let bytes = try Data(contentsOf: url)
            return Object(key: path, bytes: bytes.count, sha256: try digest(of: url.path))
        }
    }

    private func digest(of path: String) throws -> String {
        let said = try Executable.runBlocking("/usr/bin/sha256sum", arguments: ["--", path])
        return String(said.stdout.prefix(64))
    }

    struct Files {
        /// Objects without a byte, and writes of nothing that the proxy saw.
        var emptied: [String] = []
        /// Objects of the same bytes, and objects that no job names.
        var doubled: [String] = []
        /// Objects that are not what the database says, or not what the provider gave.
        var wrong: [String] = []
    }

    /// Holds every object against its row, and every row against its object and its source.
    ///
    /// - Parameter unfinished: Jobs whose objects may still be on their way.
    func files(_ unfinished: Set<String>) throws -> Files {
        var found = Files()
        let objects = try objects()
        found.emptied = objects.filter { $0.bytes == 0 }.map(\.key)
        let way = (world.peer.map { "/\($0.bucket)/" } ?? "") + "made/here/"
        found.emptied +=
            try world.proxy?.seen().emptied.map {
                "written with nothing: \($0.replacingOccurrences(of: way, with: ""))"
            } ?? []
        var byKey: [String: Object] = [:]
        var byDigest: [String: String] = [:]
        for object in objects {
            byKey[object.key] = object
            if object.bytes > 0, let other = byDigest.updateValue(object.key, forKey: object.sha256)
            {
                found.doubled.append("\(object.key) is \(other)")
            }
        }
        var sources: [String: JSONValue] = [:]
        for job in world.jobs { sources[job.id] = try world.line.simulator.task(job.taskID) }
        let rows = try world.line.sql(
            """
            SELECT job_id, ordinal, object_key, state, sha256, bytes FROM holdfast.asset
            WHERE object_key IS NOT NULL ORDER BY job_id, ordinal
            """)
        for row in rows {
            let key = try row.text("object_key")
            let jobID = try row.text("job_id")
            guard try row.text("state") == "stored" else {
                if unfinished.contains(jobID) { byKey[key] = nil }
                continue
            }
            let sha256 = try row.text("sha256")
            guard let object = byKey.removeValue(forKey: key) else {
                found.wrong.append("\(key) is not in the store")
                continue
            }
            let bytes = try row.int("bytes")
            if object.sha256 != sha256 || object.bytes != bytes {
                found.wrong.append("\(key): \(object.bytes) bytes \(object.sha256)")
            }
            let source = sources[jobID]?["files"]?.array
            let ordinal = try row.int("ordinal")
            if source?.first(where: { $0["ordinal"]?.int == Int64(ordinal) })?["sha256"]?.text
                != sha256
            {
                found.wrong.append("\(key): not what the provider has")
            }
        }
        found.doubled += byKey.keys.sorted().map { "\($0) belongs to nobody" }
        return found
    }
}
