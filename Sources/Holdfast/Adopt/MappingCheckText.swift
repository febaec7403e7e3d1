import Adoption
import Core
import Reports
import Runner

/// What `adopt check` found, for people and for machines.
struct MappingCheckText {
    var file: String
    var problems: [MappingProblem]
    /// Nil where the file could not be read as a mapping.
    var report: MappingCheck.Report?
    var mapping: Mapping?

    private var errors: [MappingProblem] { problems.filter { !$0.isWarning } }
    private var warnings: [MappingProblem] { problems.filter(\.isWarning) }

    var status: ExitStatus {
        errors.isEmpty ? (warnings.isEmpty ? .done : .needsPerson) : .configuration
    }

    var text: String {
        var parts: [String] = []
        for problem in errors { parts.append("wrong  \(file), \(problem.text)") }
        for problem in warnings { parts.append("look   \(file), \(problem.text)") }
        if let report {
            parts += report.tables.map(Self.text)
            parts.append(grade(report))
        }
        parts.append(closing)
        return parts.joined(separator: "\n")
    }

    private var closing: String {
        if errors.isEmpty {
            return warnings.isEmpty
                ? "the mapping fits the database" : "\(warnings.count) to look at, nothing wrong"
        }
        return
            "\(errors.count) wrong, \(warnings.count) to look at; correct \(file) and check again"
    }

    private static func text(_ table: MappingCheck.TableReport) -> String {
        let estimate = table.rows.map { "about \($0) rows" } ?? "rows never counted"
        var lines = [
            "",
            "\(table.table)  \(estimate); \(table.sampled) sampled, words of \(table.counted) counted",
        ]
        var places = TextTable(["place", "filled"], numbers: [1], indent: 2)
        for (key, rows) in table.filled { places.add(key, "\(rows)") }
        var words = TextTable(["their word", "means", "rows"], numbers: [2], indent: 2)
        for (word, meaning, rows) in table.words {
            words.add(word.isEmpty ? "(null)" : word, meaning?.rawValue ?? "nothing yet", "\(rows)")
        }
        lines += [places.text, words.text]
        for open in table.open {
            lines.append(
                "  open at \(open.provider): \(open.jobs), \(open.withTask) with a task; "
                    + (open.isKnown
                        ? "these would be asked about"
                        : "no adapter of that name, so these are followed and never asked about"))
        }
        return lines.joined(separator: "\n")
    }

    private func grade(_ report: MappingCheck.Report) -> String {
        var lines = ["", "grade  \(report.grade.rawValue): \(Self.why(report))"]
        if let mapping {
            lines.append(
                "verdict  \(mapping.verdict.rawValue)" + (mapping.reason.map { ": \($0)" } ?? ""))
        }
        for handler in report.handlers {
            lines.append(
                "switch off  \(handler.handler), which does "
                    + handler.does.map(\.rawValue).joined(separator: " and "))
        }
        return lines.joined(separator: "\n")
    }

    private static func why(_ report: MappingCheck.Report) -> String {
        guard let because = report.because else {
            return "no handler of theirs settles, so every settlement is ours"
        }
        guard report.grade == .raced else {
            return "each of their settlements changes the job's row or leaves a unique movement"
        }
        return because.commits == nil
            ? "nobody has read in how many commits \"\(because.handler)\" settles"
            : "\"\(because.handler)\" leaves nothing that names the job with the balance; credits are "
                + "given back only after row and balance have been quiet"
    }

    var members: [(key: String, value: JSONValue)] {
        [
            ("mapping", .string(file)),
            ("problems", .array(problems.map(Self.object))),
            ("tables", .array((report?.tables ?? []).map(Self.object))),
            ("grade", .optional(report?.grade.rawValue)),
            ("grade_why", .optional(report.map(Self.why))),
            ("verdict", .optional(mapping?.verdict.rawValue)),
            (
                "switch_off",
                .array(
                    (report?.handlers ?? []).map { handler in
                        [
                            "handler": .string(handler.handler),
                            "does": .array(handler.does.map { .string($0.rawValue) }),
                        ]
                    })
            ),
        ]
    }

    private static func object(_ problem: MappingProblem) -> JSONValue {
        [
            "level": .string(problem.isWarning ? "look" : "wrong"), "path": .string(problem.path),
            "line": problem.line.map { .integer($0) } ?? .null,
            "message": .string(problem.message),
        ]
    }

    private static func object(_ table: MappingCheck.TableReport) -> JSONValue {
        [
            "table": .string(table.table.description),
            "rows_estimated": table.rows.map { .integer($0) } ?? .null,
            "sampled": .integer(table.sampled), "counted": .integer(table.counted),
            "places": .object(
                JSONObject(
                    table.filled.map { .init(key: $0.key, value: .integer($0.rows)) })),
            "words": .array(
                table.words.map { word in
                    [
                        "word": .string(word.word), "meaning": .optional(word.meaning?.rawValue),
                        "rows": .integer(word.rows),
                    ]
                }),
            "open": .array(
                table.open.map { open in
                    [
                        "provider": .string(open.provider), "asked_about": .bool(open.isKnown),
                        "jobs": .integer(open.jobs), "with_task": .integer(open.withTask),
                    ]
                }),
        ]
    }
}
