import Postgres
import TestSupport
import Testing

/// The provider's addresses are not what a customer is promised.
@Suite struct SourceAddressTests {
    private static let shown: SQL = "SELECT result_urls::text FROM holdfast.job_status"

    private func succeeded(_ policy: String? = nil) throws -> Books {
        let books = try Books()
        if let policy {
            try books.run(
                "INSERT INTO holdfast.policy (key, model, value) VALUES ('show_source_urls', 'model', \(policy))",
                role: nil)
        }
        try books.grant("a", 100)
        try books.open("j", "a", 100, task: "t")
        try books.run("SELECT holdfast.finish_job('j', 'succeeded', ARRAY['https://x.example/1'])")
        return books
    }

    @Test func `the status shows them when the job is delivered`() throws {
        let books = try succeeded()
        #expect(try books.text(Self.shown) == "{}")
        try deliver(books, "j")
        #expect(try books.text(Self.shown) == "{https://x.example/1}")
    }

    @Test(arguments: [("on", "{https://x.example/1}"), ("off", "{}")])
    func `a policy shows them before that`(_ value: String, _ addresses: String) throws {
        #expect(try succeeded(value).text(Self.shown) == addresses)
    }

    @Test func `whoever may read the view needs no right to anything behind it`() throws {
        let books = try succeeded()
        try books.run("GRANT SELECT ON holdfast.job_status TO holdfast_app", role: nil)
        #expect(try books.run(Self.shown).single().text("result_urls") == "{}")
    }
}
