import Core
import HTTP
import Providers
import Testing

@Suite("KIE callbacks")
struct KIECallbackTests {
    @Test(
        "each family's body is known by its shape",
        arguments: [
            // Veo
            (
                #"{"code":200,"data":{"taskId":"t1","info":{"resultUrls":"[\"https://a.example/x\"]","imageUrls":["https://a.example/c"]}}}"#,
                TaskState.succeeded
            ),
            (
                #"{"code":200,"data":{"taskId":"t1","info":{"resultUrls":[],"originUrls":["https://a.example/x"]}}}"#,
                .succeeded
            ),
            (
                #"{"code":200,"data":{"taskId":"t1","info":{"imageUrls":["https://a.example/c"]}}}"#,
                .unknown
            ),
            (#"{"code":400,"msg":"policy","data":{"taskId":"t1","fallbackFlag":false}}"#, .failed),
            (#"{"code":422,"msg":"rejected","data":{"taskId":"t1"}}"#, .failed),
            (#"{"code":500,"msg":"later","data":{"taskId":"t1","info":null}}"#, .failed),
            (#"{"code":501,"msg":"failed","data":{"taskId":"t1"}}"#, .failed),
            (#"{"code":429,"msg":"slow","data":{"taskId":"t1","info":null}}"#, .unknown),
            (#"{"code":401,"msg":"key","data":{"taskId":"t1"}}"#, .unknown),
            (#"{"code":400,"msg":"policy","data":{}}"#, .unknown),
            (#"{"code":400,"msg":"policy","data":null}"#, .unknown),
            // Runway
            (
                #"{"code":200,"data":{"task_id":"t1","video_id":"v","video_url":"https://a.example/x","image_url":"https://a.example/c"}}"#,
                .succeeded
            ),
            (
                #"{"code":200,"data":{"task_id":"t1","video_id":"v","image_url":"https://a.example/c"}}"#,
                .unknown
            ),
            (
                #"{"code":400,"msg":"no","data":{"task_id":"t1","video_id":"v","video_url":""}}"#,
                .unknown
            ),
            (#"{"code":501,"msg":"no","data":{"task_id":"t1","video_url":""}}"#, .failed),
            // Suno
            (
                #"{"code":200,"data":{"callbackType":"complete","task_id":"t1","data":[{"audio_url":"https://a.example/x","source_audio_url":"https://a.example/s","stream_audio_url":"https://a.example/st"}]}}"#,
                .succeeded
            ),
            (
                #"{"code":200,"data":{"callbackType":"first","task_id":"t1","data":[{"audio_url":"https://a.example/x"}]}}"#,
                .running
            ),
            (#"{"code":200,"data":{"callbackType":"text","task_id":"t1","data":[]}}"#, .running),
            (
                #"{"code":531,"msg":"back","data":{"callbackType":"error","task_id":"t1","data":null}}"#,
                .failed
            ),
            (#"{"code":408,"msg":"late","data":{"callbackType":"error","task_id":"t1"}}"#, .failed),
            (
                #"{"code":408,"msg":"late","data":{"callbackType":"complete","task_id":"t1"}}"#,
                .unknown
            ),
            (#"{"code":531,"msg":"back","data":{"task_id":"t1","data":null}}"#, .failed),
            (#"{"code":200,"data":{"callbackType":"error","task_id":"t1"}}"#, .unknown),
            // Market
            (#"{"code":500,"data":{"taskId":"t1","state":"fail"}}"#, .failed),
            (
                #"{"code":501,"data":{"taskId":"t1","state":"success","resultJson":{"resultUrls":"https://a.example/x"}}}"#,
                .unknown
            ),
            (#"{"code":500,"data":{"taskId":"t1","model":"m","param":"{}"}}"#, .unknown),
            (
                #"{"taskId":"t1","state":"success","resultJson":{"resultUrls":"https://a.example/x"}}"#,
                .succeeded
            ),
            (#"[{"code":200,"data":{"taskId":"t1","state":"fail"}}]"#, .failed),
            (#"{"data":{"data":{"taskId":"t1","state":"fail"}}}"#, .failed),
            (
                #""{\"code\":200,\"data\":\"{\\\"taskId\\\":\\\"t1\\\",\\\"state\\\":\\\"fail\\\"}\"}""#,
                .failed
            ),
            (#"{"code":200,"data":{"state":"fail"}}"#, .unknown),
            (#"{"code":200,"data":{"taskId":"t1","recordId":"r","state":"fail"}}"#, .unknown),
        ])
    func shapes(body: String, state: TaskState) {
        for asked in ["t1", nil] {
            let verdict = read(
                "kie", body, asked: asked, endpoint: "POST callBackUrl", kind: .callback)
            #expect(verdict.state == state)
            #expect(verdict.resultURLs == (state == .succeeded ? ["https://a.example/x"] : []))
            #expect(!verdict.taskIsUnknownHere)
        }
    }

    @Test("the same codes on a poll say nothing about the task", arguments: [400, 422, 500, 501])
    func sameCodesOnPoll(code: Int) {
        let body = #"{"code":\#(code),"msg":"x","data":{"taskId":"t1"}}"#
        #expect(read("kie", body, endpoint: "veo").state == .unknown)
        #expect(read("kie", body, kind: .callback).state == .failed)
    }

    @Test("an id in the query or in a header is an id; none anywhere is unknown")
    func idsOutside() {
        let body = #"{"code":200,"data":{"state":"fail"}}"#
        for asked in ["t1", nil] {
            #expect(read("kie", body, asked: asked, kind: .callback).state == .unknown)
            let byQuery = read(
                "kie", body, asked: asked, endpoint: "POST callBackUrl?task_id=t1", kind: .callback)
            #expect(byQuery.state == .failed)
            let byHeader = read(
                "kie", body, asked: asked, kind: .callback, headers: [Header("x-task-id", "t1")])
            #expect(byHeader.state == .failed)
        }
        let other = read(
            "kie", body, kind: .callback, headers: [Header("X-Task-Id", "t2")])
        #expect(other.state == .unknown)
        let klingBody = #"{"task_status":"failed"}"#
        #expect(read("kling", klingBody, kind: .callback).state == .unknown)
        let klingByQuery = read(
            "kling", klingBody, endpoint: "POST callback_url?taskId=t1", kind: .callback)
        #expect(klingByQuery.state == .failed)
    }
}
