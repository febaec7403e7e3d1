import Core
import HTTP
import Providers
import Testing

@Suite("PiAPI")
struct PiAPITests {
    private func body(_ fields: String) -> String {
        #"{"code":200,"data":{"task_id":"t1",\#(fields),"error":{"code":0,"message":"","raw_message":""}},"message":"success"}"#
    }

    @Test(
        "the task's word decides, in any letter case",
        arguments: [
            (#""status":"Pending""#, TaskState.pending), (#""status":"staged""#, .pending),
            (#""status":"Processing""#, .running),
            (#""status":"Completed","output":{"video_url":"https://a.example/1"}"#, .succeeded),
            (#""status":"completed","output":{}"#, .unknown),
            (#""status":"completed","input":{"image_url":"https://a.example/1"}"#, .unknown),
            (#""status":"Failed","output":{"video_url":"https://a.example/1"}"#, .failed),
            (#""status":99"#, .unknown), (#""status":"odd""#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        #expect(read("piapi", body(fields)).state == state)
        #expect(read("piapi", body(fields)).taskID == "t1")
        let callback = #"{"timestamp":1772359853,"data":{"task_id":"t1",\#(fields)}}"#
        #expect(read("piapi", callback, kind: .callback).state == state)
        #expect(read("piapi", callback).state == .unknown)
        #expect(read("piapi", body(fields).replacing("task_id", with: "id")).state == .unknown)
    }

    @Test(
        "one rendering, the clean one, wherever the model puts it",
        arguments: [
            (
                #"{"works":[{"cover":{"resource":"https://a.example/c"},"video":{"resource":"https://a.example/m","resource_without_watermark":"https://a.example/1"}},{"video":{"resource":"https://a.example/2","resource_without_watermark":""}}]}"#,
                "12"
            ),
            (#"{"works":[{"image":{"resource":"https://a.example/1"}}]}"#, "1"),
            (#"{"works":[{"cover":{"resource":"https://a.example/c"}}]}"#, ""),
            (
                #"{"works":[],"video":{"url":"https://a.example/2"},"video_raw":{"url":"https://a.example/1"}}"#,
                "1"
            ),
            (#"{"video_raw":{"url":null},"video":{"url":"https://a.example/1"}}"#, "1"),
            (
                #"{"generation":{"video":{"url":"https://a.example/1","thumbnail":"https://a.example/t"}}}"#,
                "1"
            ),
            (#"{"image_url":"https://a.example/1","image_urls":null}"#, "1"),
            (
                #"{"image_url":"https://a.example/0","image_urls":["https://a.example/1","https://a.example/2"]}"#,
                "12"
            ),
            (#"{"video_url":"https://a.example/1","image_url":"https://a.example/c"}"#, "1"),
            (
                #"{"thumbnail":"https://a.example/t","last_frame":{"url":"https://a.example/f"}}"#,
                ""
            ),
        ])
    func files(output: String, names: String) {
        let verdict = read("piapi", body(#""status":"completed","output":\#(output)"#))
        #expect(verdict.resultURLs == names.map { "https://a.example/\($0)" })
        #expect(verdict.urlExpiresAt == nil)
    }

    @Test(
        "the reason of a failure",
        arguments: [
            (#"{"code":1,"message":"failed to x","raw_message":"raw"}"#, "failed to x"),
            (#"{"code":1,"message":"","raw_message":"raw"}"#, "raw"),
            (#"{"code":0,"message":"","raw_message":""}"#, "the provider gives no reason"),
            ("null", "the provider gives no reason"),
        ])
    func reasons(error: String, reason: String) {
        let body = #"{"code":200,"data":{"task_id":"t1","status":"failed","error":\#(error)}}"#
        #expect(read("piapi", body).errorMessage == reason)
    }
}
