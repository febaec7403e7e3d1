import Core
import Ledger

/// The night as one JSON document; `docs/holdfast-night-1.schema.json` says what is in it.
///
/// Credits and counts are integers, money and the providers' amounts are exact decimals in strings.
struct JSONStatement: NightWriter {
    static let schema = "holdfast-night-1.schema.json"

    private static let accountMembers = AccountTable.columns[2...].map { ",\"\($0)\":" }

    private enum Section { case accounts, breaks }

    private var ink: Ink
    private var section = Section.accounts
    private var isFirst = true

    init(_ figures: NightFigures, _ ink: Ink) throws {
        self.ink = ink
        let day = figures.day
        self.ink.write("{\"$schema\":\(JSON.quoted(Self.schema)),\"schema_version\":1,\n\"day\":")
        self.ink.write(
            JSON.write([
                "day": .string(day.day), "zone": .string(day.zone),
                "starts_at": .string(day.startsAt), "ends_at": .string(day.endsAt),
                "closed_at": .string(day.closedAt), "version": .string(day.version),
                "currency": .string(day.currency), "entries": .integer(day.entries),
                "digest": .string(day.digest), "previous_digest": .string(day.previousDigest),
            ]))
        list("models", try figures.models.map { try $0.json() })
        list("usage", figures.usage.map(\.json))
        list(
            "held_over_time",
            figures.heldOverTime.map { ["day": .string($0.day), "held": .integer($0.held)] })
        if !figures.corrections.isEmpty { list("corrections", figures.corrections.map(\.json)) }
        self.ink.write(",\n\"accounts\":[")
    }

    private mutating func list(_ name: StaticString, _ rows: [JSONValue]) {
        ink.write(",\n\"")
        ink.write(name)
        ink.write("\":[")
        for (index, row) in rows.enumerated() {
            ink.write(index == 0 ? "\n" : ",\n")
            ink.write(JSON.write(row))
        }
        ink.write("]")
    }

    mutating func take(_ page: [AccountDay]) throws {
        for account in page {
            begin()
            ink.write("{\"account_id\":" as StaticString)
            ink.write(JSON.quoted(account.accountID))
            for (name, number) in zip(Self.accountMembers, account.numbers) {
                ink.write(name)
                ink.write(number)
            }
            ink.write("}" as StaticString)
            try ink.rest()
        }
    }

    mutating func take(_ page: [BreakDay]) throws {
        endAccounts()
        for found in page {
            begin()
            ink.write(JSON.write(found.json))
            try ink.rest()
        }
    }

    mutating func end(_ audit: NightAudit) throws {
        endAccounts()
        ink.write("],\n\"totals\":")
        let figures = audit.figures
        let totals: JSONValue = [
            "opening": figures.opening.json, "moves": figures.moves.json,
            "closing": figures.closing.json,
            "unmoved_accounts": try audit.unmoved().json,
            "money": .object(
                JSONObject(
                    audit.money.sums.map { .init(key: $0.0, value: .string($0.1.text)) })),
            "counts": .object(
                JSONObject(audit.counts.map { .init(key: $0.0, value: .integer($0.1)) })),
            "problems": .array(audit.problems.map { .string($0) }),
        ]
        ink.write(JSON.write(totals))
        ink.write("}\n")
        try ink.flush()
    }

    private mutating func endAccounts() {
        guard section == .accounts else { return }
        section = .breaks
        isFirst = true
        ink.write("],\n\"breaks\":[")
    }

    private mutating func begin() {
        ink.write(isFirst ? "\n" as StaticString : ",\n" as StaticString)
        isFirst = false
    }
}

extension CreditStand {
    var json: JSONValue {
        [
            "available": .integer(available), "held": .integer(held), "spent": .integer(spent),
        ]
    }
}

extension CorrectionEntry {
    var json: JSONValue {
        [
            "day": .string(day), "account_id": .string(accountID), "credits": .integer(credits),
            "reason": .string(reason), "person": .string(person),
        ]
    }
}

extension CreditMoves {
    var json: JSONValue {
        [
            "granted": .integer(granted), "held": .integer(held), "captured": .integer(captured),
            "voided": .integer(voided), "charged": .integer(charged),
            "refunded": .integer(refunded), "adjusted": .integer(adjusted),
        ]
    }
}

extension ModelDay {
    func json() throws -> JSONValue {
        [
            "provider": .string(provider), "model": .string(model), "kind": .string(kind),
            "opened": .integer(opened), "delivered": .integer(delivered),
            "failed": .integer(failed), "abandoned": .integer(abandoned),
            "earned_credits": .integer(earned), "revenue": .optional(revenue?.text),
            "cost": .optional(cost?.text), "margin": .optional(try margin()?.text),
            "leaked": .optional(leaked?.text), "unpriced_lines": .integer(unpricedLines),
            "median_seconds": .whole(medianSeconds), "p95_seconds": .whole(p95Seconds),
        ]
    }
}

extension UsageDay {
    var json: JSONValue {
        [
            "provider": .string(provider), "unit": .string(unit), "lines": .integer(lines),
            "amount": .string(amount), "money": .optional(money?.text),
        ]
    }
}

extension BreakDay {
    var json: JSONValue {
        [
            "break_id": .integer(breakID), "status": .string(status.rawValue),
            "age_days": .integer(ageDays), "kind": .string(kind), "subject": .string(subject),
            "job_id": .optional(jobID), "account_id": .optional(accountID),
            "provider": .optional(provider), "model": .optional(model), "loses": .string(loses),
            "credits": .whole(credits), "amount": .optional(amount), "unit": .optional(unit),
            "money": .optional(money?.text), "detail": .string(detail), "cause": .string(cause),
            "command": .string(fix), "first_seen_at": .string(firstSeenAt),
        ]
    }
}

extension JSONValue {
    static func whole(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
}
