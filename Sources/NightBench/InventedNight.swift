import Core
import Ledger

/// A night of an invented application, always the same for the same size; every page is made when it
/// is asked for.
struct InventedNight {
    let accounts: Int
    let breaks: Int
    private static let pageRows = 2000

    /// SplitMix64, from a number that names the row.
    private struct Chance {
        var state: UInt64

        init(_ number: Int, _ salt: UInt64) { state = UInt64(number) &* 0x1000_0001b3 &+ salt }

        mutating func number(_ range: ClosedRange<Int64>) -> Int64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return range.lowerBound
                + Int64((mixed ^ (mixed >> 31)) % UInt64(range.upperBound - range.lowerBound + 1))
        }
    }

    private func account(_ number: Int) -> AccountDay {
        var chance = Chance(number, 1)
        let opening = CreditStand(
            available: chance.number(200...9000), held: chance.number(0...40) * 10,
            spent: chance.number(0...60_000))
        let held = chance.number(0...6) * 20
        let captured = min(opening.held + held, chance.number(0...5) * 20)
        let voided = min(opening.held + held - captured, chance.number(0...1) * 20)
        let moves = CreditMoves(
            granted: chance.number(0...9) == 0 ? 500 : 0, held: held, captured: captured,
            voided: voided, charged: number % 97 == 0 ? 20 : 0,
            refunded: number % 211 == 0 ? 20 : 0,
            adjusted: number % 997 == 0 ? -5 : 0)
        return AccountDay(
            accountID: "customer-\(String(10_000_000 + number).dropFirst())", opening: opening,
            moves: moves,
            closing: CreditStand(
                available: opening.available + moves.granted + moves.adjusted - held + voided
                    - moves.charged + moves.refunded,
                held: opening.held + held - captured - voided,
                spent: opening.spent + captured + moves.charged - moves.refunded),
            entries: chance.number(1...9))
    }

    private static let kinds: [(kind: String, detail: String, cause: String, loses: String)] = [
        (
            "failed-still-held", "the job failed and its 200 credits are still held",
            "the application was killed between the two statements", "customer"
        ),
        (
            "paid-not-charged", "the provider finished the task and nothing was charged",
            "the callback was lost and the job was given up", "us"
        ),
        (
            "stored-not-delivered", "all its files are there and it is not delivered",
            "the mirrorer was killed before the last step", "customer"
        ),
        (
            "billed-twice", "the provider charged two tasks of one job",
            "the create call was repeated after a timeout", "us"
        ),
        (
            "usage-without-job", "the provider charged a task that no job has",
            "the answer to the create call was lost", "us"
        ),
    ]

    private func found(_ number: Int) -> BreakDay {
        var chance = Chance(number, 2)
        // The first kind is the most frequent.
        let kind = Self.kinds[Int(min(chance.number(0...6), chance.number(0...4)))]
        let open = number * 5 < breaks * 4
        let status: BreakDay.Status =
            open
            ? (chance.number(0...2) == 0 ? .opened : .standing)
            : [.healed, .fixed, .resolved][number % 3]
        let job = "gen_\(String(8_000_000 + chance.number(0...999_999), radix: 36))\(number)"
        let age = status == .opened ? 0 : Int(chance.number(1...12))
        return BreakDay(
            breakID: Int64(4100 + number), status: status, ageDays: age, kind: kind.kind,
            subject: job, jobID: job,
            accountID: "customer-\(String(10_000_000 + chance.number(0...99_999)).dropFirst())",
            provider: "kie", model: "veo3", loses: kind.loses, credits: 200, amount: "60",
            unit: "kie credits", money: Money(micros: 300_000), detail: kind.detail,
            cause: kind.cause,
            fix: kind.loses == "us"
                ? "holdfast job show \(job)" : "ledger-reconciler --apply --job \(job)",
            firstSeenAt: "2026-11-\(age < 11 ? "" : "0")\(20 - age)T02:10:04Z")
    }

    private static let models: [(provider: String, model: String, kind: String, jobs: Int64)] = [
        ("kie", "veo3_fast", "video", 4210), ("kie", "veo3", "video", 1320),
        ("kling", "kling-2.6/image-to-video", "video", 2240),
        ("fal", "flux-pro/v1.1", "image", 9800),
        ("kie", "suno-v5", "audio", 1750), ("minimax", "hailuo-02", "video", 640),
        ("runway", "gen4_turbo", "video", 310), ("google-veo", "veo-3.1", "video", 95),
    ]

    private func model(_ number: Int) -> ModelDay {
        let (provider, name, kind, jobs) = Self.models[number]
        var chance = Chance(number, 3)
        let failed = jobs * chance.number(5...60) / 1000
        let abandoned = jobs * chance.number(0...8) / 1000
        let delivered = jobs - failed - abandoned
        let isImage = kind == "image"
        let cost = jobs * (isImage ? 40_125 : chance.number(180_000...420_000))
        let hasRate = number != 6
        return ModelDay(
            provider: provider, model: name, kind: kind, opened: jobs, delivered: delivered,
            failed: failed, abandoned: abandoned, earned: delivered * (isImage ? 8 : 60),
            revenue: Money(micros: delivered * (isImage ? 80_000 : 600_000)),
            cost: hasRate ? Money(micros: cost) : nil,
            leaked: hasRate ? Money(micros: cost * chance.number(2...30) / 1000) : nil,
            unpricedLines: hasRate ? 0 : jobs, medianSeconds: isImage ? 9 : chance.number(70...260),
            p95Seconds: isImage ? 31 : chance.number(300...1500))
    }

    func pages() -> NightPages {
        var opening = CreditStand(available: 48_210_500, held: 12_400, spent: 120_004_220)
        var closing = opening
        var moves = CreditMoves()
        var entries: Int64 = 0
        for number in 0..<accounts {
            let account = account(number)
            opening = opening.plus(account.opening)
            closing = closing.plus(account.closing)
            moves = moves.plus(account.moves)
            entries += account.entries
        }
        let models = Self.models.indices.map { model($0) }
        let day = BusinessDay(
            day: "2026-11-20", zone: "Europe/Berlin", startsAt: "2026-11-19T23:00:00Z",
            endsAt: "2026-11-20T23:00:00Z", closedAt: "2026-11-21T02:10:04Z", version: "1.0.0",
            currency: "USD", entries: entries, digest: String(repeating: "5e1f", count: 16),
            previousDigest: String(repeating: "a70c", count: 16))
        let figures = NightFigures(
            day: day, opening: opening, moves: moves, closing: closing,
            accountsMoved: Int64(accounts), models: models, usage: usage(models),
            heldOverTime: held(closing.held))
        return NightPages(
            figures: figures, accounts: { try Self.cut(accounts, account, $0) },
            breaks: { try Self.cut(breaks, found, $0) })
    }

    private func usage(_ models: [ModelDay]) -> [UsageDay] {
        Set(models.map(\.provider)).sorted().map { provider in
            let own = models.filter { $0.provider == provider }
            let cost = own.reduce(Int64(0)) { $0 + ($1.cost?.micros ?? 0) }
            let isPriced = own.allSatisfy { $0.cost != nil }
            return UsageDay(
                provider: provider, unit: provider == "kie" ? "kie credits" : "USD",
                lines: own.reduce(0) { $0 + $1.opened }, amount: Money(micros: cost).text,
                money: isPriced ? Money(micros: cost + (provider == "kie" ? 4_120_000 : 0)) : nil)
        }
    }

    private func held(_ last: Int64) -> [HeldPoint] {
        (0...30).map { index in
            var chance = Chance(index, 4)
            let number = 21 + index <= 31 ? 21 + index : index - 10
            let month = 21 + index <= 31 ? "10" : "11"
            let wave = last * (80 + Int64(index % 7) * 4 + chance.number(0...9)) / 110
            return HeldPoint(
                day: "2026-\(month)-\(number < 10 ? "0" : "")\(number)",
                held: index == 30 ? last : wave)
        }
    }

    private static func cut<Row>(
        _ count: Int, _ row: (Int) -> Row, _ take: ([Row]) throws -> Void
    ) throws {
        for start in stride(from: 0, to: count, by: pageRows) {
            try take((start..<min(start + pageRows, count)).map(row))
        }
    }
}

extension CreditStand {
    fileprivate func plus(_ other: CreditStand) -> CreditStand {
        CreditStand(
            available: available + other.available, held: held + other.held,
            spent: spent + other.spent)
    }
}

extension CreditMoves {
    fileprivate func plus(_ other: CreditMoves) -> CreditMoves {
        CreditMoves(
            granted: granted + other.granted, held: held + other.held,
            captured: captured + other.captured, voided: voided + other.voided,
            charged: charged + other.charged, refunded: refunded + other.refunded,
            adjusted: adjusted + other.adjusted)
    }
}
