import Foundation
import TestSupport
import Testing

/// The schema's steps: numbered without a gap, each listed once, in order.
@Suite struct MigrationFiles {
    static let folder = "Sources/Schema/Migrations"

    /// `1: tables` for `v001_tables.sql`.
    private func files() throws -> [String] {
        try Tree.files(below: Self.folder).map { path in
            let name = path.dropFirst(Self.folder.count + 1)
            let parts = try #require(
                name.wholeMatch(of: #/v(\d{3})_([a-z][a-z0-9_]*)\.sql/#),
                "\(path) is not named like v001_tables.sql")
            return "\(Int(parts.output.1) ?? -1): \(parts.output.2)"
        }
    }

    @Test func `they are numbered from 1 without a gap`() throws {
        let numbers = try files().map { $0.prefix { $0 != ":" } }
        #expect(numbers == (1...numbers.count).map { Substring("\($0)") })
    }

    @Test func `each is listed in Migration.all, in order, under its own name`() throws {
        let source = try Tree.text("Sources/Schema/Migration.swift")
        let listed = source.matches(
            of: #/Migration\((\d+), "(\w+)", PackageResources\.v(\d{3})_(\w+)_sql\)/#)
        #expect(listed.map { "\($0.output.1): \($0.output.2)" } == (try files()))
        for entry in listed {
            #expect(Int(entry.output.1) == Int(entry.output.3), "\(entry.output.0)")
            #expect(entry.output.2 == entry.output.4, "\(entry.output.0)")
        }
    }

    /// A person can run them one by one, also after a migration failed half-way.
    @Test func `none brings a transaction of its own`() {
        let findings = Tree.findings(
            #/^\s*(BEGIN|COMMIT|ROLLBACK|START TRANSACTION)\s*;/#,
            in: Tree.files(below: Self.folder))
        #expect(findings == [])
    }

    /// Whether a backslash means itself in such a literal is up to `standard_conforming_strings`.
    @Test func `no literal without an E holds a backslash`() {
        let findings = Tree.findings(
            #/(^|[^EeA-Za-z0-9_'])'[^']*\\[^']*'/#, in: Tree.files(below: Self.folder))
        #expect(findings == [])
    }
}
