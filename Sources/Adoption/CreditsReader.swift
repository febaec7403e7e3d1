import Core

extension CreditsMapping {
    static func read(_ fields: MappingFields) -> CreditsMapping? {
        let way = fields.word("way", Way.self)
        let charge = fields.word("charge", Charge.self)
        let scale = fields.integer("scale") ?? 1
        if scale < 1 { fields.problems.add(fields.at("scale"), "must be 1 or more") }
        let accounts = fields.object("accounts").flatMap { readAccounts($0) }
        let functions = fields.words("functions").compactMap { key, _ in
            MappingFields.word(
                key, fields.at("functions.\(key)"), Operation.self, fields.problems
            ).flatMap { operation in
                fields.object("functions")?.object(key).flatMap { FunctionCall.read($0) }
                    .map { (operation: operation, call: $0) }
            }
        }
        let tables = fields.object("tables").flatMap { CreditTables.read($0) }
        let guardian = fields.object("guard").flatMap { Guardian.read($0) }
        if !fields.has("guard") { fields.missing("guard") }
        let settles = fields.objects("settles").compactMap { Settling.read($0) }
        if !fields.has("settles") { fields.missing("settles") }
        let quietAfter = fields.optionalText("quiet_after")
        let late = fields.optionalText("late_success")
        if let late, !["waive", "charge"].contains(late) {
            fields.problems.add(
                fields.at("late_success"), "\"\(late)\" is none of \"waive\", \"charge\"")
        }
        let lot = fields.optionalText("expired_lot")
        if let lot, !["extend", "as_application", "person"].contains(lot) {
            fields.problems.add(
                fields.at("expired_lot"),
                "\"\(lot)\" is none of \"extend\", \"as_application\", \"person\"")
        }
        if way == .tables, tables == nil, !fields.has("tables") { fields.missing("tables") }
        if way == .functions, !fields.has("functions") { fields.missing("functions") }
        fields.finish(readers: ["where", "unit", "note", "why", "sure"])
        guard let way, let charge else { return nil }
        return CreditsMapping(
            way: way, charge: charge, scale: scale, accounts: accounts, functions: functions,
            tables: tables, guardian: guardian, settles: settles, quietAfter: quietAfter,
            lateSuccess: late, expiredLot: lot)
    }

    private static func readAccounts(
        _ fields: MappingFields
    ) -> (table: TableName, column: String, balance: String)? {
        defer { fields.finish() }
        guard let table = fields.table("table"), let column = fields.text("column"),
            let balance = fields.sql("balance")
        else { return nil }
        return (table, column, balance)
    }
}

extension FunctionCall {
    static func read(_ fields: MappingFields) -> FunctionCall? {
        let (call, isDone) = (fields.sql("call"), fields.sql("ok"))
        let insert = fields.object("insert").flatMap {
            inner -> (table: TableName, values: [(column: String, sql: String)])? in
            defer { inner.finish() }
            let values = inner.expressions("values")
            return inner.table("table").map { ($0, values) }
        }
        fields.finish(readers: ["note"])
        guard let call, let isDone else { return nil }
        return FunctionCall(call: call, isDone: isDone, insert: insert)
    }
}

extension Guardian {
    static func read(_ fields: MappingFields) -> Guardian? {
        let kind = fields.word("kind", Kind.self)
        let detail = fields.optionalText("detail")
        let index = fields.optionalText("index")
        fields.finish()
        return kind.map { Guardian(kind: $0, detail: detail, index: index) }
    }
}

extension Settling {
    static func read(_ fields: MappingFields) -> Settling? {
        let handler = fields.text("handler")
        let does = fields.texts("does").enumerated().compactMap { index, text in
            MappingFields.word(
                text, fields.at("does[\(index)]"), Operation.self, fields.problems)
        }
        let commits = fields.integer("commits")
        let leaves = fields.word("leaves", Leaves.self)
        fields.finish(readers: ["note"])
        guard let handler, let leaves else { return nil }
        return Settling(handler: handler, does: does, commits: commits, leaves: leaves)
    }
}

extension CreditTables {
    static func read(_ fields: MappingFields) -> CreditTables? {
        let pots = fields.objects("balance").compactMap { Pot.read($0) }
        let frozen = fields.object("frozen").flatMap { inner -> (column: String, isInside: Bool)? in
            defer { inner.finish() }
            let isInside = inner.flag("inside") ?? false
            return inner.text("column").map { ($0, isInside) }
        }
        let returns = fields.optionalText("returns")
        let split = fields.sql("split", isRequired: false)
        let movements = fields.object("movements").flatMap { Movements.read($0) }
        let lots = fields.object("lots").flatMap { Lots.read($0) }
        let mirrors = fields.objects("cache").compactMap { Mirror.read($0) }
        if pots.isEmpty, movements == nil {
            fields.problems.add(fields.path, "has neither a balance nor movements")
        }
        let columns = Set(pots.map(\.column))
        if let returns, returns != "paid", !columns.contains(returns) {
            fields.problems.add(
                fields.at("returns"),
                "\"\(returns)\" is neither \"paid\" nor a column of a pot")
        }
        fields.finish(readers: ["note"])
        return CreditTables(
            pots: pots, frozen: frozen, returns: returns, split: split, movements: movements,
            lots: lots, mirrors: mirrors)
    }
}

