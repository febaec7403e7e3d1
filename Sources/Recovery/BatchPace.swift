/// How many jobs are written in one transaction: few, and fewer where the database is slow, because an
/// application that wants one of them, or its account, waits for the transaction.
package struct BatchPace: Equatable, Sendable {
    package static let most = 20
    package static let least = 4
    /// What a transaction may take; one that took longer makes the next ones smaller.
    package static let target = Duration.milliseconds(20)

    /// How many the next transaction takes.
    package private(set) var size = BatchPace.most

    package init() {}

    /// Notes that a transaction with `count` of them took so long.
    package mutating func note(_ count: Int, took duration: Duration) {
        if duration > Self.target {
            size = max(min(size, count) / 2, Self.least)
        } else if count >= size, duration < Self.target / 2 {
            size = min(size + size / 2, Self.most)
        }
    }
}
