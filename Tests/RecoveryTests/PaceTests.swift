import Jobs
import Recovery
import Testing

/// When a source is slow, as a table of what came when.
@Suite struct Paces {
    static let limit = PaceLimit(bytesPerSecond: 1000, window: .seconds(10))

    struct Look: Sendable {
        var second: Int
        var received: Int64
        var isOurs = false
        var isSlow = false
    }

    @Test(
        arguments: [
            // As fast as asked for, and one byte less.
            [.init(second: 0, received: 0), .init(second: 10, received: 10_000)],
            [.init(second: 0, received: 0), .init(second: 10, received: 9_999, isSlow: true)],
            // Before the window has passed nothing is said.
            [.init(second: 0, received: 0), .init(second: 9, received: 0)],
            // Each window by itself.
            [
                .init(second: 0, received: 0), .init(second: 10, received: 50_000),
                .init(second: 20, received: 50_001, isSlow: true),
            ],
            // What we keep waiting is not slow, and has a whole window afterwards.
            [
                .init(second: 0, received: 0), .init(second: 8, received: 100, isOurs: true),
                .init(second: 17, received: 100), .init(second: 18, received: 100, isSlow: true),
            ],
            // Begun anew: counted from there.
            [
                .init(second: 0, received: 90_000), .init(second: 10, received: 20),
                .init(second: 20, received: 10_020),
                .init(second: 30, received: 10_021, isSlow: true),
            ],
        ] as [[Look]])
    func `a source is slow after a window with too little`(_ looks: [Look]) {
        let start = ContinuousClock.now
        var pace = Pace()
        for look in looks {
            let isSlow = pace.isTooSlow(
                look.received, isOurs: look.isOurs, Self.limit,
                at: start + .seconds(look.second))
            #expect(isSlow == look.isSlow, "second \(look.second)")
        }
    }
}
