import Core
import HTTP
import Providers
import Testing

@Suite("Google Veo")
struct GoogleVeoTests {
    static let sample =
        #"{"generateVideoResponse":{"generatedSamples":[{"video":{"uri":"https://a.example/1"}}]}}"#

    @Test(
        "an operation runs until it is done, and what is done says how",
        arguments: [
            (#""x":1"#, TaskState.running), (#""done":false"#, .running),
            (#""done":null"#, .running),
            (#""done":false,"response":\#(sample)"#, .running),
            (#""done":"true","response":\#(sample)"#, .unknown),
            (#""done":1,"response":\#(sample)"#, .unknown),
            (#""done":true,"response":\#(sample)"#, .succeeded),
            (#""done":true,"error":null,"response":\#(sample)"#, .succeeded),
            (#""done":true,"error":{"code":13,"message":"why"},"response":\#(sample)"#, .failed),
            (#""done":false,"error":{"code":13,"message":"why"}"#, .unknown),
            (#""error":{"code":13,"message":"why"}"#, .unknown),
            (#""done":true"#, .unknown), (#""done":true,"response":{}"#, .unknown),
            (#""done":true,"response":{"raiMediaFilteredCount":0}"#, .unknown),
            (#""done":true,"response":{"raiMediaFilteredCount":1}"#, .failed),
            (
                #""done":true,"response":{"generateVideoResponse":{"raiMediaFilteredCount":1,"raiMediaFilteredReasons":["why"]}}"#,
                .failed
            ),
            (
                #""done":true,"response":{"raiMediaFilteredCount":1,"generatedVideos":[{"video":{"uri":"https://a.example/1"}}]}"#,
                .succeeded
            ),
            (
                #""done":true,"response":{"raiMediaFilteredCount":1,"videos":[{"gcsUri":"gs://b/1"}]}"#,
                .unknown
            ),
            (#""done":true,"response":{"videos":[{"bytesBase64Encoded":"AAAA"}]}"#, .unknown),
        ])
    func states(fields: String, state: TaskState) {
        let verdict = read("google-veo", #"{"name":"t1",\#(fields)}"#)
        #expect(verdict.state == state)
        #expect(verdict.taskID == "t1")
        if state == .unknown { #expect(verdict.errorClass == .transient) }
        #expect(read("google-veo", #"{"name":"t2",\#(fields)}"#).state == .unknown)
        // Without its name it is nobody's.
        #expect(read("google-veo", #"{\#(fields)}"#).state == .unknown)
    }

    @Test("files wherever clients find them, for two days; reasons too")
    func extras() {
        let body = { (response: String) in #"{"name":"t1","done":true,"response":\#(response)}"# }
        let done = read("google-veo", body(Self.sample))
        #expect(done.resultURLs == ["https://a.example/1"])
        #expect(done.urlExpiresAt == testNow + .seconds(2 * 86_400))
        #expect(
            read(
                "google-veo",
                body(#"{"generatedVideos":[{"video":{"uri":"https://a.example/2"}}]}"#)
            ).resultURLs == ["https://a.example/2"])
        let filtered = read(
            "google-veo",
            body(#"{"raiMediaFilteredCount":"2","raiMediaFilteredReasons":["one","two"]}"#))
        #expect(filtered.errorMessage == "one; two")
        #expect(
            read("google-veo", #"{"name":"t1","done":true,"error":{"code":3,"message":"why"}}"#)
                .errorMessage == "why")
        #expect(
            read("google-veo", body(#"{"videos":[{"gcsUri":"gs://b/1"}]}"#)).errorMessage?
                .contains("gs://") == true)
        #expect(
            read("google-veo", #"{"error":{"code":5,"message":"not there"}}"#).errorMessage
                == "not there")
    }

    @Test("an operation's name is a path, and one of Vertex is not asked about")
    func requests() throws {
        let provider = try configured("google-veo")
        let request = try provider.pollRequest(
            taskID: "models/veo-3.1/operations/k3 m", endpoint: "tasks", now: testNow)
        #expect(
            request.url
                == "https://generativelanguage.googleapis.com/v1beta/models/veo-3.1/operations/k3%20m"
        )
        for id in ["models/../secrets", "models//x", "/models/x", "models/x/"] {
            let error = #expect(throws: Failure.self) {
                try provider.pollRequest(taskID: id, endpoint: "tasks", now: testNow)
            }
            #expect(error?.code == "bad_task_id")
        }
        let error = #expect(throws: Failure.self) {
            try provider.pollRequest(
                taskID: "projects/p/locations/l/operations/1", endpoint: "tasks", now: testNow)
        }
        #expect(error?.code == "vertex_operation")
        #expect(error?.status == .needsPerson)
    }

    @Test("the key goes along with a download from the provider's own host only")
    func downloads() throws {
        let provider = try configured("google-veo")
        let own = "https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media"
        #expect(try provider.downloadHeaders(for: own) == [Header("x-goog-api-key", "canary-key")])
        #expect(
            try provider.downloadHeaders(for: own.replacing("https://gen", with: "HTTPS://GEN"))
                .count == 1)
        for url in [
            "https://storage.googleapis.com/v1beta/files/f", "https://googleapis.com/x",
            "https://generativelanguage.googleapis.com.evil.example/v1beta/files/f",
            "https://evil.example/generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com:80/v1beta/files/f",
            "https://generativelanguage%2Egoogleapis.com@evil.example/",
        ] {
            #expect(try provider.downloadHeaders(for: url).isEmpty, "\(url)")
        }
        let proxied = try configured(
            "google-veo",
            [
                "HOLDFAST_GOOGLE_VEO_API_KEY": "k",
                "HOLDFAST_GOOGLE_VEO_BASE_URL": "http://127.0.0.1:8080/veo",
            ])
        #expect(try proxied.downloadHeaders(for: own).isEmpty)
        #expect(try proxied.downloadHeaders(for: "http://127.0.0.1:8080/x").count == 1)
        #expect(try proxied.downloadHeaders(for: "http://127.0.0.1:8081/x").isEmpty)
    }
}
