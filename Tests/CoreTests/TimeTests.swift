import Core
import Testing

@Suite("Instant")
struct InstantTests {
    @Test(
        "is written as RFC 3339 in UTC",
        arguments: [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_257_756, "2026-11-21T10:42:36Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-86_400, "1969-12-31T00:00:00Z"),
        ] as [(Int64, String)])
    func description(seconds: Int64, text: String) {
        #expect(Instant(unixSeconds: seconds).description == text)
        #expect(Instant(unixSeconds: seconds).day == text.prefix(10))
    }

    @Test("seconds are rounded down on both sides of 1970")
    func floor() {
        #expect(Instant(microseconds: 1_999_999).unixSeconds == 1)
        #expect(Instant(microseconds: -1).unixSeconds == -1)
        #expect(Instant(microseconds: -1_000_000).unixSeconds == -1)
    }

    @Test("adding and subtracting durations goes to the microsecond")
    func arithmetic() {
        let start = Instant(unixSeconds: 100)
        #expect((start + .microseconds(1)).microseconds == 100_000_001)
        #expect(start + .seconds(5) - start == .seconds(5))
        #expect(start < start + .microseconds(1))
    }

    @Test("absurd durations saturate")
    func saturation() {
        #expect(Duration.seconds(Int64.max).microseconds == .max)
        #expect(Duration.seconds(Int64.min).microseconds == .min)
        #expect(Duration.milliseconds(-1500).microseconds == -1_500_000)
    }
}

@Suite("Duration text")
struct DurationTextTests {
    @Test(
        "reads and writes the units of policies",
        arguments: [
            ("90s", 90_000, "1m30s"), ("2m", 120_000, "2m"), ("24h", 86_400_000, "24h"),
            ("1h30m", 5_400_000, "1h30m"), ("250ms", 250, "250ms"), ("3d", 259_200_000, "3d"),
            ("0s", 0, "0s"),
        ] as [(String, Int64, String)])
    func valid(text: String, milliseconds: Int64, written: String) {
        #expect(DurationText.parse(text) == .milliseconds(milliseconds))
        #expect(DurationText.describe(.milliseconds(milliseconds)) == written)
    }

    @Test(
        "refuses what leaves the reader guessing",
        arguments: ["", "5", "m", "5 m", "-5m", "5x", "1.5h", "٣m", "99999999999999999999s", "5m3"])
    func invalid(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test("reads a sign where one belongs")
    func signed() {
        #expect(DurationText.parseSigned("+90m") == .seconds(5400))
        #expect(DurationText.parseSigned("-2h") == .seconds(-7200))
        #expect(DurationText.parseSigned("26h") == .seconds(93_600))
        #expect(DurationText.parseSigned("-") == nil)
        #expect(DurationText.describe(.seconds(-7200)) == "-2h")
    }
}

@Suite("Backoff")
struct BackoffTests {
    @Test("stays between a quarter of the base and the doubled ceiling", arguments: 1...40)
    func bounds(attempt: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var chance = Seeded(seed: seed)
        let backoff = Backoff(base: .seconds(2), maximum: .seconds(300))
        let ceiling = min(2000 << min(attempt - 1, 20), 300_000)
        for _ in 0..<200 {
            let wait = backoff.wait(attempt: attempt, using: &chance)
            #expect(wait >= .milliseconds(500), "seed \(seed)")
            #expect(wait <= .milliseconds(ceiling), "seed \(seed)")
        }
    }

    @Test("the same seed gives the same waits")
    func repeats() {
        let backoff = Backoff(base: .seconds(1), maximum: .seconds(60))
        let waits = { () -> [Duration] in
            var chance = Seeded(seed: 7)
            return (1...9).map { backoff.wait(attempt: $0, using: &chance) }
        }
        #expect(waits() == waits())
    }

    @Test("absurd settings do not trap")
    func extremes() {
        var chance = Seeded(seed: 1)
        for base in [Duration.zero, .seconds(-5), .seconds(Int64.max)] {
            for maximum in [Duration.zero, .seconds(1), .seconds(Int64.max)] {
                for attempt in [0, 1, 64, Int.max] {
                    _ = Backoff(base: base, maximum: maximum).wait(
                        attempt: attempt, using: &chance)
                }
            }
        }
    }
}
