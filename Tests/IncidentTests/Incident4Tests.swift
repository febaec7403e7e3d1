import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Callback storms: which job a callback is about, and what it costs.
@Suite(.serialized) struct Incident4 {
    static let secret = "callback-secret"
    static let configured: [String: String?] = ["HOLDFAST_CALLBACK_SECRET": secret]
    /// Made with another program: HMAC-SHA256 of the job id under that secret.
    static let tags = [
        "job-1": "f21f49de3fa403a91899dc5037303bfbac3a07855d3bc00dc19696fa4ee812b0",
        "job-2": "c263a20fc377ff5e5ddd9513b5fd1a3ac40e9d25700f47c68b3b58f2a2aa4b7b",
    ]

    /// Puts a callback into the inbox, as the receiver does.
    func receive(
        _ line: RescueLine, _ body: String, query: String = "", headers: String = "{}",
        provider: String = "kie"
    ) throws {
        try receive(line, Array(body.utf8), query: query, headers: headers, provider: provider)
    }

    func receive(
        _ line: RescueLine, _ body: [UInt8], query: String = "", headers: String = "{}",
        provider: String = "kie"
    ) throws {
        try line.sql(
            """
            SELECT holdfast.record_callback(\(provider), \(headers)::jsonb, \(query),
                \(body)::bytea)
            """,
            role: "holdfast_app")
    }

    /// The inbox in words: `result secret_check job`, in the order of arrival.
    func inbox(_ line: RescueLine) throws -> [String] {
        try line.sql(
            """
            SELECT concat_ws(' ', coalesce(result, 'waiting'), secret_check, job_id) AS line
            FROM holdfast.callback ORDER BY callback_id
            """
        ).map { try $0.text("line") }
    }

    // MARK: I-4b

    /// A callback, with `ID` where the task id goes.
    struct Sample: CustomTestStringConvertible {
        var name: String
        var body = ""
        var query = ""
        var headers = "{}"
        var provider = "kie"
        var testDescription: String { name }

        func filled(_ id: String) -> Sample {
            var sample = self
            sample.body = body.replacingOccurrences(of: "ID", with: id)
            sample.query = query.replacingOccurrences(of: "ID", with: id)
            sample.headers = headers.replacingOccurrences(of: "ID", with: id)
            return sample
        }
    }

