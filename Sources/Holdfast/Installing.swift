import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Runner
import Schema

struct Setup: ExecutableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates the roles and the schema, and brings the schema up to date.",
        discussion: "Safe to repeat, and safe on two hosts at once.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Flag(help: "Print the SQL that would run, and run nothing.")
    var dryRun = false

    var isDryRun: Bool { dryRun }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        try Installing(setUp: true, isDryRun: dryRun).perform(context, reporting)
    }
}

struct Migrate: ExecutableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Brings the schema up to date.",
        discussion: "Safe to repeat, and safe on two hosts at once.")

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Flag(help: "Print the SQL that would run, and run nothing.")
    var dryRun = false

    var isDryRun: Bool { dryRun }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        try Installing(setUp: false, isDryRun: dryRun).perform(context, reporting)
    }
}

/// What `setup` and `migrate` have in common.
struct Installing {
    var setUp: Bool
    var isDryRun: Bool

    func perform(_ context: RunContext, _ reporting: ReportingOptions) throws -> ExitStatus {
        let connection = try Connection(context)
        if isDryRun {
            let sql = try Installer().plan(
                connection, setUp: setUp,
                installation: context.settings.value(Installations.variable))
            let text = sql
            Say.answer(context, reporting, isDryRun: true, [("sql", .string(sql))], text: text)
            return .done
        }
        let installer = Installer()
        let named = try context.settings.value(Installations.variable)
        let report =
            setUp
            ? try installer.setUp(connection, installation: named, actor: Person.actor)
            : try installer.migrate(connection)
        // The schema is needed before a person can say what a copy is.
        let trouble = try Installations.trouble(connection, named: named)
        if let trouble { Output.error("\(context.command): \(trouble)") }
        Say.answer(
            context, reporting, isDryRun: false,
            [
                ("schema_version", .integer(report.version)),
                ("applied", .array(report.applied.map { .integer($0) })),
                ("roles_missing", .optional(report.rolesMissing)),
                ("stopped", .optional(trouble)),
            ], text: text(of: report, at: connection.place))
        return .done
    }

    private func text(of report: Installer.Report, at place: String) -> String {
        var lines = [
            report.applied.isEmpty
                ? "schema holdfast at \(place) is up to date (version \(report.version))"
                : "schema holdfast at \(place) is at version \(report.version) now; applied "
                    + report.applied.map(String.init).joined(separator: ", ")
        ]
        if let missing = report.rolesMissing {
            lines.append("roles were not created: \(missing)")
        } else if setUp {
            lines.append(
                "roles holdfast_owner, holdfast_app, holdfast_jobs and holdfast_report are there")
        }
        return lines.joined(separator: "\n")
    }
}
