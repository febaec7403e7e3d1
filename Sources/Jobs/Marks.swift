package import Core
package import Postgres

/// One mark: a number that each run that writes raises, and a value of chance.
package struct Mark: Equatable, Sendable {
    package var counter: Int64
    package var value: String
    package var markedAt: Instant

    package init(counter: Int64, value: String, markedAt: Instant) {
        self.counter = counter
        self.value = value
        self.markedAt = markedAt
    }

    /// No run ever comes that far; what is beyond was made up.
    private static let limit: Int64 = 1 << 53

    /// From `[counter, value, microseconds]`.
    package init?(_ json: JSONValue) {
        guard let parts = json.array, parts.count == 3, let counter = parts[0].int,
            (1..<Self.limit).contains(counter),
            case .string(let value) = parts[1], !value.isEmpty, let at = parts[2].int
        else { return nil }
        self.init(counter: counter, value: value, markedAt: Instant(microseconds: at))
    }
}

/// What a server tells of itself; nil where it does not.
package struct ServerIdentity: Equatable, Sendable {
    package var system: String?
    package var timeline: String?
    package var lsn: Int64?

    package init(system: String? = nil, timeline: String? = nil, lsn: Int64? = nil) {
        self.system = system
        self.timeline = timeline
        self.lsn = lsn
    }
}

/// What the database knows of the marks that runs have left.
package struct DatabaseMarks: Equatable, Sendable {
    package var latest: Mark
    /// The oldest number that is kept.
    package var oldest: Int64
    /// Those of the numbers that were asked for, by number.
    package var known: [Int64: Mark]
    /// Numbers that are known to be lost.
    package var lost: [ClosedRange<Int64>]
    /// Places outside that marks were written to.
    package var places: Set<String> = []
    /// The server when the latest was raised, and now.
    package var serverThen: ServerIdentity
    package var serverNow: ServerIdentity
    /// A loss that was noticed still holds jobs back.
    package var isRewindOpen: Bool

    package init(
        latest: Mark, oldest: Int64, known: [Int64: Mark] = [:], lost: [ClosedRange<Int64>] = [],
        serverThen: ServerIdentity = .init(), serverNow: ServerIdentity = .init(),
        isRewindOpen: Bool = false
    ) {
        self.latest = latest
        self.oldest = oldest
        self.known = known
        self.lost = lost
        self.serverThen = serverThen
        self.serverNow = serverNow
        self.isRewindOpen = isRewindOpen
    }
}

/// Why the database seems to have lost commits, and from when on.
package struct RewindSign: Equatable, Sendable {
    /// `mark`, `timeline`, `system` or `lsn`.
    package var word: String
    /// Both sides, for people.
    package var message: String
    /// The last mark that both sides know.
    package var since: Instant
    /// Marks that were lost; empty when the server alone tells it.
    package var lost: ClosedRange<Int64>?

    package init(word: String, message: String, since: Instant, lost: ClosedRange<Int64>?) {
        self.word = word
        self.message = message
        self.since = since
        self.lost = lost
    }
}

/// How a job stands that may be about what was lost.
package enum RewindHold: String, Sendable {
    case held
    /// Its provider has told nothing within one deadline after the sign.
    case over
}

