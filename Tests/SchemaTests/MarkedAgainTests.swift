import Postgres
import TestSupport
import Testing

/// An application that marks its task again, as after a lost answer, beside a run.
@Suite struct MarkedAgainTests {
    private func callback(_ books: Books) throws -> Int {
        try books.run(
            """
            SELECT holdfast.record_callback('kie', '{}', '', convert_to('{"taskId":"t"}', 'UTF8')) AS id
            """
        ).single().int("id")
    }

    private func drain(_ connection: borrowing Connection, _ id: Int) throws -> String {
        try connection.query(
            """
            SELECT result FROM holdfast.drain_callbacks(\(RunIDs.first)::uuid, '0'::interval,
                jsonb_build_array(jsonb_build_object('callback_id', \(id)::bigint,
                    'secret_check', 'not_checked', 'candidates', ARRAY['t'])))
            """
        ).single().text("result")
    }

    /// Guard: `is_new` in `mark_submitted`.
    @Test func `a known task is marked at once while a copy of its callback is read`() throws {
        let books = try Books()
        try books.grant("a", 100)
        try books.open("j", "a", 100, task: "t")
        try books.run(
            "UPDATE holdfast.task SET created_at = now() - interval '6 seconds'", role: nil)
        #expect(try drain(books.database.connect(), callback(books)) == "matched")
        let reader = try books.database.connect()
        try reader.execute("BEGIN")
        #expect(try drain(reader, callback(books)) == "duplicate")
        let customer = try books.database.connect(role: "holdfast_app")
        try customer.execute("SET lock_timeout = '2s'")
        try customer.execute("SELECT holdfast.mark_submitted('j', 't')")
        try reader.execute("COMMIT")
    }
}
