import Core
import Foundation
import Glibc
import Postgres
import TestSupport

/// SIGKILL and SIGTERM at random instants, on two or three copies of each program at once, and then
/// clean runs until nothing is open.
struct KillStorm {
    let store: StormStore
    let kills: Int
    let seed: UInt64

    /// As many jobs for each hundred kills.
    static let jobsPerHundredKills = 170
    /// Past the lease of whatever the last step left behind.
    static let minutesPerStep = 3
    /// Past every threshold and every back-off.
    static let minutesPerCleanRun = 6
    /// A minute's three runs with nothing to do, on a machine with nothing else to do.
    private static let quietMinute = Duration.milliseconds(400)
    static let minutely = ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"]

    /// What is wrong at the end, each kind under a heading of its own.
    struct Outcome: Sendable {
        var kills = 0
        var terminations = 0
        var untouched = 0
        var statuses: [Int32: Int] = [:]
        var cleanRuns = 0
        var leftOpen: [String] = []
        var setAside: [String] = []
        var emptied: [String] = []
        var doubled: [String] = []
        var wrong: [String] = []
        /// Jobs that neither are open nor were set aside, and differ from the twin's.
        var differing: [String] = []
        var violations: [String] = []
        var polls = 0
        var twinPolls = 0
        var slowness = 1
    }

    private var jobs: Int { max(12, kills * Self.jobsPerHundredKills / 100) }

    func run(cleanRuns limit: Int) async throws -> Outcome {
        let twin = try StormWorld(.folder, jobs: jobs, seed: seed, isStormy: false)
        let world = try StormWorld(store, jobs: jobs, seed: seed, isStormy: true)
        var outcome = Outcome()
        try await undisturbed(twin)
        outcome.slowness = try await slowness(twin)
        var minutes = try await storm(world, &outcome)
        try world.proxy?.calm()
        minutes += Self.minutesPerStep
        while outcome.cleanRuns < limit, try !world.unfinished().isEmpty {
            try await world.line.minute(offset: "+\(minutes)m", world.changes)
            outcome.cleanRuns += 1
            minutes += Self.minutesPerCleanRun
        }
        try judge(world, twin, &outcome)
        return outcome
    }

    private func undisturbed(_ twin: StormWorld) async throws {
        try twin.open(twin.jobs)
        for job in twin.jobs where job.fate == .called {
            _ = try await twin.startReceiver(job, offset: "+1m").wait()
        }
        for run in 1...20 {
            if try twin.unfinished().isEmpty { return }
            try await twin.line.minute(
                offset: "+\(run * Self.minutesPerCleanRun)m", twin.changes)
        }
        throw TestSupportError("undisturbed, these are open: \(try twin.unfinished())")
    }

    /// What a run with nothing to do takes here, in units of what it takes on a machine with nothing
    /// else to do: the storm's instants are parts of runs, and not of seconds.
    private func slowness(_ twin: StormWorld) async throws -> Int {
        let begun = ContinuousClock.now
        try await twin.line.minute(
            offset: "+\(25 * Self.minutesPerCleanRun)m", twin.changes)
        return Int(max(1, min(20, (.now - begun) / Self.quietMinute)))
    }

    private struct Blow {
        var microseconds: Int
        var signal: Int32
        var victim: RunningProcess
    }

