import Core
import Postgres
import TestSupport
import Testing

/// Corrections of an account by hand, and its statement.
@Suite struct AccountStatements {
    private let line: RescueLine

    init() throws { line = try RescueLine() }

    private func account(_ words: String...) async throws -> Finished {
        try await line.run("holdfast", ["account"] + words)
    }

    @Test func `an adjustment goes either way, once, with who and why`() async throws {
        try line.sql("SELECT holdfast.grant_credits('a', 100, 'g')")
        for (credits, says, balance) in [
            ("50", "adjusted by +50 credits; 150 available", "150/0/0"),
            ("-120", "adjusted by -120 credits; 30 available", "30/0/0"),
        ] {
            let flags = ["--reason", "ticket", "--reference", "r\(credits)"]
            let said = try await line.run(
                "holdfast", ["account", "adjust", "a", credits] + flags, ["USER": "anna"])
            #expect(said.status == 0 && said.stdout.contains(says), "\(said.stderr)\(said.stdout)")
            let again = try await line.run(
                "holdfast", ["account", "adjust"] + flags + ["a", credits])
            #expect(again.stdout.contains("nothing was changed"), "\(again.stderr)")
            #expect(try line.balance("a") == balance)
        }
        let row = try line.sql(
            """
            SELECT transfer_id, actor, reason FROM holdfast.transfer WHERE kind = 'adjustment'
            ORDER BY sequence DESC LIMIT 1
            """
        ).single()
        #expect(try row.text("transfer_id") == "adjustment:r-120")
        #expect(try row.text("actor").hasPrefix("person:anna@") && row.text("reason") == "ticket")
        #expect(try line.violations() == [])
    }

    @Test(arguments: [
        (
            ["a", "-101", "--reason", "x", "--reference", "r"], Int32(1),
            "has 100 credits available"
        ),
        (["a", "5", "--reason", "x", "--reference", "taken"], 1, "already adjusted"),
        (["a", "7", "--reason", "y", "--reference", "taken"], 1, "already adjusted"),
        (["nobody", "5", "--reason", "x", "--reference", "r"], 66, "no account 'nobody'"),
        (["a", "0", "--reason", "x", "--reference", "r"], 64, "no number of credits"),
        (["a", "1.5", "--reason", "x", "--reference", "r"], 64, "no number of credits"),
        (["a", "5", "6", "--reason", "x", "--reference", "r"], 64, "no number of credits"),
        (["a", "5", "--reasn", "x", "--reference", "r"], 64, "--reason"),
        (["a", "5", "--reason", " ", "--reference", "r"], 1, "reason"),
        (["a", "5", "--reason", "x", "--reference", ""], 1, "reference"),
        (["a", "2000000000000000", "--reason", "x", "--reference", "r"], 1, "1000000000000000"),
    ])
    func `what cannot be is refused, and nothing moves`(
        _ words: [String], _ status: Int32, _ says: String
    ) async throws {
        try line.sql("SELECT holdfast.grant_credits('a', 93, 'g')")
        try line.sql("SELECT holdfast.adjust_credits('a', 7, 'x', 'taken', 'person:test')")
        let said = try await line.run("holdfast", ["account", "adjust"] + words)
        #expect(said.status == status, "\(said.stderr)")
        #expect(said.stderr.contains(says), "\(said.stderr)")
        #expect(try line.balance("a") == "100/0/0")
    }

    @Test func `a statement runs from opening to closing`() async throws {
        try line.sql("SELECT holdfast.grant_credits('a', 100, '=HYPERLINK(1)')")
        try line.open("j1", account: "a", credits: 0, taskID: nil)
        try line.sql("SELECT holdfast.open_job('j2', 'a', 'kie', 'm', 'video', 60)")
        try line.sql("SELECT holdfast.dismiss_job('j2', 'no')")
        try line.sql("SELECT holdfast.adjust_credits('a', -5, '+1', 'r', 'person:test')")
        let text = try await account("statement", "a")
        #expect(text.status == 0)
        #expect(text.stdout.hasPrefix("account a, from its beginning to now\n"))
        let report = try await line.report("holdfast", ["account", "statement", "a"])
        let entries = report["entries"]?.array ?? []
        #expect(entries.map { $0["kind"]?.text } == ["grant", "hold", "void", "adjustment"])
        #expect(
            entries.map {
                "\($0["after"]?["available"]?.text ?? "")/\($0["after"]?["held"]?.text ?? "")"
            }
                == ["100/0", "40/60", "100/0", "95/0"])
        #expect(report["opening"]?["available"]?.int == 0)
        #expect(report["closing"]?["available"]?.int == 95)
        let csv = try await account("statement", "a", "--format", "csv")
        #expect(csv.stdout.hasPrefix("time,transfer,kind,amount,debit,credit,job,reason,by,"))
        #expect(csv.stdout.contains(",\"'=HYPERLINK(1)\","))
        #expect(csv.stdout.contains(",\"'+1\","))
        #expect(csv.stdout.hasSuffix(",closing,,,,,,,95,0,0,,,\r\n"))
    }

    @Test func `days are business days, and what was before is the opening`() async throws {
        try line.sql("SELECT holdfast.grant_credits('a', 100, 'g')")
        try line.sql("ALTER TABLE holdfast.transfer DISABLE TRIGGER transfer_is_immutable")
        try line.sql("UPDATE holdfast.transfer SET created_at = '2026-11-10 22:59:59Z'")
        try line.sql("ALTER TABLE holdfast.transfer ENABLE TRIGGER transfer_is_immutable")
        _ = try await line.run("holdfast", ["policy", "set", "business_zone", "Europe/Berlin"])
        for (from, to, opening, count) in [
            ("2026-11-10", "2026-11-10", Int64(0), 1), ("2026-11-11", "2026-11-11", 100, 0),
            ("2026-11-01", "2026-11-09", 0, 0),
        ] {
            let report = try await line.report(
                "holdfast", ["account", "statement", "a", "--from", from, "--to", to])
            #expect(report["opening"]?["available"]?.int == opening, "\(from)")
            #expect(report["entries"]?.array?.count == count, "\(from)")
        }
        let cut = try await account("statement", "a", "--from", "2026-11-12", "--to", "2026-11-11")
        #expect(cut.status == 64)
        #expect(try await account("statement", "nobody").status == 66)
        #expect(try await account("statement", "a", "--from", "soon").status == 64)
    }
}
