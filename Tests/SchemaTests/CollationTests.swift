import Postgres
import TestSupport
import Testing

/// What a database of another collation must not change: the order that books and pages go by.
@Suite struct Collations {
    /// Types too: what comes from outside is put in order before rows are locked.
    @Test func `every text that is in an index is ordered by its bytes`() throws {
        let books = try Books()
        let others = try books.run(
            """
            SELECT DISTINCT c.relname || '.' || a.attname AS name
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
            JOIN pg_collation l ON l.oid = a.attcollation
            WHERE c.relnamespace = 'holdfast'::regnamespace AND l.collname NOT IN ('C', 'ucs_basic')
            ORDER BY 1
            """, role: nil
        ).map { try $0.text("name") }
        #expect(others == [])
    }
}
