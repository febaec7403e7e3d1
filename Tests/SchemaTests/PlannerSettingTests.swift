import Postgres
import TestSupport
import Testing

/// Settings that functions give the planner.
@Suite struct PlannerSettings {
    /// A method that is turned off puts ten thousand million on a plan's cost, far above the cost from
    /// which a query is compiled: the compilation then takes longer than the query, at each call.
    @Test func `whatever turns a plan method off turns compilation off too`() throws {
        let books = try Books()
        let offenders = try books.text(
            """
            SELECT coalesce(string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid), '')
            FROM pg_proc p
            WHERE p.pronamespace = 'holdfast'::regnamespace
                AND EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c ~ '^enable_.*=off$')
                AND 'jit=off' <> ALL (p.proconfig)
            """)
        #expect(offenders == "")
        #expect(
            try books.text(
                """
                SELECT count(*) > 3 FROM pg_proc p, unnest(p.proconfig) c
                WHERE p.pronamespace = 'holdfast'::regnamespace AND c ~ '^enable_.*=off$'
                """) == "t")
    }
}
