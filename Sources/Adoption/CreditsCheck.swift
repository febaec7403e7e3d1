import Core
import Postgres

/// Where a mapping says that credits are, held against the database.
struct CreditsCheck {
    let check: MappingCheck
    let credits: CreditsMapping

    private var problems: MappingProblems { check.problems }

    func run(_ connection: borrowing Connection) throws {
        if let accounts = credits.accounts,
            let table = check.readable(accounts.table, at: "credits.accounts.table")
        {
            check.columns([accounts.column], of: table, at: "credits.accounts.column")
            try check.plan(
                connection, accounts.balance, from: table, at: "credits.accounts.balance")
        }
        for (operation, call) in credits.functions {
            try checkFunction(connection, call, at: "credits.functions.\(operation.rawValue)")
        }
        if let tables = credits.tables {
            checkPots(tables)
            try checkMovements(connection, tables)
            try checkLots(connection, tables)
            for (index, mirror) in tables.mirrors.enumerated() {
                let at = "credits.tables.cache[\(index)]"
                guard let table = check.readable(mirror.table, at: at) else { continue }
                check.columns([mirror.account, mirror.column], of: table, at: at)
            }
        }
        checkGuard()
    }

    private func checkFunction(
        _ connection: borrowing Connection, _ call: FunctionCall, at: String
    ) throws {
        let sql = SQLText.filled(call.call) { _ in "NULL" }
        do {
            _ = try check.session.query(
                connection,
                "EXPLAIN SELECT (\(call.isDone)) FROM (SELECT \(sql) AS r OFFSET 0) AS q")
        } catch let error as PostgresError where error.isRowTrouble || error.sqlState == "42501" {
            problems.add(at, "the call cannot be made: \(error.message)")
        }
        guard let insert = call.insert,
            let table = check.readable(insert.table, at: "\(at).insert.table")
        else { return }
        try checkInsert(connection, insert.values, into: table, also: [], at: "\(at).insert")
    }

    private func checkPots(_ tables: CreditTables) {
        for (index, pot) in tables.pots.enumerated() {
            let at = "credits.tables.balance[\(index)]"
            guard let table = check.readable(pot.table, at: "\(at).table") else { continue }
            check.columns([pot.account, pot.column], of: table, at: at)
            exact(pot.column, of: table, at: at)
            for (operation, columns) in pot.set {
                check.columns(
                    columns.map(\.column), of: table, at: "\(at).set.\(operation.rawValue)")
            }
            if index == 0, let frozen = tables.frozen {
                check.columns([frozen.column], of: table, at: "credits.tables.frozen.column")
                exact(frozen.column, of: table, at: "credits.tables.frozen.column")
            }
        }
    }

    /// Money in floating point is never settled.
    private func exact(_ name: String, of table: Catalog.Table, at path: String) {
        guard let column = table.column(name) else { return }
        if column.isFloatingPoint {
            problems.add(
                path,
                "column \"\(name)\" of \(table.name) is \(column.type): floating point holds no exact "
                    + "money")
        } else if column.category != "N" {
            problems.add(
                path, "column \"\(name)\" of \(table.name) is \(column.type), and no number")
        }
    }

    private func checkMovements(
        _ connection: borrowing Connection, _ tables: CreditTables
    ) throws {
        let at = "credits.tables.movements"
        guard let movements = tables.movements,
            let table = check.readable(movements.table, at: "\(at).table")
        else { return }
        let named =
            [movements.account, movements.amount]
            + [
                movements.kindColumn, movements.reference?.column, movements.job?.column,
                movements.balanceAfter, movements.balanceBefore, movements.pot,
                movements.id?.column,
            ].compactMap(\.self)
        check.columns(named, of: table, at: at)
        exact(movements.amount, of: table, at: "\(at).amount")
        if let name = movements.kindColumn, let allowed = table.column(name)?.words {
            for (operation, word) in movements.words where !allowed.contains(word) {
                problems.add(
                    "\(at).kind.words.\(operation.rawValue)",
                    "column \"\(name)\" does not allow \"\(word)\"")
            }
        }
        try checkInsert(
            connection, movements.defaults, into: table, also: named, at: "\(at).defaults")
    }

    private func checkLots(_ connection: borrowing Connection, _ tables: CreditTables) throws {
        let at = "credits.tables.lots"
        guard let lots = tables.lots, let table = check.readable(lots.table, at: "\(at).table")
        else { return }
        let named = [lots.account, lots.remaining, lots.expires] + [lots.pot].compactMap(\.self)
        check.columns(named, of: table, at: at)
        exact(lots.remaining, of: table, at: "\(at).remaining")
        if tables.movements?.table != lots.table {
            try checkInsert(connection, lots.insert, into: table, also: named, at: "\(at).insert")
        }
    }

    /// A row that we would write: its columns are there, and each that needs a value has one.
    private func checkInsert(
        _ connection: borrowing Connection, _ values: [(column: String, sql: String)],
        into table: Catalog.Table, also named: [String], at path: String
    ) throws {
        check.columns(values.map(\.column), of: table, at: path)
        for (column, sql) in values {
            try check.plan(connection, sql, from: nil, at: "\(path).\(column)")
        }
        let filled = Set(named + values.map(\.column))
        for column in table.columns
        where column.isNotNull && !column.hasDefault && !filled.contains(column.name) {
            problems.add(
                path, "column \"\(column.name)\" of \(table.name) needs a value, and none is given")
        }
    }

    private func checkGuard() {
        guard let guardian = credits.guardian, guardian.kind == .uniqueReference else { return }
        guard let index = guardian.index else {
            return problems.add("credits.guard", "unique_reference needs \"index\": its name")
        }
        if !check.catalog.tables.values.contains(where: { $0.indexes.contains(index) }) {
            problems.add(
                "credits.guard.index", "no table of the mapping has a valid index \"\(index)\"")
        }
    }
}
