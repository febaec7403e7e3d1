import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A sealed day stays as it is; what was wrong in it is corrected on the open day, by name.
@Suite struct Corrections {
    /// A line whose yesterday is sealed, and that day.
    private func sealed() async throws -> (RescueLine, String) {
        let line = try RescueLine(providers: [])
        try line.sql("SELECT holdfast.grant_credits('a', 100, 'invoice 1', 9.90, 'EUR')")
        let night = try await line.run("ledger-reconciler")
        #expect(night.status == 0, "\(night.stderr)")
        let day = try line.value(
            "SELECT max(day) FROM holdfast.business_day WHERE state = 'sealed'")
        return (line, day)
    }

    private func correct(
        _ line: RescueLine, _ day: String, _ words: [String]
    ) async throws -> Finished {
        try await line.run("holdfast", ["books", "correct", "--day", day] + words)
    }

    @Test func `a correction is posted on the open day and names the day that it corrects`()
        async throws
    {
        let (line, day) = try await sealed()
        let seal = try line.value(
            "SELECT digest FROM holdfast.business_day ORDER BY day DESC LIMIT 1")
        let words = ["--account", "a", "--credits", "-30", "--reason", "booked twice"]
        let said = try await correct(line, day, words)
        #expect(said.status == 0, "\(said.stderr)")
        #expect(said.stdout.contains(day) && said.stdout.contains("70 available"), "\(said.stdout)")
        // However often it is said.
        for _ in 1...2 {
            let again = try await correct(line, day, words)
            #expect(again.status == 0 && again.stdout.contains("nothing was changed"))
        }
        #expect(try line.balance("a") == "70/0/0")
        #expect(
            try line.value(
                """
                SELECT kind || ' ' || amount || ' ' || corrects || ' ' || reason
                FROM holdfast.transfer ORDER BY sequence DESC LIMIT 1
                """) == "adjustment 30 \(day) booked twice")
        // The same on purpose has a name of its own.
        let second = try await correct(line, day, words + ["--reference", "ticket 9"])
        #expect(second.stdout.contains("40 available"), "\(second.stdout)\(second.stderr)")
        #expect(
            try line.value("SELECT digest FROM holdfast.business_day ORDER BY day DESC LIMIT 1")
                == seal)
        let verified = try await line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 0, "\(verified.stdout)")
        #expect(try line.violations() == [])

        for format in ["text", "csv"] {
            let statement = try await line.run(
                "holdfast", ["account", "statement", "a", "--format", format])
            #expect(statement.stdout.contains("9.90"), "\(statement.stdout)")
            #expect(statement.stdout.contains(day), "\(statement.stdout)")
        }
        let report = try await line.report("holdfast", ["account", "statement", "a"])
        let entries = report["entries"]?.array ?? []
        #expect(entries.first?["paid"]?.text == "9.90" && entries.first?["currency"]?.text == "EUR")
        #expect(entries.last?["corrects"]?.text == day)
    }

    @Test func `the reports of the day that it was posted on tell it`() async throws {
        let (line, day) = try await sealed()
        let folder = NSTemporaryDirectory() + "holdfast-reports-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try await correct(
            line, day, ["--account", "a", "--credits", "5", "--reason", "a gift"])
        let night = try await line.run(
            "ledger-reconciler", offset: "+24h", ["HOLDFAST_REPORT_URL": "file://" + folder])
        #expect(night.status == 0, "\(night.stderr)")
        let files =
            FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let corrected = try line.value(
            "SELECT max(day) - 1 FROM holdfast.business_day WHERE state = 'sealed'")
        #expect(corrected == day)
        for (kind, words) in [
            ("html", ["a gift", day]), ("json", ["a gift", day]),
            ("summary.csv", ["correction_of_\(day),\"credits\",5"]),
        ] {
            let name = try #require(files.first { $0.hasSuffix(kind) }, "\(files)")
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            for word in words { #expect(text.contains(word), "\(name): \(word)") }
        }
        let verified = try await line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 0, "\(verified.stdout)")
    }

    @Test(arguments: [
        (["--account", "nobody", "--credits", "5", "--reason", "x"], Int32(66), "nobody"),
        (["--account", "a", "--credits", "-101", "--reason", "x"], 1, "100 credits available"),
        (["--account", "a", "--credits", "0", "--reason", "x"], 64, "credits"),
        (["--account", "a", "--credits", "1.5", "--reason", "x"], 64, "credits"),
        (["--account", "a", "--credits", "5", "--reason", " "], 1, "reason"),
        (["--account", "a", "--credits", "5"], 64, "--reason"),
    ])
    func `what cannot be is refused, and nothing moves`(
        _ words: [String], _ status: Int32, _ says: String
    ) async throws {
        let (line, day) = try await sealed()
        let said = try await correct(line, day, words)
        #expect(said.status == status && said.stderr.contains(says), "\(said.stderr)")
        #expect(try line.balance("a") == "100/0/0")
    }

    @Test func `a day that is not sealed is corrected by an adjustment`() async throws {
        let (line, _) = try await sealed()
        let words = ["--account", "a", "--credits", "5", "--reason", "x"]
        for (day, status, says) in [
            ("2999-01-01", Int32(1), "account adjust"), ("2026-02-30", 64, "2026-02-30"),
        ] {
            let said = try await correct(line, day, words)
            #expect(said.status == status && said.stderr.contains(says), "\(said.stderr)")
        }
        #expect(try line.balance("a") == "100/0/0")
    }
}
