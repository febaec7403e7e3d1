package import Core
package import Ledger
import Reports

/// An account's statement as text, for machines, and as CSV for spreadsheets.
package enum StatementText {
    package static func text(_ statement: AccountStatement) -> String {
        var table = TextTable(
            ["time", "kind", "credits", "available", "held", "spent", "job or reason", "by"],
            numbers: [2, 3, 4, 5], indent: 2)
        func add(_ words: String, _ stand: CreditStand) {
            table.add(
                words, "", "", "\(stand.available)", "\(stand.held)", "\(stand.spent)", "", "")
        }
        add("opening", statement.opening)
        for entry in statement.entries {
            table.add(
                entry.createdAt.description, entry.kind, signed(entry),
                "\(entry.after.available)", "\(entry.after.held)", "\(entry.after.spent)",
                about(entry), entry.actor)
        }
        add("closing", statement.closing)
        return "account \(Plain.line(statement.accountID)), \(period(statement))\n" + table.text
    }

    /// The job or the reason, with the day that is corrected and what was paid.
    private static func about(_ entry: StatementEntry) -> String {
        let words = [
            entry.jobID ?? entry.reason ?? "-", entry.corrects.map { "corrects \($0)" },
            entry.paid.map { "paid \($0) \(entry.currency ?? "")" },
        ]
        return words.compactMap { $0 }.joined(separator: ", ")
    }

    private static func period(_ statement: AccountStatement) -> String {
        switch (statement.from, statement.until) {
        case (nil, nil): "from its beginning to now"
        case (let from?, nil): "from \(from) to now"
        case (nil, let until?): "from its beginning to before \(until)"
        case (let from?, let until?): "from \(from) to before \(until)"
        }
    }

    /// What the transfer did to what is available; a capture, which moves none of it, has no sign.
    private static func signed(_ entry: StatementEntry) -> String {
        entry.debit == "available"
            ? "-\(entry.amount)"
            : entry.credit == "available" ? "+\(entry.amount)" : "\(entry.amount)"
    }

    package static func members(
        _ statement: AccountStatement
    ) -> [(key: String, value: JSONValue)] {
        [
            ("account_id", .string(statement.accountID)), ("from", .instant(statement.from)),
            ("until", .instant(statement.until)), ("opening", stand(statement.opening)),
            (
                "entries",
                .array(
                    statement.entries.map { entry in
                        [
                            "transfer_id": .string(entry.transferID), "kind": .string(entry.kind),
                            "amount": .integer(entry.amount), "debit": .string(entry.debit),
                            "credit": .string(entry.credit), "job_id": .optional(entry.jobID),
                            "reason": .optional(entry.reason), "actor": .string(entry.actor),
                            "created_at": .instant(entry.createdAt), "after": stand(entry.after),
                            "corrects": .optional(entry.corrects), "paid": .optional(entry.paid),
                            "currency": .optional(entry.currency),
                        ]
                    })
            ),
            ("closing", stand(statement.closing)), ("has_more", .bool(statement.isCut)),
        ]
    }

    private static func stand(_ stand: CreditStand) -> JSONValue {
        [
            "available": .integer(stand.available), "held": .integer(stand.held),
            "spent": .integer(stand.spent),
        ]
    }

    /// A header and one line for each entry, opening and closing among them; lines end with CRLF, as
    /// RFC 4180 has it.
    package static func csv(_ statement: AccountStatement) -> String {
        var lines = [
            "time,transfer,kind,amount,debit,credit,job,reason,by,available,held,spent,"
                + "corrects,paid,currency"
        ]
        let blanks = Array(repeating: "", count: 6)
        func add(_ cells: [String], _ stand: CreditStand, _ last: [String] = ["", "", ""]) {
            let numbers = [stand.available, stand.held, stand.spent].map { String($0) }
            lines.append((cells.map(cell) + numbers + last.map(cell)).joined(separator: ","))
        }
        add(
            [statement.from?.description ?? "", "", "opening"] + blanks,
            statement.opening)
        for entry in statement.entries {
            add(
                [
                    entry.createdAt.description, entry.transferID, entry.kind,
                    String(entry.amount), entry.debit, entry.credit, entry.jobID ?? "",
                    entry.reason ?? "", entry.actor,
                ], entry.after,
                [entry.corrects ?? "", entry.paid ?? "", entry.currency ?? ""])
        }
        add(
            [statement.until?.description ?? "", "", "closing"] + blanks,
            statement.closing)
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    /// A text that no spreadsheet takes for a formula: an apostrophe stands before what could begin
    /// one, on whatever line of the cell.
    ///
    /// Source: owasp.org/www-community/attacks/CSV_Injection.
    static func cell(_ text: String) -> String {
        let starts: Set<Unicode.Scalar> = ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"]
        let scalars = text.unicodeScalars.drop { $0 == " " || $0 == "\u{a0}" }
        let isFormula = scalars.first.map(starts.contains) ?? false
        let safe = isFormula ? "'" + text : text
        let needsQuotes = safe.unicodeScalars.contains { ",\"\r\n;\t'".unicodeScalars.contains($0) }
        return needsQuotes
            ? "\""
                + safe.split(separator: "\"", omittingEmptySubsequences: false)
                .joined(separator: "\"\"") + "\"" : safe
    }
}
