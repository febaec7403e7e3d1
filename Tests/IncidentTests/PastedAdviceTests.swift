import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What a message, a break or a page tells a person to run can be pasted as it stands: the shell takes
/// it, the command is there, and it takes these flags.
@Suite struct PastedAdvice {
    /// Runs a line as it would be pasted, where no database is named: a command that is right says that,
    /// and one that is wrong says what is wrong with it.
    private func paste(_ line: String) async throws -> [Finished] {
        var ends: [Finished] = []
        let bare = line.firstRange(of: "  # ").map { String(line[..<$0.lowerBound]) } ?? line
        let whole = try await Executable.run("/bin/sh", arguments: ["-n", "-c", line])
        ends.append(whole)
        for command in bare.components(separatedBy: " && ") {
            ends.append(
                try await Executable.run(
                    "/bin/sh", arguments: ["-c", command + " # a comment is none"],
                    environment: ["PATH": Executable.folder + ":/usr/bin:/bin"]))
        }
        return ends
    }

    private func check(_ line: String) async throws {
        let ends = try await paste(line)
        #expect(ends.first?.status == 0, "the shell does not take: \(line)")
        for end in ends.dropFirst() {
            #expect(
                end.status == 78 && end.stderr.contains("HOLDFAST_DATABASE_URL is not set"),
                "\(line): \(end.stderr)")
        }
        // A word to be replaced is said to be one.
        let bare = line.components(separatedBy: "  # ")[0]
        for word in ["TEXT", "TASK", "JOB"] where bare.contains(" \(word)") {
            #expect(line.contains("\(word): "), "\(line)")
        }
    }

    @Test func `the fix of every class of break`() async throws {
        let scene = try await NightScene()
        try scene.plant(1)
        _ = try await scene.report()
        let rows = try scene.line.sql(
            "SELECT DISTINCT ON (class) class, fix FROM holdfast.break ORDER BY class")
        #expect(rows.count >= 35)
        for row in rows { try await check(try row.text("fix")) }
    }

    @Test func `what frees a job for each reason that it is blocked for`() async throws {
        let line = try RescueLine()
        for (place, reason) in ["brake", "crashed", "submission_unknown", "person"].enumerated() {
            // An id may hold a blank, a quote and a dollar.
            let id = ["job 1", "job'2", "job-3", "job $4"][place]
            try line.open(id, taskID: nil)
            try line.sql(
                """
                UPDATE holdfast.job SET blocked = \(reason), blocked_reason = 'as a test'
                WHERE job_id = \(id)
                """)
            let shown = try await line.run("holdfast", ["job", "show", "--", id])
            let next = try #require(
                shown.stdout.split(separator: "\n").first { $0.contains("next: ") })
            try await check(String(next.components(separatedBy: "next: ").last ?? ""))
            let advice = try line.value(
                """
                SELECT d.by_hand FROM holdfast.describe_job_break('blocked',
                    jsonb_build_object('job_id', \(id)::text, 'blocked', \(reason)::text)) d
                """)
            try await check(advice)
        }
    }

    @Test func `every command that a text or a page names is there`() async throws {
        let groups = [
            "job", "account", "asset", "callback", "break", "books", "usage", "policy", "provider",
        ]
        var help: [String: String] = [:]
        for group in groups {
            help[group] = try await Executable.run("holdfast", arguments: [group, "--help"]).stdout
        }
        var named = 0
        for folder in ["Sources", "runbooks", "docs", "README.md"] {
            for path in Self.files(Crontab.root + "/" + folder) {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                #expect(
                    !text.contains("; then holdfast") && !text.contains(", then holdfast"),
                    "\(path): a shell takes &&, and no then")
                for match in text.matches(of: #/holdfast ([a-z]+) ([a-z]+(?:-[a-z]+)*)/#) {
                    guard let page = help[String(match.1)] else { continue }
                    named += 1
                    #expect(
                        page.contains("  \(match.2) ") || page.contains("  \(match.2)\n"),
                        "\(path): \(match.0)")
                }
            }
        }
        #expect(named > 50)
    }

    private static func files(_ path: String) -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            return []
        }
        guard isFolder.boolValue else { return [path] }
        let all = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
        return all.filter { name in [".swift", ".sql", ".md"].contains { name.hasSuffix($0) } }
            .filter { !$0.contains("ProviderSimulator") }.map { path + "/" + $0 }
    }
}
