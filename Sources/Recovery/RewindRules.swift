import Core
package import Jobs

/// A mark that was found outside the database, with those that were raised before it.
package struct OutsideMark: Equatable, Sendable {
    /// Where it is, for people.
    package var place: String
    package var host: String
    /// Which database wrote it, for people.
    package var database: String
    /// The newest first; never empty.
    package var marks: [Mark]

    package init(place: String, host: String, database: String, marks: [Mark]) {
        self.place = place
        self.host = host
        self.database = database
        self.marks = marks
    }

    /// Reads what a run has written; nil for anything else.
    package init?(place: String, _ bytes: [UInt8]) {
        guard let json = try? JSON.parse(bytes), let host = json["host"]?.text,
            let list = json["marks"]?.array, !list.isEmpty
        else { return nil }
        let marks = list.compactMap(Mark.init)
        guard marks.count == list.count,
            zip(marks, marks.dropFirst()).allSatisfy({ $0.counter > $1.counter })
        else { return nil }
        self.init(
            place: place, host: host,
            database: "\(json["database"]?.text ?? "?") at \(json["server"]?.text ?? "?")",
            marks: marks)
    }
}

extension Rules {
    /// Whether the database has lost commits that it had acknowledged, by what is known of marks on
    /// both sides and by what the server tells; nil when nothing says so.
    ///
    /// A mark outside that is older than the database's own is no sign: a state folder may have been
    /// restored, or a run may have ended between the database and the store.
    package static func rewind(_ database: DatabaseMarks, outside: [OutsideMark]) -> RewindSign? {
        let strange = outside.filter { isStrange($0, database) }
        if let first = strange.max(by: { $0.marks[0].counter < $1.marks[0].counter }) {
            let since = strange.map { lastCommon($0, database) }.min() ?? database.latest.markedAt
            let lowest = strange.map { firstLost($0, database) }.min() ?? first.marks[0].counter
            let newest = first.marks[0]
            let inside =
                database.known[newest.counter].map { "another one (\($0.value))" }
                ?? "the newest is \(database.latest.counter)"
            return RewindSign(
                word: "mark",
                message: "host \(first.host) left mark \(newest.counter) (\(newest.value)) in "
                    + "\(first.place) for \(first.database), and this database does not know it: "
                    + "\(inside) there",
                since: since, lost: min(lowest, newest.counter)...newest.counter)
        }
        let (then, now) = (database.serverThen, database.serverNow)
        func sign(_ word: String, _ message: String) -> RewindSign {
            RewindSign(
                word: word, message: message, since: database.latest.markedAt, lost: nil)
        }
        if let one = then.system, let other = now.system, one != other {
            return sign(
                "system",
                "the last mark was made on the server with the system identifier \(one), and this "
                    + "one has \(other)")
        }
        if let one = then.timeline, let other = now.timeline, one != other {
            return sign(
                "timeline",
                "the last mark was made on timeline \(one), and the server is on \(other) now: "
                    + "another server has taken over, or it was restored")
        }
        if let one = then.lsn, let other = now.lsn, other < one {
            return sign(
                "lsn",
                "the last mark was made when the server's log had \(one) bytes, and it has \(other) "
                    + "now")
        }
        return nil
    }

    /// Whether the newest mark that was found in a place should be in the database and is not.
    private static func isStrange(_ outside: OutsideMark, _ database: DatabaseMarks) -> Bool {
        let newest = outside.marks[0]
        if let known = database.known[newest.counter], known.value == newest.value { return false }
        if database.lost.contains(where: { $0.contains(newest.counter) }) { return false }
        return newest.counter >= database.oldest
    }

    private static func lastCommon(_ outside: OutsideMark, _ database: DatabaseMarks) -> Instant {
        if let common = common(outside, database) { return common.markedAt }
        // None of those is known: from the oldest that anybody tells of.
        return min(
            outside.marks.last?.markedAt ?? database.latest.markedAt, database.latest.markedAt)
    }

    private static func firstLost(_ outside: OutsideMark, _ database: DatabaseMarks) -> Int64 {
        let common = common(outside, database)?.counter
        return outside.marks.last { $0.counter > common ?? 0 }?.counter
            ?? outside.marks[0].counter
    }

    private static func common(_ outside: OutsideMark, _ database: DatabaseMarks) -> Mark? {
        outside.marks.first { database.known[$0.counter]?.value == $0.value }
    }
}
