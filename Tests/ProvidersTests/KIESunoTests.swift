import Core
import Providers
import Testing

@Suite("KIE's Suno and what is made from its songs")
struct KIESunoTests {
    static let url = #""https://a.example/x""#

    @Test(
        "each path has its own words",
        arguments: [
            ("wav", #""successFlag":"PENDING""#, TaskState.pending),
            ("wav", #""successFlag":"GENERATE_WAV_FAILED""#, .failed),
            ("wav", #""successFlag":"CREATE_TASK_FAILED""#, .failed),
            ("wav", #""successFlag":"GENERATE_MP4_FAILED""#, .unknown),
            ("wav", #""successFlag":2"#, .unknown),
            ("wav", #""successFlag":"CALLBACK_EXCEPTION""#, .unknown),
            ("vocal-removal", #""successFlag":"GENERATE_AUDIO_FAILED""#, .failed),
            ("vocal-removal", #""successFlag":"GENERATE_WAV_FAILED""#, .unknown),
            ("mp4", #""successFlag":"GENERATE_MP4_FAILED""#, .failed),
            ("mp4", #""successFlag":"SUCCESS","response":{"videoUrl":""}"#, .unknown),
            ("suno-cover", #""successFlag":0"#, .pending),
            ("suno-cover", #""successFlag":2"#, .running),
            ("suno-cover", #""successFlag":3"#, .failed),
            ("midi", #""successFlag":2"#, .failed),
            ("midi", #""successFlag":1,"midiData":{"state":"complete"}"#, .unknown),
            ("lyrics", #""status":"GENERATE_LYRICS_FAILED""#, .failed),
            ("lyrics", #""status":"SENSITIVE_WORD_ERROR""#, .failed),
            ("lyrics", #""status":"SUCCESS","response":{"data":[{"text":"la"}]}"#, .unknown),
        ])
    func words(family: String, fields: String, state: TaskState) {
        let verdict = read("kie", market(fields), endpoint: family)
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
    }

    @Test(
        "each path has its own place for the file",
        arguments: [
            ("/api/v1/wav/record-info", #""successFlag":"SUCCESS","response":{"audioWavUrl":@}"#),
            ("/api/v1/mp4/record-info", #""successFlag":"SUCCESS","response":{"videoUrl":@}"#),
            (
                "/api/v1/mp4/record-info",
                #""successFlag":"CALLBACK_EXCEPTION","response":{"videoUrl":@}"#
            ),
            (
                "/api/v1/suno/cover/record-info",
                #""parentTaskId":"t0","successFlag":1,"response":{"images":[@]}"#
            ),
            (
                "/api/v1/vocal-removal/record-info",
                #""successFlag":"SUCCESS","response":{"id":null,"originUrl":"https://a.example/o","originData":[{"audio_url":"https://a.example/d"}],"vocalUrl":@,"drumsUrl":null}"#
            ),
        ])
    func files(path: String, fields: String) {
        let body = market(fields.replacing("@", with: Self.url))
        let verdict = read("kie", body, endpoint: path)
        #expect(verdict.state == .succeeded)
        #expect(verdict.resultURLs == ["https://a.example/x"])
    }

    @Test("every stem is a file, in the order of the answer")
    func stems() {
        let body = market(
            #""successFlag":"SUCCESS","response":{"instrumentalUrl":"https://a.example/1","originUrl":"https://a.example/o","vocalUrl":"https://a.example/2","bassUrl":null}"#
        )
        let verdict = read("kie", body, endpoint: "vocal-removal")
        #expect(verdict.resultURLs == ["https://a.example/1", "https://a.example/2"])
    }

    @Test(
        "their callbacks bring the file",
        arguments: [
            #"{"code":200,"data":{"audioWavUrl":@,"task_id":"t1"}}"#,
            #"{"code":200,"data":{"images":[@],"taskId":"t1"}}"#,
            #"{"code":200,"data":{"task_id":"t1","vocal_removal_info":{"instrumental_url":@,"origin_url":"https://a.example/o","vocal_url":null}}}"#,
            #"{"code":200,"data":{"task_id":"t1","video_url":@}}"#,
            #"{"code":200,"data":{"taskId":"t1","info":{"originImageUrl":"https://a.example/o","resultImageUrl":@}}}"#,
        ])
    func callbacks(body: String) {
        let verdict = read("kie", body.replacing("@", with: Self.url), kind: .callback)
        #expect(verdict.state == .succeeded)
        #expect(verdict.resultURLs == ["https://a.example/x"])
        let failed = read(
            "kie", #"{"code":501,"msg":"no","data":{"taskId":"t1","images":null}}"#, kind: .callback
        )
        #expect(failed.state == .failed)
    }
}
