import Core
import Jobs
import Recovery
import TestSupport
import Testing

/// Whether marks on both sides say that the database has lost commits, as a table.
@Suite struct RewindRules {
    static let start = Instant(unixSeconds: 1_800_000_000)

    static func mark(_ counter: Int64, _ value: String = "a") -> Mark {
        Mark(
            counter: counter, value: value,
            markedAt: start + .seconds(60 * counter))
    }

    /// A database that knows the marks 10 to `latest`, each with the value `a`.
    static func database(
        _ latest: Int64, lost: [ClosedRange<Int64>] = [], then: ServerIdentity = .init(),
        now: ServerIdentity = .init()
    ) -> DatabaseMarks {
        DatabaseMarks(
            latest: mark(latest), oldest: 10,
            known: Dictionary(
                (10...max(latest, 10)).map { ($0, mark($0)) }, uniquingKeysWith: { one, _ in one }),
            lost: lost, serverThen: then, serverNow: now)
    }

    static func outside(_ marks: [Mark], host: String = "one") -> OutsideMark {
        OutsideMark(place: "mark-\(host) in a folder", host: host, database: "d at s", marks: marks)
    }

    @Test(
        arguments: [
            ("nothing outside", database(20), [], nil, nil),
            ("the same mark", database(20), [outside([mark(20)])], nil, nil),
            // A run ended between the database and the store, or the folder was restored.
            ("an older one", database(20), [outside([mark(15)])], nil, nil),
            ("one older than any that is kept", database(20), [outside([mark(3)])], nil, nil),
            ("one that is ahead", database(20), [outside([mark(21), mark(20)])], 20, 21...21),
            (
                "several ahead", database(20),
                [outside([mark(24), mark(23), mark(22), mark(21), mark(20), mark(19)])], 20, 21...24
            ),
            (
                "the same number with another value", database(20),
                [outside([mark(20, "b"), mark(19, "b"), mark(18)])], 18, 19...20
            ),
            // The runs after it have raised marks that the others do not know.
            (
                "an older number with another value", database(25),
                [outside([mark(22, "b"), mark(21, "b"), mark(20)])], 20, 21...22
            ),
            (
                "none in common", database(20), [outside([mark(30, "b"), mark(29, "b")])], 20,
                29...30
            ),
            (
                "two hosts that contradict each other", database(20),
                [outside([mark(20), mark(19)]), outside([mark(20, "b"), mark(18)], host: "two")],
                18,
                20...20
            ),
            (
                "two hosts ahead", database(20),
                [outside([mark(22), mark(20)]), outside([mark(24), mark(19)], host: "two")], 19,
                22...24
            ),
            (
                "known to be lost", database(30, lost: [21...24]), [outside([mark(24, "b")])], nil,
                nil
            ),
            (
                "behind what is known to be lost", database(30, lost: [21...24]),
                [outside([mark(31, "b"), mark(30)])], 30, 31...31
            ),
        ] as [(String, DatabaseMarks, [OutsideMark], Int64?, ClosedRange<Int64>?)])
    func `a mark outside that the database should know and does not is a sign`(
        _ name: String, _ database: DatabaseMarks, _ outside: [OutsideMark], _ since: Int64?,
        _ lost: ClosedRange<Int64>?
    ) {
        let sign = Rules.rewind(database, outside: outside)
        #expect(sign?.since == since.map { Self.mark($0).markedAt }, "\(name)")
        #expect(sign?.lost == lost, "\(name)")
        #expect(sign.map { $0.word == "mark" } ?? true)
    }

    @Test(
        arguments: [
            (ServerIdentity(), ServerIdentity(), nil),
            // What nobody may read tells nothing.
            (.init(timeline: "1"), .init(), nil),
            (.init(), .init(timeline: "2"), nil),
            (
                .init(system: "7", timeline: "1", lsn: 5),
                .init(system: "7", timeline: "1", lsn: 6), nil
            ),
            (
                .init(system: "7", timeline: "1", lsn: 5),
                .init(system: "7", timeline: "1", lsn: 5), nil
            ),
            (
                .init(system: "7", timeline: "1", lsn: 5),
                .init(system: "7", timeline: "1", lsn: 4),
                "lsn"
            ),
            (
                .init(system: "7", timeline: "1", lsn: 5),
                .init(system: "7", timeline: "2", lsn: 6),
                "timeline"
            ),
            (
                .init(system: "7", timeline: "1", lsn: 5),
                .init(system: "8", timeline: "1", lsn: 6),
                "system"
            ),
        ] as [(ServerIdentity, ServerIdentity, String?)])
    func `what the server tells is a sign from the last mark on`(
        _ then: ServerIdentity, _ now: ServerIdentity, _ word: String?
    ) {
        let sign = Rules.rewind(Self.database(20, then: then, now: now), outside: [])
        #expect(sign?.word == word)
        #expect(sign.map { $0.since == Self.mark(20).markedAt && $0.lost == nil } ?? true)
    }

