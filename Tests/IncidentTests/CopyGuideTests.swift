import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Every command of docs/operate/copy.md, run in its order.
@Suite struct CopyGuide {
    private static func commands() throws -> String {
        let page = URL(filePath: #filePath).appending(path: "../../../docs/operate/copy.md")
        return try String(contentsOf: page.standardized, encoding: .utf8)
            .split(separator: "\n").filter { $0.hasPrefix("    ") }.joined(separator: "\n")
    }

    @Test func `its commands make a copy an installation of its own`() async throws {
        let line = try RescueLine()
        try await CopyScene.fill(line)
        let (staging, moved) = (try ScratchDatabase(), try ScratchDatabase(copying: line.database))
        let folder = NSTemporaryDirectory() + "holdfast-copy-" + RunID.make()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let before = try CopyScene.traces(line)
        let tools = try line.sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .single().text("setting")
        var environment = line.environment([
            "PRODUCTION": line.database.url, "STAGING": staging.url, "MOVED": moved.url,
            "STAGING_FOLDER": folder + "/staging",
            "PATH": "\(Executable.folder):\(tools):/usr/bin:/bin",
        ])
        environment["HOLDFAST_DATABASE_URL"] = line.database.url
        let commands = try Self.commands()
        #expect(commands.split(separator: "\n").count >= 17)
        let script = "set -eu\ncd '\(folder)'\n" + commands
        let run = try await Executable.run(
            "/bin/sh", arguments: ["-c", script], environment: environment)
        #expect(run.status == 0, "\(run.stdout)\n\(run.stderr)")
        #expect(try CopyScene.traces(line) == before)
        let connection = try staging.connect()
        let row = try connection.query(
            "SELECT name, cardinality(off) AS off FROM holdfast.installation"
        ).single()
        #expect(try row.text("name") == "staging")
        #expect(try row.int("off") == 0)
        #expect(
            try connection.query(
                "SELECT count(*) AS n FROM holdfast.job WHERE blocked = 'person'"
            ).single().int("n") == 3)
    }
}
