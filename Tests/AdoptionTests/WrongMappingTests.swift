import Adoption
import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What is wrong with a mapping is named with its line, and with what was found instead.
@Suite struct WrongMappings {
    /// One change of a right mapping, in its text, and what has to be said of it.
    struct Mistake: CustomTestStringConvertible, Sendable {
        var name: String
        var find: String
        var write: String
        var path: String
        var says: [String]
        var testDescription: String { name }

        init(_ name: String, _ find: String, _ write: String, at path: String, _ says: String...) {
            self.name = name
            self.find = find
            self.write = write
            self.path = path
            self.says = says
        }
    }

    static let file: [Mistake] = [
        Mistake(
            "a key that is not known", "\"account\": {\"column\": \"user_id\"}",
            "\"acount\": {\"column\": \"user_id\"}", at: "jobs[0].acount", "no such key", "account"),
        Mistake(
            "a key that is missing", "\"created_at\": {\"column\": \"created_at\"},", "",
            at: "jobs[0]", "\"created_at\" is missing"),
        Mistake(
            "a place that says nothing", "{\"constant\": \"kie\"}", "{}", at: "jobs[0].provider",
            "says not where"),
        Mistake(
            "a word that means nothing", "\"processing\": \"running\"", "\"processing\": \"busy\"",
            at: "jobs[0].status.words.processing", "\"busy\" is none of", "\"running\""),
        Mistake(
            "a word that is written and reads otherwise",
            "\"failed\": \"failed\", \"timed_out\": \"failed\"",
            "\"failed\": \"completed\", \"timed_out\": \"failed\"",
            at: "jobs[0].status.write.failed", "reads as delivered"),
        Mistake(
            "a table without its schema", "\"table\": \"public.generated_asset\"",
            "\"table\": \"generated_asset\"", at: "jobs[0].table", "public.generated_asset"),
        Mistake(
            "a second statement",
            "\"public_url like 'processing-%' or public_url like 'failed-%'\"",
            "\"true; drop table x\"", at: "jobs[0].placeholders.public_url", "semicolon"),
        Mistake(
            "a grade that does not follow", "\"grade\": \"raced\"", "\"grade\": \"exclusive\"",
            at: "grade", "raced", "leaves nothing"),
        Mistake("another format", "\"format\": 1", "\"format\": 2", at: "format", "format 1", "2"),
        Mistake(
            "a verdict without a reason", "\"verdict\": \"adopt\"", "\"verdict\": \"follow only\"",
            at: "the file", "needs a \"reason\""),
        Mistake(
            "a number for a text", "\"column\": \"user_id\"", "\"column\": 7",
            at: "jobs[0].account.column", "a text is expected", "a number"),
    ]

    static let database: [Mistake] = [
        Mistake(
            "a column that is not there", "\"column\": \"user_id\"", "\"column\": \"owner_id\"",
            at: "jobs[0].account", "no column \"owner_id\"", "user_id"),
        Mistake(
            "a table that is not there", "\"public.generated_asset\"",
            "\"public.generated_assets\"",
            at: "jobs[0].table", "there is no table public.generated_assets"),
        Mistake(
            "a word that occurs and is not mapped", "\"processing\": \"running\", ", "",
            at: "jobs[0].status.words", "\"processing\" stands in"),
        Mistake(
            "an id that no key has", "\"id\": {\"column\": \"id\"",
            "\"id\": {\"column\": \"user_id\"",
            at: "jobs[0].id", "no unique key"),
        Mistake(
            "a time that is none", "\"updated_at\": {\"column\": \"updated_at\"}",
            "\"updated_at\": {\"column\": \"status\"}", at: "jobs[0].updated_at", "and no time"),
        Mistake(
            "an index that is not there", "credit_user_reference_unique", "credit_reference_key",
            at: "credits.guard.index", "credit_reference_key"),
        Mistake(
            "a column of a movement that needs a value", "\"source\": \"'api_call'\", ", "",
            at: "credits.tables.movements.defaults", "\"source\"", "needs a value"),
        Mistake(
            "a pot that holds no number", "\"column\": \"balance\"", "\"column\": \"user_id\"",
            at: "credits.tables.balance[0]", "and no number"),
        Mistake(
            "JSON in a column that holds none", "\"column\": \"metadata\", \"path\": [\"taskId\"]",
            "\"column\": \"credits_spent\", \"path\": [\"taskId\"]", at: "jobs[0].task_id",
            "holds no JSON"),
        Mistake(
            "an expression that does not run", "public_url like 'processing-%' or",
            "public_link like 'processing-%' or", at: "jobs[0].placeholders.public_url",
            "does not run", "public_link"),
    ]

    private func application() throws -> Application {
        try #require(Application.all.first { $0.name == "02-viecom" })
    }

