import CPostgreSQL
import Core
import Glibc

/// One connection to PostgreSQL, owned in one place and closed when that place is left.
///
/// It relies on no session state: unnamed statements only, nothing set outside a transaction, so
/// that it works through a pooler in transaction mode. What it begins is read committed, whatever
/// the database or the login have as their default. Every wait has an end: a server that stops
/// answering costs `statementTimeout`, not the run.
package struct Connection: ~Copyable {
    private let handle: OpaquePointer
    /// `host:port/database`, for messages.
    package let place: String
    private let statementTimeout: Duration
    private let cancelGrace: Duration
    private let isolation = DefaultIsolation()

    /// Connects within `connectTimeout`.
    ///
    /// Name resolution is libpq's and not cut short by the timeout.
    /// - Parameters:
    ///   - url: A libpq URL or connection string; it never appears in an error.
    ///   - connectTimeout: How long to wait for the server to accept the login.
    ///   - applicationName: What `pg_stat_activity` shows, unless the URL says otherwise.
    ///   - statementTimeout: How long to wait for each statement unless it says otherwise.
    ///   - cancelGrace: How long the server then gets to confirm that it has cancelled, before the
    ///     connection is given up.
    package init(
        url: String, connectTimeout: Duration = .seconds(5), applicationName: String = "holdfast",
        statementTimeout: Duration = .seconds(30), cancelGrace: Duration = .seconds(5)
    ) throws(PostgresError) {
        // A server that closes the connection must be an error here and not the end of us.
        signal(SIGPIPE, SIG_IGN)
        let opened = try Connecting.open(
            url: url, timeout: connectTimeout, applicationName: applicationName)
        handle = opened.handle
        place = opened.place
        self.statementTimeout = statementTimeout
        self.cancelGrace = cancelGrace
    }

    deinit { PQfinish(handle) }

    /// False once the connection is known to be gone.
    package var isAlive: Bool { PQstatus(handle) == CONNECTION_OK }

    /// The server's version as one number: 150018 is 15.18.
    package var serverVersion: Int { Int(PQserverVersion(handle)) }

    /// Runs one statement and returns its rows.
    /// - Parameters:
    ///   - sql: The statement.
    ///   - timeout: The wait for this statement; nil for the connection's own.
    package borrowing func query(
        _ sql: SQL, timeout: Duration? = nil
    ) throws(PostgresError) -> Rows {
        try run(sql, timeout: timeout).rows
    }

    /// Runs one statement and returns how many rows it touched.
    /// - Parameters:
    ///   - sql: The statement.
    ///   - timeout: The wait for this statement; nil for the connection's own.
    @discardableResult
    package borrowing func execute(
        _ sql: SQL, timeout: Duration? = nil
    ) throws(PostgresError) -> Int {
        try run(sql, timeout: timeout).affected
    }

    /// Runs several statements in one go; all of them are one transaction unless they say otherwise.
    /// - Parameters:
    ///   - text: The statements, separated by semicolons.
    ///   - timeout: The wait for all of them together; nil for the connection's own.
    package borrowing func script(
        _ text: String, timeout: Duration? = nil
    ) throws(PostgresError) {
        let exchange = exchange("script", timeout: timeout)
        try exchange.sendScript(text)
        _ = try exchange.receive()
    }

    /// Runs `body` between `BEGIN` and `COMMIT`; any error rolls back and is thrown as it was.
    ///
    /// When the connection goes away during `COMMIT` nobody knows whether it happened; whatever
    /// runs inside has to be safe to repeat.
    /// - Throws: what `body` threw, also when the rollback failed too; a `PostgresError` of its own.
    package borrowing func transaction<R>(
        _ mode: TransactionMode = .readWrite, _ body: () throws -> R
    ) throws -> R {
        guard PQtransactionStatus(handle) == PQTRANS_IDLE || !isAlive else {
            throw PostgresError(
                .statement, sqlState: "25001", operation: mode.begin,
                message: "a transaction is already open on this connection", place: place)
        }
        _ = try once(SQL(raw: mode.begin))
        let result: R
        do {
            result = try body()
        } catch {
            // The first failure is the one that explains; without the rollback the server ends the
            // transaction itself when the connection closes.
            _ = try? once("ROLLBACK")
            throw error
        }
        // A transaction that failed inside answers COMMIT with ROLLBACK, and that is not an error.
        guard try once("COMMIT").tag == "COMMIT" else {
            throw PostgresError(
                .statement, sqlState: "25P02", operation: "COMMIT",
                message: "a statement of this transaction had failed; nothing was kept",
                place: place)
        }
        return result
    }

    /// One statement; outside a transaction, in one of its own that is read committed, where it turns
    /// out that statements are not.
    private borrowing func run(
        _ sql: SQL, timeout: Duration?
    ) throws(PostgresError) -> Answer {
        let isAlone = PQtransactionStatus(handle) == PQTRANS_IDLE
        if !isAlone || !isolation.isOther {
            do throws(PostgresError) {
                return try once(sql, timeout: timeout)
            } catch {
                guard isAlone, DefaultIsolation.states.contains(error.sqlState),
                    PQtransactionStatus(handle) == PQTRANS_IDLE
                else { throw error }
                isolation.isOther = error.sqlState == DefaultIsolation.refused
            }
        }
        do {
            return try transaction { try once(sql, timeout: timeout) }
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(
                .statement, operation: sql.summary, message: "\(error)", place: place)
        }
    }

    private borrowing func once(
        _ sql: SQL, timeout: Duration? = nil
    ) throws(PostgresError) -> Answer {
        let (text, values) = sql.rendered
        let exchange = exchange(sql.summary, timeout: timeout, values: values)
        try exchange.send(text, values)
        return try exchange.receive()
    }

    private func exchange(
        _ operation: String, timeout: Duration?, values: [String?] = []
    ) -> Exchange {
        Exchange(
            handle: handle, place: place, operation: operation, values: values,
            timeout: timeout ?? statementTimeout, cancelGrace: cancelGrace)
    }
}

/// Whether statements outside a transaction run at another isolation level than read committed, as
/// the first that was refused for it has told.
private final class DefaultIsolation {
    /// The database refuses to do what needs read committed; and a race that only other levels lose.
    static let refused = "HF014"
    static let states = [refused, "40001"]

    var isOther = false
}

/// How a transaction begins.
package enum TransactionMode: Sendable {
    case readWrite, readOnly
    /// Every statement sees the same state of the database.
    case readOnlySnapshot

    var begin: String {
        switch self {
        case .readWrite: "BEGIN ISOLATION LEVEL READ COMMITTED"
        case .readOnly: "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
        case .readOnlySnapshot: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        }
    }
}
