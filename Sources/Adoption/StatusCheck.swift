import Core
import Postgres

/// The words of a job table's state: those that occur, those that may, and those that we would write.
struct StatusCheck {
    let table: TableCheck

    private var job: JobTable { table.job }
    private var status: StatusMapping { table.job.status }
    private var at: String { "\(table.path).status" }

    func run(
        _ connection: borrowing Connection, _ report: inout MappingCheck.TableReport
    ) throws {
        guard let word = try expression(connection) else { return }
        try count(connection, word, &report)
        checkWords(report)
        checkAllowed()
        for only in job.reopen where status.meaning(of: only) == nil {
            table.problems.add("\(table.path).reopen", "\"\(only)\" is none of the words")
        }
    }

    private func expression(_ connection: borrowing Connection) throws -> String? {
        switch status.source {
        case .column(let name):
            guard table.table.column(name) != nil else {
                table.check.columns([name], of: table.table, at: "\(at).column")
                return nil
            }
            return "coalesce(t.\(SQLText.name(name))::text, '')"
        case .rule(let rule, let columns):
            table.check.columns(columns, of: table.table, at: "\(at).columns")
            return "coalesce((\(rule))::text, '')"
        }
    }

    /// Rows that are jobs, by word, provider and whether they have a task.
    private func count(
        _ connection: borrowing Connection, _ word: String,
        _ report: inout MappingCheck.TableReport
    ) throws {
        let provider = job[.provider].flatMap { try? table.sql.one($0) } ?? "''"
        let task = job[.taskID].flatMap { try? table.sql.one($0) } ?? "NULL"
        let only = job.onlyTypes.map {
            "WHERE t.\(SQLText.name($0.column))::text = ANY (\(SQLText.array($0.words)))"
        }
        let sql = """
            SELECT x.word, coalesce(x.provider, '') AS provider, count(*) AS rows,
                count(x.task) AS with_task
            FROM \(table.sample(MappingCheck.counted)) CROSS JOIN LATERAL (SELECT \(word) AS word,
                \(provider) AS provider, \(task) AS task) x \(only ?? "")
            GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1000
            """
        do {
            for row in try table.check.session.query(connection, sql) {
                take(
                    try row.text("word"), try row.text("provider"), try row.int("rows"),
                    try row.int("with_task"), &report)
            }
        } catch let error as PostgresError where error.isRowTrouble || error.isBusy {
            table.problems.add(at, "cannot be counted: \(error.message)")
        }
    }

    private func take(
        _ word: String, _ provider: String, _ rows: Int, _ withTask: Int,
        _ report: inout MappingCheck.TableReport
    ) {
        let meaning = status.meaning(of: word)
        report.counted += rows
        if let known = report.words.firstIndex(where: { $0.word == word }) {
            report.words[known].rows += rows
        } else {
            report.words.append((word, meaning, rows))
        }
        guard meaning?.isOpen == true else { return }
        if let known = report.open.firstIndex(where: { $0.provider == provider }) {
            report.open[known].jobs += rows
            report.open[known].withTask += withTask
        } else {
            report.open.append(
                MappingCheck.OpenJobs(
                    provider: provider, isKnown: table.check.providers.contains(provider),
                    jobs: rows, withTask: withTask))
        }
    }

    private func checkWords(_ report: MappingCheck.TableReport) {
        for (word, meaning, rows) in report.words where meaning == nil {
            table.problems.add(
                "\(at).words",
                "\(word.isEmpty ? "null" : "\"\(word)\"") stands in \(rows) rows and has no meaning; "
                    + "give it one, or not_a_job")
        }
    }

    /// What an enum or a CHECK allows, against what is mapped and what would be written.
    private func checkAllowed() {
        guard case .column(let name) = status.source, let column = table.table.column(name) else {
            return
        }
        let allowed = column.words
        for word in allowed ?? [] where status.meaning(of: word) == nil {
            table.problems.add(
                "\(at).words", "\"\(word)\" is allowed in column \"\(name)\" and has no meaning")
        }
        for (word, _) in status.words where allowed?.contains(word) == false && !word.isEmpty {
            table.problems.add(
                "\(at).words.\(word)", "column \"\(name)\" does not allow this word",
                isWarning: true)
        }
        for (meaning, word) in status.write {
            guard let word else { continue }
            let place = "\(at).write.\(meaning.rawValue)"
            if allowed?.contains(word) == false {
                table.problems.add(place, "column \"\(name)\" does not allow \"\(word)\"")
            }
            if let limit = column.characterLimit, word.count > limit {
                table.problems.add(
                    place,
                    "\"\(word)\" is longer than the \(limit) characters of column \"\(name)\"")
            }
        }
    }
}
