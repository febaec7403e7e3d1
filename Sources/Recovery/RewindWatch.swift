package import Core
import Jobs
package import Postgres

/// Looks for the marks of runs outside the database, at most once in a run, and only before something
/// that a database which lost commits must not do: send a job again, call one never submitted, or void
/// one at the end of its watch.
package struct RewindWatch {
    package enum Answer: Equatable {
        case readable
        /// Not while marks cannot be read; why, for people.
        case unreadable(String)
    }

    /// What was found in the places.
    package struct Findings {
        package var marks: [OutsideMark] = []
        /// Marks that are there and that nobody can read, by place.
        package var garbage: [(place: any MarkerPlace, name: MarkerName)] = []
        /// Places that could not be read, with the reason.
        package var unread: [(place: String, failure: Failure)] = []

        /// Why it cannot be told what is outside; nil when it can.
        ///
        /// A place that no mark was ever written to has none, whatever it answers.
        package func problem(_ met: Set<String>) -> Failure? {
            if let one = garbage.first { return RewindWatch.garbage(one.name, one.place) }
            return unread.first { met.contains($0.place) || $0.place.isEmpty }?.failure
        }
    }

    /// How long the three wait before marks are looked for again.
    static let pause = Duration.seconds(60)

    private let run: Run
    private let places: @Sendable () throws -> [any MarkerPlace]
    private let host: String
    private let marks: Marks
    private var answer: Answer?
    /// A loss was noticed in this run, so that what was claimed before may be held back now.
    package private(set) var hasNoticed = false

    package init(
        _ run: Run, host: String, places: @escaping @Sendable () throws -> [any MarkerPlace]
    ) {
        self.run = run
        self.host = host
        self.places = places
        marks = Marks(run: run)
    }

    /// The name of a host's mark.
    package static func name(of host: String) -> MarkerName { MarkerName("mark-" + host) }

    /// Looks, and holds jobs back where commits were lost.
    package mutating func look(
        _ connection: borrowing Connection, _ report: inout RunReport
    ) throws -> Answer {
        if let answer { return answer }
        let hosts = [host] + (try marks.hosts(connection).filter { $0 != host })
        let findings = find(hosts)
        let (known, isNoticed) = try judge(connection, findings, &report)
        hasNoticed = isNoticed
        try marks.fillOpen(connection)
        var found = Answer.readable
        if let problem = findings.problem(known.places) {
            found = .unreadable(problem.message)
            report.add(
                .init(
                    code: "marks_unreadable",
                    message: "whether the database has lost commits cannot be told: "
                        + "\(problem.message); until then no job is sent again, called never "
                        + "submitted or voided at the end of its watch, and everything else goes on",
                    subject: "marks"),
                status: problem.status)
        }
        answer = found
        return found
    }

    /// Compares what is outside with the database.
    ///
    /// - Returns: What the database knows, and whether commits were lost of which nobody knew.
    private func judge(
        _ connection: borrowing Connection, _ findings: Findings, _ report: inout RunReport
    ) throws -> (DatabaseMarks, Bool) {
        let counters = Set(findings.marks.flatMap { $0.marks.map(\.counter) })
        let known = try marks.known(connection, counters.sorted())
        guard let sign = Rules.rewind(known, outside: findings.marks) else {
            return (known, false)
        }
        let (rewindID, isNews) = try marks.notice(connection, sign)
        if isNews {
            report.add(
                .init(
                    code: "rewind",
                    message: "the database has lost commits since \(sign.since) (rewind "
                        + "\(rewindID)): \(sign.message). Jobs that it may be about are neither sent "
                        + "again nor voided until their provider has told; see holdfast rewind show"
                ),
                status: .needsPerson)
        }
        return (known, true)
    }

    /// Reads the marks of these hosts in every place.
    package func find(_ hosts: [String]) -> Findings {
        var findings = Findings()
        do {
            for place in try places() {
                // A place that does not answer for one host is not asked for thirty more.
                for host in hosts where !read(place, Self.name(of: host), &findings) { break }
            }
        } catch {
            findings.unread.append(("", Self.failure(error)))
        }
        return findings
    }

    /// - Returns: false when the place did not answer.
    private func read(
        _ place: any MarkerPlace, _ name: MarkerName, _ findings: inout Findings
    ) -> Bool {
        let whole = "\(name) in \(place.words)"
        do {
            switch try place.read(name) {
            case .absent: break
            case .bytes(let bytes):
                if let mark = OutsideMark(place: whole, bytes) {
                    findings.marks.append(mark)
                } else {
                    findings.garbage.append((place, name))
                }
            case .tooLarge: findings.garbage.append((place, name))
            }
            return true
        } catch {
            findings.unread.append((placeName(place), error))
            return false
        }
    }

    /// A place as the database remembers it: a state folder is one of its host.
    private func placeName(_ place: any MarkerPlace) -> String {
        "\(host): \(place.words)"
    }

    private static func garbage(_ name: MarkerName, _ place: any MarkerPlace) -> Failure {
        Failure(
            .needsPerson, code: "mark_unreadable",
            "\(name) in \(place.words) is no mark that a run wrote; look at it, and when nobody "
                + "needs it: holdfast rewind release --reason TEXT writes a new one")
    }

    private static func failure(_ error: any Error) -> Failure {
        error as? Failure ?? Failure(.unavailable, code: "marks_unreadable", "\(error)")
    }

    // MARK: Writing

    /// What the begin of a run that has something to do found, for its end.
    package struct Start {
        fileprivate var findings: Findings
        fileprivate var known: DatabaseMarks
    }

    /// Begins a run that has something to do: looks for this host's own marks before any job is claimed,
    /// so that jobs which lost commits may be about are named before they move on.
    package func begin(
        _ connection: borrowing Connection, _ report: inout RunReport
    ) throws -> Start {
        let findings = find([host])
        let (known, _) = try judge(connection, findings, &report)
        return Start(findings: findings, known: known)
    }

    /// Ends a run that has written something: raises the mark, and writes it outside.
    ///
    /// No sign is written over: what is there was read at the start. Trouble of a place is no trouble of
    /// the run: what is not written is older than it could be, and that is all.
    package func leave(_ connection: borrowing Connection, _ start: Start) throws {
        let mark = try marks.raise(connection, host: host)
        guard start.findings.garbage.isEmpty else { return }
        // A place that no mark was ever written to may have been made since.
        let unread = Set(start.findings.unread.map(\.place)).intersection(start.known.places)
        for place in try places() where !unread.contains(placeName(place)) {
            guard (try? place.overwrite(Self.name(of: host), mark)) != nil else { continue }
            if !start.known.places.contains(placeName(place)) {
                try marks.note(connection, place: placeName(place))
            }
        }
    }

    /// Writes new marks in place of those that nobody can read, because a person says so.
    package func replace(
        _ connection: borrowing Connection, _ findings: Findings
    ) throws {
        guard !findings.garbage.isEmpty else { return }
        let mark = try marks.raise(connection, host: host)
        for one in findings.garbage { try one.place.overwrite(one.name, mark) }
    }
}
