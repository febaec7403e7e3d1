import Core
import Foundation
import TestSupport
import Testing

/// What a storm of kills may cost at most.
struct StormLimits: Sendable {
    var cleanRuns = 5
    var leftOpen = 0
    var setAside = 0
    var emptied = 0
    var doubled = 0
    /// Times the polls of the undisturbed twin.
    var polls = 2.0

    /// Nothing lost, nothing set aside, done within five clean runs for twice the polls: what
    /// `scripts/check-kills` and the sample in `scripts/test` judge by.
    static let promised = StormLimits()
}

/// SIGKILL and SIGTERM at random instants while the store answers 503 to half of what is asked, with
/// every policy at its default.
///
/// `scripts/test` takes a sample with a seed of the day. `scripts/check-kills` plays the whole, round
/// by round: it sets `HOLDFAST_KILLS` (in this round), `HOLDFAST_TEST_SEED` and
/// `HOLDFAST_KILLS_STORE`.
@Suite struct KillStorms {
    static let environment = ProcessInfo.processInfo.environment
    static let kills = environment["HOLDFAST_KILLS"].flatMap { Int($0) }
    static let sampledKills = 20
    static let seed = SeededGenerator.seedOfTheDay()

    /// The stores take turns from day to day.
    static let store: StormStore = {
        let all = StormStore.allCases
        return environment["HOLDFAST_KILLS_STORE"].flatMap { StormStore(rawValue: $0) }
            ?? all[Int(seed % UInt64(all.count))]
    }()

    @Test(.timeLimit(.minutes(20)))
    func `after a storm of kills everything is as if nothing had happened`() async throws {
        let limits = StormLimits.promised
        let storm = KillStorm(
            store: Self.store, kills: Self.kills ?? Self.sampledKills, seed: Self.seed)
        let name = "HOLDFAST_TEST_SEED=\(Self.seed) HOLDFAST_KILLS_STORE=\(Self.store.rawValue)"
        print("storm: \(name) begins")
        let outcome = try await storm.run(cleanRuns: limits.cleanRuns)
        print("storm: \(name) \(outcome.line)")
        #expect(outcome.emptied.count <= limits.emptied, "\(outcome.emptied) \(name)")
        #expect(outcome.doubled.count <= limits.doubled, "\(outcome.doubled) \(name)")
        #expect(outcome.wrong == [], "\(name)")
        #expect(outcome.differing == [], "\(name)")
        #expect(outcome.violations == [], "\(name)")
        #expect(outcome.oddStatuses == [], "\(name)")
        #expect(outcome.setAside.count <= limits.setAside, "\(outcome.setAside) \(name)")
        #expect(outcome.leftOpen.count <= limits.leftOpen, "\(outcome.leftOpen) \(name)")
        #expect(
            Double(outcome.polls) <= limits.polls * Double(outcome.twinPolls),
            "\(outcome.polls) against \(outcome.twinPolls) \(name)")
    }
}