    /// Steps of the clock, each with its runs, until enough of them were killed; returns the minute.
    private func storm(_ world: StormWorld, _ outcome: inout Outcome) async throws -> Int {
        var chance = SeededGenerator(seed: seed ^ 0x5707)
        var toOpen = world.jobs[...]
        var callbacks: [StormJob] = []
        var minutes = Self.minutesPerCleanRun
        while outcome.kills + outcome.terminations < kills || !toOpen.isEmpty {
            minutes += Self.minutesPerStep
            // New ones come all the time, the last of them after three quarters.
            let share = (outcome.kills + outcome.terminations) * 4 / 3 + kills / 5 + 1
            let some = toOpen.prefix(share * jobs / kills - (world.jobs.count - toOpen.count))
            try world.open(some)
            toOpen = toOpen.dropFirst(some.count)
            callbacks += some.filter { $0.fate == .called }
            var victims: [RunningProcess] = []
            let isNight = Int.random(in: 0..<6, using: &chance) == 0
            for program in Self.minutely + (isNight ? ["ledger-reconciler"] : []) {
                for _ in 0..<Int.random(in: 2...3, using: &chance) {
                    victims.append(try world.start(program, offset: "+\(minutes)m"))
                }
            }
            if let job = callbacks.popLast() {
                victims.append(try world.startReceiver(job, offset: "+\(minutes)m"))
            }
            let window = [80_000, 250_000, 800_000].randomElement(using: &chance) ?? 0
            let blows = victims.map { victim in
                Blow(
                    microseconds: Int.random(in: 2_000...window, using: &chance) * outcome.slowness,
                    signal: Bool.random(using: &chance) ? SIGKILL : SIGTERM, victim: victim)
            }
            for (blow, finished) in await strike(blows) { outcome.count(blow, finished) }
            try world.line.awaitLeaving()
        }
        return minutes
    }

    /// Sends each signal at its instant and waits for the ends.
    private func strike(_ blows: [Blow]) async -> [(Int32, Finished)] {
        let start = ContinuousClock.now
        for blow in blows.sorted(by: { $0.microseconds < $1.microseconds }) {
            let left = start + .microseconds(blow.microseconds) - ContinuousClock.now
            // The moment is the experiment, not a wait for something.
            if left > .zero {
                usleep(
                    UInt32(
                        clamping: left.components.attoseconds / 1_000_000_000_000
                            + left.components.seconds * 1_000_000))
            }
            blow.victim.kill(blow.signal)
        }
        var ends: [(Int32, Finished)] = []
        for blow in blows { ends.append((blow.signal, await blow.victim.wait())) }
        return ends
    }

    private func judge(_ world: StormWorld, _ twin: StormWorld, _ outcome: inout Outcome) throws {
        outcome.leftOpen = try world.unfinished()
        outcome.setAside = try world.setAside()
        let unfinished = Set(
            outcome.leftOpen + outcome.setAside.map { String($0.prefix { $0 != " " }) })
        let files = try StormEnd(world: world).files(unfinished)
        outcome.emptied = files.emptied
        outcome.doubled = files.doubled
        outcome.wrong = files.wrong
        outcome.violations = try world.line.violations()
        outcome.polls = try world.polls()
        outcome.twinPolls = try twin.polls()
        let ends = try StormEnd(world: world).jobs()
        for (id, end) in try StormEnd(world: twin).jobs().sorted(by: { $0.key < $1.key })
        where !unfinished.contains(id) && ends[id] != end {
            outcome.differing.append("\(id): \(ends[id] ?? "gone"), the twin: \(end)")
        }
    }
}

extension KillStorm.Outcome {
    fileprivate mutating func count(_ signal: Int32, _ finished: Finished) {
        switch (signal, finished.signal, finished.status) {
        case (SIGKILL, SIGKILL, _): kills += 1
        case (SIGTERM, SIGTERM, _), (SIGTERM, _, 143): terminations += 1
        default:
            untouched += 1
            statuses[finished.status, default: 0] += 1
        }
    }

    /// Exit statuses that no kill and no 503 explains; 1 is for the lost files.
    var oddStatuses: [Int32] { statuses.keys.filter { ![0, 1, 69].contains($0) }.sorted() }

    /// One line for whoever counts.
    var line: String {
        """
        kills=\(kills + terminations) sigkill=\(kills) sigterm=\(terminations) \
        untouched=\(untouched) clean_runs=\(cleanRuns) left_open=\(leftOpen.count) \
        set_aside=\(setAside.count) empty=\(emptied.count) doubled=\(doubled.count) \
        wrong=\(wrong.count) differing=\(differing.count) violations=\(violations.count) \
        polls=\(polls) twin_polls=\(twinPolls)
        """
    }
}
