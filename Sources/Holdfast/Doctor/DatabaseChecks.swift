import Assembly
import Core
import Jobs
import Postgres
import Providers
import Reports
import Runner
import Schema

extension Checkup {
    private static let oldestServer = 140_000
    private static let clockTolerance = Duration.seconds(2)
    /// A command that runs each minute is missed after this long.
    private static let runPatience = Duration.seconds(180)

    mutating func database(
        _ connection: borrowing Connection, _ settings: Settings, _ providers: ProviderRegistry?
    ) {
        var hasSchema = false
        look("schema") { checks in
            try Installer.check(connection)
            hasSchema = true
            let version = try Installer.version(connection) ?? 0
            checks.ok(
                "schema",
                "version \(version)"
                    + (version > Migration.current
                        ? ", of a later release that works with this build (\(Migration.current))"
                        : ""))
        }
        server(connection)
        look("clock") { try $0.clock(connection) }
        var offset = Duration.zero
        look("clock offset") { checks in
            offset = try settings.clockOffset()
            guard offset != .zero else { return checks.ok("clock offset", "none") }
            checks.warn(
                "clock offset", "decisions are shifted by \(DurationText.describe(offset))",
                "unset HOLDFAST_CLOCK_OFFSET where jobs are real")
        }
        guard hasSchema else {
            return warn(
                "skipped",
                "login, breakers, runs, blocked jobs and callbacks cannot be checked without the "
                    + "schema")
        }
        var mayRead = false
        look("login") { mayRead = try $0.rights(connection) }
        look("rights") { try $0.rightsAndSequences(connection) }
        look("transactions") { try $0.transactions(connection) }
        guard mayRead else {
            return warn(
                "skipped",
                "breakers, runs, blocked jobs and callbacks cannot be checked with a login that may "
                    + "not read")
        }
        let queries = JobQueries(clockOffset: offset)
        look("breakers") { try $0.breakers(connection, queries) }
        look("runs") { try $0.runs(connection, queries) }
        look("accounts") { try $0.accounts(connection, offset) }
        look("files") { try $0.files(connection, queries) }
        look("trouble") { try $0.lastingTrouble(connection, queries) }
        look("secrets") { try $0.exchangedSecrets(connection, settings) }
        look("jobs") { checks in
            let health = Health(clockOffset: offset)
            let symptoms = try health.symptoms(connection)
            checks.refused(try health.refusedStreaks(connection))
            checks.waiting(symptoms, providers)
            checks.report(symptoms)
        }
    }

    private mutating func server(_ connection: borrowing Connection) {
        let number = connection.serverVersion
        let text = "PostgreSQL \(number / 10_000).\(number % 10_000)"
        if number >= Self.oldestServer {
            ok("server version", text)
        } else {
            fail("server version", "\(text) is older than 14", "upgrade the server")
        }
    }

    private mutating func clock(_ connection: borrowing Connection) throws {
        let before = MachineClock.now()
        let theirs = try Health.clock(connection)
        let after = MachineClock.now()
        // Within the time of the question nobody can tell.
        let off = theirs < before ? before - theirs : theirs > after ? theirs - after : .zero
        if off <= Self.clockTolerance {
            ok("clock", "host and database agree within \(Plain.span(Self.clockTolerance))")
        } else {
            warn(
                "clock",
                "the host's clock is \(Plain.span(off)) \(theirs < before ? "ahead of" : "behind") "
                    + "the database's; tokens and signatures go by the host's",
                "set the clocks of both by NTP")
        }
    }

    /// Whether the login may read at all.
    private mutating func rights(_ connection: borrowing Connection) throws -> Bool {
        let rights = try Health.rights(connection)
        let missing = ["holdfast_app", "holdfast_jobs", "holdfast_owner", "holdfast_report"]
            .filter { !rights.roles.contains($0) }
        let member =
            rights.memberOf.isEmpty
            ? "" : ", as " + rights.memberOf.joined(separator: ", ")
        if rights.mayRun && rights.mayRead {
            ok("login", "\(rights.login) may run the jobs\(member)")
        } else if rights.mayRead {
            warn(
                "login",
                "\(rights.login) may only read\(member): reports and dry runs work, jobs do not",
                "for jobs: GRANT holdfast_jobs TO \(rights.login)")
        } else {
            fail(
                "login", "\(rights.login) may neither run the jobs nor read\(member)",
                "GRANT holdfast_jobs TO \(rights.login), or use another login in "
                    + "HOLDFAST_DATABASE_URL")
        }
        if missing.isEmpty {
            ok("roles", "all four are there")
        } else {
            warn(
                "roles",
                "\(missing.joined(separator: ", ")) not there; the schema's owner does "
                    + "everything",
                "run holdfast setup once with a login that may create roles")
        }
        return rights.mayRead
    }

