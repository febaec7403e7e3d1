import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What a login may not do and what is not there, in the words of whoever set the address.
@Suite struct LoginMessages {
    @Test(arguments: ["stuck-sweeper", "holdfast doctor", "holdfast setup"])
    func `a database that is not there is named`(_ command: String) async throws {
        let line = try RescueLine()
        let url = try #require(
            URL(string: line.database.url)?.deletingLastPathComponent().appendingPathComponent(
                "apq-nope"))
        let words = command.split(separator: " ").map(String.init)
        let finished = try await line.run(
            words[0], Array(words.dropFirst()), ["HOLDFAST_DATABASE_URL": url.absoluteString])
        #expect(finished.status == 78, "\(finished.stderr)")
        let said = finished.stdout + finished.stderr
        #expect(said.contains("there is no database \"apq-nope\""), "\(said)")
    }

    @Test func `a login that may not set up is told what it lacks, and what gives it`() async throws
    {
        let database = try ScratchDatabase()
        let name = "plain_" + RunID.make().prefix(8)
        let admin = try database.connect()
        try admin.execute("CREATE ROLE \(raw: name) LOGIN")
        defer { _ = try? admin.execute("DROP ROLE \(raw: name)") }
        try admin.execute("REVOKE CREATE ON DATABASE \(raw: database.name) FROM PUBLIC")
        let settings = ["HOLDFAST_DATABASE_URL": try database.url(role: name)]
        let finished = try await Executable.run(
            "holdfast", arguments: ["setup"], environment: settings)
        #expect(finished.status == 78, "\(finished.stderr)")
        #expect(
            finished.stderr.contains(
                "login \(name) may not create a schema in database \(database.name)"),
            "\(finished.stderr)")
        let grant = "GRANT CREATE ON DATABASE \(database.name) TO \(name)"
        #expect(finished.stderr.contains(grant), "\(finished.stderr)")
        #expect(!finished.stderr.contains("\"script\""), "\(finished.stderr)")
        // The advice works.
        try admin.execute("\(raw: grant)")
        let again = try await Executable.run(
            "holdfast", arguments: ["setup"], environment: settings)
        #expect(again.status == 0, "\(again.stderr)")
        try admin.execute("DROP SCHEMA holdfast CASCADE")
        try admin.execute("REVOKE ALL ON DATABASE \(raw: database.name) FROM \(raw: name)")
    }

    @Test(arguments: ["setup", "migrate"])
    func `a schema of somebody else is said to be that`(_ command: String) async throws {
        let database = try ScratchDatabase()
        let name = "plain_" + RunID.make().prefix(8)
        let admin = try database.connect()
        try admin.execute("CREATE ROLE \(raw: name) LOGIN")
        defer { _ = try? admin.execute("DROP ROLE \(raw: name)") }
        try admin.execute("CREATE SCHEMA holdfast")
        let finished = try await Executable.run(
            "holdfast", arguments: [command],
            environment: ["HOLDFAST_DATABASE_URL": try database.url(role: name)])
        #expect(finished.status == 78, "\(finished.stderr)")
        #expect(
            finished.stderr.contains("login \(name) may not change schema holdfast"),
            "\(finished.stderr)")
        #expect(!finished.stderr.contains("\"script\""), "\(finished.stderr)")
    }
}
