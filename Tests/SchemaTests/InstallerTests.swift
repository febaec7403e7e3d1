import Core
import Postgres
import Schema
import TestSupport
import Testing

@Suite struct InstallerTests {
    @Test func `setup and migrate may be repeated`() throws {
        let database = try ScratchDatabase()
        let connection = try database.connect()
        #expect(throws: Failure.self) { try Installer.check(connection) }
        let first = try Installer().setUp(connection)
        #expect(first.applied == Migration.all.map(\.version))
        #expect(try Installer().setUp(connection).applied == [])
        #expect(try Installer().migrate(connection).applied == [])
        try Installer.check(connection)
    }

    @Test func `two hosts may set up at once`() async throws {
        let database = try ScratchDatabase()
        let applied = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 1...6 {
                group.addTask { try Installer().setUp(database.connect()).applied.count }
            }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(applied.count { $0 == Migration.all.count } == 1)
        #expect(applied.count { $0 == 0 } == 5)
    }

    @Test func `the plan printed by a dry run is what setup would do`() throws {
        let database = try ScratchDatabase()
        let connection = try database.connect()
        let plan = try Installer().plan(connection, setUp: true)
        #expect(try Installer.version(connection) == nil)
        try connection.script(plan)
        try Installer.check(connection)
        let next = try Installer().plan(connection, setUp: false)
        #expect(!next.contains("INSERT INTO holdfast.schema_version"))
        #expect(next.contains("GRANT USAGE ON SCHEMA holdfast"))
    }

    @Test func `a database of a newer build is refused`() throws {
        let database = try ScratchDatabase(RescueLine.template)
        let connection = try database.connect()
        try connection.execute("INSERT INTO holdfast.schema_version VALUES (9999, 'future')")
        #expect(throws: Failure.self) { try Installer().migrate(connection) }
        let failure = #expect(throws: Failure.self) { try Installer.check(connection) }
        #expect(failure?.status == .configuration)
    }
}