extension CreditTables.Pot {
    static func read(_ fields: MappingFields) -> CreditTables.Pot? {
        let table = fields.table("table")
        let (account, column) = (fields.text("account"), fields.text("column"))
        let order = fields.integer("order") ?? 1
        let means = fields.optionalText("means") ?? "left"
        if !["left", "used"].contains(means) {
            fields.problems.add(fields.at("means"), "\"\(means)\" is none of \"left\", \"used\"")
        }
        let filter = fields.sql("where", isRequired: false)
        let jobs = fields.texts("jobs").enumerated().compactMap { index, text in
            MappingFields.table(text, fields.at("jobs[\(index)]"), fields.problems)
        }
        let word = fields.optionalText("word")
        let set = fields.words("set").compactMap { key, _ in
            MappingFields.word(key, fields.at("set.\(key)"), Operation.self, fields.problems)
                .map { (operation: $0, columns: fields.object("set")?.expressions(key) ?? []) }
        }
        fields.finish(readers: ["note"])
        guard let table, let account, let column else { return nil }
        return CreditTables.Pot(
            table: table, account: account, column: column, order: order,
            countsUp: means == "used", filter: filter, jobs: jobs, word: word, set: set)
    }
}

extension CreditTables.Movements {
    static func read(_ fields: MappingFields) -> CreditTables.Movements? {
        let table = fields.table("table")
        let (account, amount) = (fields.text("account"), fields.text("amount"))
        let sign = fields.text("sign") ?? "signed"
        if !["signed", "unsigned"].contains(sign) {
            fields.problems.add(
                fields.at("sign"), "\"\(sign)\" is none of \"signed\", \"unsigned\"")
        }
        var words: [(operation: Operation, word: String)] = []
        var kindColumn: String?
        if let kind = fields.object("kind") {
            kindColumn = kind.text("column")
            words = kind.words("words").compactMap { key, value in
                let path = kind.at("words.\(key)")
                guard
                    let operation = MappingFields.word(
                        key, path, Operation.self, fields.problems)
                else { return nil }
                guard let word = value.text else {
                    fields.problems.add(
                        path, "a word is expected, and \(value.kindName) was found")
                    return nil
                }
                return (operation, word)
            }
            kind.finish()
        }
        let reference = fields.object("reference").flatMap { readReference($0) }
        let job = fields.object("job").flatMap { inner -> ColumnPlace? in
            defer { inner.finish() }
            return inner.columnPlace()
        }
        let balances = (fields.optionalText("balance_after"), fields.optionalText("balance_before"))
        let balanceOf = fields.optionalText("balance_of") ?? "total"
        if !["total", "pot"].contains(balanceOf) {
            fields.problems.add(
                fields.at("balance_of"), "\"\(balanceOf)\" is none of \"total\", \"pot\"")
        }
        let pot = fields.optionalText("pot")
        let id = fields.object("id").flatMap { inner -> (column: String, value: String)? in
            defer { inner.finish() }
            guard let column = inner.text("column"), let value = inner.sql("value") else {
                return nil
            }
            return (column, value)
        }
        let defaults = fields.expressions("defaults")
        fields.finish(readers: ["note"])
        guard let table, let account, let amount else { return nil }
        return CreditTables.Movements(
            table: table, account: account, amount: amount, isSigned: sign == "signed",
            kindColumn: kindColumn, words: words, reference: reference, job: job,
            balanceAfter: balances.0, balanceBefore: balances.1, isBalanceOfPot: balanceOf == "pot",
            pot: pot, id: id, defaults: defaults)
    }

    private static func readReference(
        _ fields: MappingFields
    ) -> (column: String, patterns: [(operation: Operation?, text: String)])? {
        defer { fields.finish() }
        var patterns: [(operation: Operation?, text: String)] = []
        if let text = fields.value("pattern")?.text {
            patterns = [(nil, text)]
        } else {
            patterns = fields.words("pattern").compactMap { key, value in
                MappingFields.word(
                    key, fields.at("pattern.\(key)"), Operation.self, fields.problems
                ).map { ($0, value.text ?? "") }
            }
            if patterns.isEmpty { fields.missing("pattern") }
        }
        return fields.text("column").map { ($0, patterns) }
    }
}

extension CreditTables.Lots {
    static func read(_ fields: MappingFields) -> CreditTables.Lots? {
        let table = fields.table("table")
        let (account, remaining) = (fields.text("account"), fields.text("remaining"))
        let (expires, order) = (fields.text("expires"), fields.sql("order"))
        let filter = fields.sql("where", isRequired: false)
        let insert = fields.expressions("insert")
        let pot = fields.optionalText("pot")
        fields.finish(readers: ["note"])
        guard let table, let account, let remaining, let expires, let order else { return nil }
        return CreditTables.Lots(
            table: table, account: account, remaining: remaining, expires: expires, order: order,
            filter: filter, insert: insert, pot: pot)
    }
}

extension CreditTables.Mirror {
    static func read(_ fields: MappingFields) -> CreditTables.Mirror? {
        let table = fields.table("table")
        let (account, column, of) = (
            fields.text("account"), fields.text("column"), fields.text("of")
        )
        fields.finish()
        guard let table, let account, let column, let of else { return nil }
        return CreditTables.Mirror(table: table, account: account, column: column, of: of)
    }
}
