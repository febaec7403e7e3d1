import Core
package import Jobs
import Postgres

/// Follows how much a source sends, window by window.
package struct Pace: Sendable {
    private var since: ContinuousClock.Instant?
    private var receivedThen: Int64 = 0

    package init() {}

    /// Whether a whole window has passed in which less came than the limit asks for.
    ///
    /// - Parameters:
    ///   - received: All bytes so far; fewer than before when the file was begun anew.
    ///   - isOurs: The source waits for us, which says nothing about it.
    package mutating func isTooSlow(
        _ received: Int64, isOurs: Bool, _ limit: PaceLimit, at now: ContinuousClock.Instant
    ) -> Bool {
        guard let since, !isOurs, received >= receivedThen else {
            begin(received, now)
            return false
        }
        guard now - since >= limit.window else { return false }
        let wanted = Double(limit.bytesPerSecond) * ((now - since) / .seconds(1))
        let came = Double(received - receivedThen)
        begin(received, now)
        return came < wanted
    }

    private mutating func begin(_ received: Int64, _ now: ContinuousClock.Instant) {
        since = now
        receivedThen = received
    }
}

/// Sources that send next to nothing have places of their own, so that however many they are, they
/// never take those of others.
extension StorageMirror {
    private static let paceLookEvery = Duration.milliseconds(250)

    /// How many slow files are under way at once, beside the others.
    var slowPlaces: Int { max(1, selection.concurrency / 4) }

    /// Moves each file whose source is too slow to the places of the slow ones, or puts it off when
    /// these are taken.
    mutating func lookAtPaces(_ connection: borrowing Connection) throws {
        let now = ContinuousClock.now
        guard files.purpose == .delivery, now - lastPaceLook >= Self.paceLookEvery else { return }
        lastPaceLook = now
        let limit = try paceLimit ?? files.pace(connection)
        paceLimit = limit
        for landing in Array(transfers.values) where !landing.isSlow {
            let isOurs = landing.isPaused || landing.phase != .head && landing.phase != .streaming
            guard landing.pace.isTooSlow(landing.received, isOurs: isOurs, limit, at: now) else {
                continue
            }
            try slowDown(landing, limit, connection)
        }
    }

    private mutating func slowDown(
        _ landing: Landing, _ limit: PaceLimit, _ connection: borrowing Connection
    ) throws {
        let hasPlace = landings.values.count { $0.isSlow } < slowPlaces
        landing.isSlow = true
        try record(connection, [FileStep(landing.item, .slow)], "slow")
        guard landings[landing.item.name] === landing else { return }
        guard hasPlace else {
            return try putOff(
                landing,
                "its source sends less than \(limit.words), and the places of slow files are taken",
                connection)
        }
        wiring.tell("file \(landing.item.name): its source sends less than \(limit.words)")
        // Another connection may do better, where what came is not lost by it.
        guard landing.canResume else { return }
        drop(landing)
        fetch(landing)
    }

    /// Lets the next run begin when this one's time is up, however long its last files take.
    mutating func leavePlaceIfSpent(_ connection: borrowing Connection) throws {
        guard !hasLeftPlace, files.purpose == .delivery, !landings.isEmpty,
            ContinuousClock.now - started >= selection.timeBudget
        else { return }
        hasLeftPlace = true
        try files.leavePlace(connection)
    }
}
