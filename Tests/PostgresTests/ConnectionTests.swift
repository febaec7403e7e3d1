import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ConnectionTests {
    private static func connect(_ url: String, _ timeout: Duration = .seconds(20)) -> PostgresError?
    {
        do {
            _ = try Connection(url: url, connectTimeout: timeout, applicationName: "t")
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        "", "hunter2", "postgres://u:hunter2@h:notaport/db", "postgres://u:hunter2@h/db?bogus=1",
        "postgres://u:hunter2@[::1/db", "postgres://u:hunter2@h/%zz", "host=h password=hunter2 'x",
        "postgres://u:hunter2@h/db\0",
    ])
    func aMalformedURLIsNotQuoted(url: String) throws {
        let error = try #require(Self.connect(url))
        #expect(!error.failure.message.contains("hunter2"))
        #expect(error.failure.message.contains("HOLDFAST_DATABASE_URL"))
        // A port that is not a number is found by libpq later than the rest.
        #expect(error.failure.status == .configuration, "\(error)")
        #expect(error.failure.code == "database_url", "\(error)")
    }

    @Test func aClosedPortIsUnavailable() throws {
        let port = try Listener(accepts: false)
        let error = try #require(
            Self.connect("postgres://u:hunter2@127.0.0.1:\(port.number)/books"))
        #expect(error.isConnectionLoss)
        #expect(error.failure.status == .databaseUnavailable)
        #expect(error.failure.message.contains("127.0.0.1:\(port.number)/books"))
        #expect(error.failure.message.contains("connection refused"))
        #expect(!error.failure.message.contains("hunter2"))
    }

    @Test func aServerThatSaysNothingCostsTheTimeoutAndNoMore() throws {
        let port = try Listener(accepts: true)
        let start = ContinuousClock.now
        let error = try #require(
            Self.connect("postgres://u:hunter2@127.0.0.1:\(port.number)/books", .milliseconds(150)))
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(error.failure.code == "database_unavailable")
        #expect(error.failure.message.contains("no answer within 150ms"))
    }

    @Test(
        arguments: [
            ("no_such_role", nil, "28000"), (nil, "no_such_database", "3D000"),
            ("nologin_role", nil, "28000"), ("crowded_role", nil, "53300"),
            (nil, "closed_database", "55000"),
        ] as [(String?, String?, String)])
    func aRefusedLoginKeepsItsCode(role: String?, database: String?, state: String) throws {
        _ = try ScratchDatabase(Self.logins)
        let cluster = try TestCluster.shared()
        let url = try cluster.url(database: database ?? "postgres", role: role)
        let error = try #require(
            Self.connect(url.replacingOccurrences(of: "@", with: ":hunter2@")))
        #expect(error.sqlState == state)
        #expect(error.operation == "connect")
        #expect(error.isLoginFailure == (state == "28000" || state == "3D000"))
        #expect(!error.failure.message.contains("hunter2"))
        if error.isLoginFailure { #expect(error.failure.status == .configuration) }
        if state == "53300" { #expect(error.failure.status == .databaseUnavailable) }
    }

    static let logins = DatabaseTemplate(name: "logins", digest: "1", roles: []) {
        try $0.execute("CREATE ROLE nologin_role NOLOGIN")
        try $0.execute("CREATE ROLE crowded_role LOGIN CONNECTION LIMIT 0")
        try $0.execute("CREATE DATABASE closed_database ALLOW_CONNECTIONS false")
    }

    @Test func aStatementThatTakesTooLongIsCancelled() throws {
        let database = try TestCluster.shared().connect()
        let error = #expect(throws: PostgresError.self) {
            _ = try database.query("SELECT pg_sleep(60)", timeout: .milliseconds(100))
        }
        #expect(error?.sqlState == "57014")
        #expect(error?.message == "no answer within 100ms")
        #expect(error?.failure.code == "database_busy")
        #expect(try database.query("SELECT 1 AS one").single().int("one") == 1)
    }

    @Test func aServerThatIsFrozenIsGivenUp() throws {
        let scratch = try ScratchDatabase()
        let database = try Connection(
            url: scratch.url, applicationName: "t", statementTimeout: .milliseconds(200),
            cancelGrace: .milliseconds(200))
        let pid = try database.query("SELECT pg_backend_pid() AS pid").single().int("pid")
        // Only possible where the server is ours or we are root.
        guard kill(pid_t(pid), SIGSTOP) == 0 else { return }
        defer { kill(pid_t(pid), SIGCONT) }
        let error = #expect(throws: PostgresError.self) { _ = try database.query("SELECT 1") }
        #expect(error?.isConnectionLoss == true)
        #expect(error?.failure.status == .databaseUnavailable)
        let second = #expect(throws: PostgresError.self) { _ = try database.query("SELECT 1") }
        #expect(second?.isConnectionLoss == true)
        let isAlive = database.isAlive
        #expect(!isAlive)
    }

    @Test func aConnectionThatIsCutDuringAStatementIsLost() throws {
        let database = try TestCluster.shared().connect()
        let error = #expect(throws: PostgresError.self) {
            _ = try database.query("SELECT pg_terminate_backend(pg_backend_pid())")
        }
        #expect(error?.sqlState == "57P01")
        #expect(error?.isConnectionLoss == true)
        let second = #expect(throws: PostgresError.self) {
            _ = try database.query("SELECT \("hunter2")::text")
        }
        #expect(second?.isConnectionLoss == true)
        #expect(second?.failure.status == .databaseUnavailable)
    }

    @Test func aConnectionThatIsCutBetweenStatementsIsLost() throws {
        let scratch = try ScratchDatabase()
        let database = try scratch.connect()
        let other = try scratch.connect()
        let pid = try database.query("SELECT pg_backend_pid() AS pid").single().int("pid")
        try other.execute("SELECT pg_terminate_backend(\(pid)::int, 10000)")
        let error = #expect(throws: PostgresError.self) { _ = try database.query("SELECT 1") }
        #expect(error?.isConnectionLoss == true)
        #expect(error?.failure.code == "database_unavailable")
    }

    @Test func copyIsRefusedAndHangsNothing() throws {
        let database = try TestCluster.shared().connect()
        for statement in ["COPY (SELECT 1) TO STDOUT", "COPY pg_class FROM STDIN"] as [SQL] {
            #expect(throws: PostgresError.self) { _ = try database.query(statement) }
        }
    }

    @Test func noticesAreNotAnswersAndLongAnswersArrive() throws {
        let database = try TestCluster.shared().connect()
        try database.script("DO $$ BEGIN RAISE WARNING 'not to be seen'; END $$")
        let rows = try database.query(
            "SELECT n, repeat('x', 100) AS words FROM generate_series(1, 50000) AS n")
        #expect(rows.count == 50_000)
        #expect(try rows[49_999].int("n") == 50_000)
        let version = database.serverVersion
        #expect(version >= 150_000)
        let place = database.place
        #expect(place.contains("127.0.0.1:"))
    }

    @Test func theEncodingIsOursWhateverTheServerPrefers() throws {
        let scratch = try ScratchDatabase()
        try scratch.connect().execute(
            "ALTER DATABASE \(raw: scratch.name) SET client_encoding = 'LATIN1'")
        let database = try scratch.connect()
        #expect(try database.query("SELECT \("é東")::text AS it").single().text("it") == "é東")
    }

    @Test(arguments: [
        "postgres://u@db.example.com/x", "postgres://u@127.0.0.1,10.0.0.1/x",
        "postgres://u@/x?host=10.1.2.3", "postgres://u@localhost/x?hostaddr=10.1.2.3", "x",
    ])
    func testsRefuseADatabaseElsewhere(url: String) {
        #expect(throws: TestSupportError.self) { try TestCluster.refuseForeignHost(url) }
    }
}

/// A port of this machine that does not speak PostgreSQL: closed, or open and silent.
private final class Listener {
    let number: Int
    private let descriptor: Int32

    init(accepts: Bool) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) | getsockname(descriptor, address, &length)
            }
        }
        // Bound without listening: the kernel refuses, and nobody else can take the port.
        guard code == 0, !accepts || listen(descriptor, 8) == 0 else {
            throw TestSupportError("no port")
        }
        number = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
