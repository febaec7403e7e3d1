import Core
import Foundation
import Ledger
import Statements
import TestSupport

/// Nights that add up, out of seeded chance.
struct NightFactory {
    var chance: SeededGenerator
    var day = "2026-11-20"
    var accounts = 37
    var breaks = 23
    var models = 7
    /// Texts for whatever comes from outside; plain ones when there are none.
    var texts: [String] = []
    var pageRows = 10
    var currency = "USD"

    init(seed: UInt64 = SeededGenerator.chosenSeed()) { chance = SeededGenerator(seed: seed) }

    /// How a night was read.
    final class Reading {
        var accountPages = 0
        var breakPages = 0
        var largestPage = 0
    }

    private func text(_ kind: String, _ number: Int) -> String {
        texts.isEmpty ? "\(kind)-\(number)" : texts[number % texts.count]
    }

    private mutating func credits(_ most: Int64 = 5000) -> Int64 {
        Int64.random(in: 0...most, using: &chance)
    }

    private mutating func money(_ most: Int64 = 90_000_000) -> Money {
        Money(micros: Int64.random(in: 0...most, using: &chance))
    }

    mutating func account(_ number: Int) -> AccountDay {
        let opening = CreditStand(
            available: 20_000 + credits(), held: 20_000 + credits(), spent: 20_000 + credits())
        let moves = CreditMoves(
            granted: credits(), held: credits(), captured: credits(), voided: credits(),
            charged: credits(500), refunded: credits(500),
            adjusted: Int64.random(in: -300...300, using: &chance))
        let closing = CreditStand(
            available: opening.available + moves.granted + moves.adjusted - moves.held
                + moves.voided - moves.charged + moves.refunded,
            held: opening.held + moves.held - moves.captured - moves.voided,
            spent: opening.spent + moves.captured + moves.charged - moves.refunded)
        return AccountDay(
            accountID: text("customer", number), opening: opening, moves: moves, closing: closing,
            entries: 1 + credits(20))
    }

    mutating func found(_ number: Int) -> BreakDay {
        let kinds = ["failed-still-held", "paid-not-charged", "stored-not-delivered", "stray-task"]
        let open = number < breaks * 3 / 4
        let status: BreakDay.Status =
            open
            ? (number % 3 == 0 ? .opened : .standing) : [.healed, .fixed, .resolved][number % 3]
        let job = number % 7 == 6 ? nil : text("job", number)
        return BreakDay(
            breakID: Int64(number + 1), status: status,
            ageDays: status == .opened ? 0 : Int.random(in: 1...20, using: &chance),
            kind: kinds[number % kinds.count], subject: job ?? text("kie/task", number), jobID: job,
            accountID: job == nil ? nil : text("customer", number), provider: "kie",
            model: text("veo3", number % 3), loses: ["customer", "us", "provider"][number % 3],
            credits: credits(400), amount: number % 2 == 0 ? "12.5" : nil,
            unit: number % 2 == 0 ? "kie credits" : nil,
            money: number % 2 == 0 ? money(900_000) : nil,
            detail: texts.isEmpty
                ? "the provider finished task veo_\(number), and the job is failed"
                : text("detail", number + 1),
            cause: texts.isEmpty ? "the callback was lost" : text("cause", number + 2),
            fix: "holdfast job show \(job ?? "nothing")", firstSeenAt: "2026-11-18T02:10:00Z")
    }

    mutating func model(_ number: Int) -> ModelDay {
        let cost = number % 5 == 4 ? nil : money()
        return ModelDay(
            provider: ["kie", "fal", "kling"][number % 3], model: text("model", number),
            kind: ["video", "image"][number % 2], opened: credits(900), delivered: credits(800),
            failed: credits(90), abandoned: credits(9), earned: credits(),
            revenue: number % 6 == 5 ? nil : money(120_000_000), cost: cost,
            leaked: cost.map { Money(micros: $0.micros / 9) },
            unpricedLines: number % 5 == 4 ? 1 + credits(5) : 0,
            medianSeconds: number % 4 == 3 ? nil : 30 + credits(300),
            p95Seconds: number % 4 == 3 ? nil : 400 + credits(900))
    }

