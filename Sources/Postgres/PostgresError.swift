package import Core

/// Why a statement or a connection failed.
///
/// It holds no bound value, no password and no URL: the message is the server's primary message,
/// and only where that one cannot quote data.
package struct PostgresError: Error, Equatable, Sendable {
    enum Cause: Sendable {
        /// The address cannot be read as a libpq URL.
        case url
        /// No connection, or it is gone.
        case connection
        /// The encrypted connection that the URL asks for cannot be had.
        case tls
        /// The server said no, or we did before asking it.
        case statement
    }

    var cause: Cause
    /// Five characters, or empty where no server has spoken.
    /// See https://www.postgresql.org/docs/15/errcodes-appendix.html
    package var sqlState: String
    /// The first words of the statement, or `connect`.
    package var operation: String
    package var message: String
    package var constraint: String?
    /// `host:port/database` of the connection.
    var place: String

    init(
        _ cause: Cause, sqlState: String = "", operation: String, message: String,
        constraint: String? = nil, place: String
    ) {
        self.cause = cause
        self.sqlState = sqlState
        self.operation = operation
        self.message = message
        self.constraint = constraint
        self.place = place
    }

    /// The connection could not be made or is gone; nothing later on it will work.
    package var isConnectionLoss: Bool {
        if cause == .connection { return true }
        return sqlState.hasPrefix("08") || Self.endings.contains(sqlState)
    }

    /// With these the server ends a session, or has none to give: idle in a transaction (25P03), a
    /// transaction that took too long (25P04), shut down (57P01 to 57P03), the database dropped
    /// (57P04), an idle session (57P05), too many connections (53300).
    private static let endings: Set<String> = [
        "25P03", "25P04", "57P01", "57P02", "57P03", "57P04", "57P05", "53300",
    ]

    /// The server does not let this login in, or has no such database.
    package var isLoginFailure: Bool { sqlState.hasPrefix("28") || sqlState == "3D000" }

    /// Another try of the same work can succeed: a lock, a deadlock, a lost race or a timeout.
    package var isBusy: Bool {
        ["40001", "40P01", "55P03", "57014", "53200"].contains(sqlState)
    }

    /// The trouble of one row, so that the row is set aside and the others go on: what the database's
    /// own `holdfast.is_row_trouble` says, of errors that it never got to see.
    package var isRowTrouble: Bool {
        cause == .statement && sqlState.utf8.count == 5 && sqlState != "42501"
            && !["08", "25", "28", "40", "53", "55", "57", "58"].contains(sqlState.prefix(2))
    }

    /// The error as the end of a command: exit status, stable code, and what to do about it.
    package var failure: Failure {
        if cause == .url {
            return Failure(
                .configuration, code: "database_url",
                "HOLDFAST_DATABASE_URL (or DATABASE_URL) is not a PostgreSQL URL: \(message); "
                    + "write it as postgres://user:password@host:5432/database")
        }
        if cause == .tls {
            return Failure(
                .configuration, code: "database_tls",
                "no encrypted connection to \(place): \(message); "
                    + "correct sslmode or sslrootcert in HOLDFAST_DATABASE_URL")
        }
        if sqlState == "3D000" {
            return missingDatabase
        }
        if isLoginFailure {
            return Failure(
                .configuration, code: "database_login",
                "the database at \(place) refuses the login (SQLSTATE \(sqlState)); "
                    + "correct user, password and database name in HOLDFAST_DATABASE_URL")
        }
        if isConnectionLoss {
            return Failure(
                .databaseUnavailable, code: "database_unavailable",
                "the database at \(place) is unavailable: \(message)\(state); check that it "
                    + "runs and can be reached from here, and HOLDFAST_DATABASE_URL")
        }
        if isBusy {
            return Failure(
                .databaseUnavailable, code: "database_busy",
                "the database at \(place) was too busy in \"\(operation)\": \(message)\(state); "
                    + "the next run tries again")
        }
        switch sqlState {
        case "42501":
            return Failure(
                .configuration, code: "database_permission",
                "the login at \(place) may not do \"\(operation)\": \(message); "
                    + "grant it the role that this command needs, or use another login "
                    + "in HOLDFAST_DATABASE_URL")
        case "53100":
            return Failure(
                .unavailable, code: "database_disk_full",
                "the disk of the database at \(place) is full; make room on it")
        case "25006":
            return Failure(
                .databaseUnavailable, code: "database_read_only",
                "the database at \(place) accepts no writes now (SQLSTATE 25006); point "
                    + "HOLDFAST_DATABASE_URL at the primary server; if it is that, set "
                    + "default_transaction_read_only to off for its database and its logins")
        default:
            return Failure(
                .defect, code: "database_error",
                "the database refused \"\(operation)\": \(message)\(state)")
        }
    }

    /// `place` ends with the database's name.
    private var missingDatabase: Failure {
        let name = place.lastIndex(of: "/").map { place[place.index(after: $0)...] } ?? "?"
        return Failure(
            .configuration, code: "database_login",
            "there is no database \"\(name)\": the server refuses the login at \(place); correct the "
                + "name in HOLDFAST_DATABASE_URL, or create the database")
    }

    private var state: String { sqlState.isEmpty ? "" : " (SQLSTATE \(sqlState))" }
}

extension PostgresError: CustomStringConvertible {
    package var description: String { "\(operation): \(message)\(state)" }
}

/// What an error may say when the server's own words could quote a value.
enum SafeMessage {
    /// The primary message of a failed statement, without any of `values`.
    ///
    /// Messages of class 22 quote what could not be read; those are replaced by the meaning of the
    /// SQLSTATE. What a function of ours raises is meant for people and stays as it is.
    static func choose(
        primary: String, sqlState: String, raisedByFunction: Bool, values: [String?]
    ) -> String {
        if raisedByFunction { return primary }
        if sqlState.hasPrefix("22") { return meanings[sqlState] ?? "a value cannot be used" }
        for case let value? in values where value.utf8.count >= 4 && contains(primary, value) {
            return "the message is withheld because it quotes a value"
        }
        return primary
    }

    private static let meanings = [
        "22001": "a text is too long for its column",
        "22003": "a number is out of range",
        "22004": "a value is NULL where that is not allowed",
        "22007": "a value is not a date or time",
        "22008": "a date or time is out of range",
        "22012": "division by zero",
        "22021": "a text is not valid in the database's encoding",
        "22023": "an argument is invalid",
        "22P02": "a value does not have the form of its type",
        "22P05": "a character does not exist in the database's encoding",
    ]

    private static func contains(_ text: String, _ part: String) -> Bool {
        let text = Array(text.utf8)
        let part = Array(part.utf8)
        guard part.count <= text.count else { return false }
        return (0...(text.count - part.count)).contains { start in
            text[start..<(start + part.count)].elementsEqual(part)
        }
    }
}