    /// Ids of accounts stay for ever, so that they must be nobody's name.
    private mutating func accounts(
        _ connection: borrowing Connection, _ offset: Duration
    ) throws {
        let (addresses, unfinished) = try Health(clockOffset: offset).personalIDs(connection)
        if addresses > 0 {
            warn(
                "accounts",
                "\(addresses == 1000 ? "1000 or more" : "\(addresses)") account ids look like e-mail "
                    + "addresses",
                "open accounts under ids that are no personal data: they stay in the books when a "
                    + "customer asks to be forgotten")
        }
        for account in unfinished {
            warn(
                "accounts", "an account is being forgotten, and that was not finished",
                "holdfast account forget \(account)")
        }
    }

    private mutating func breakers(
        _ connection: borrowing Connection, _ queries: JobQueries
    ) throws {
        for provider in try queries.providers(connection)
        where provider.isUsed || provider.failures > 0 || provider.pausedUntil != nil {
            if let problem = provider.listProblem {
                warn(
                    "task list of \(provider.name)", problem,
                    "see that its key may list tasks; until then strays are not found")
            }
            for family in provider.unreadable {
                warn(
                    "answers of \(family.name)",
                    "cannot be read since \(family.since), for \(family.jobs) jobs"
                        + (family.message.map { " (the last: \($0))" } ?? "")
                        + "; no job is set aside for it, and watches wait",
                    "look at the provider's status page and changelog; one is asked about each minute, "
                        + "and all when it can be read")
            }
            if let trouble = provider.keyTrouble {
                let variables =
                    ProviderSupport.all.first { $0.name == provider.name }?.credentials ?? []
                fail(
                    "provider \(provider.name)",
                    trouble + (provider.lastError.map { ", it says: \($0)" } ?? "")
                        + "; its jobs keep their state",
                    "check \(variables.joined(separator: ", ")), and with the provider that the key "
                        + "is active; the runs try again by themselves")
                continue
            }
            let what = "breaker \(provider.name)"
            guard let until = provider.pausedUntil else {
                ok(
                    what,
                    provider.failures == 0
                        ? "closed" : "closed, \(provider.failures) transient failures in a row")
                continue
            }
            warn(
                what,
                "left alone until \(until) (\(provider.pauseReason ?? "no reason kept")"
                    + (provider.lastError.map { "; the last: \($0)" } ?? "")
                    + "); its jobs keep their state",
                "look at the provider's own status page; the runs try again by themselves")
        }
    }

    private mutating func runs(
        _ connection: borrowing Connection, _ queries: JobQueries
    ) throws {
        let now = try Health.clock(connection) + queries.clockOffset
        for run in try queries.lastRuns(connection) where run.command != "ledger-reconciler" {
            let what = "run of \(run.command)"
            let fix = "see that cron starts it each minute, and what it says on standard error"
            guard let startedAt = run.startedAt else {
                warn(what, "never", fix)
                continue
            }
            let age = Plain.distance(startedAt, from: now)
            if now - startedAt > Self.runPatience {
                warn(what, "the last one began \(age)", fix)
            } else {
                ok(what, "the last one began \(age)")
            }
        }
    }

    private mutating func waiting(_ symptoms: Symptoms, _ providers: ProviderRegistry?) {
        for (name, jobs) in symptoms.waiting.sorted(by: { $0.key < $1.key }) {
            guard let providers, !providers.isConfigured(name) else { continue }
            let missing = providers.missingVariables(name)
            warn(
                "jobs of \(name)", "\(jobs) wait for a provider that is off on this host",
                missing.isEmpty
                    ? "install the build that knows \(name)"
                    : "set " + missing.joined(separator: " and "))
        }
    }

    private mutating func refused(_ streaks: [RefusedStreak]) {
        for streak in streaks {
            warn(
                "callbacks of \(streak.provider.isEmpty ? "(no provider)" : streak.provider)",
                "the last \(streak.callbacks) were all refused: "
                    + CallbackRefusal.meaning(streak.reasons, provider: streak.provider),
                "set both to one value; jobs are polled meanwhile")
        }
    }

    private mutating func report(_ symptoms: Symptoms) {
        if symptoms.deadRuns == 0 {
            ok("dead runs", "none within a day")
        } else {
            warn(
                "dead runs",
                "\(symptoms.deadRuns) of the last day began over an hour ago and never ended",
                "look for crashes and kills in the system's log; their work was taken over")
        }
        if symptoms.blocked.isEmpty {
            ok("blocked jobs", "none")
        } else {
            let counts = symptoms.blocked.map { "\($0.jobs) \($0.reason)" }
            warn(
                "blocked jobs", counts.joined(separator: ", "),
                "holdfast job list --blocked shows them; for the first of each: "
                    + symptoms.blocked.map(\.wayOut).joined(separator: "; "))
        }
        let patience = Plain.span(Health.callbackPatience)
        if symptoms.staleCallbacks == 0 {
            ok("callbacks", "none has waited longer than \(patience)")
        } else {
            warn(
                "callbacks",
                "\(symptoms.staleCallbacks) have waited in the inbox for longer than \(patience)",
                "see that stuck-sweeper runs")
        }
    }
}