    @Test(
        arguments: [
            #"{"host":"one","database":"d","server":"s","marks":[[2,"b",5],[1,"a",4]]}"#,
            "", "\u{0}\u{1}", "{}", "[]", #"{"host":"one","marks":[]}"#,
            #"{"host":"one","marks":[[1,"a",4],[2,"b",5]]}"#, #"{"host":"one","marks":[[2,"b"]]}"#,
            #"{"host":"one","marks":[[-2,"b",5]]}"#,
            #"{"host":"one","marks":[[9223372036854775807,"b",5]]}"#,
            #"{"host":"one","marks":[["2","b",5]]}"#, #"{"host":"one","marks":[[2,"",5]]}"#,
        ])
    func `a mark is read whole or not at all`(_ text: String) {
        let mark = OutsideMark(place: "p", Array(text.utf8))
        #expect((mark != nil) == text.hasPrefix(#"{"host":"one","database""#))
    }

    @Test(
        arguments: [
            (nil, false, false, false, "retrigger"), (nil, true, false, false, "lookUp"),
            // Asked by our own id, or by its list: then nothing stands in the way.
            (nil, true, false, true, "retrigger"), (nil, false, true, false, "still_running"),
            (.held, false, false, false, "still_running"), (.held, true, false, false, "lookUp"),
            (.held, true, false, true, "retrigger"), (.held, false, true, false, "still_running"),
            (.over, false, false, false, "submission_unknown"),
            (.over, false, true, false, "submission_unknown"),
            (.over, true, false, false, "lookUp"),
        ] as [(RewindHold?, Bool, Bool, Bool, String)])
    func `nothing is sent again before its provider was asked`(
        _ hold: RewindHold?, _ canLookUp: Bool, _ canList: Bool, _ wasLookedUp: Bool, _ step: String
    ) {
        var item = RulesTests.item(.created, taskID: nil)
        item.rewind = hold
        item.isUnlisted = true
        let next = Rules.submission(
            item, canLookUp: canLookUp, canList: canList, canRetrigger: true,
            wasLookedUp: wasLookedUp)
        switch next {
        case .lookUp: #expect(step == "lookUp")
        case .retrigger: #expect(step == "retrigger")
        case .decide(let decision):
            #expect(decision.outcome == step)
            #expect((decision.move.blocked != nil) == (step == "submission_unknown"))
            #expect(decision.move.blockedReason?.hasPrefix("rewind:") ?? true)
        }
    }

    @Test func `a list is waited for, and not for ever`() {
        var item = RulesTests.item(.created, taskID: nil)
        item.isUnlisted = true
        func step() -> SubmissionStep {
            Rules.submission(item, canLookUp: false, canList: true, canRetrigger: true)
        }
        #expect(step() != .retrigger)
        item.createdAt = RulesTests.now + .seconds(-1801)
        #expect(step() == .retrigger)
        item.createdAt = RulesTests.now + .seconds(-600)
        item.isUnlisted = false
        #expect(step() == .retrigger)
    }

    @Test(
        arguments: [
            (nil, TaskState.running, "abandoned"), (.held, .running, "still_running"),
            (.over, .running, "submission_unknown"), (.held, .failed, "failed"),
            (.held, .succeeded, "succeeded"), (.over, .succeeded, "succeeded"),
        ] as [(RewindHold?, TaskState, String)])
    func `no watch ends in a void, and a healthy answer settles`(
        _ hold: RewindHold?, _ answer: TaskState, _ outcome: String
    ) {
        var chance = SeededGenerator(seed: 1)
        for voids in [false, true] {
            var item = RulesTests.item(.timedOut, watchEnded: true, voids: voids)
            item.rewind = hold
            let decision = Rules.recover(item, RulesTests.verdict(answer), using: &chance)
            #expect(decision.outcome == outcome)
        }
        var silent = RulesTests.item(.timedOut, watchEnded: true, silences: 9, voids: true)
        silent.rewind = hold
        let decision = Rules.recover(silent, RulesTests.verdict(.unknown), using: &chance)
        #expect((decision.move.newState == .abandoned) == (hold == nil))
    }
}