/// The marks of the database, and what follows from their loss.
package struct Marks: Sendable {
    /// Hosts whose marks are looked for in the store.
    package static let hosts = 32
    /// Jobs that are looked at in one transaction.
    private static let page = 1000

    private let run: Run

    package init(run: Run) { self.run = run }

    /// What the database knows; reads only.
    package func known(
        _ connection: borrowing Connection, _ counters: [Int64]
    ) throws -> DatabaseMarks {
        let row = try connection.query(
            """
            SELECT holdfast.marks(\(counters)::bigint[], \(run.clockOffset)::interval)::text AS marks
            """
        ).single()
        let json = try JSON.parse(Array(row.text("marks").utf8))
        func server(_ suffix: String) -> ServerIdentity {
            ServerIdentity(
                system: json["system" + suffix]?.text, timeline: json["timeline" + suffix]?.text,
                lsn: json["lsn" + suffix]?.int)
        }
        let known = (json["known"]?.array ?? []).compactMap(Mark.init)
        let lost = (json["lost"]?.array ?? []).compactMap { pair -> ClosedRange<Int64>? in
            guard let from = pair.array?.first?.int, let to = pair.array?.last?.int, from <= to
            else { return nil }
            return from...to
        }
        var found = DatabaseMarks(
            latest: Mark(
                counter: json["counter"]?.int ?? 0, value: json["value"]?.text ?? "",
                markedAt: Instant(microseconds: json["marked_us"]?.int ?? 0)),
            oldest: json["oldest"]?.int ?? 0,
            known: Dictionary(known.map { ($0.counter, $0) }, uniquingKeysWith: { one, _ in one }),
            lost: lost, serverThen: server(""), serverNow: server("_now"),
            isRewindOpen: json["is_open"]?.bool ?? false)
        found.places = Set((json["places"]?.array ?? []).compactMap(\.text))
        return found
    }

    /// Hosts that have raised marks within 30 days, the newest first.
    package func hosts(_ connection: borrowing Connection) throws -> [String] {
        try connection.query(
            """
            SELECT h AS host FROM holdfast.marking_hosts(\(Self.hosts)::integer,
                \(run.clockOffset)::interval) h
            """
        ).map { try $0.text("host") }
    }

    /// Raises the mark; what comes back is to be written outside.
    package func raise(_ connection: borrowing Connection, host: String) throws -> [UInt8] {
        let row = try connection.query(
            """
            SELECT holdfast.raise_mark(\(run.runID)::uuid, \(host),
                \(run.clockOffset)::interval)::text AS mark
            """
        ).single()
        return Array(try row.text("mark").utf8)
    }

    /// Remembers that marks were written to a place.
    package func note(_ connection: borrowing Connection, place: String) throws {
        try connection.execute(
            """
            SELECT holdfast.note_mark_place(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(place))
            """)
    }

    /// Keeps that commits were lost, and holds back the jobs that it may be about.
    ///
    /// - Returns: the loss, and whether this run was the first to notice it.
    package func notice(
        _ connection: borrowing Connection, _ sign: RewindSign
    ) throws -> (rewindID: Int64, isNews: Bool) {
        let row = try connection.query(
            """
            SELECT * FROM holdfast.notice_rewind(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(sign.word), \(sign.message), \(sign.since.microseconds)::bigint,
                \(sign.lost?.lowerBound ?? 0)::bigint, \(sign.lost?.upperBound ?? -1)::bigint)
            """
        ).single()
        let rewindID = try row.int64("rewind_id")
        try fill(connection, rewindID)
        return (rewindID, try row.bool("is_news"))
    }

    /// Goes on with what another run has noticed and not come to the end of.
    package func fillOpen(_ connection: borrowing Connection) throws {
        for row in try connection.query(
            """
            SELECT rewind_id FROM holdfast.rewind WHERE closed_at IS NULL AND filled_at IS NULL
            """)
        {
            try fill(connection, try row.int64("rewind_id"))
        }
    }

    private func fill(_ connection: borrowing Connection, _ rewindID: Int64) throws {
        while try connection.query(
            """
            SELECT holdfast.fill_rewind(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(rewindID)::bigint, \(Self.page)::integer) AS has_more
            """
        ).single().bool("has_more") {}
    }

    /// How it stands with a job now; nil when nothing holds it back.
    package func hold(
        _ connection: borrowing Connection, _ jobID: String
    ) throws -> RewindHold? {
        try connection.query(
            """
            SELECT holdfast.rewind_state(\(jobID),
                clock_timestamp() + \(run.clockOffset)::interval) AS state
            """
        ).single().optionalText("state").flatMap(RewindHold.init)
    }

    /// Lets a job go of which the provider said, asked by our own id, that it has no task.
    package func letGoLookedUp(_ connection: borrowing Connection, _ jobID: String) throws {
        try connection.execute(
            """
            SELECT holdfast.let_go_looked_up(\(run.runID)::uuid, \(run.clockOffset)::interval,
                \(jobID))
            """)
    }

    /// Whether an object in the store may become a file's.
    package func mayAdopt(
        _ connection: borrowing Connection, _ item: FileItem, key: String, sha256: String
    ) throws -> Bool {
        try connection.query(
            """
            SELECT holdfast.may_adopt(\(key), \(item.jobID), \(item.ordinal)::integer, \(sha256))
                AS may
            """
        ).single().bool("may")
    }
}
