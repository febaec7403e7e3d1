import Core
import Foundation
import TestSupport
import Testing

/// What cuts may cost at most.
///
/// `scripts/check-cuts` is judged by `promised`.
struct CutLimits: Sendable {
    /// Cuts after which something that a person must know was said neither by the run that was cut
    /// nor by the next.
    var untold = 0

    static let promised = CutLimits()
    /// What the sample in `scripts/test` is judged by: what holds today.
    static let sample = CutLimits()
}

/// The connection to the database is cut at one round trip after the other, before the server has seen
/// it and after it has done it.
///
/// `scripts/test` takes a few trips of a few programs with a seed of the day; `scripts/check-cuts`
/// names a scene in `HOLDFAST_CUTS` and gets all of its trips.
@Suite struct Cuts {
    static let chosen = ProcessInfo.processInfo.environment["HOLDFAST_CUTS"]
    static let sampledScenes = 3
    static let sampledTrips = 2
    static let seed = SeededGenerator.seedOfTheDay()

    static let scenes: [CutScene] = {
        if let chosen { return CutScene.named(chosen) }
        var chance = SeededGenerator(seed: seed)
        // To install everything takes as long as all others together.
        return Array(
            CutScene.all.filter { $0.name != "setup" }.shuffled(using: &chance)
                .prefix(sampledScenes))
    }()

    struct Outcome {
        var cuts = 0
        var odd: [String] = []
        var differing: [String] = []
        var untold: [String] = []
    }

    @Test(.timeLimit(.minutes(30)), arguments: scenes)
    func `cut at a round trip, a run costs nothing and nobody misses what it found`(
        _ scene: CutScene
    ) async throws {
        let twin = try await CutWorld(scene)
        let (first, seen) = try await twin.cut(at: 0, .before)
        let second = try await twin.goOn()
        let end = try twin.end()
        #expect(first.status <= 1 && second.status <= 1, "\(first.stderr) \(second.stderr)")
        let needed = try twin.needed()
        let said = needed.filter { (first.stdout + first.stderr + second.stdout).contains($0) }

        var outcome = Outcome()
        for trip in Self.trips(seen.trips.count) {
            for when in CuttingProxy.When.allCases {
                try await cut(scene, trip, when, end, said, &outcome)
            }
        }
        let limits = Self.chosen == nil ? CutLimits.sample : .promised
        let name = "HOLDFAST_TEST_SEED=\(Self.seed) HOLDFAST_CUTS=\(scene.name)"
        print(
            "cuts: \(name) trips=\(seen.trips.count) cuts=\(outcome.cuts) "
                + "odd=\(outcome.odd.count) differing=\(outcome.differing.count) "
                + "to_tell=\(said.count) untold=\(outcome.untold.count)")
        #expect(outcome.odd == [], "\(name)")
        #expect(outcome.differing == [], "\(name)")
        #expect(outcome.untold.count <= limits.untold, "\(outcome.untold) \(name)")
    }

    /// All round trips that an undisturbed run takes and some more, or a few of them.
    private static func trips(_ count: Int) -> [Int] {
        guard chosen == nil else { return Array(1...count + 3) }
        var chance = SeededGenerator(seed: seed)
        return Array((1...count).shuffled(using: &chance).prefix(sampledTrips))
    }

    private func cut(
        _ scene: CutScene, _ trip: Int, _ when: CuttingProxy.When, _ end: [String],
        _ toTell: Set<String>, _ outcome: inout Outcome
    ) async throws {
        let world = try await CutWorld(scene)
        let (first, seen) = try await world.cut(at: trip, when)
        guard let words = seen.cut else { return }
        outcome.cuts += 1
        let place = "\(when.rawValue) trip \(trip) (\(words))"
        if !scene.statuses.contains(first.status) {
            outcome.odd.append("\(place): exit \(first.status) \(first.stderr)")
        }
        let second = try await world.goOn()
        let now = try world.end()
        if now != end {
            let changed =
                now.filter { !end.contains($0) }
                + end.filter { !now.contains($0) }
                .map { "not " + $0 }
            outcome.differing.append("\(place): \(changed) \(second.stderr)")
        }
        let told = first.stdout + first.stderr + second.stdout + second.stderr
        // Chance decides which of two that met a brake is the second.
        let untold = toTell.intersection(try world.needed()).filter { !told.contains($0) }
        if !untold.isEmpty { outcome.untold.append("\(place): \(untold.sorted())") }
    }
}
