import Glibc

extension Connection {
    /// Runs a transaction that is safe to repeat, again when the database chose it as the victim of
    /// a deadlock or a lost race.
    ///
    /// Our own transactions lock in one order; an application that locks in another, inside its own
    /// transaction, must cost a repetition and not the run.
    /// - Parameters:
    ///   - attempts: How often at most; the last failure is thrown.
    ///   - body: Everything it does is undone before it runs again.
    package borrowing func repeatable<R>(
        attempts: Int = 5, _ body: () throws -> R
    ) throws -> R {
        try again(attempts) { try transaction(.readWrite, body) }
    }

    /// The same for a body of one statement, which is a transaction by itself: what it locks is free
    /// when the server is done with it, and not two messages later.
    package borrowing func repeatableStatement<R>(
        attempts: Int = 5, _ body: () throws -> R
    ) throws -> R {
        try again(attempts, body)
    }

    private borrowing func again<R>(_ attempts: Int, _ body: () throws -> R) throws -> R {
        var attempt = 1
        while true {
            do {
                return try body()
            } catch let error as PostgresError
                where ["40P01", "40001", "55P03"].contains(error.sqlState) && attempt < attempts
            {
                // A random pause, so that two victims do not meet again.
                _ = poll(nil, 0, Int32.random(in: 5...(40 * Int32(attempt))))
                attempt += 1
            }
        }
    }

    /// Writes rows in one transaction; where the database refuses one of them, it is found by halves,
    /// and the others are written without it.
    ///
    /// - Parameters:
    ///   - rows: In the order in which they are written.
    ///   - write: Writes some of them; called in a transaction of its own, again and again.
    ///   - refused: Told of each row that was left out, and why.
    /// - Returns: What each call that held returned.
    package borrowing func repeatable<Row, R>(
        _ rows: [Row], write: ([Row]) throws -> R, refused: (Row, PostgresError) throws -> Void
    ) throws -> [R] {
        try bisecting(rows, write: { rows in try repeatable { try write(rows) } }, refused: refused)
    }

    /// The same for a `write` that is a transaction by itself.
    package borrowing func bisecting<Row, R>(
        _ rows: [Row], write: ([Row]) throws -> R, refused: (Row, PostgresError) throws -> Void
    ) throws -> [R] {
        do {
            return [try write(rows)]
        } catch let error as PostgresError where error.isRowTrouble {
            guard rows.count > 1 else {
                guard let row = rows.first else { throw error }
                try refused(row, error)
                return []
            }
            let half = rows.count / 2
            return try bisecting(Array(rows[..<half]), write: write, refused: refused)
                + bisecting(Array(rows[half...]), write: write, refused: refused)
        }
    }
}
