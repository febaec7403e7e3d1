import Core
package import Postgres

/// A mapping held against the database: what is there, what occurs, and what would follow.
///
/// Everything is read and nothing is written; values are counted and never shown.
package struct MappingCheck {
    /// What was found of one job table.
    package struct TableReport: Sendable {
        package var table: TableName
        /// An estimate; nil where nobody has counted.
        package var rows: Int64?
        package var sampled = 0
        /// In how many of the sampled rows each place holds something.
        package var filled: [(key: String, rows: Int)] = []
        /// Their words, with how many of the counted rows have each.
        package var words: [(word: String, meaning: Meaning?, rows: Int)] = []
        /// Open jobs among the counted rows, by provider.
        package var open: [OpenJobs] = []
        package var counted = 0
    }

    /// Open jobs of one provider.
    package struct OpenJobs: Equatable, Sendable {
        package var provider: String
        /// There is an adapter that can ask it.
        package var isKnown: Bool
        package var jobs: Int
        package var withTask: Int

        package init(provider: String, isKnown: Bool, jobs: Int, withTask: Int) {
            self.provider = provider
            self.isKnown = isKnown
            self.jobs = jobs
            self.withTask = withTask
        }
    }

    package struct Report: Sendable {
        package var problems: [MappingProblem]
        package var tables: [TableReport]
        package var grade: Grade
        package var because: Settling?
        /// Handlers of theirs that settle, and have to be switched off for `exclusive`.
        package var handlers: [Settling]

        package var hasErrors: Bool { problems.contains { !$0.isWarning } }
    }

    /// Rows over which each place is evaluated.
    package static let sample = 2_000
    /// Rows whose words are counted.
    package static let counted = 200_000

    let mapping: Mapping
    let catalog: Catalog
    let session: SourceSession
    let problems: MappingProblems
    /// Providers that there is an adapter for.
    let providers: Set<String>

    /// Checks a mapping that could be read.
    ///
    /// - Parameters:
    ///   - text: The file, for line numbers.
    ///   - providers: Names of the adapters of this build.
    /// - Throws: `PostgresError` where the database goes away; what is wrong with the mapping is in the
    ///   report.
    package static func run(
        _ connection: borrowing Connection, _ mapping: Mapping, text: [UInt8],
        providers: Set<String>
    ) throws -> Report {
        let check = MappingCheck(
            mapping: mapping, catalog: try Catalog(connection, mapping.tables),
            session: SourceSession(mapping), problems: MappingProblems(lines: JSONLines.of(text)),
            providers: providers)
        return try check.run(connection)
    }

    private init(
        mapping: Mapping, catalog: Catalog, session: SourceSession, problems: MappingProblems,
        providers: Set<String>
    ) {
        self.mapping = mapping
        self.catalog = catalog
        self.session = session
        self.problems = problems
        self.providers = providers
    }

    private func run(_ connection: borrowing Connection) throws -> Report {
        var tables: [TableReport] = []
        for (index, job) in mapping.jobs.enumerated() {
            let path = "jobs[\(index)]"
            guard let table = readable(job.table, at: "\(path).table") else { continue }
            tables.append(
                try TableCheck(check: self, job: job, table: table, path: path).run(connection))
        }
        for (index, name) in mapping.notJobs.enumerated() where catalog[name] == nil {
            problems.add("not_jobs[\(index)]", "there is no table \(name)", isWarning: true)
        }
        if let credits = mapping.credits {
            try CreditsCheck(check: self, credits: credits).run(connection)
        }
        let settles = mapping.credits?.settles ?? []
        let (grade, because) = Grade.of(settles)
        return Report(
            problems: problems.sorted, tables: tables, grade: grade, because: because,
            handlers: settles)
    }

    /// The table, if it is one, and this login may see all of its rows.
    func readable(_ name: TableName, at path: String) -> Catalog.Table? {
        guard let table = catalog[name] else {
            problems.add(path, "there is no table \(name), or this login may not see its schema")
            return nil
        }
        if table.kind == "v" || table.kind == "m" {
            problems.add(
                path, "\(name) is a view; name the table behind it, which is what changes")
            return nil
        }
        guard table.mayRead else {
            problems.add(
                path,
                "this login may not read \(name); have its owner GRANT SELECT on it")
            return nil
        }
        if table.isFiltered {
            problems.add(
                path,
                "row-level security would show this login a part of \(name); use the login of its "
                    + "owner, or one with BYPASSRLS (ALTER ROLE ... BYPASSRLS)")
            return nil
        }
        return table
    }

    /// Whether an expression that sees a row can be planned; placeholders are null.
    func plan(
        _ connection: borrowing Connection, _ sql: String, from table: Catalog.Table?,
        at path: String
    ) throws {
        let filled = SQLText.filled(sql) { _ in "NULL" }
        let from = table.map { " FROM \($0.name.quoted) AS t" } ?? ""
        do {
            _ = try session.query(connection, "EXPLAIN SELECT (\(filled))\(from)")
        } catch let error as PostgresError where error.isRowTrouble || error.sqlState == "42501" {
            problems.add(path, "the expression does not run: \(error.message)")
        }
    }

    /// Whether columns stand in a table; what is not there is a problem.
    func columns(_ names: [String], of table: Catalog.Table, at path: String) {
        for name in names where table.column(name) == nil {
            problems.add(
                path,
                "table \(table.name) has no column \"\(name)\"; it has "
                    + table.columns.map(\.name).joined(separator: ", "))
        }
    }
}
