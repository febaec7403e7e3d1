/// Where the application keeps its customers' credits, and how it settles.
package struct CreditsMapping: Sendable {
    package enum Way: String, CaseIterable, Sendable {
        case ownLedger = "own_ledger"
        case functions, tables, none
    }

    package enum Charge: String, CaseIterable, Sendable {
        case before, reserve, after, never
    }

    package var way: Way
    package var charge: Charge
    /// Our credits in one of their units.
    package var scale: Int64
    package var accounts: (table: TableName, column: String, balance: String)?
    package var functions: [(operation: Operation, call: FunctionCall)]
    package var tables: CreditTables?
    package var guardian: Guardian?
    package var settles: [Settling]
    package var quietAfter: String?
    package var lateSuccess: String?
    package var expiredLot: String?
}

/// What moves credits.
package enum Operation: String, CaseIterable, Sendable {
    case hold, capture, charge, void, refund
}

/// One of the application's functions.
package struct FunctionCall: Sendable {
    package var call: String
    /// Whether it did it; sees the result as `r`.
    package var isDone: String
    /// One row more in that transaction.
    package var insert: (table: TableName, values: [(column: String, sql: String)])?
}

/// What keeps a second settlement from happening in the application itself.
package struct Guardian: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case uniqueReference = "unique_reference"
        case flag
        case oneTransaction = "status_and_balance_in_one_transaction"
        case none
    }

    package var kind: Kind
    package var detail: String?
    package var index: String?
}

/// A handler of the application that settles.
package struct Settling: Sendable {
    package enum Leaves: String, CaseIterable, Sendable {
        case row
        case uniqueMovement = "unique_movement"
        case nothing
    }

    package var handler: String
    package var does: [Operation]
    /// Nil: nobody has read it.
    package var commits: Int64?
    package var leaves: Leaves
}

/// Tables that hold balances and movements.
package struct CreditTables: Sendable {
    package struct Pot: Sendable {
        package var table: TableName
        package var account: String
        package var column: String
        package var order: Int64
        package var countsUp: Bool
        package var filter: String?
        package var jobs: [TableName]
        package var word: String?
        package var set: [(operation: Operation, columns: [(column: String, sql: String)])]
    }

    package struct Movements: Sendable {
        package var table: TableName
        package var account: String
        package var amount: String
        package var isSigned: Bool
        package var kindColumn: String?
        package var words: [(operation: Operation, word: String)]
        package var reference: (column: String, patterns: [(operation: Operation?, text: String)])?
        package var job: ColumnPlace?
        package var balanceAfter: String?
        package var balanceBefore: String?
        package var isBalanceOfPot: Bool
        package var pot: String?
        package var id: (column: String, value: String)?
        package var defaults: [(column: String, sql: String)]
    }

    package struct Lots: Sendable {
        package var table: TableName
        package var account: String
        package var remaining: String
        package var expires: String
        package var order: String
        package var filter: String?
        package var insert: [(column: String, sql: String)]
        package var pot: String?
    }

    package struct Mirror: Sendable {
        package var table: TableName
        package var account: String
        package var column: String
        /// `total` or a pot's column.
        package var of: String
    }

    package var pots: [Pot]
    package var frozen: (column: String, isInside: Bool)?
    package var returns: String?
    package var split: String?
    package var movements: Movements?
    package var lots: Lots?
    package var mirrors: [Mirror]
}
