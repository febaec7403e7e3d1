import Core
import Foundation
import Glibc
import Postgres
import TestSupport

/// Where the files of a storm go.
enum StormStore: String, CaseIterable, Sendable {
    case folder
    /// Ignores conditions; told by the profile that it does.
    case rclone
    /// The same server under the profile of a vendor that nobody knows.
    case generic
    /// Refuses to overwrite where it is asked to.
    case conditional

    fileprivate var peer: S3Peer.Kind? {
        switch self {
        case .folder: nil
        case .rclone, .generic: .rclone
        case .conditional: .moto
        }
    }
}

extension RescueLine {
    /// Waits until the server has noticed that nobody is at the other end of any program's connection;
    /// until then a run with another clock offset is refused.
    func awaitLeaving() throws {
        let connection = try database.connect()
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            let count = try connection.query(
                """
                SELECT count(*)::integer AS number FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                    AND application_name <> 'holdfast-tests'
                """
            ).single().int("number")
            if count == 0 { return }
            usleep(2_000)
        }
        throw TestSupportError("programs that have ended are connected still")
    }
}

/// Jobs in every state at a healthy provider, and a store; two of the same seed are the same.
final class StormWorld: Sendable {
    let line: RescueLine
    let store: StormStore
    let jobs: [StormJob]
    let peer: S3Peer?
    let proxy: StormProxy?

    /// - Parameter isStormy: Whether half of what is asked of the store is answered with 503.
    init(_ store: StormStore, jobs count: Int, seed: UInt64, isStormy: Bool) throws {
        self.store = store
        peer = try store.peer.map { try S3Peer($0) }
        proxy = isStormy ? try peer.map { try StormProxy(before: $0, seed: seed) } : nil
        line = try RescueLine(bucket: peer)
        var chance = SeededGenerator(seed: seed)
        jobs = (0..<count).map { StormJob($0, &chance) }
        try line.fault(["provider": "all", "delay_ms": 10])
    }

    /// Lets the application open some of the jobs.
    func open(_ some: some Sequence<StormJob>) throws {
        for job in some { try job.open(line) }
    }

    /// What differs from the environment of the line: the way to the store.
    var changes: [String: String?] {
        guard let peer else { return [:] }
        var all: [String: String?] = [:]
        for (name, value) in peer.environment(port: proxy?.port) {
            let isGeneric = store == .generic && name == "HOLDFAST_STORAGE_URL"
            all[name] =
                isGeneric
                ? value.replacingOccurrences(of: "profile=ceph", with: "profile=generic") : value
        }
        return all
    }

    func environment(offset: String) -> [String: String] {
        line.environment(offset: offset, changes)
    }

    /// Starts a program as cron or a web server does.
    func start(_ program: String, offset: String) throws -> RunningProcess {
        try Executable.start(program, environment: environment(offset: offset))
    }

    /// Starts a receiver that is told of a job's task.
    func startReceiver(_ job: StormJob, offset: String) throws -> RunningProcess {
        let body = Array(#"{"code": 200, "data": {"taskId": "\#(job.taskID)"}}"#.utf8)
        var settings = environment(offset: offset)
        settings.merge([
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "PATH_INFO": "/kie",
            "CONTENT_LENGTH": "\(body.count)", "CONTENT_TYPE": "application/json",
            "SERVER_PROTOCOL": "HTTP/1.1",
        ]) { $1 }
        return try Executable.start("callback-receiver", environment: settings, input: body)
    }

    /// Jobs that somebody still has to do something about, and that nobody set aside.
    func unfinished() throws -> [String] {
        try line.sql(
            """
            SELECT job_id FROM holdfast.job_status WHERE blocked IS NULL AND (credit_state = 'held'
                OR state IN ('created', 'submitted', 'running', 'timed_out', 'succeeded'))
            ORDER BY job_id
            """
        ).map { try $0.text("job_id") }
    }

    func setAside() throws -> [String] {
        try line.sql(
            """
            SELECT job_id || ' ' || blocked AS line FROM holdfast.job_status
            WHERE blocked IS NOT NULL ORDER BY job_id
            """
        ).map { try $0.text("line") }
    }

    /// How often the providers were asked about tasks.
    func polls() throws -> Int {
        try line.simulator.get("/control/counts")["polls"]?.object?.members
            .reduce(0) { $0 + Int($1.value.int ?? 0) } ?? 0
    }
}

/// One job of a storm: where it stands when the storm begins, and how it ends when nobody disturbs it.
struct StormJob: Sendable {
    enum Fate: String, CaseIterable {
        case failed, succeeded, running, kling, klingFailed, late, lateFailed, returned, lost
        case partial, called, large
    }

    let id: String
    let fate: Fate
    let bytes: Int
    let polls: Int

    var taskID: String { "task-" + id }
    var isKling: Bool { fate == .kling || fate == .klingFailed }
    var outputs: Int { fate == .kling || fate == .partial ? 2 : 1 }
    /// How many files the provider has of it.
    var files: Int { fate == .partial ? 1 : outputs }

    /// The `number`-th job; each fate comes equally often.
    init(_ number: Int, _ chance: inout SeededGenerator) {
        let all = Fate.allCases
        fate = all[number % all.count]
        id = "\(fate.rawValue)-\(number)"
        // Large ones take several parts in a bucket; few are enough.
        bytes =
            fate == .large && number < 3 * all.count
            ? 11_000_000 : Int.random(in: 2_000...300_000, using: &chance)
        polls =
            switch fate {
            case .running, .called: Int.random(in: 1...3, using: &chance)
            case .late, .lateFailed: Int.random(in: 0...1, using: &chance)
            default: 0
            }
    }

    func open(_ line: RescueLine) throws {
        let fails = [.failed, .klingFailed, .lateFailed].contains(fate)
        var task: [JSONObject.Member] = [
            .init(key: "outcome", value: fails ? "fail" : "succeed"),
            .init(key: "file_bytes", value: .integer(bytes)),
            .init(key: "polls_until_done", value: .integer(polls)),
        ]
        if fate == .lost {
            task.append(.init(key: "file_fault", value: "gone"))
            task.append(.init(key: "refreshable", value: false))
        }
        if fate == .partial { task.append(.init(key: "outputs", value: 1)) }
        try line.open(
            id, provider: isKling ? "kling" : "kie", outputs: outputs,
            endpoint: isKling ? "image2video" : "market", taskID: taskID, task: JSONObject(task))
        if fate == .late || fate == .lateFailed {
            try line.sql("SELECT holdfast.mark_timed_out(\(id))")
        }
        if fate == .returned {
            try line.sql("SELECT holdfast.return_credits(\(id), 'the customer asked')")
        }
    }
}
