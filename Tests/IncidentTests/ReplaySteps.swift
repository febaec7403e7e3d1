import Core
import Postgres
import TestSupport

/// Steps that the replays of incidents 1, 2 and 4 share.
extension RescueLine {
    /// Sets a policy the way a person does, for everybody or for one provider.
    func setPolicy(_ key: String, _ value: String, provider: String = "") throws {
        try sql(
            """
            INSERT INTO holdfast.policy (key, provider, value)
            VALUES (\(key), \(provider), \(value))
            ON CONFLICT (key, provider, kind, model, is_default) DO UPDATE SET value = excluded.value
            """)
    }

    /// Lets many jobs through at once, where rates are not what a replay is about.
    func liftRates() throws {
        for provider in PlayedProvider.all {
            try setPolicy("rate", "1000", provider: provider.name)
            try setPolicy("rate_burst", "1000", provider: provider.name)
        }
    }

    /// Lets requests take longer than any replay, but not as long as a lease.
    func bePatient() throws { try setPolicy("request_timeout", "110s") }

    /// Starts copies of an executable together and waits for all of them.
    func atOnce(
        _ copies: Int, _ name: String, _ arguments: [String] = [], offset: String? = nil,
        _ changes: [String: String?] = [:]
    ) async throws -> [Finished] {
        let environment = environment(offset: offset, changes)
        let started = try (0..<copies).map { _ in
            try Executable.start(name, arguments: arguments, environment: environment)
        }
        var finished: [Finished] = []
        for process in started { finished.append(await process.wait()) }
        return finished
    }

    /// Starts an executable that the test goes on beside.
    func begin(
        _ name: String, _ arguments: [String] = [], offset: String? = nil,
        _ changes: [String: String?] = [:]
    ) throws -> RunningProcess {
        try Executable.start(
            name, arguments: arguments, environment: environment(offset: offset, changes))
    }

    /// Looks again and again until something is so, for a minute at most.
    func waitUntil(_ what: String, _ isSo: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !isSo() {
            guard ContinuousClock.now < deadline else {
                throw TestSupportError("it never came to be: \(what)")
            }
            await Task.yield()
        }
    }

    /// One of the simulator's counts, such as `lookups`, `kling:job-1`.
    func count(_ group: String, _ name: String) throws -> Int {
        Int(try simulator.get("/control/counts")[group]?[name]?.int ?? 0)
    }

    /// The first column of the only row, as text.
    func text(_ statement: SQL) throws -> String {
        let rows = try sql(statement)
        guard let row = rows.first, let column = rows.columns.first else { return "(none)" }
        return try row.optionalText(column) ?? "null"
    }

    /// Takes back every fault of a provider.
    func heal(_ provider: String) throws {
        try fault(["provider": .string(provider), "clear": true])
    }
}

/// Does something between a sweeper's question and the answer to it.
///
/// Where the answer was faster all the same, the scene is set again with a slower provider.
/// - Parameters:
///   - area: Whom the sweeper asks, as the simulator names it.
///   - offset: The sweeper's clock offset.
///   - scene: Makes a line in which the sweeper has one question to ask.
///   - deed: What happens before the answer.
/// - Returns: the line, and how the sweeper ended, with its report in JSON.
func meanwhile(
    _ area: String, offset: String, scene: () async throws -> RescueLine,
    deed: (RescueLine) throws -> Void
) async throws -> (RescueLine, Finished) {
    for delay in [1500, 6000, 25_000, 90_000] {
        let line = try await scene()
        try line.bePatient()
        let asked = try line.count("requests", area)
        try line.fault(["provider": .string(area), "delay_ms": .integer(delay)])
        let sweep = try line.begin("stuck-sweeper", ["--output", "json"], offset: offset)
        try await line.waitUntil("\(area) is asked") {
            try line.count("requests", area) == asked + 1
        }
        try deed(line)
        let wasInTime = try line.count("in_flight", area) == 1
        let finished = await sweep.wait()
        try line.heal(area)
        if wasInTime { return (line, finished) }
    }
    throw TestSupportError("\(area) always answers first")
}
