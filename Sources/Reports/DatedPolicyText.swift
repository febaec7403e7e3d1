package import Core
package import Jobs

/// Prices, costs and values with their dates, for people and for machines.
package enum DatedPolicyText {
    package static func text(_ rows: [DatedRow]) -> String {
        var table = TextTable(["dated policy", "value", "for", "from", "set", "meaning"])
        var last: DatedKey?
        for row in rows {
            table.add(
                row.key.rawValue, row.value.text, row.scope.words,
                row.from?.description ?? PolicyDate.beginningWord,
                "by \(row.setBy) at \(row.setAt)", row.key == last ? "" : row.key.meaning)
            last = row.key
        }
        return table.text
    }

    package static func object(_ row: DatedRow) -> JSONValue {
        let scope = row.scope.scope
        return [
            "key": .string(row.key.rawValue), "amount": .number(row.value.amount.text),
            "counts": .string(row.value.counts),
            "provider": .optional(scope.provider.isEmpty ? nil : scope.provider),
            "kind": .optional(scope.kind.isEmpty ? nil : scope.kind),
            "model": .optional(scope.model.isEmpty ? nil : scope.model),
            "unit": .optional(row.scope.unit.isEmpty ? nil : row.scope.unit),
            "from": .instant(row.from), "set_at": .instant(row.setAt),
            "set_by": .string(row.setBy),
        ]
    }
}
