package import Core
package import Postgres

/// Creates and upgrades schema `holdfast`; safe to repeat, and safe on two hosts at once.
package struct Installer: Sendable {
    /// What an installation did.
    package struct Report: Equatable, Sendable {
        package var applied: [Int] = []
        package var version = 0
        /// Why the roles could not be created; nil when they are there.
        package var rolesMissing: String?
    }

    package init() {}

    /// Creates roles and schema where they are missing and applies all migrations.
    ///
    /// - Parameters:
    ///   - installation: The name that the installation gets if it has none yet; its database's if nil.
    ///   - actor: Who does it, for the audit trail.
    package func setUp(
        _ connection: borrowing Connection, installation: String? = nil, actor: String = "setup"
    ) throws -> Report {
        var rolesMissing: String?
        do {
            try connection.transaction { try connection.script(Roles.create) }
        } catch let error as PostgresError where error.sqlState == "42501" {
            rolesMissing =
                "this login may not create roles; the schema works without them, and grants are "
                + "left to you"
        }
        var report = try allowed(connection) { try apply(connection, createSchema: true) }
        report.rolesMissing = rolesMissing
        try connection.execute(
            "SELECT holdfast.set_up_installation(\(installation), \(actor))")
        return report
    }

    /// Applies the migrations that the schema lacks.
    package func migrate(_ connection: borrowing Connection) throws -> Report {
        try allowed(connection) { try apply(connection, createSchema: false) }
    }

    /// Says what this login may not do in the words of whoever gave it its rights.
    private func allowed<R>(
        _ connection: borrowing Connection, _ work: () throws -> R
    ) throws -> R {
        do {
            return try work()
        } catch let error as PostgresError where error.sqlState == "42501" {
            let row = try connection.query(
                """
                SELECT current_user AS login, current_database() AS database,
                    quote_ident(current_user) AS login_name,
                    quote_ident(current_database()) AS database_name,
                    (SELECT pg_get_userbyid(nspowner) FROM pg_namespace
                        WHERE nspname = 'holdfast') AS owner
                """
            ).single()
            let (login, name) = (try row.text("login"), try row.text("login_name"))
            guard let owner = try row.optionalText("owner") else {
                throw Failure(
                    .configuration, code: "database_permission",
                    "login \(login) may not create a schema in database "
                        + "\(try row.text("database")); run holdfast setup with the login of the "
                        + "database's owner, or have the owner run: GRANT CREATE ON DATABASE "
                        + "\(try row.text("database_name")) TO \(name)")
            }
            throw Failure(
                .configuration, code: "database_permission",
                "login \(login) may not change schema holdfast, which belongs to \(owner) "
                    + "(\(error.message)); use the login of \(owner) in HOLDFAST_DATABASE_URL")
        }
    }

    /// The SQL that `setUp` or `migrate` would run now, for a person to read or to run.
    package func plan(
        _ connection: borrowing Connection, setUp: Bool, installation: String? = nil
    ) throws -> String {
        let version = try Self.version(connection) ?? 0
        guard setUp || version > 0 else { throw Self.missing }
        var parts: [String] = []
        if setUp { parts.append(Roles.create) }
        let pending = Migration.all.filter { $0.version > version }
        parts.append("BEGIN;")
        if version == 0 { parts.append(Roles.createSchema) }
        parts.append(Rights.takeOver)
        parts.append(Roles.actAsOwner)
        if version == 0 { parts.append(Roles.createVersionTable) }
        for migration in pending {
            parts.append("-- \(migration.version): \(migration.name)\n" + migration.sql)
            parts.append(
                "INSERT INTO holdfast.schema_version (version, name, works_with) "
                    + "VALUES (\(migration.version), '\(migration.name)', \(Migration.worksWith));")
        }
        if !pending.contains(where: { $0.version == Migration.rights.version }) {
            parts.append(Migration.rights.sql)
        }
        parts.append(Rights.moveSequences)
        if setUp {
            let name = installation.map { "'" + $0.replacing("'", with: "''") + "'" } ?? "NULL"
            parts.append("SELECT holdfast.set_up_installation(\(name), current_user);")
        }
        parts.append("COMMIT;")
        return parts.joined(separator: "\n\n")
    }

    /// The version of the schema in this database; nil when it has none.
    package static func version(_ connection: borrowing Connection) throws -> Int? {
        do {
            return try connection.query(
                "SELECT coalesce(max(version), 0) AS version FROM holdfast.schema_version"
            ).single().int("version")
        } catch let error as PostgresError where ["42P01", "3F000"].contains(error.sqlState) {
            return nil
        }
    }

    /// Refuses a database whose schema this build does not work with: older than that of the release
    /// before, or of a release that has left this one behind.
    package static func check(_ connection: borrowing Connection) throws {
        guard let version = try version(connection) else { throw missing }
        guard try fits(connection) else { throw wrong(version) }
    }

    /// Whether this build works with the schema; what `holdfast.schema_version` says of itself decides
    /// where it is newer.
    private static func fits(_ connection: borrowing Connection) throws -> Bool {
        do {
            return try connection.query(
                """
                SELECT \(raw: Migration.fits) AS fits FROM holdfast.schema_version v
                """
            ).single().bool("fits")
        } catch let error as PostgresError where error.sqlState == "42703" {
            // From before schemas said whom they work with.
            return false
        }
    }

    package static var missing: Failure {
        Failure(
            .configuration, code: "schema_missing",
            "the database has no schema holdfast; run: holdfast setup")
    }

    package static func wrong(_ version: Int) -> Failure {
        version <= Migration.current
            ? Failure(
                .configuration, code: "schema_version",
                "schema holdfast has version \(version), this build works with versions from "
                    + "\(Migration.oldest) to \(Migration.current); run: holdfast migrate")
            : Failure(
                .configuration, code: "schema_version",
                "schema holdfast has version \(version) and works with later releases only, this "
                    + "build knows \(Migration.current); install the newer build on this host")
    }

    private func apply(
        _ connection: borrowing Connection, createSchema: Bool
    ) throws -> Report {
        try connection.transaction {
            // Two hosts that migrate at once: the second waits here and finds nothing to do.
            try connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('holdfast.migrate', 0))")
            if createSchema { try connection.script(Roles.createSchema) }
            guard
                try connection.query("SELECT to_regnamespace('holdfast') IS NOT NULL AS there")
                    .single().bool("there")
            else { throw Self.missing }
            try connection.script(Rights.takeOver)
            try connection.script(Roles.actAsOwner)
            if createSchema { try connection.script(Roles.createVersionTable) }
            guard
                try connection.query(
                    "SELECT to_regclass('holdfast.schema_version') IS NOT NULL AS there"
                ).single().bool("there")
            else { throw Self.missing }
            let version = try Self.version(connection) ?? 0
            if version > Migration.current {
                // A later release's schema, which takes nothing from us.
                guard try Self.fits(connection) else { throw Self.wrong(version) }
                return Report(version: version)
            }
            var report = Report(version: Migration.current)
            for migration in Migration.all where migration.version > version {
                try connection.script(migration.sql, timeout: .seconds(600))
                try connection.execute(
                    """
                    INSERT INTO holdfast.schema_version (version, name, works_with)
                    VALUES (\(migration.version)::integer, \(migration.name),
                        \(Migration.worksWith)::integer)
                    """)
                report.applied.append(migration.version)
            }
            if !report.applied.contains(Migration.rights.version) {
                try connection.script(Migration.rights.sql)
            }
            try connection.script(Rights.moveSequences, timeout: .seconds(600))
            return report
        }
    }
}
