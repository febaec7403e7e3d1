import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Every command of docs/operate/move.md, run in its order.
@Suite struct MoveGuide {
    /// The commands of a section: its blocks that are indented by four.
    private func commands(_ section: String) throws -> [String] {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../docs/operate/move.md")
        let lines = try String(contentsOf: page, encoding: .utf8).components(separatedBy: "\n")
        let begin = try #require(
            lines.firstIndex(of: "## " + section), "there is no section \(section)")
        let end =
            lines[(begin + 1)...].firstIndex { $0.hasPrefix("## ") } ?? lines.endIndex
        return lines[begin..<end].filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
    }

    private func follow(_ section: String, _ variables: [String: String]) async throws {
        let folder = NSTemporaryDirectory() + "holdfast-move-" + RunID.make()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tools = URL(filePath: try MovedDatabase.tool("psql")).deletingLastPathComponent().path
        let commands = try commands(section)
        #expect(commands.count >= 3)
        let script = "set -eu\ncd '\(folder)'\n" + commands.joined(separator: "\n")
        let run = try await Executable.run(
            "/bin/sh", arguments: ["-c", script],
            environment: variables.merging(["PATH": "\(Executable.folder):\(tools):/usr/bin:/bin"])
            {
                $1
            })
        #expect(run.status == 0, "\(section): \(run.stdout)\n\(run.stderr)")
    }

    private func scene() async throws -> NightScene {
        let scene = try await NightScene(jobs: 20, accounts: 4)
        #expect(try await scene.run().status == 0)
        return scene
    }

    private func check(_ url: String, _ scene: NightScene) async throws {
        let there: [String: String?] = ["HOLDFAST_DATABASE_URL": url]
        let night = try await scene.line.report(
            "ledger-reconciler", [], offset: scene.offset(night: 1), there)
        #expect(night["exit_status"]?.int == 0, "\(night)")
        let doctor = try await scene.line.run("holdfast", ["doctor"], there)
        for check in ["rights", "sequences", "schema"] {
            #expect(doctor.stdout.contains("ok    \(check)"), "\(doctor.stdout)")
        }
    }

    @Test(arguments: ["Dump and restore", "Dump and restore without the roles"])
    func `a dump`(_ section: String) async throws {
        let moved = try MovedDatabase(collation: "en-US")
        try moved.fallBehind(TestCluster.shared().connect())
        let scene = try await scene()
        try await follow(
            section, ["OLD": scene.line.database.url, "NEW": moved.url])
        try await check(moved.url, scene)
    }

    @Test func `logical replication and its switch-over`() async throws {
        let scene = try await scene()
        // The second server is the one that may be replicated from.
        let old = try MovedDatabase()
        try await old.restore(from: scene.line.database.url)
        let new = try ScratchDatabase()
        try await follow("Logical replication", ["OLD": old.url, "NEW": new.url])
        try await check(new.url, scene)
    }
}
