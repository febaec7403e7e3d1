package import Core
package import Ledger
import Reports

/// An account for people and for machines.
package enum AccountText {
    package static func text(
        _ balance: AccountBalance, holds: [OpenHold], transfers: [Transfer], limit: Int
    ) -> String {
        var lines = [
            "account \(Plain.line(balance.accountID))",
            "  available \(balance.available), held \(balance.held), spent \(balance.spent)",
        ]
        lines.append(section("open holds", holds.count, limit))
        if !holds.isEmpty {
            var table = TextTable(
                ["job", "credits", "state", "blocked", "since"], numbers: [1], indent: 2)
            for hold in holds {
                table.add(
                    hold.jobID, "\(hold.credits)", hold.state, hold.blocked ?? "-", hold.createdAt)
            }
            lines.append(table.text)
        }
        lines.append(section("last transfers, newest first", transfers.count, limit))
        if !transfers.isEmpty {
            var table = TextTable(
                ["time", "kind", "credits", "job or reference", "by"], numbers: [2], indent: 2)
            for transfer in transfers {
                table.add(
                    transfer.createdAt, transfer.kind, "\(transfer.amount)",
                    transfer.jobID ?? transfer.reason ?? "-", transfer.actor)
            }
            lines.append(table.text)
        }
        return lines.joined(separator: "\n")
    }

    private static func section(_ title: String, _ count: Int, _ limit: Int) -> String {
        count == 0
            ? "\(title): none" : count < limit ? title : "\(title) (\(limit) at most; --limit N)"
    }

    package static func members(
        _ balance: AccountBalance, holds: [OpenHold], transfers: [Transfer]
    ) -> [(key: String, value: JSONValue)] {
        [
            ("account_id", .string(balance.accountID)), ("available", .integer(balance.available)),
            ("held", .integer(balance.held)), ("spent", .integer(balance.spent)),
            (
                "open_holds",
                .array(
                    holds.map { hold in
                        [
                            "job_id": .string(hold.jobID), "credits": .integer(hold.credits),
                            "state": .string(hold.state), "blocked": .optional(hold.blocked),
                            "created_at": .string(hold.createdAt),
                        ]
                    })
            ),
            (
                "transfers",
                .array(
                    transfers.map { transfer in
                        [
                            "transfer_id": .string(transfer.transferID),
                            "kind": .string(transfer.kind), "amount": .integer(transfer.amount),
                            "job_id": .optional(transfer.jobID),
                            "reason": .optional(transfer.reason),
                            "actor": .string(transfer.actor),
                            "created_at": .string(transfer.createdAt),
                        ]
                    })
            ),
        ]
    }
}
