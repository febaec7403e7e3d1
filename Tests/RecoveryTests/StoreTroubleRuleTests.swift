import Recovery
import Testing

/// Whose trouble it is that the store does not take files, as a table of what happened.
@Suite struct StoreTroubleRules {
    enum Event: Sendable {
        case fails(String, code: String = "storage_unavailable", StoreTrouble.Judgement)
        case succeeds
        case nothingElse(StoreTrouble.Judgement)
    }

    @Test(
        arguments: [
            // One account, however often.
            [.fails("a", .probe), .fails("a", .wait), .fails("a", .wait), .nothingElse(.theirs)],
            // Two are not enough, three are.
            [.fails("a", .probe), .fails("b", .wait), .nothingElse(.theirs)],
            [
                .fails("a", .probe), .fails("b", .wait), .fails("a", .wait), .fails("c", .hold),
                .nothingElse(.down),
            ],
            // What was under way tells, if it can.
            [
                .fails("a", .probe), .fails("b", .wait), .fails("c", .hold), .succeeds,
                .nothingElse(.wait),
            ],
            // A success between begins anew, the probe too.
            [
                .fails("a", .probe), .fails("b", .wait), .succeeds, .fails("c", .probe),
                .fails("d", .wait), .fails("e", .hold), .nothingElse(.down),
            ],
            // What speaks of the whole store.
            [.fails("a", code: "bucket_missing", .down)],
            [.fails("a", code: "storage_key_wrong", .down)],
            // A full disk is one unless another file found room.
            [.fails("a", code: "disk_full", .probe), .nothingElse(.down)],
            [.fails("a", code: "disk_full", .probe), .succeeds, .nothingElse(.wait)],
            [.nothingElse(.wait)],
        ] as [[Event]])
    func `the store is down when unrelated keys fail without a success between`(
        _ events: [Event]
    ) {
        var trouble = StoreTrouble()
        for event in events {
            switch event {
            case .fails(let account, let code, let judgement):
                #expect(trouble.failed(account: account, code: code) == judgement)
            case .succeeds: trouble.succeeded()
            case .nothingElse(let judgement): #expect(trouble.judgedAlone() == judgement)
            }
        }
    }
}
