import ArgumentParser
import Assembly
import Core
import Jobs
import Postgres
import Runner

struct InstallationCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "installation",
        abstract: "Says which installation a database is of: the original, moved, or a copy.",
        discussion: """
            A copy of a database does nothing until a person says what it is: every run ends with 78. \
            See docs/operate/copy.md and docs/operate/move.md.
            """,
        subcommands: [
            InstallationShow.self, InstallationMoved.self, InstallationCopy.self,
            InstallationAllow.self,
        ])
}

/// What the commands about the installation have in common.
enum InstallationText {
    static func members(_ installation: Installation) -> Say.Members {
        [
            ("installation_id", .string(installation.marker.installationID)),
            ("name", .string(installation.marker.name)),
            ("written_down", installation.marker.database.json),
            ("server", installation.server.json),
            ("off", .array(installation.off.map { .string($0) })),
        ]
    }

    static var missing: Failure {
        Failure(
            .configuration, code: "installation_missing",
            "the database does not say yet which installation it is of; run: holdfast setup")
    }

    /// Where a place of these settings stands, in words.
    static func state(_ verdict: PlaceVerdict) -> String {
        switch verdict {
        case .ours: "ours"
        case .isNew: "not marked yet"
        case .isFromBefore: "ours, from before a move; the next run marks it anew"
        case .isTaken(let other): "of \(other.words)"
        case .isShared(let other): "marked by \(other.words)"
        case .isLost: "its marker is gone"
        case .isUnreadable(let what): "its marker has \(what)"
        }
    }
}

struct InstallationShow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract:
            "Shows id, name and database, whose the store and the state folder are, and what is off."
    )
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    private static let limit = 20

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        guard let installation = try Installations.load(connection) else {
            throw InstallationText.missing
        }
        let named = try context.settings.value(Installations.variable)
        let trouble = try Installations.trouble(connection, named: named)
        let places = InstallationPlaces(context)
        var here: [(name: String, state: String)] = []
        for found in [Result { try places.store() }, .success(places.stateFolder())] {
            do {
                guard let place = try found.get() else { continue }
                let hasMet = try Installations.hasMet(connection, place.kind, place.key)
                let verdict = try places.verdict(of: place, installation, hasMet: hasMet)
                here.append((place.markers.words, InstallationText.state(verdict)))
            } catch {
                let failure = Entry.failure(from: error)
                here.append(("store", "cannot be looked at: \(failure.message)"))
            }
        }
        let met = try Installations.places(connection, limit: Self.limit)
        var lines = [
            installation.marker.words,
            trouble.map { "stopped: \($0)" } ?? "the server tells the same",
        ]
        lines += here.map { "\($0.name): \($0.state)" }
        lines += met.map { "has met \($0.kind) \($0.place)" }
        for one in installation.off {
            lines.append("\(one) off; to set it anew: holdfast installation allow \(one)")
        }
        Say.answer(
            context, reporting,
            InstallationText.members(installation) + [
                (key: "stopped", value: .optional(trouble)),
                (
                    key: "here",
                    value: .array(
                        here.map { ["place": .string($0.name), "state": .string($0.state)] })
                ),
                (
                    key: "met",
                    value: .array(
                        met.map { ["kind": .string($0.kind), "place": .string($0.place)] })
                ),
            ], text: lines.joined(separator: "\n"))
        return .done
    }
}

