import Core
import HTTP
import Jobs
import Postgres
import Providers
import TestSupport
import Testing

@testable import Recovery

/// A provider is added in one folder: the rest of the house takes it as it takes the others.
@Suite struct ToyProviders {
    /// Bodies with the verdicts that are right for them, as each provider's samples are.
    static let samples: [(body: String, state: TaskState, urls: [String])] = [
        (#"{"toy":"t-1","phase":"wound up"}"#, .running, []),
        (
            #"{"toy":"t-1","phase":"DONE ","box":"https://cdn.example.com/t.mp4"}"#, .succeeded,
            ["https://cdn.example.com/t.mp4"]
        ),
        (#"{"toy":"t-1","phase":"done"}"#, .unknown, []),
        (#"{"toy":"t-1","phase":"broken","why":"the spring"}"#, .failed, []),
        (#"{"toy":"t-2","phase":"broken"}"#, .unknown, []),
        (#"{"toy":"t-1","toy":"t-2","phase":"done"}"#, .unknown, []),
        ("<html>", .unknown, []),
    ]

    @Test(arguments: samples)
    func `its dialect is all that its verdicts need`(
        _ body: String, _ state: TaskState, _ urls: [String]
    ) {
        let toy = ToyProvider(settings: ProviderSettings(baseURL: "https://api.toy.example"))
        let verdict = toy.verdict(
            Answer(httpStatus: 200, body: Array(body.utf8)), askedTaskID: "t-1", endpoint: nil,
            kind: .poll, now: Instant(unixSeconds: 0))
        #expect(verdict.state == state)
        #expect(verdict.resultURLs == urls)
    }

    @Test(arguments: [
        (#"{"toy":"t-1","phase":"done","box":"https://cdn.example.com/t.mp4"}"#, "succeeded/held"),
        (#"{"toy":"t-1","phase":"broken","why":"the spring"}"#, "failed/voided"),
        (#"{"toy":"t-1","phase":"wound up"}"#, "running/held"),
        (#"{"toy":"t-9","phase":"broken"}"#, "submitted/held"),
    ])
    func `the sweeper moves its jobs on`(_ body: String, _ outcome: String) throws {
        let database = try ScratchDatabase(RescueLine.template)
        let connection = try database.connect()
        // What its migration would hold: one row.
        try connection.execute("INSERT INTO holdfast.provider (provider) VALUES ('toy')")
        try connection.execute("SELECT holdfast.grant_credits('a', 100, 'g')")
        try connection.execute(
            "SELECT holdfast.open_job('j', 'a', 'toy', 'bear', 'video', 100)")
        try connection.execute("SELECT holdfast.mark_submitted('j', 't-1')")
        let server = try OddServer(type: "application/json", Array(body.utf8))
        let toy = ToyProvider(
            settings: ProviderSettings(
                baseURL: server.url(""), credentials: ["HOLDFAST_TOY_API_KEY": "k"]))
        let wiring = Wiring(
            run: Run(runID: RunID.make(), command: "stuck-sweeper", clockOffset: .seconds(360)),
            providers: ProviderRegistry([toy]), wallClock: { Instant(unixSeconds: 1_795_257_756) },
            shouldStop: { false })
        _ = try StuckSweep.run(
            connection, wiring,
            Selection(
                limit: nil, jobIDs: [], providers: [], concurrency: 4, timeBudget: .seconds(20)))
        let found = try connection.query(
            "SELECT state || '/' || credit_state AS outcome FROM holdfast.job_status"
        ).single().text("outcome")
        #expect(found == outcome)
    }
}
