import Core
import Ledger

/// The night as a plain-text journal for hledger.
///
/// Credits: each account that moved opens, moves and is asserted; all the others are one account.
/// Money: what was earned comes out of `liabilities:prepaid`, what providers charged goes into
/// `liabilities:provider`.
///
/// Source: https://hledger.org/hledger.html
struct Journal: NightWriter {
    private var ink: Ink
    private let day: String
    private let currency: String

    init(_ figures: NightFigures, _ ink: Ink) throws {
        self.ink = ink
        day = figures.day.day
        currency = Self.commodity(figures.day.currency)
        let about = figures.day
        self.ink.write(
            """
            ; holdfast, business day \(about.day) (\(Inert.line(about.zone)))
            ; from \(about.startsAt) to \(about.endsAt), closed \(about.closedAt), \
            version \(Inert.line(about.version))
            ; digest \(Inert.line(about.digest))
            ; check it with: hledger --file holdfast-\(about.day).journal check
            ; In names of accounts %XX is a byte of UTF-8, in hexadecimal.

            commodity 1000. CREDITS
            commodity 1000.000000 \(currency)


            """)
        try writeRevenue(figures.models)
        try writeCost(figures)
    }

    mutating func take(_ page: [AccountDay]) throws {
        for account in page {
            let name = Self.name(account.accountID)
            open(name, account.opening)
            try move(name, account)
            try ink.rest()
        }
    }

    mutating func end(_ audit: NightAudit) throws {
        let unmoved = try audit.unmoved()
        // A blank cannot be in the name of a real account, where it is written as %20.
        open("accounts that did not move", unmoved)
        for problem in audit.problems {
            ink.write("; these books do not add up: \(Inert.line(problem))\n")
        }
        try ink.flush()
    }

    // MARK: Credits

    private mutating func open(_ name: String, _ stand: CreditStand) {
        guard stand != CreditStand() else { return }
        title("opening", name)
        posting("credits:available:", name, stand.available, assert: stand.available)
        posting("credits:held:", name, stand.held, assert: stand.held)
        posting("credits:spent:", name, stand.spent, assert: stand.spent)
        ink.write("    equity:opening\n\n" as StaticString)
    }

    private mutating func move(_ name: String, _ account: AccountDay) throws {
        title("moves", name)
        let moves = account.moves
        if moves.granted != 0 {
            posting("credits:available:", name, moves.granted)
            posting("equity:granted", "", try Total.negated(moves.granted))
        }
        if moves.adjusted != 0 {
            posting("credits:available:", name, moves.adjusted)
            posting("equity:adjusted", "", try Total.negated(moves.adjusted))
        }
        try transfer(moves.held, name, from: "credits:available:", to: "credits:held:")
        try transfer(moves.captured, name, from: "credits:held:", to: "credits:spent:")
        try transfer(moves.voided, name, from: "credits:held:", to: "credits:available:")
        try transfer(moves.charged, name, from: "credits:available:", to: "credits:spent:")
        try transfer(moves.refunded, name, from: "credits:spent:", to: "credits:available:")
        posting("credits:available:", name, 0, assert: account.closing.available)
        posting("credits:held:", name, 0, assert: account.closing.held)
        posting("credits:spent:", name, 0, assert: account.closing.spent)
        ink.write("\n" as StaticString)
    }

    private mutating func transfer(
        _ credits: Int64, _ name: String, from: StaticString, to: StaticString
    ) throws {
        guard credits != 0 else { return }
        posting(from, name, try Total.negated(credits))
        posting(to, name, credits)
    }

    private mutating func title(_ what: StaticString, _ name: String) {
        ink.write(day)
        ink.write(" * " as StaticString)
        ink.write(what)
        ink.write(" | " as StaticString)
        ink.write(name)
        ink.write("\n" as StaticString)
    }

    private mutating func posting(
        _ account: StaticString, _ name: String, _ credits: Int64, assert: Int64? = nil
    ) {
        ink.write("    " as StaticString)
        ink.write(account)
        ink.write(name)
        ink.write("  " as StaticString)
        ink.write(credits)
        ink.write(" CREDITS" as StaticString)
        if let assert {
            ink.write(" = " as StaticString)
            ink.write(assert)
            ink.write(" CREDITS" as StaticString)
        }
        ink.write("\n" as StaticString)
    }

    // MARK: Money

    private mutating func writeRevenue(_ models: [ModelDay]) throws {
        let earning = models.filter { $0.revenue != nil }
        guard !earning.isEmpty else { return }
        ink.write("\(day) * revenue\n")
        for model in earning {
            guard let revenue = model.revenue else { continue }
            let names = [model.provider, model.model, model.kind].map(Self.name)
            money(
                "income:credits:\(names.joined(separator: ":"))",
                Money(micros: try Total.negated(revenue.micros)))
        }
        ink.write("    liabilities:prepaid\n\n" as StaticString)
    }

    /// One transaction for each provider.
    ///
    /// What its models cost, apart from what leaked, stands against what it says it charged. The
    /// difference belongs to no model.
    private mutating func writeCost(_ figures: NightFigures) throws {
        let providers = Set(figures.models.map(\.provider) + figures.usage.map(\.provider))
        for provider in providers.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let models = figures.models.filter { $0.provider.utf8.elementsEqual(provider.utf8) }
            let usage = figures.usage.filter { $0.provider.utf8.elementsEqual(provider.utf8) }
            let name = Self.name(provider)
            ink.write("\(day) * cost | \(name)\n")
            var booked = Int128(0)
            for model in models where model.cost != nil || model.leaked != nil {
                let cost = model.cost?.micros ?? 0
                let leaked = model.leaked?.micros ?? 0
                let rest = try Total.narrow(Int128(cost) - Int128(leaked))
                let account = [name, Self.name(model.model), Self.name(model.kind)]
                    .joined(separator: ":")
                money("expenses:provider:\(account):sold", Money(micros: rest))
                if leaked != 0 {
                    money("expenses:provider:\(account):leaked", Money(micros: leaked))
                }
                booked += Int128(cost)
            }
            let charged = usage.reduce(Int128(0)) { $0 + Int128($1.money?.micros ?? 0) }
            if charged != booked {
                money(
                    "expenses:unattributed:\(name)",
                    Money(micros: try Total.narrow(charged - booked)))
            }
            money("liabilities:provider:\(name)", Money(micros: try Total.narrow(-charged)))
            ink.write("\n" as StaticString)
        }
    }

    private mutating func money(_ account: String, _ money: Money) {
        ink.write("    \(account)  \(money.text) \(currency)\n")
    }

    // MARK: Names

    /// A name as one part of an account's name: what is neither a letter or a digit of ASCII nor one
    /// of `-_.@+` is written as `%` and two hexadecimal digits, nothing at all as a single `%`.
    static func name(_ text: String) -> String {
        guard !text.isEmpty else { return "%" }
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        var name = ""
        for byte in text.utf8 {
            if isPlain(byte) {
                name.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                name += "%" + Hex.upper(byte)
            }
        }
        return name
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"),
            UInt8(ascii: "+"):
            true
        default: false
        }
    }

    /// A currency as hledger takes it: letters bare, whatever else in quotes.
    static func commodity(_ currency: String) -> String {
        let isWord =
            !currency.isEmpty
            && currency.utf8.allSatisfy { (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) }
        return isWord ? currency : "\"\(name(currency))\""
    }
}