    static let found: [Sample] = [
        Sample(name: "taskId at the root", body: #"{"taskId":"ID"}"#),
        Sample(name: "task_id at the root", body: #"{"task_id":"ID","status":"done"}"#),
        Sample(name: "recordId at the root", body: #"{"recordId":"ID"}"#),
        Sample(name: "record_id at the root", body: #"{"record_id":"ID"}"#),
        Sample(name: "nested", body: #"{"code":200,"data":{"taskId":"ID","state":"success"}}"#),
        Sample(name: "deeper", body: #"{"event":{"payload":{"result":{"record_id":"ID"}}}}"#),
        Sample(name: "array at the root", body: #"[{"task_id":"ID"}]"#),
        Sample(name: "in arrays", body: #"{"events":[{"items":[{"recordId":"ID"}]}]}"#),
        Sample(name: "JSON in a string", body: #"{"data":"{\"taskId\":\"ID\"}"}"#),
        Sample(
            name: "JSON in a string in a string",
            body: #"{"payload":"{\"data\":\"{\\\"task_id\\\":\\\"ID\\\"}\"}"}"#),
        Sample(name: "the same id twice", body: #"{"taskId":"ID","data":{"task_id":"ID"}}"#),
        Sample(
            name: "beside our own input",
            body: #"{"taskId":"ID","param":"{\"taskId\":\"another\"}","input":{"task_id":"x"}}"#),
        Sample(name: "query", query: "taskId=ID&x=1"),
        Sample(name: "query with record_id and a broken body", body: "{", query: "record_id=ID"),
        Sample(name: "header", headers: #"{"X-Task-Id":"ID"}"#),
        Sample(name: "header with an HTML body", body: "<html>", headers: #"{"x-record-id":"ID"}"#),
        Sample(
            name: "Kling", body: #"{"task_id":"ID","task_status":"succeed"}"#, provider: "kling"),
        Sample(
            name: "Kling in data", body: #"{"code":0,"data":{"task_id":"ID"}}"#, provider: "kling"),
        Sample(name: "Kling, a number", body: #"{"task_id":NUMBER}"#, provider: "kling"),
        Sample(
            name: "fifteen levels deep",
            body: String(repeating: #"{"a":"#, count: 14) + #"{"taskId":"ID"}"#
                + String(repeating: "}", count: 14)),
    ]

    /// All of them in one inbox, none of their jobs due by itself.
    @Test func `I-4b the id is found wherever it stands`() async throws {
        let line = try RescueLine()
        try line.liftRates()
        func task(_ n: Int) -> String {
            // Numbers that differ only beyond what a double can tell apart.
            Self.found[n].body.contains("NUMBER") ? "83628475028475699\(n % 10)" : "task-\(n)"
        }
        for (n, sample) in Self.found.enumerated() {
            try line.open(
                "job-\(n)", provider: sample.provider,
                endpoint: sample.provider == "kie" ? "market" : "image2video", taskID: task(n))
            let sample = sample.filled(task(n))
            try receive(
                line, sample.body.replacingOccurrences(of: "NUMBER", with: task(n)),
                query: sample.query, headers: sample.headers, provider: sample.provider)
        }
        let report = try await line.report("stuck-sweeper")
        #expect(report["outcomes"]?["callbacks_matched"]?.int == Int64(Self.found.count))
        let inbox = try inbox(line)
        for (n, sample) in Self.found.enumerated() {
            #expect(inbox[n] == "matched not_checked job-\(n)", "\(sample.name)")
            #expect(try line.polls(task(n), provider: sample.provider) == 1, "\(sample.name)")
            #expect(try line.outcome("job-\(n)") == "succeeded/held", "\(sample.name)")
        }
    }

    static let notFound: [Sample] = [
        Sample(name: "ids of two jobs", body: #"{"taskId":"task-1","data":{"task_id":"task-2"}}"#),
        Sample(name: "ours and a stranger's", body: #"{"taskId":"task-1","recordId":"stranger"}"#),
        Sample(name: "two in a list", body: #"[{"task_id":"task-1"},{"task_id":"task-2"}]"#),
        Sample(name: "two in the query", query: "taskId=task-1&task_id=task-2"),
        Sample(name: "two in the headers", headers: #"{"X-Task-Id":"task-1","X-Record-Id":"b"}"#),
        Sample(name: "only in our own input", body: #"{"param":"{\"taskId\":\"task-1\"}"}"#),
        Sample(name: "a part of an id", body: #"{"taskId":"task-"}"#),
        Sample(name: "another case", body: #"{"taskId":"TASK-1"}"#),
        Sample(name: "another provider's", body: #"{"task_id":"task-1"}"#, provider: "kling"),
        Sample(name: "a provider that nobody knows", body: #"{"taskId":"task-1"}"#, provider: "x"),
        Sample(name: "no id", body: #"{"msg":"task-1 is done"}"#),
        Sample(name: "no value", body: #"{"taskId":null,"task_id":"","recordId":{"a":"task-1"}}"#),
        Sample(name: "no JSON", body: "taskId=task-1"),
        Sample(name: "nothing"),
        Sample(
            name: "too deep",
            body: String(repeating: #"{"a":"#, count: 40) + #"{"taskId":"task-1"}"#
                + String(repeating: "}", count: 40)),
        Sample(
            name: "conflicting duplicate keys", body: #"{"taskId":"task-1","taskId":"task-2"}"#),
        Sample(name: "without a tag, the job id proves nothing", query: "job=job-1"),
    ]

    @Test(arguments: notFound)
    func `I-4b what is ambiguous or says nothing is kept and wakes nobody`(
        _ sample: Sample
    ) async throws {
        let line = try RescueLine()
        for n in 1...2 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let before = try line.sql("SELECT * FROM holdfast.job_status ORDER BY job_id")
        try receive(
            line, sample.body, query: sample.query, headers: sample.headers,
            provider: sample.provider)
        let finished = try await line.run("stuck-sweeper")
        #expect(finished.status == 0)
        #expect(finished.stdout.contains("1 callbacks unmatched"))
        #expect(try inbox(line) == ["unmatched not_checked"])
        #expect(
            try line.text("SELECT body = \(Array(sample.body.utf8))::bytea FROM holdfast.callback")
                == "t")
        #expect(try line.count("poll_total", "kie") == 0)
        let after = try line.sql("SELECT * FROM holdfast.job_status ORDER BY job_id")
        #expect(
            try after.map { try $0.text("next_poll_at") }
                == before.map { try $0.text("next_poll_at") })
    }

    @Test func `I-4b bytes that are no text are kept, and their header is read`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        let body: [UInt8] = [0xff, 0x00, 0xfe, 0x7b, 0x22]
        try receive(line, body)
        try receive(line, body, headers: #"{"X-Task-Id":"task-1"}"#)
        #expect(try await line.run("stuck-sweeper").status == 0)
        #expect(try inbox(line) == ["unmatched not_checked", "matched not_checked job-1"])
        #expect(
            try line.sql("SELECT body FROM holdfast.callback").map { try $0.bytes("body") } == [
                body, body,
            ])
    }

    /// Our own address comes before whatever the body says.
    @Test(arguments: [
        #"{"taskId":"task-2"}"#, #"{"taskId":"task-1","recordId":"task-2"}"#, #"{"taskId":"?"}"#,
        "{}", "", "<html>", #"[{"task_id":"task-2"},{"task_id":"task-1"}]"#,
    ])
    func `I-4b the tag tells the job whatever the body says`(_ body: String) async throws {
        let line = try RescueLine()
        for n in 1...2 { try line.open("job-\(n)", taskID: "task-\(n)") }
        try receive(line, body, query: "job=job-1&tag=\(Self.tags["job-1"] ?? "")")
        let finished = try await line.run("stuck-sweeper", offset: nil, Self.configured)
        #expect(finished.status == 0)
        #expect(try inbox(line) == ["matched right job-1"])
        #expect(try line.polls("task-1") == 1)
        #expect(try line.polls("task-2") == 0)
        #expect(try line.outcome("job-1") == "succeeded/held")
        #expect(try line.outcome("job-2") == "submitted/held")
        #expect(
            try line.text(
                "SELECT string_agg(job_id || ' ' || task_id, ', ' ORDER BY task_id) FROM holdfast.task WHERE task_id LIKE 'task%'"
            )
                == "job-1 task-1, job-2 task-2")
    }
}
