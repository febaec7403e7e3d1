import Core
import HTTP
import Providers
import Testing

@Suite("Callback candidates")
struct CallbackTests {
    @Test(
        "the id is found wherever it has been seen",
        arguments: [
            (
                #"{"code":200,"data":{"taskId":"t1","state":"success"}}"#,
                CallbackCandidates.Source.documented
            ),
            (#"{"taskId":"t1"}"#, .documented), (#"{"data":{"task_id":"t1"}}"#, .documented),
            (#"{"data":{"recordId":"t1"}}"#, .documented),
            (#"{"data":{"record_id":"t1"}}"#, .documented),
            (#"[{"data":{"taskId":"t1"}}]"#, .documented),
            (#"{"payload":{"task":{"TaskId":"t1"}}}"#, .body),
            (#"{"event":[{"x":1},{"record_id":"t1"}]}"#, .body),
            (#"{"body":"{\"data\":{\"taskId\":\"t1\"}}"}"#, .body),
            (#"{"body":"{\"data\":\"{\\\"task_id\\\":\\\"t1\\\"}\"}"}"#, .body),
            (#"{"a":{"taskId":"t1"},"b":{"task_id":"t1"}}"#, .body),
            (#"{"wrapper":{"taskId":901122334455667788}}"#, .body),
            (
                #"{"wrapper":{"taskId":"t1","param":{"taskId":"other"},"input":{"task_id":"o"}}}"#,
                .body
            ),
        ])
    func body(body: String, source: CallbackCandidates.Source) {
        let found = candidates(body: body)
        #expect(found.taskIDs == [body.contains("9011") ? "901122334455667788" : "t1"])
        #expect(found.source == source)
        #expect(!found.isAmbiguous)
    }

    @Test(
        "more than one id is ambiguous, and all are told",
        arguments: [
            (#"[{"data":{"taskId":"a"}},{"data":{"taskId":"b"}}]"#, ["a", "b"]),
            (#"{"taskId":"a","data":{"taskId":"b"}}"#, ["a", "b"]),
            (#"{"data":{"taskId":"a","recordId":"b"}}"#, ["a", "b"]),
            (#"{"x":{"task_id":"a"},"y":[{"taskId":"b"},{"taskId":"a"}]}"#, ["a", "b"]),
        ])
    func ambiguous(body: String, ids: [String]) {
        let found = candidates(query: "taskId=c", body: body)
        #expect(found.taskIDs == ids)
        #expect(found.isAmbiguous)
    }

    @Test(
        "inputs, other ids and what cannot be read give none",
        arguments: [
            #"{"data":{"param":"{\"taskId\":\"x\"}","paramJson":{"taskId":"x"},"id":"x"}}"#,
            #"{"request":{"task_id":"x"},"task_info":{"parent_video":{"task_id":"x"}}}"#,
            #"{"id":"x","job_id":"x","externalTaskId":"x","taskIds":["x"]}"#,
            #"{"taskId":"","task_id":null,"recordId":{}}"#, #"{"taskId":"a","taskId":"b"}"#,
            "not json taskId=x", "", "{}{\"taskId\":\"x\"}",
            String(repeating: #"{"a":"#, count: 20) + #"{"taskId":"x"}"#
                + String(repeating: "}", count: 20),
        ])
    func none(body: String) {
        #expect(candidates(body: body).taskIDs.isEmpty)
        #expect(candidates(body: body).source == .none)
        #expect(candidates(query: "?a=1&task_id=t%2F1", body: body).taskIDs == ["t/1"])
        let byHeader = candidates(headers: [Header("x-kie-task-id", " t1 ")], body: body)
        #expect(byHeader.taskIDs == ["t1"])
        #expect(byHeader.source == .header)
    }

    @Test("an unknown provider's body is searched whole, and bytes never trap")
    func unknownProvider() {
        let found = CallbackReader.candidates(
            provider: "nobody", headers: [], query: "",
            body: Array(#"{"data":{"taskId":"t"}}"#.utf8))
        #expect(found.taskIDs == ["t"])
        #expect(found.source == .body)
        for bytes in [[0xFF, 0xFE], [0x7B], Array(repeating: 0x5B, count: 1_000_000)] as [[UInt8]] {
            #expect(
                CallbackReader.candidates(provider: "kie", headers: [], query: "%", body: bytes)
                    .taskIDs.isEmpty)
        }
    }

    @Test(
        "our own address is read back",
        arguments: [
            ("job=job%2F1&tag=ab", "job/1", "ab"), ("?tag=ab&job=1", "1", "ab"), ("job=1", "1", ""),
            ("job=a&job=a&tag=x", "a", "x"), ("job=%e2%82%ac&tag=x", "€", "x"),
            ("job=%zz&tag=x", "%zz", "x"),
        ])
    func jobTag(query: String, jobID: String, tag: String) {
        let found = candidates(query: query, body: "")
        #expect(found.jobTag == .init(jobID: jobID, tag: tag))
    }

    @Test(
        "contradicting addresses prove nothing",
        arguments: ["job=a&job=b&tag=x", "tag=x", "job=&tag=x", ""])
    func noJobTag(query: String) {
        #expect(candidates(query: query, body: "").jobTag == nil)
    }

    @Test("the secret comes from the query or the header")
    func secret() {
        #expect(candidates(query: "secret=s%261", body: "").secret == "s&1")
        #expect(candidates(headers: [Header("x-callback-token", " s2 ")], body: "").secret == "s2")
        #expect(candidates(body: "").secret == nil)
    }

    @Test("a tag fits one job and one secret")
    func tag() {
        let tag = "2081e535ac478cffe3c40dd0d9c2910fdfc021f17e61ec03f7ac14f1741e25aa"
        #expect(CallbackTag.make(jobID: "job-42", secret: "callback-secret") == tag)
        #expect(CallbackTag.matches(jobID: "job-42", tag: tag, secret: "callback-secret"))
        #expect(
            CallbackTag.matches(jobID: "job-42", tag: tag.uppercased(), secret: "callback-secret"))
        #expect(!CallbackTag.matches(jobID: "job-43", tag: tag, secret: "callback-secret"))
        #expect(!CallbackTag.matches(jobID: "job-42", tag: tag, secret: "other"))
        #expect(
            !CallbackTag.matches(
                jobID: "job-42", tag: String(tag.dropLast()), secret: "callback-secret"))
        for bad in ["", "zz", "é", String(tag.dropLast(2))] {
            #expect(!CallbackTag.matches(jobID: "job-42", tag: bad, secret: "callback-secret"))
        }
        #expect(
            !CallbackTag.matches(
                jobID: "j", tag: CallbackTag.make(jobID: "j", secret: ""), secret: ""))
    }

    @Test("digests and comparisons of secrets")
    func digest() {
        #expect(
            SecretDigest.sha256Hex("abc")
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(SecretDigest.matches("s", "s"))
        #expect(!SecretDigest.matches("s", "t"))
        #expect(!SecretDigest.matches("", "t"))
    }

    private func candidates(
        headers: [Header] = [], query: String = "", body: String
    ) -> CallbackCandidates {
        CallbackReader.candidates(
            provider: "kie", headers: headers, query: query, body: Array(body.utf8))
    }
}
