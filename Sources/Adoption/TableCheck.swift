import Core
import Postgres

/// One job table of a mapping, held against the database.
struct TableCheck {
    let check: MappingCheck
    let job: JobTable
    let table: Catalog.Table
    let path: String
    let sql: PlaceSQL

    init(check: MappingCheck, job: JobTable, table: Catalog.Table, path: String) {
        sql = PlaceSQL(catalog: check.catalog, table: table)
        self.check = check
        self.job = job
        self.table = table
        self.path = path
    }

    var problems: MappingProblems { check.problems }

    func run(_ connection: borrowing Connection) throws -> MappingCheck.TableReport {
        var report = MappingCheck.TableReport(table: table.name, rows: table.rows)
        let all = [(key: "id", place: job.id)] + job.places.map { ($0.key.rawValue, $0.place) }
        for (key, place) in all {
            if let filled = try evaluate(connection, place, key) {
                report.sampled = max(report.sampled, filled.rows)
                report.filled.append((key, filled.filled))
            }
        }
        try checkID(connection)
        try checkValues(connection)
        checkWritten()
        try checkExpressions(connection)
        try StatusCheck(table: self).run(connection, &report)
        return report
    }

    // MARK: Evaluating

    /// So many rows of the table, as `t`: its first ones, or pages all over a large one.
    func sample(_ rows: Int) -> String {
        let estimate = Double(table.rows ?? 0)
        var of = table.name.quoted
        if estimate > Double(rows) * 10, table.kind != "f" {
            let percent = max(0.0001, min(100, Double(rows) * 400 / estimate))
            of += " TABLESAMPLE SYSTEM (\(percent))"
        }
        return "(SELECT * FROM \(of) LIMIT \(rows)) AS t"
    }

    /// A place's expression; where it cannot be made, that is the problem.
    func expression(_ place: Place, _ key: String) -> String? {
        do {
            let isSeveral = PlaceKey(rawValue: key).map(PlaceKey.several.contains) ?? false
            return isSeveral ? try sql.all(place) : try sql.one(place)
        } catch {
            problems.add("\(path).\(key)", error.message)
            return nil
        }
    }

    private func evaluate(
        _ connection: borrowing Connection, _ place: Place, _ key: String
    ) throws -> (rows: Int, filled: Int)? {
        guard let value = expression(place, key) else { return nil }
        let isSeveral = PlaceKey(rawValue: key).map(PlaceKey.several.contains) ?? false
        let filled = isSeveral ? "cardinality(x.v) > 0" : "x.v IS NOT NULL"
        do {
            let row = try check.session.query(
                connection,
                "SELECT count(*) AS rows, count(*) FILTER (WHERE \(filled)) AS filled FROM "
                    + "\(sample(MappingCheck.sample)) CROSS JOIN LATERAL (SELECT \(value) AS v) x"
            ).single()
            return (try row.int("rows"), try row.int("filled"))
        } catch let error as PostgresError where error.isRowTrouble || error.isBusy {
            problems.add(
                "\(path).\(key)",
                "cannot be read: \(error.message)"
                    + (try broken(connection, value).map { " (in the row with id \($0))" } ?? ""))
            return nil
        }
    }

    /// The id of a row over which an expression fails, found by halves; nil where it fails over none
    /// alone, or the table has no places of rows.
    private func broken(_ connection: borrowing Connection, _ value: String) throws -> String? {
        guard table.kind == "r" else { return nil }
        var places = try check.session.query(
            connection,
            "SELECT t.ctid::text AS place FROM \(table.name.quoted) AS t LIMIT \(MappingCheck.sample)"
        ).map { try $0.text("place") }
        func fails(_ some: [String]) throws -> Bool {
            do {
                _ = try check.session.query(
                    connection,
                    "SELECT count(x.v) FROM \(table.name.quoted) AS t CROSS JOIN LATERAL "
                        + "(SELECT \(value) AS v) x WHERE t.ctid = ANY (\(SQLText.array(some))::tid[])"
                )
                return false
            } catch let error as PostgresError where error.isRowTrouble {
                return true
            }
        }
        guard try !places.isEmpty && fails(places) else { return nil }
        while places.count > 1 {
            let half = Array(places[..<(places.count / 2)])
            places = try fails(half) ? half : Array(places[(places.count / 2)...])
        }
        guard let place = places.first, let id = try? sql.one(job.id) else { return nil }
        return try check.session.query(
            connection,
            "SELECT \(id) AS id FROM \(table.name.quoted) AS t WHERE t.ctid = \(SQLText.literal(place))"
        ).first?.optionalText("id")
    }

    /// Counts rows of the sample for which a condition over `x.v` holds; nil where it cannot be told.
    private func count(
        _ connection: borrowing Connection, _ value: String, _ condition: String
    ) throws -> Int? {
        do {
            return try check.session.query(
                connection,
                "SELECT count(*) AS rows FROM \(sample(MappingCheck.sample)) CROSS JOIN LATERAL "
                    + "(SELECT \(value) AS v) x WHERE \(condition)"
            ).single().int("rows")
        } catch let error as PostgresError where error.isRowTrouble || error.isBusy {
            return nil
        }
    }

    // MARK: Values

    private func checkID(_ connection: borrowing Connection) throws {
        let at = "\(path).id"
        var key = job.idParts
        if case .column(let place) = job.id.source { key = [place.column] }
        check.columns(key, of: table, at: at)
        if !key.isEmpty, !table.uniqueKeys.contains(where: { Set($0).isSubset(of: key) }) {
            problems.add(
                at,
                "no unique key of \(table.name) is made of \(key.joined(separator: ", ")): two rows "
                    + "may have one id; name the columns of a key")
        }
        guard let value = try? sql.one(job.id) else { return }
        if let empty = try count(connection, value, "x.v IS NULL"), empty > 0 {
            problems.add(at, "\(empty) of the sampled rows have none")
        }
        let twice = try? check.session.query(
            connection,
            "SELECT count(x.v) - count(DISTINCT x.v) AS rows FROM \(sample(MappingCheck.sample)) "
                + "CROSS JOIN LATERAL (SELECT \(value) AS v) x"
        ).single().int("rows")
        if let twice, twice > 0 {
            problems.add(at, "\(twice) of the sampled rows have the id of another row")
        }
    }