    mutating func make(_ reading: Reading = Reading()) -> NightPages {
        let accounts = (0..<accounts).map { account($0) }
            .sorted { $0.accountID.utf8.lexicographicallyPrecedes($1.accountID.utf8) }
        let breaks = (0..<breaks).map { found($0) }
        func sum(_ path: KeyPath<AccountDay, Int64>) -> Int64 {
            accounts.reduce(0) { $0 + $1[keyPath: path] }
        }
        let resting = CreditStand(available: 7_000, held: 30, spent: 400_000)
        let hasAccounts = !accounts.isEmpty
        let figures = NightFigures(
            day: BusinessDay(
                day: day, zone: "Europe/Berlin", startsAt: "2026-11-19T23:00:00Z",
                endsAt: "2026-11-20T23:00:00Z", closedAt: "2026-11-21T02:10:04Z", version: "1.0.0",
                currency: currency, entries: sum(\.entries),
                digest: String(repeating: "5e", count: 32),
                previousDigest: String(repeating: "a1", count: 32)),
            opening: CreditStand(
                available: resting.available + sum(\.opening.available),
                held: resting.held + sum(\.opening.held),
                spent: resting.spent + sum(\.opening.spent)),
            moves: CreditMoves(
                granted: sum(\.moves.granted), held: sum(\.moves.held),
                captured: sum(\.moves.captured), voided: sum(\.moves.voided),
                charged: sum(\.moves.charged), refunded: sum(\.moves.refunded),
                adjusted: sum(\.moves.adjusted)),
            closing: CreditStand(
                available: resting.available + sum(\.closing.available),
                held: resting.held + sum(\.closing.held),
                spent: resting.spent + sum(\.closing.spent)),
            accountsMoved: Int64(accounts.count),
            models: hasAccounts ? (0..<models).map { model($0) } : [],
            usage: hasAccounts ? usage() : [], heldOverTime: hasAccounts ? held() : [])
        let rows = pageRows
        return NightPages(
            figures: figures,
            accounts: { take in
                for start in stride(from: 0, to: accounts.count, by: rows) {
                    reading.accountPages += 1
                    try take(Array(accounts[start..<min(start + rows, accounts.count)]))
                }
            },
            breaks: { take in
                for start in stride(from: 0, to: breaks.count, by: rows) {
                    reading.breakPages += 1
                    try take(Array(breaks[start..<min(start + rows, breaks.count)]))
                }
            })
    }

    private mutating func usage() -> [UsageDay] {
        [
            UsageDay(provider: "fal", unit: "USD", lines: 12, amount: "31.25", money: money()),
            UsageDay(
                provider: "kie", unit: text("kie credits", 1), lines: 210, amount: "1250.5",
                money: money()),
            UsageDay(provider: "kling", unit: "units", lines: 3, amount: "9", money: nil),
        ]
    }

    private mutating func held() -> [HeldPoint] {
        (1...20).map {
            HeldPoint(day: "2026-11-\($0 < 10 ? "0" : "")\($0)", held: 9000 + credits())
        }
    }
}

/// A folder of one test's own, with the files of a night.
final class NightFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "holdfast-night-" + RunID.make()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes every file of a night; what it adds up to.
    @discardableResult
    func write(_ pages: NightPages, style: ReportStyle = ReportStyle()) throws -> NightAudit {
        var handles: [FileHandle] = []
        let audit = try NightStatements.write(pages, style: style) { file in
            let place = path + "/" + file.name(day: pages.figures.day.day)
            _ = FileManager.default.createFile(atPath: place, contents: nil)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: place))
            handles.append(handle)
            return { try handle.write(contentsOf: Data($0)) }
        }
        for handle in handles { try handle.close() }
        return audit
    }

    func read(_ file: ReportFile, day: String = "2026-11-20") -> [UInt8] {
        FileManager.default.contents(atPath: path + "/" + file.name(day: day)).map(Array.init) ?? []
    }

    func replace(_ file: ReportFile, with bytes: [UInt8]) throws {
        let place = path + "/" + file.name(day: "2026-11-20")
        try Data(bytes).write(to: URL(fileURLWithPath: place))
    }

    /// A program of a few lines of shell; its path.
    func program(_ script: String) throws -> String {
        let place = path + "/program-" + RunID.make()
        // Written by another process: while this one has it open, a child of another test may have it
        // open too, and nobody can start what somebody may write to.
        let written = try Executable.runBlocking(
            "/bin/sh", arguments: ["-c", "cat >\"$0\" && chmod 755 \"$0\"", place],
            input: Array("#!/bin/sh\n\(script)\n".utf8))
        guard written.status == 0 else { throw TestSupportError(written.stderr) }
        return place
    }

    /// What readers that are not ours find in the files.
    func readBack(day: String = "2026-11-20") async throws -> JSONValue {
        let schema = Peers.script("../../docs/holdfast-night-1.schema.json")
        let finished = try await Executable.run(
            Peers.python(), arguments: ["-B", Peers.script("statements.py"), path, day, schema])
        guard finished.status == 0 else { throw TestSupportError(finished.stderr) }
        return try JSON.parse(
            finished.stdoutBytes, limits: JSONLimits(bytes: 64 << 20))
    }
}
