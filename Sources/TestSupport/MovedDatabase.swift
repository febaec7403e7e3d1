import Core
import Foundation
package import Postgres

/// A database on the second server, which knows nothing of the first: a dump of another is restored
/// into it, as on a new host.
package final class MovedDatabase: Sendable {
    package let name: String
    package let url: String
    private let cluster: TestCluster

    /// - Parameter collation: What its texts are ordered by unless a column says otherwise: an ICU
    ///   locale, or nil for the bytes.
    package init(collation: String? = nil) throws {
        cluster = try TestCluster.other()
        name = "moved_" + RunID.make().filter { $0 != "-" }
        let locale = collation.map { "LOCALE_PROVIDER icu ICU_LOCALE '\($0)'" } ?? ""
        let admin = try cluster.connect()
        try admin.execute("CREATE DATABASE \(raw: name) TEMPLATE template0 \(raw: locale)")
        url = try cluster.url(database: name)
    }

    deinit {
        guard let admin = try? cluster.connect() else { return }
        _ = try? admin.execute("DROP DATABASE IF EXISTS \(raw: name) WITH (FORCE)")
    }

    package func connect(role: String? = nil) throws -> Connection {
        try Connection(
            url: cluster.url(database: name, role: role), connectTimeout: .seconds(30),
            applicationName: "holdfast-tests", statementTimeout: .seconds(30))
    }

    /// Fills it from a dump of another database.
    ///
    /// - Parameter hasRoles: Whether our four roles are there before, as a dump needs them.
    package func restore(from source: String, hasRoles: Bool = true) async throws {
        if hasRoles { try makeRoles() }
        let file = NSTemporaryDirectory() + "holdfast-dump-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: file) }
        let dumped = try await Executable.run(
            Self.tool("pg_dump"), arguments: ["-Fc", "-f", file, source])
        guard dumped.status == 0 else { throw TestSupportError("pg_dump: \(dumped.stderr)") }
        let restored = try await Executable.run(
            Self.tool("pg_restore"),
            arguments: (hasRoles ? [] : ["--no-owner", "--no-acl"]) + ["-d", url, file])
        guard restored.status == 0 else { throw TestSupportError("pg_restore: \(restored.stderr)") }
    }

    /// Our four roles, with a login, on the second server.
    package func makeRoles() throws {
        let admin = try cluster.connect()
        for role in ["holdfast_owner", "holdfast_app", "holdfast_jobs", "holdfast_report"] {
            try admin.execute(
                """
                DO $$ BEGIN
                    CREATE ROLE \(raw: role) LOGIN;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    ALTER ROLE \(raw: role) LOGIN;
                END $$
                """)
        }
    }

    /// Spends transaction ids of another server until they are far beyond this one's.
    package func fallBehind(_ other: borrowing Connection) throws {
        let id: SQL = "SELECT pg_current_xact_id()::text::bigint AS id"
        let ours = try cluster.connect().query(id).single().int64("id")
        let ahead = try ours + 5000 - other.query(id).single().int64("id")
        guard ahead > 0 else { return }
        try other.execute(
            """
            DO $$ BEGIN
                FOR i IN 1..\(raw: String(ahead)) LOOP
                    PERFORM pg_current_xact_id();
                    COMMIT;
                END LOOP;
            END $$
            """)
    }

    /// One of PostgreSQL's own programs, of the version that the servers are.
    package static func tool(_ name: String) throws -> String {
        let folder = try TestCluster.shared().connect().query(
            "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
        ).single().text("setting")
        return "\(folder)/\(name)"
    }
}
