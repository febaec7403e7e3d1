import ArgumentParser
import Assembly
import Core
import Postgres
import Runner

struct Doctor: ExecutableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks everything that the runs need, and names the fix for what is wrong.",
        discussion: """
            One line for each check: ok, warn or fail. Exits with 0 when all is well, 1 when a \
            person should look, 75 when the database is down, 78 when something is configured \
            wrongly.
            """)

    @OptionGroup(title: "Reporting") var options: ReportingOptions

    /// Without the settings file, whose reading is the first check and not the end of all others.
    var reporting: ReportingOptions {
        var reporting = options
        reporting.envFile = nil
        return reporting
    }

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        var checks = Checkup()
        var context = context
        do {
            let settings = try Settings(envFile: options.envFile)
            context = RunContext(
                command: context.command, runID: context.runID, settings: settings,
                log: context.log, startedAt: context.startedAt)
            let path = try options.envFile ?? settings.value("HOLDFAST_ENV_FILE")
            checks.ok("settings file", path.map { "\($0) is readable" } ?? "none is named")
        } catch let failure as Failure {
            checks.fail("settings file", failure)
        }
        let providers = checks.providers(context.settings)
        do {
            let connection = try Connection(context)
            checks.ok("database", "\(connection.place) answers")
            checks.database(connection, context.settings, providers)
            checks.installation(context, connection)
            checks.rewinds(connection, context)
        } catch {
            checks.fail("database", Entry.failure(from: error))
            checks.warn(
                "skipped",
                "schema, login, server version, clock, breakers, runs, blocked jobs and callbacks "
                    + "cannot be checked without the database")
        }
        checks.settings(context.settings)
        checks.spool(context.settings)
        checks.storage(context.settings)
        checks.quarantine(context.settings)
        let status = StopSignal.outranking(checks.status)
        Say.answer(
            context, options, [("checks", .array(checks.list.map(\.object)))], status: status,
            text: checks.list.map(\.line).joined(separator: "\n"))
        return status
    }
}

/// The finding of one check.
struct Check {
    enum Level: String {
        case ok, warn, fail
    }

    var level: Level
    var what: String
    var finding: String
    var fix: String?

    var line: String {
        level.rawValue + (level == .ok ? "    " : "  ") + "\(what): \(finding)"
            + (fix.map { "; \($0)" } ?? "")
    }

    var object: JSONValue {
        [
            "level": .string(level.rawValue), "what": .string(what),
            "finding": .string(finding), "fix": .optional(fix),
        ]
    }
}

/// All findings, and the exit status that they add up to.
struct Checkup {
    private(set) var list: [Check] = []
    private(set) var status = ExitStatus.done

    mutating func ok(_ what: String, _ finding: String) {
        add(.ok, what, finding, nil)
    }

    mutating func warn(_ what: String, _ finding: String, _ fix: String? = nil) {
        add(.warn, what, finding, fix)
        status = ExitStatus.worst(status, .needsPerson)
    }

    mutating func fail(
        _ what: String, _ finding: String, _ fix: String?, status: ExitStatus = .configuration
    ) {
        add(.fail, what, finding, fix)
        self.status = ExitStatus.worst(self.status, status)
    }

    /// A failure says what is wrong and the fix in one.
    mutating func fail(_ what: String, _ failure: Failure) {
        fail(what, failure.message, nil, status: failure.status)
    }

    /// Runs a check; what it throws is its finding.
    mutating func look(_ what: String, _ check: (inout Checkup) throws -> Void) {
        do {
            try check(&self)
        } catch {
            fail(what, Entry.failure(from: error))
        }
    }

    private mutating func add(
        _ level: Check.Level, _ what: String, _ finding: String, _ fix: String?
    ) {
        let lines = [finding, fix ?? ""].map {
            Redaction.apply($0).split(whereSeparator: \.isNewline).joined(separator: " ")
        }
        list.append(
            Check(level: level, what: what, finding: lines[0], fix: fix == nil ? nil : lines[1]))
    }
}
