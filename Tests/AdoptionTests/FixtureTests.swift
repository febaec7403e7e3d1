import Adoption
import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// An application of real life: its database, and a right mapping of it.
struct Application: CustomTestStringConvertible, Sendable {
    var name: String
    var testDescription: String { name }

    static let all: [Application] = {
        let folder = Bundle.module.url(forResource: "Apps", withExtension: nil)
        let files = folder.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0.path) }
        return (files ?? []).filter { $0.hasSuffix(".json") }.sorted()
            .map { Application(name: String($0.dropLast(5))) }
    }()

    func file(_ ending: String) throws -> [UInt8] {
        let url = try #require(Bundle.module.url(forResource: "Apps", withExtension: nil))
        return [UInt8](try Data(contentsOf: url.appending(path: "\(name).\(ending)")))
    }

    func database() throws -> ScratchDatabase {
        let database = try ScratchDatabase()
        try database.connect().script(String(decoding: try file("sql"), as: UTF8.self))
        return database
    }

    func mapping() throws -> Mapping {
        let reading = try Mapping.read(try file("json"))
        #expect(reading.problems == [], "\(reading.problems.map(\.text))")
        return try #require(reading.mapping)
    }

    func check(_ database: ScratchDatabase) throws -> MappingCheck.Report {
        try MappingCheck.run(
            database.connect(), try mapping(), text: try file("json"),
            providers: ["kie", "kling", "fal", "replicate"])
    }
}

/// Right mappings of two dozen applications fit their databases.
@Suite struct RightMappings {
    @Test func `there are two dozen of them`() { #expect(Application.all.count == 24) }

    @Test(arguments: Application.all)
    func `nothing is wrong, and every word has a meaning`(_ application: Application) throws {
        let database = try application.database()
        let report = try application.check(database)
        let wrong = report.problems.filter { !$0.isWarning }
        #expect(wrong == [], "\(wrong.map(\.text))")
        #expect(report.grade == (try application.mapping()).grade)
        for table in report.tables {
            #expect(!table.filled.isEmpty)
            #expect(table.words.allSatisfy { $0.meaning != nil }, "\(table.table)")
        }
    }

    /// A login that may read and nothing else.
    @Test func `a role that may only read is enough`() throws {
        let application = try #require(Application.all.first { $0.name == "02-viecom" })
        let database = try application.database()
        try database.connect().script(
            """
            DO $$ BEGIN CREATE ROLE adoption_reader LOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            GRANT USAGE ON SCHEMA public TO adoption_reader;
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO adoption_reader;
            """)
        let report = try MappingCheck.run(
            database.connect(role: "adoption_reader"), try application.mapping(),
            text: try application.file("json"), providers: ["kie"])
        #expect(report.problems.filter { !$0.isWarning } == [])
        #expect(
            report.tables.map(\.open) == [
                [.init(provider: "kie", isKnown: true, jobs: 1, withTask: 1)]
            ])
    }
}
