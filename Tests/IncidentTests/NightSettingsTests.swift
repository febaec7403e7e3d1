import Core
import Postgres
import TestSupport
import Testing

/// Settings of a server, a role or a login change no seal and no figure.
@Suite struct NightSettings {
    /// Settings that a database may bear, and what they are set to.
    static let settings = [
        ("datestyle", "German"), ("datestyle", "SQL, DMY"), ("datestyle", "Postgres, MDY"),
        ("intervalstyle", "sql_standard"), ("timezone", "Asia/Kolkata"),
        ("standard_conforming_strings", "off"), ("bytea_output", "escape"),
        ("extra_float_digits", "-15"),
    ]

    @Test(arguments: settings)
    func `a sealed day is found as it was sealed whatever the database is set to`(
        name: String, value: String
    ) async throws {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        try scene.line.sql(
            "ALTER DATABASE \(raw: scene.line.database.name) SET \(raw: name) = '\(raw: value)'")
        let verified = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 0, "\(verified.stdout)\(verified.stderr)")
        let next = try await scene.report(night: 1)
        #expect(next["outcomes"]?["days_closed"]?.int == 1, "\(next)")
        #expect(next["exit_status"]?.int == 0, "\(next)")
        #expect(try scene.open().isEmpty)
        // And the day that was sealed under it, by a host that sets nothing.
        try scene.line.sql(
            "ALTER DATABASE \(raw: scene.line.database.name) RESET \(raw: name)")
        let again = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(again.status == 0, "\(again.stdout)\(again.stderr)")
    }

    @Test(arguments: ["SQL, DMY", "German"])
    func `a login's own date style, as libpq takes it from the environment, changes no seal`(
        style: String
    ) async throws {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        let verified = try await scene.line.run(
            "holdfast", ["books", "verify"], ["PGDATESTYLE": style, "PGTZ": "Asia/Shanghai"])
        #expect(verified.status == 0, "\(verified.stdout)\(verified.stderr)")
    }

    @Test func `a digest is the same for whoever asks the database for it`() async throws {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        let connection = try scene.line.database.connect()
        try connection.script("SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'")
        let changed = try connection.query(
            """
            SELECT d.day FROM holdfast.business_day d
            WHERE d.digest IS DISTINCT FROM holdfast.digest_of(d)
            """)
        #expect(changed.isEmpty)
    }

    @Test func `a broken seal stands until its own day was looked at and is right again`()
        async throws
    {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        try scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            CREATE TABLE public.kept AS SELECT transfer_id FROM holdfast.transfer
            WHERE kind = 'grant' ORDER BY 1 LIMIT 1;
            UPDATE holdfast.transfer SET reason = reason, amount = amount + 1
            WHERE transfer_id = (SELECT transfer_id FROM public.kept)
            """)
        // Later days are sealed meanwhile; the broken one is no longer the last.
        for night in 1...3 {
            let report = try await scene.report(night: night)
            #expect(report["exit_status"]?.int == 1, "night \(night): \(report)")
            #expect(try scene.closings("seal-broken") == ["open"], "night \(night)")
        }
        try scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            UPDATE holdfast.transfer SET amount = amount - 1
            WHERE transfer_id = (SELECT transfer_id FROM public.kept)
            """)
        _ = try await scene.report(night: 4)
        #expect(try scene.closings("seal-broken") == ["healed"])
    }
}
