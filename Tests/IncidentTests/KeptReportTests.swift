import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Reports that were published stay right by their own renderer; one that differs after a restore is
/// named once.
@Suite struct KeptReports {
    private struct Shelf {
        let scene: NightScene
        let folder: String

        init() async throws {
            scene = try await NightScene(jobs: 20, accounts: 4)
            folder = NSTemporaryDirectory() + "holdfast-shelf-" + RunID.make()
        }

        func night(_ number: Int, _ changes: [String: String?] = [:]) async throws -> JSONValue {
            try await scene.line.report(
                "ledger-reconciler", [], offset: scene.offset(night: number),
                ["HOLDFAST_REPORT_URL": "file://" + folder].merging(changes) { $1 })
        }

        func codes(_ report: JSONValue) -> [String] {
            report["errors"]?.array?.compactMap { $0["code"]?.text } ?? []
        }

        var files: [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        }
    }

    @Test func `what another renderer published is no change, as long as nobody touched it`()
        async throws
    {
        let shelf = try await Shelf()
        #expect(try await shelf.night(0)["exit_status"]?.int == 0)
        let day = try shelf.scene.line.value(
            "SELECT to_char(max(day), 'YYYY-MM-DD') FROM holdfast.business_day")
        let renderers = try shelf.scene.line.value(
            """
            SELECT string_agg(DISTINCT renderer::text, ' ') FROM holdfast.published_report
            WHERE day = (SELECT max(day) FROM holdfast.business_day)
            """)
        #expect(renderers == "1")
        // Other settings make other bytes, as another version would.
        let other: [String: String?] = [
            "HOLDFAST_REPORT_URL": "file://" + shelf.folder, "HOLDFAST_REPORT_BOM": "1",
        ]
        let again = try await shelf.scene.line.run(
            "holdfast", ["books", "report", "--day", day], other)
        #expect(again.status == 0, "\(again.stdout)\(again.stderr)")
        let before = shelf.files
        // Somebody's hand in it is another thing.
        let table = shelf.folder + "/holdfast-\(day)-models.csv"
        try Data("mine".utf8).write(to: URL(fileURLWithPath: table))
        let changed = try await shelf.scene.line.run(
            "holdfast", ["books", "report", "--day", day], other)
        #expect(changed.status == 1, "\(changed.stdout)\(changed.stderr)")
        #expect(
            changed.stderr.contains("holdfast-\(day)-models.csv"),
            "\(changed.stderr)")
        #expect(try String(contentsOfFile: table, encoding: .utf8) == "mine")
        #expect(shelf.files.count == before.count + 1)
    }

    @Test
    func
        `a day that is closed again after a restore names its report once, and puts the new one beside`()
        async throws
    {
        let shelf = try await Shelf()
        #expect(try await shelf.night(0)["exit_status"]?.int == 0)
        let published = shelf.files
        // As a restore to a moment before the close leaves it.
        try shelf.scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            DO $$
            DECLARE
                last date := (SELECT max(day) FROM holdfast.business_day);
                one text;
            BEGIN
                FOREACH one IN ARRAY ARRAY['account_day', 'model_day', 'usage_day', 'break_day',
                    'business_day'] LOOP
                    EXECUTE format('DELETE FROM holdfast.%I WHERE day = $1', one) USING last;
                END LOOP;
                IF to_regclass('holdfast.published_report') IS NOT NULL THEN
                    EXECUTE 'DELETE FROM holdfast.published_report WHERE day = $1' USING last;
                END IF;
                DELETE FROM holdfast.upkeep
                WHERE name = 'reported ' || to_char(last, 'YYYY-MM-DD');
            END $$
            """)
        let first = try await shelf.night(0)
        #expect(first["exit_status"]?.int == 1, "\(first)")
        #expect(shelf.codes(first).contains("report_differs"), "\(first)")
        // Every file that was there is there, and what the books say now is beside it.
        #expect(Set(published).isSubset(of: Set(shelf.files)))
        #expect(shelf.files.count > published.count)
        let said = JSON.write(first)
        #expect(said.contains("beside") && said.contains("restored"), "\(said)")
        for night in [0, 1] {
            let later = try await shelf.night(night)
            #expect(later["exit_status"]?.int == 0, "night \(night): \(later)")
        }
    }
}
