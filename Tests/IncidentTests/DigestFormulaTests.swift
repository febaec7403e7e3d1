import Core
import Postgres
import TestSupport
import Testing

/// Each sealed day is checked by the formula that it was sealed by, whatever later ones look like.
@Suite struct DigestFormulas {
    /// What a later release would bring: a second formula, and figures that the first does not know.
    private static let laterRelease = """
        ALTER TABLE holdfast.account_day ADD COLUMN later bigint NOT NULL DEFAULT 7;
        ALTER TABLE holdfast.model_day ADD COLUMN later bigint NOT NULL DEFAULT 7;
        ALTER TABLE holdfast.usage_day ADD COLUMN later bigint NOT NULL DEFAULT 7;
        CREATE OR REPLACE FUNCTION holdfast.digest_formula() RETURNS integer
        LANGUAGE sql IMMUTABLE AS 'SELECT 2';
        CREATE OR REPLACE FUNCTION holdfast.digest_of(d holdfast.business_day) RETURNS text
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
            SELECT CASE d.formula WHEN 1 THEN digest_by_1(d)
                ELSE digest_on('second', digest_by_1(d)) END
        $$;
        """

    @Test func `a day of the first formula verifies beside days of the second`() async throws {
        let scene = try await NightScene(jobs: 60, accounts: 12)
        #expect(try await scene.run().status == 0)
        try scene.line.database.connect().script(Self.laterRelease)
        let night = try await scene.report(night: 1)
        #expect(night["exit_status"]?.int == 0, "\(night)")
        let formulas = try scene.line.value(
            "SELECT string_agg(formula::text, ' ' ORDER BY day) FROM holdfast.business_day")
        #expect(formulas == "1 1 2")
        let verified = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 0, "\(verified.stdout)\(verified.stderr)")
    }

    @Test func `a formula that this schema does not know is called that, and no broken seal`()
        async throws
    {
        let scene = try await NightScene(jobs: 10, accounts: 3)
        #expect(try await scene.run().status == 0)
        try scene.line.database.connect().script(
            """
            SET session_replication_role = replica;
            UPDATE holdfast.business_day SET formula = 9
            """)
        let verified = try await scene.line.run("holdfast", ["books", "verify"])
        #expect(verified.status == 78, "\(verified.stdout)\(verified.stderr)")
        #expect(
            verified.stderr.contains("formula 9") && verified.stderr.contains("newer build"),
            "\(verified.stderr)")
        let night = try await scene.run(night: 1)
        #expect(night.status == 78, "\(night.stderr)")
        #expect(try scene.closings("seal-broken") == [])
    }
}
