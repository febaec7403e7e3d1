import Core
import HTTP
import Providers
import Testing

@Suite("Ids in the callbacks of every provider")
struct ProviderCallbackTests {
    @Test(
        "are found at the documented place",
        arguments: [
            ("replicate", #"{"id":"t1","status":"processing"}"#),
            ("replicate", #"{"id":"t1","status":"odd","input":{"task_id":"x"}}"#),
            (
                "fal",
                #"{"request_id":"t1","gateway_request_id":"g","status":"OK","payload":{"task_id":"x"}}"#
            ),
            ("runway", #"{"id":"t1","status":"RUNNING"}"#),
            ("luma", #"{"id":"t1","state":"completed","request":{"task_id":"x"}}"#),
            ("minimax", #"{"task_id":"t1","status":"processing"}"#),
            ("minimax", #"{"task":{"id":"t1","status":"running"}}"#),
            ("google-veo", #"{"name":"t1","done":true}"#),
            ("seedance", #"{"id":"t1","status":"running"}"#),
            ("wavespeed", #"{"id":"t1","status":"completed"}"#),
            ("wavespeed", #"{"code":200,"data":{"id":"t1","status":"completed"}}"#),
            (
                "piapi",
                #"{"timestamp":1,"data":{"task_id":"t1","status":"completed","output":{"task_id":"x"}}}"#
            ),
            (
                "openai-videos",
                #"{"id":"evt_1","object":"event","type":"video.failed","data":{"id":"t1"}}"#
            ),
        ])
    func documented(provider: String, body: String) {
        let found = CallbackReader.candidates(
            provider: provider, headers: [], query: "task_id=other", body: Array(body.utf8))
        #expect(found.taskIDs == ["t1"])
        #expect(found.source == .documented)
    }

    @Test("are taken from elsewhere when the documented place is empty", arguments: AdapterCase.all)
    func elsewhere(row: AdapterCase) {
        let found = CallbackReader.candidates(
            provider: row.provider, headers: [], query: "job=j&tag=x&task_id=t1",
            body: Array(#"{"something":"else"}"#.utf8))
        #expect(found.taskIDs == ["t1"])
        #expect(found.source == .query)
    }

    @Test("say nothing about keys or requests of ours", arguments: AdapterCase.all)
    func notOurs(row: AdapterCase) {
        for body in [#"{"error":{"message":"no"}}"#, row.running, #"{"code":404,"data":null}"#] {
            for status in [200, 401, 404] {
                let verdict = read(row.provider, body, kind: .callback, status: status)
                #expect(!verdict.credentialsRefused)
                #expect(!verdict.taskIsUnknownHere)
                #expect(verdict.state != .unknown || verdict.errorClass == .transient)
            }
        }
    }
}
