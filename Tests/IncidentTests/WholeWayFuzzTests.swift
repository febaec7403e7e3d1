import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Bodies that nobody sent yet, through the programs and into the database: whatever comes, no run
/// ends with a defect, and everything beside it goes on.
///
/// `scripts/fuzz way ROUNDS` plays more rounds; each prints the seed that plays it again.
@Suite struct WholeWayFuzzTests {
    private static let rounds =
        ProcessInfo.processInfo.environment["HOLDFAST_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 1

    private static func sample(_ name: String) throws -> String {
        let folder = #filePath.components(separatedBy: "/IncidentTests/")[0]
        return try String(
            contentsOfFile: folder + "/ProvidersTests/Samples/" + name, encoding: .utf8)
    }

    /// What stands in place of a value: what a table, a number, a date or an index has no room for.
    private static let oddities: [String] = [
        "null", "true", "[]", "{}", "\"\"", "0", "-1", "1e400", "-1e-400", "9223372036854775808",
        String(repeating: "9", count: 400), "0.1e15", "1e15", "\"NaN\"", "NaN", "Infinity",
        "\"\\u0000\"", "\"a\\u0000b\"", "\"\\ud800\"", "\"\\udc00x\"", "\"\\u202e\"",
        "\"" + String(repeating: "q", count: 501) + "\"",
        "\"" + String(repeating: "ä", count: 251) + "\"",
        "\"" + String(repeating: "x", count: 9000) + "\"", "99999999999999999", "-99999999999999",
        "253402300800000", "\"9999-12-31T23:59:59Z\"", "\"0000-00-00T00:00:00Z\"",
        "\"294277-01-01T00:00:00Z\"",
        "\"https://x.example/" + String(repeating: "y", count: 5000) + "\"",
        "[\"https://b.example/y\"]", "\"https://b.example/\\u0007\"", "\"success\"", "\"fail\"",
        "{\"resultUrls\": [\"https://b.example/y\"]}",
        String(repeating: "[", count: 300) + String(repeating: "]", count: 300),
    ]

    /// A body with one to four values or bytes of it replaced.
    private static func mutated(
        _ body: String, using chance: inout SeededGenerator
    ) -> [UInt8] {
        var bytes = Array(body.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &chance) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &chance)
            switch Int.random(in: 0..<8, using: &chance) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &chance)
            case 1: bytes = Array(bytes[..<at])
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &chance), at: at)
            default:
                guard let colon = bytes[at...].firstIndex(of: UInt8(ascii: ":")) else { continue }
                let end = bytes[colon...].firstIndex { [0x2C, 0x0A, 0x7D].contains($0) }
                let value = oddities.randomElement(using: &chance) ?? "null"
                bytes.replaceSubrange(
                    colon..<(end ?? bytes.endIndex), with: Array((":" + value).utf8))
            }
        }
        return bytes
    }

    private func rounds(_ play: (inout SeededGenerator) async throws -> Void) async throws {
        for _ in 0..<Self.rounds {
            var chance = SeededGenerator()
            print("whole way: \(chance)")
            try await play(&chance)
        }
    }

    private func check(_ finished: Finished, _ chance: SeededGenerator) {
        #expect([0, 1, 69].contains(finished.status), "\(finished.stderr) \(chance)")
        #expect(!finished.stderr.contains("SQLSTATE"), "\(finished.stderr) \(chance)")
    }

    @Test func `whatever a provider answers, the other jobs are finished`() async throws {
        try await rounds { chance in
            let line = try RescueLine()
            try line.liftRates()
            try line.setPolicy("breaker_failures", "1000000")
            let names = [
                "success-resultjson-string", "fail-moderation", "running-generating",
                "body-422-record-null", "suno-first-success-partial", "veo-success",
            ]
            let samples = try names.map { try Self.sample("kie/\($0).json") }
            var bodies: [String: [UInt8]] = [:]
            for n in 1...60 {
                let id = "task-\(n)"
                try line.open("job-\(n)", taskID: id, task: nil)
                let kind = n.isMultiple(of: 3) ? samples[0] : samples[n % samples.count]
                let body = kind.replacingOccurrences(
                    of: #""taskId": "[^"]*""#, with: #""taskId": "\#(id)""#,
                    options: .regularExpression)
                bodies[id] =
                    n.isMultiple(of: 3) ? Array(body.utf8) : Self.mutated(body, using: &chance)
            }
            let answers = bodies
            let server = try OddServer(answering: { request in
                let id = request.firstMatch(of: /taskId=(task-[0-9]+)/).map { String($0.1) } ?? ""
                return OddServer.answer(type: "application/json", answers[id] ?? [])
            })
            for offset in ["+6m", "+9m"] {
                let finished = try await line.run(
                    "stuck-sweeper", offset: offset, ["HOLDFAST_KIE_BASE_URL": server.url("")])
                check(finished, chance)
            }
            for n in stride(from: 3, through: 60, by: 3) {
                #expect(try line.outcome("job-\(n)") == "succeeded/held", "\(chance)")
            }
            #expect(
                try line.text(
                    "SELECT count(*)::text FROM holdfast.job WHERE blocked_reason LIKE '%could not be written%'"
                ) == "0", "\(chance)")
            #expect(try line.violations() == [], "\(chance)")
        }
    }

    @Test func `whatever a callback holds, the others are read`() async throws {
        try await rounds { chance in
            let line = try RescueLine()
            let names = [
                "kie/callback-market-success", "kie/callback-market-fail",
                "kling/callback-succeed", "kling/callback-processing",
            ]
            let samples = try names.map { try Self.sample("\($0).json") }
            try line.open("job-1", taskID: "task-1")
            try line.open("job-2", taskID: nil)
            let tagged = "job=job-2&tag=\(Incident4.tags["job-2"] ?? "")"
            for n in 0..<120 {
                let name = names[n % names.count]
                try Incident4().receive(
                    line, Self.mutated(samples[n % samples.count], using: &chance),
                    query: n.isMultiple(of: 2) ? tagged : "",
                    provider: String(name.split(separator: "/")[0]))
            }
            try Incident4().receive(
                line, #"{"taskId":"task-1"}"#,
                query: "job=job-1&tag=\(Incident4.tags["job-1"] ?? "")")
            check(
                try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured), chance)
            let inbox = try Incident4().inbox(line)
            #expect(!inbox.contains { $0.hasPrefix("waiting") }, "\(chance)")
            #expect(inbox.last == "matched right job-1", "\(chance)")
            #expect(
                try line.text(
                    "SELECT count(*)::text FROM holdfast.callback WHERE note LIKE 'it could not be%'"
                ) == "0", "\(chance)")
            #expect(try line.outcome("job-1") == "succeeded/held", "\(chance)")
        }
    }

    @Test func `whatever a list holds, the walk goes on`() async throws {
        try await rounds { chance in
            let line = try RescueLine()
            try line.liftRates()
            try line.setPolicy("list_every", "1s")
            try line.open("job-1", provider: "kling", endpoint: "text2video", taskID: "kling-1")
            let page = try Self.sample("kling/list-page.json")
            for n in 1...8 {
                let body = Self.mutated(page, using: &chance)
                let server = try OddServer(type: "application/json", body)
                check(
                    try await line.run(
                        "orphan-recoverer", offset: "+\(n)h",
                        ["HOLDFAST_KLING_BASE_URL": server.url("")]), chance)
            }
            #expect(try line.violations() == [], "\(chance)")
        }
    }

    @Test func `whatever a file of usage holds, its other lines are taken in`() async throws {
        try await rounds { chance in
            let line = try RescueLine()
            var text = "Time,Task ID,Model,Credits,Status\n"
            for n in 1...60 {
                let row = "2026-11-20 10:00:00,task-\(n),veo3,60,Success\n"
                guard !n.isMultiple(of: 3) else {
                    text += row
                    continue
                }
                var cells = row.dropLast().split(separator: ",").map(String.init)
                cells[Int.random(in: 0..<5, using: &chance)] =
                    (Self.oddities.randomElement(using: &chance) ?? "").filter {
                        $0 != "," && $0 != "\"" && $0 != "\n"
                    }
                text += cells.joined(separator: ",") + "\n"
            }
            let path = NSTemporaryDirectory() + "holdfast-fuzz-" + RunID.make() + ".csv"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            defer { try? FileManager.default.removeItem(atPath: path) }
            let finished = try await line.run(
                "holdfast",
                ["usage", "import", "--provider", "kie", "--skip-bad-lines"]
                    + UsageImports.mapping + [path])
            check(finished, chance)
            #expect(
                try line.text(
                    """
                    SELECT count(*)::text FROM holdfast.usage_line
                    WHERE task_id = ANY (ARRAY(SELECT 'task-' || n * 3 FROM generate_series(1, 20) n))
                    """) == "20", "\(finished.stderr) \(chance)")
        }
    }
}
