import Core
import Postgres
import TestSupport
import Testing

/// `holdfast callback`: what a person sees of callbacks, and has read again.
@Suite struct CallbackCommandTests {
    let line: RescueLine

    init() throws {
        line = try RescueLine()
        try line.open(
            "job-1", taskID: "task-1", task: JSONObject([.init(key: "polls_until_done", value: 9)]))
    }

    private func receive(_ body: String, query: String = "", headers: String = "{}") throws {
        try line.sql(
            """
            SELECT holdfast.record_callback('kie', \(headers)::jsonb, \(query),
                \(Array(body.utf8))::bytea)
            """)
    }

    private func callback(_ arguments: [String]) async throws -> Finished {
        try await line.run("holdfast", ["callback"] + arguments)
    }

    private func ids(_ arguments: [String]) async throws -> [Int64] {
        let finished = try await callback(["list", "--output", "json"] + arguments)
        let callbacks = try JSON.parse(finished.stdoutBytes)["callbacks"]?.array ?? []
        return callbacks.compactMap { $0["callback_id"]?.int }
    }

    @Test func `the list is newest first, and every flag narrows it`() async throws {
        try receive(#"{"taskId":"task-1"}"#)
        try receive(#"{"taskId":"task-1"}"#)
        try receive("nothing")
        try receive("{}", query: "secret=wrong")
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(try await ids(["--result", "refused"]) == [4, 3, 2, 1])
        for id in ["1", "2", "3"] {
            #expect(try await callback(["replay", id, "--force"]).status == 0)
        }
        #expect(try await ids(["--result", "waiting"]) == [3, 2, 1])
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        try receive("still here")
        #expect(try await ids([]) == [5, 4, 3, 2, 1])
        #expect(try await ids(["--limit", "2"]) == [5, 4])
        #expect(try await ids(["--result", "matched"]) == [2, 1])
        #expect(try await ids(["--result", "unmatched"]) == [3])
        #expect(try await ids(["--result", "refused"]) == [4])
        #expect(try await ids(["--result", "waiting"]) == [5])
        #expect(try await ids(["--result", "duplicate"]) == [])
        #expect(try await ids(["--job", "job-1"]) == [2, 1])
        #expect(try await ids(["--provider", "kling"]) == [])
        let cut = try await callback(["list", "--limit", "2"])
        #expect(cut.stderr.contains("more than 2"))
        let lines = try await callback(["list"]).stdout.split(separator: "\n")
        #expect(lines.count == 6)
        #expect(try await callback(["list", "--result", "lost"]).status == 64)
        #expect(try await callback(["list", "--limit", "0"]).status == 64)
    }

    @Test func `one callback is shown without what nobody should see`() async throws {
        try receive(
            #"{"taskId":"task-1","prompt":"a secret wish","url":"https://x.example/a.mp4?sig=s1g"}"#,
            query: "secret=wrong&job=job-1&other=0ther",
            headers: #"{"X-Webhook-Signature":"s1gnature","content-type":"application/json"}"#)
        for _ in 0..<2 {
            let finished = try await callback(["show", "1"])
            #expect(finished.status == 0)
            let text = finished.stdout
            for shown in ["task-1", "application/json", "https://x.example/a.mp4", "job=job-1"] {
                #expect(text.contains(shown), "\(shown)")
            }
            for hidden in ["wish", "s1g", "0ther", "wrong&"] {
                #expect(!text.contains(hidden), "\(hidden)")
            }
            _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        }
        let json = try await callback(["show", "1", "--output", "json"])
        let object = try JSON.parse(json.stdoutBytes)["callback"]
        #expect(object?["result"] == "refused")
        #expect(object?["checks"]?["secret"] == "wrong")
        #expect(object?["checks"]?["tag"] == "wrong")
        #expect(object?["headers"]?["content-type"] == "application/json")
    }

    @Test func `a replay wakes the job once more, and says who asked for it`() async throws {
        try receive(#"{"taskId":"task-1"}"#)
        _ = try await line.run("stuck-sweeper")
        #expect(try line.polls("task-1") == 1)
        let waiting = try await line.run(
            "holdfast", ["callback", "replay", "1"], offset: nil, ["USER": "anna"])
        #expect(waiting.status == 0, "\(waiting.stderr)")
        #expect(waiting.stdout.contains("was matched") && waiting.stdout.contains("person:anna@"))
        let again = try await callback(["replay", "1"])
        #expect(again.stdout.contains("nothing was changed"))
        _ = try await line.run("stuck-sweeper")
        #expect(try line.polls("task-1") == 2)
        #expect(try await callback(["show", "1"]).stdout.contains("person:anna@"))
        // No more by itself.
        _ = try await line.run("stuck-sweeper")
        #expect(try line.polls("task-1") == 2)
    }

    @Test func `a secret that was right is right again, although it is gone`() async throws {
        try receive(#"{"taskId":"task-1"}"#, query: "secret=callback-secret")
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(try await callback(["replay", "1"]).status == 0)
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(
            try line.text("SELECT concat_ws(' ', result, secret_check) FROM holdfast.callback")
                == "matched right")
        #expect(try line.polls("task-1") == 2)
    }

    @Test func `a refused callback is read again only for somebody who vouches for it`()
        async throws
    {
        try receive(#"{"taskId":"task-1"}"#, query: "secret=wrong")
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        let refused = try await callback(["replay", "1"])
        #expect(refused.status == 1)
        #expect(refused.stderr.contains("--force"))
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(try line.polls("task-1") == 0)
        #expect(try await callback(["replay", "1", "--force"]).status == 0)
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(try line.polls("task-1") == 1)
        // The check stays what it was; who believed it all the same is beside it.
        #expect(
            try line.text(
                """
                SELECT concat_ws(' ', result, secret_check, vouched_by = replayed_by)
                FROM holdfast.callback
                """) == "matched wrong t")
        #expect(try await callback(["show", "1"]).stdout.contains("believed by"))
    }

    @Test(arguments: ["show", "replay"])
    func `an id that no callback bears is told apart from a failure`(_ name: String) async throws {
        for (id, status) in [("7", 66), ("x", 64), ("99999999999999999999", 64)]
            as [(String, Int32)]
        {
            #expect(try await callback([name, id]).status == status, "\(id)")
        }
        #expect(try await callback([name]).status == 64)
    }

    /// Reading is for whoever may read; changing is not.
    @Test func `a login that may only read cannot have a callback read again`() async throws {
        try receive("{}")
        _ = try await line.run("stuck-sweeper")
        let reader: [String: String?] = [
            "HOLDFAST_DATABASE_URL": try line.database.url(role: "holdfast_report")
        ]
        let list = try await line.run("holdfast", ["callback", "list"], offset: nil, reader)
        #expect(list.status == 0, "\(list.stderr)")
        let show = try await line.run("holdfast", ["callback", "show", "1"], offset: nil, reader)
        #expect(show.status == 0, "\(show.stderr)")
        let replay = try await line.run(
            "holdfast", ["callback", "replay", "1"], offset: nil, reader)
        #expect(replay.status == 78, "\(replay.stderr)")
    }

    /// The receiver needs the application's rights and no more.
    @Test func `the receiver works with the application's login`() async throws {
        let finished = try await line.run(
            "callback-receiver", ["--provider", "kie"], offset: nil,
            ["HOLDFAST_DATABASE_URL": try line.database.url(role: "holdfast_app")],
            input: Array("{}".utf8))
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stdout == "callback 1 is in the inbox\n")
    }
}