    private func changed(_ mistake: Mistake) throws -> [UInt8] {
        let text = String(decoding: try application().file("json"), as: UTF8.self)
        let place = try #require(text.range(of: mistake.find), "\(mistake.find)")
        return Array(text.replacingCharacters(in: place, with: mistake.write).utf8)
    }

    private func expect(_ problems: [MappingProblem], _ mistake: Mistake) {
        let here = problems.filter { $0.path == mistake.path && !$0.isWarning }
        #expect(
            here.contains { problem in mistake.says.allSatisfy(problem.message.contains) },
            "\(problems.map(\.text))")
        #expect(here.allSatisfy { $0.line != nil }, "\(here)")
    }

    @Test(arguments: file) func `the file`(_ mistake: Mistake) throws {
        expect(try Mapping.read(try changed(mistake)).problems, mistake)
    }

    @Test(arguments: database) func `the file against the database`(_ mistake: Mistake) throws {
        let text = try changed(mistake)
        let mapping = try #require(try Mapping.read(text).mapping)
        let database = try application().database()
        let report = try MappingCheck.run(
            database.connect(), mapping, text: text, providers: ["kie"])
        expect(report.problems, mistake)
    }

    @Test func `a problem stands on its line`() throws {
        let mistake = try #require(Self.file.first { $0.name == "another format" })
        let problems = try Mapping.read(try changed(mistake)).problems
        #expect(problems.first?.text.hasPrefix("line 2, format: ") == true, "\(problems)")
    }

    @Test(arguments: ["", "[]", "{", "{\"format\": 1, \"format\": 2}"])
    func `what is no mapping`(_ text: String) throws {
        do {
            #expect(try Mapping.read(Array(text.utf8)).mapping == nil)
        } catch let failure as Failure {
            #expect(failure.status == .configuration && failure.message.contains("mapping"))
        }
    }

    /// What a world full of surprises does to a right mapping.
    struct Surprise: CustomTestStringConvertible, Sendable {
        var name: String
        var sql: String
        var path: String
        var says: [String]
        var testDescription: String { name }
    }

    static let surprises: [Surprise] = [
        Surprise(
            name: "JSON that is text, broken in one row",
            sql: """
                ALTER TABLE generated_asset ALTER COLUMN metadata TYPE text USING metadata::text;
                UPDATE generated_asset SET metadata = '{"taskId": '
                WHERE id = (SELECT min(id) FROM generated_asset)
                """, path: "jobs[0].task_id", says: ["cannot be read", "in the row with id"]),
        Surprise(
            name: "a view instead of a table",
            sql: """
                ALTER TABLE generated_asset RENAME TO assets;
                CREATE VIEW generated_asset AS SELECT * FROM assets
                """, path: "jobs[0].table", says: ["is a view"]),
        Surprise(
            name: "two rows for one id",
            sql: """
                ALTER TABLE generated_asset DROP CONSTRAINT generated_asset_pkey CASCADE;
                INSERT INTO generated_asset SELECT * FROM generated_asset LIMIT 1
                """, path: "jobs[0].id", says: ["have the id of another row"]),
        Surprise(
            name: "a word that nobody knew",
            sql: """
                UPDATE generated_asset SET status = 'paused'
                WHERE id = (SELECT min(id) FROM generated_asset)
                """, path: "jobs[0].status.words", says: ["\"paused\" stands in 1 rows"]),
        Surprise(
            name: "money in floating point",
            sql: "ALTER TABLE user_credits ALTER COLUMN balance TYPE double precision",
            path: "credits.tables.balance[0]", says: ["floating point"]),
    ]

    @Test(arguments: surprises) func `the database`(_ surprise: Surprise) throws {
        let application = try application()
        let database = try application.database()
        try database.connect().script(surprise.sql)
        let report = try application.check(database)
        let here = report.problems.filter { $0.path == surprise.path }
        #expect(
            here.contains { problem in surprise.says.allSatisfy(problem.message.contains) },
            "\(report.problems.map(\.text))")
    }

    /// A part of the rows is worse than none: what is missing would look like what never was.
    @Test func `row-level security that shows a part is refused`() throws {
        let application = try application()
        let database = try application.database()
        try database.connect().script(
            """
            DO $$ BEGIN CREATE ROLE adoption_part LOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            GRANT USAGE ON SCHEMA public TO adoption_part;
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO adoption_part;
            ALTER TABLE generated_asset ENABLE ROW LEVEL SECURITY;
            """)
        let report = try MappingCheck.run(
            database.connect(role: "adoption_part"), try application.mapping(),
            text: try application.file("json"), providers: ["kie"])
        let here = report.problems.filter { $0.path == "jobs[0].table" }
        #expect(here.count == 1 && here.allSatisfy { $0.message.contains("BYPASSRLS") }, "\(here)")
    }
}
