import Core
import Foundation
package import Postgres

/// A database that is made once per server and copied for each test.
package struct DatabaseTemplate: Sendable {
    /// Small letters, digits and underscores.
    package var name: String
    /// Changes when what `prepare` does changes.
    package var digest: String
    /// Logins that exist on the server before `prepare` runs; made once per server.
    package var roles: [String]
    package var prepare: @Sendable (borrowing Connection) throws -> Void

    package init(
        name: String, digest: String,
        roles: [String] = ["holdfast_owner", "holdfast_app", "holdfast_jobs", "holdfast_report"],
        prepare: @escaping @Sendable (borrowing Connection) throws -> Void
    ) {
        self.name = name
        self.digest = digest
        self.roles = roles
        self.prepare = prepare
    }

    /// Nothing in it.
    package static let empty = DatabaseTemplate(name: "empty", digest: "1", roles: []) { _ in }

    var database: String {
        let digest = digest.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber) }
        return "template_\(name)_\(digest.prefix(32))"
    }
}

/// A database of one test's own, dropped when the test lets go of it.
package final class ScratchDatabase: Sendable {
    package let name: String
    package let url: String
    private let cluster: TestCluster

    package init(_ template: DatabaseTemplate = .empty) throws {
        let cluster = try TestCluster.shared()
        try Self.makeOnce(template, on: cluster)
        let name = "scratch_" + RunID.make().filter { $0 != "-" }
        let admin = try cluster.connect()
        // Copying files is the faster way where nothing has to reach the disk.
        try admin.execute(
            """
            CREATE DATABASE \(raw: name) TEMPLATE \(raw: template.database) STRATEGY file_copy
            """)
        self.cluster = cluster
        self.name = name
        url = try cluster.url(database: name)
    }

    /// A copy of another one, as `CREATE DATABASE ... TEMPLATE` makes it.
    package init(copying other: ScratchDatabase) throws {
        cluster = other.cluster
        name = "scratch_" + RunID.make().filter { $0 != "-" }
        url = try cluster.url(database: name)
        try cluster.connect().execute(
            """
            CREATE DATABASE \(raw: name) TEMPLATE \(raw: other.name) STRATEGY file_copy
            """)
    }

    /// A copy of another one, as `pg_dump` and `pg_restore` make it.
    package init(restoring other: ScratchDatabase) throws {
        cluster = other.cluster
        name = "scratch_" + RunID.make().filter { $0 != "-" }
        url = try cluster.url(database: name)
        let admin = try cluster.connect()
        try admin.execute("CREATE DATABASE \(raw: name) TEMPLATE template0")
        let tools = try admin.query("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .single().text("setting")
        let file = NSTemporaryDirectory() + "holdfast-dump-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: file) }
        for (tool, arguments) in [
            ("pg_dump", ["-Fc", "-f", file, other.url]), ("pg_restore", ["-d", url, file]),
        ] {
            let run = try Executable.runBlocking("\(tools)/\(tool)", arguments: arguments)
            guard run.status == 0 else { throw TestSupportError("\(tool): \(run.stderr)") }
        }
    }

    deinit {
        Self.unwanted.withLock { unwanted in
            unwanted.append(name)
            unwanted = (try? Self.drop(unwanted, on: cluster)) ?? unwanted
        }
    }

    /// Names of databases that nobody holds any more, and that are still there.
    private static let unwanted = Guarded<[String]>([])

    /// Drops what can be dropped, with the connections that killed programs left behind.
    ///
    /// A connection of a test itself keeps its database until later: `ScratchDatabase().connect()`
    /// lets go of the one before the other.
    private static func drop(_ names: [String], on cluster: TestCluster) throws -> [String] {
        let admin = try cluster.connect()
        let busy = try admin.query(
            """
            SELECT DISTINCT datname FROM pg_stat_activity
            WHERE application_name = \(applicationName) AND datname = ANY (\(names)::name[])
            """
        ).map { try $0.text("datname") }
        for name in names where !busy.contains(name) {
            try admin.execute("DROP DATABASE IF EXISTS \(raw: name) WITH (FORCE)")
        }
        return busy
    }

    private static let applicationName = "holdfast-tests"

    /// The address for another login.
    package func url(role: String) throws -> String {
        try cluster.url(database: name, role: role)
    }

    /// A connection to it, as the server's owner or as `role`.
    package func connect(
        role: String? = nil, statementTimeout: Duration = .seconds(30)
    ) throws -> Connection {
        try Connection(
            url: cluster.url(database: name, role: role), connectTimeout: .seconds(30),
            applicationName: Self.applicationName, statementTimeout: statementTimeout)
    }

    /// Several processes may use one server: whoever gets the lock first makes the template.
    private static func makeOnce(_ template: DatabaseTemplate, on cluster: TestCluster) throws {
        try ready.withLock { ready in
            if ready.contains(template.database) { return }
            let admin = try cluster.connect()
            // Held by this connection and gone with it. The lock belongs to the maintenance
            // database, which everybody takes it in, so it counts for the whole server.
            try admin.execute("SELECT pg_advisory_lock(7306290001)")
            let made = try admin.query(
                "SELECT 1 AS one FROM pg_database WHERE datname = \(template.database)")
            if made.isEmpty { try make(template, admin, cluster) }
            ready.insert(template.database)
        }
    }

    private static let ready = Guarded<Set<String>>([])

    private static func make(
        _ template: DatabaseTemplate, _ admin: borrowing Connection, _ cluster: TestCluster
    ) throws {
        for role in template.roles {
            // A test of the installer may have made the role before, and without a login.
            try admin.execute(
                """
                DO $$ BEGIN
                    CREATE ROLE \(raw: role) LOGIN;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    ALTER ROLE \(raw: role) LOGIN;
                END $$
                """)
        }
        // It gets its name when it is complete; a half-made one is made again.
        let draft = "draft_" + template.database.prefix(50)
        try admin.execute("DROP DATABASE IF EXISTS \(raw: draft) WITH (FORCE)")
        try admin.execute("CREATE DATABASE \(raw: draft) TEMPLATE template0")
        try prepare(
            template,
            Connection(
                url: cluster.url(database: draft), connectTimeout: .seconds(30),
                applicationName: Self.applicationName, statementTimeout: .seconds(120)))
        try admin.execute("ALTER DATABASE \(raw: draft) RENAME TO \(raw: template.database)")
    }

    /// A function of its own, so that the connection is closed before the database is copied.
    private static func prepare(
        _ template: DatabaseTemplate, _ connection: consuming Connection
    ) throws {
        try template.prepare(connection)
    }
}