struct InstallationMoved: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "moved",
        abstract: "This database is the original in a new place, or is about to move.",
        discussion: """
            Only where nothing works on the old database any more: two that take themselves for one \
            installation would each ask, charge and write. It writes down what the server tells of \
            itself, takes the name that HOLDFAST_INSTALLATION gives, and marks the store and the state \
            folder of this host. Said once before a planned move as well, the move is no sign of lost \
            commits. Your name is kept.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String?

    @Flag(name: .customLong("dry-run"), help: "Say what would be written down, and do nothing.")
    var isDryRun = false

    mutating func validate() throws { if let reason { try Reason.check(reason) } }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let named = try context.settings.value(Installations.variable)
        let places = InstallationPlaces(context)
        let before = try Installations.load(connection)
        let found = [places.stateFolder(), try places.store()].compactMap { $0 }
        var problems: [Failure] = []
        if let before { problems = try Self.problems(found, places, before) }
        if !isDryRun {
            problems = []
            try Installations.moved(
                connection, named: named, actor: Person.actor, reason: reason)
            if let now = try Installations.load(connection) {
                for place in found {
                    do {
                        try Self.mark(place, now, connection)
                    } catch let failure as Failure {
                        problems.append(failure)
                    }
                }
            }
        }
        guard let now = try Installations.load(connection) else { throw InstallationText.missing }
        let from = before?.marker.database.words ?? "nothing"
        let text =
            isDryRun
            ? "would write down \(now.server.words) in the place of \(from); nothing was changed"
            : "installation \(now.marker.name) (\(now.marker.installationID)) is at "
                + "\(now.server.words) now; before it was \(from); by \(Person.actor)"
        // A folder that is not there yet has nothing to be marked.
        let isAway = problems.contains { $0.status == .unavailable }
        let status: ExitStatus = isAway ? .unavailable : .done
        Say.answer(
            context, reporting, isDryRun: isDryRun,
            InstallationText.members(now) + [(key: "actor", value: .string(Person.actor))],
            errors: problems, status: status,
            text: ([text] + problems.map(\.message)).joined(separator: "\n"))
        return status
    }

    /// Refuses a place of another installation; returns what cannot be looked at, which runs do again.
    private static func problems(
        _ found: [InstallationPlaces.Place], _ places: InstallationPlaces, _ before: Installation
    ) throws -> [Failure] {
        var problems: [Failure] = []
        for place in found {
            let verdict: PlaceVerdict
            do throws(Failure) {
                verdict = try places.verdict(of: place, before, hasMet: false)
            } catch {
                problems.append(error)
                continue
            }
            if case .isTaken = verdict,
                let complaint = verdict.complaint(
                    about: place.markers.words, before.marker, another: place.another)
            {
                throw Failure(.configuration, code: InstallationPlaces.code, complaint)
            }
        }
        return problems
    }

    private static func mark(
        _ place: InstallationPlaces.Place, _ now: Installation, _ connection: borrowing Connection
    ) throws {
        // A store that nothing was ever written to is marked by the first run that writes there.
        if try place.markers.read(.installation) == .absent,
            try !Installations.hasMet(connection, place.kind, place.key)
        {
            return
        }
        try place.markers.overwrite(.installation, now.marker.bytes)
        try Installations.meet(connection, place.kind, place.key)
    }
}

struct InstallationCopy: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "This database is a copy, and from now on an installation of its own.",
        discussion: """
            It gets a new id and the name that you give. Its open jobs wait for a person (blocked = \
            person), because the original looks after them: free those that you want with holdfast job \
            requeue. Retriggering, notices and pings are off until you set each anew with holdfast \
            installation allow. It needs a store of its own: another prefix in HOLDFAST_STORAGE_URL, \
            and another folder in HOLDFAST_STATE_DIR. Strays are told only where they are its own \
            (policy strays). Your name is kept.
            """)
    static let worksInCopy = true

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("Its name, such as staging.", valueName: "name"))
    var name: String

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String?

    @Flag(name: .customLong("dry-run"), help: "Say what would be done, and do nothing.")
    var isDryRun = false

    mutating func validate() throws {
        if let reason { try Reason.check(reason) }
        guard (1...100).contains(name.count), name.allSatisfy({ !$0.isNewline }),
            name.unicodeScalars.allSatisfy({ $0.value >= 0x20 })
        else { throw ValidationError("the name of an installation has 1 to 100 characters") }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        if let before = try Installations.load(connection), before.marker.name == name {
            throw Failure(
                .configuration, code: "installation_name",
                "\(name) is the name of the original (\(before.marker.words)); a copy needs another: "
                    + "holdfast installation copy NAME")
        }
        if isDryRun {
            let jobs = try Installations.openJobs(connection)
            Say.answer(
                context, reporting, isDryRun: true,
                [("name", .string(name)), ("jobs_set_aside", .integer(jobs))],
                text: "would make this database installation \(name), and set \(jobs) open jobs "
                    + "aside; nothing was changed")
            return .done
        }
        let jobs = try Installations.copy(
            connection, name: name, actor: Person.actor, reason: reason)
        guard let now = try Installations.load(connection) else { throw InstallationText.missing }
        let next = try Self.next(context, now)
        Say.answer(
            context, reporting,
            InstallationText.members(now) + [
                (key: "jobs_set_aside", value: .integer(jobs)),
                (key: "actor", value: .string(Person.actor)),
                (key: "next", value: .array(next.map { .string($0) })),
            ],
            text: ([
                "this database is installation \(name) (\(now.marker.installationID)) now; \(jobs) "
                    + "open jobs wait for a person; \(now.off.joined(separator: ", ")) are off; by "
                    + Person.actor
            ] + next).joined(separator: "\n"))
        return .done
    }

    /// What the settings still lack.
    private static func next(_ context: RunContext, _ now: Installation) throws -> [String] {
        var next: [String] = []
        let named = try context.settings.value(Installations.variable)
        if let named, named != now.marker.name {
            next.append("set \(Installations.variable)=\(now.marker.name); now it is \(named)")
        }
        let places = InstallationPlaces(context)
        for found in [Result { try places.store() }, .success(places.stateFolder())] {
            guard let place = try? found.get(),
                let verdict = try? places.verdict(of: place, now, hasMet: false),
                let complaint = verdict.complaint(
                    about: place.markers.words, now.marker, another: place.another)
            else { continue }
            next.append("\(place.another): \(complaint.prefix { $0 != ":" })")
        }
        return next
    }
}

struct InstallationAllow: DatabaseCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Sets anew what a copy has off: retrigger, notices or pings.",
        discussion: """
            First see that the settings name the copy's own addresses: HOLDFAST_RETRIGGER_URL for \
            retrigger, HOLDFAST_NOTIFY_URL and the mail settings for notices, HOLDFAST_PING_URL for \
            pings. It holds from the next run on. Your name is kept.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Argument(help: ArgumentHelp("retrigger, notices or pings.", valueName: "what"))
    var what: String

    @Option(help: ArgumentHelp("Why, for the audit trail.", valueName: "text"))
    var reason: String?

    mutating func validate() throws {
        if let reason { try Reason.check(reason) }
        guard Installations.switches.contains(what) else {
            throw ValidationError(
                "\"\(what)\" is none of \(Installations.switches.joined(separator: ", "))")
        }
    }

    mutating func perform(
        _ context: RunContext, _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let hasChanged = try Installations.allow(
            connection, what, actor: Person.actor, reason: reason)
        Say.answer(
            context, reporting,
            [
                ("what", .string(what)), ("changed", .bool(hasChanged)),
                ("actor", .string(Person.actor)),
            ],
            text: hasChanged
                ? "\(what) is on from the next run on; by \(Person.actor)"
                : "\(what) was on before; nothing was changed")
        return .done
    }
}