    private func checkValues(_ connection: borrowing Connection) throws {
        if let place = job[.account], let value = try? sql.one(place),
            let empty = try count(connection, value, "x.v IS NULL"), empty > 0
        {
            problems.add(
                "\(path).account",
                "\(empty) of the sampled rows have none; these are never settled",
                isWarning: true)
        }
        if let place = job[.account], !job.hashesAccount, let value = try? sql.one(place),
            let addresses = try count(connection, value, "x.v LIKE '%@%.%'"), addresses > 0
        {
            problems.add(
                "\(path).account",
                "\(addresses) of the sampled rows hold an e-mail address; set \"account_hash\": true"
            )
        }
        try checkCredits(connection)
        try checkKinds(connection)
    }

    private func checkCredits(_ connection: borrowing Connection) throws {
        guard let place = job[.credits] else { return }
        let at = "\(path).credits"
        if case .column(let column) = place.source, column.path.isEmpty,
            table.column(column.column)?.isFloatingPoint == true
        {
            return problems.add(
                at,
                "column \"\(column.column)\" is floating point, which holds no exact money; it is "
                    + "never settled")
        }
        guard let value = try? sql.one(place) else { return }
        let number = "x.v ~ '^ *-?[0-9]+([.][0-9]+)? *$'"
        if let odd = try count(connection, value, "x.v IS NOT NULL AND NOT \(number)"), odd > 0 {
            problems.add(at, "\(odd) of the sampled rows hold no number")
        }
        let scale = check.mapping.credits?.scale ?? 1
        let fraction = "CASE WHEN \(number) THEN x.v::numeric * \(scale) % 1 <> 0 END"
        if let odd = try count(connection, value, fraction), odd > 0 {
            problems.add(
                at,
                "\(odd) of the sampled rows hold a fraction that scale \(scale) leaves no room for")
        }
    }

    private func checkKinds(_ connection: borrowing Connection) throws {
        guard let place = job[.kind], let value = try? sql.one(place) else { return }
        let known = JobKind.allCases.map(\.rawValue) + job.kindWords.map(\.word)
        for (word, rows) in try words(connection, value) where !known.contains(word) {
            problems.add(
                "\(path).kind",
                "\"\(word)\" stands in \(rows) of the sampled rows; map it in \"kind_words\" to image, "
                    + "video, audio or other")
        }
    }

    /// The different values of an expression over the sample, the most frequent first.
    private func words(
        _ connection: borrowing Connection, _ value: String
    ) throws -> [(word: String, rows: Int)] {
        do {
            return try check.session.query(
                connection,
                "SELECT coalesce(x.v, '') AS word, count(*) AS rows FROM "
                    + "\(sample(MappingCheck.sample)) CROSS JOIN LATERAL (SELECT \(value) AS v) x "
                    + "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50"
            ).map { (try $0.text("word"), try $0.int("rows")) }
        } catch let error as PostgresError where error.isRowTrouble || error.isBusy {
            return []
        }
    }

    // MARK: Writing

    /// Whether columns that we would write can hold what we would write.
    private func checkWritten() {
        for (key, place) in job.places {
            guard let written = place.written, let column = table.column(written.column) else {
                continue
            }
            let at = "\(path).\(key.rawValue)"
            switch key {
            case _ where PlaceKey.times.contains(key):
                let isNumber = column.category == "N" && job.timeUnit != nil
                if column.category != "D" && !isNumber {
                    problems.add(
                        at,
                        "column \"\(column.name)\" is \(column.type), and no time"
                            + (column.category == "N" ? "; say \"time_unit\"" : ""))
                }
            case .permanentURL, .resultURLs, .error:
                let holds = column.category == "S" || column.isJSON || column.category == "A"
                if !holds || !written.path.isEmpty && !column.isJSON && column.category != "S" {
                    problems.add(
                        at, "column \"\(column.name)\" is \(column.type), which holds no text")
                } else if key != .error, let limit = column.characterLimit, limit < 500 {
                    problems.add(
                        at,
                        "column \"\(column.name)\" holds \(limit) characters; an address may be longer",
                        isWarning: true)
                }
            default: break
            }
        }
    }

    private func checkExpressions(_ connection: borrowing Connection) throws {
        func plan(_ sql: String, _ key: String) throws {
            try check.plan(connection, sql, from: table, at: "\(path).\(key)")
        }
        if let sql = job.settleWhen { try plan(sql, "settle_when") }
        for (column, sql) in job.placeholders {
            check.columns([column], of: table, at: "\(path).placeholders.\(column)")
            try plan(sql, "placeholders.\(column)")
        }
        for (key, mark) in [("refunded", job.refunded), ("charged", job.charged)] {
            guard let mark else { continue }
            check.columns([mark.column], of: table, at: "\(path).\(key).column")
            try plan(mark.isSet, "\(key).is")
            try plan(mark.set, "\(key).set")
        }
        for (meaning, columns) in job.companions {
            for (column, sql) in columns {
                let key = "companions.\(meaning.rawValue).\(column)"
                check.columns([column], of: table, at: "\(path).\(key)")
                try plan(sql, key)
            }
        }
        if let only = job.onlyTypes {
            check.columns([only.column], of: table, at: "\(path).only_types.column")
        }
    }
}
