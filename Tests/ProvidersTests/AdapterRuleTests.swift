import Core
import HTTP
import Providers
import Testing

/// What every adapter with one key has in common, as a row for each.
struct AdapterCase: Sendable, CustomTestStringConvertible {
    var provider: String
    /// The whole address that asks about task `t/1`.
    var url: String
    var header = "Authorization"
    var credential = "Bearer canary-key"
    var endpoint = "tasks"
    /// A task `t1` that is running.
    var running: String
    /// 400 and 404 mean that our own request is wrong.
    var escalates = true

    var testDescription: String { provider }

    static let all = [
        AdapterCase(
            provider: "replicate", url: "https://api.replicate.com/v1/predictions/t%2F1",
            running: #"{"id":"t1","status":"processing"}"#),
        AdapterCase(
            provider: "fal", url: "https://queue.fal.run/fal-ai/flux/requests/t%2F1/status",
            credential: "Key canary-key", endpoint: "fal-ai/flux/dev",
            running: #"{"request_id":"t1","status":"IN_PROGRESS"}"#),
        AdapterCase(
            provider: "runway", url: "https://api.dev.runwayml.com/v1/tasks/t%2F1",
            running: #"{"id":"t1","status":"RUNNING"}"#),
        AdapterCase(
            provider: "luma",
            url: "https://api.lumalabs.ai/dream-machine/v1/generations/t%2F1",
            running: #"{"id":"t1","state":"dreaming"}"#),
        AdapterCase(
            provider: "minimax",
            url: "https://api.minimax.io/v1/query/video_generation?task_id=t%2F1", endpoint: "v1",
            running: #"{"task_id":"t1","status":"Processing","base_resp":{"status_code":0}}"#),
        AdapterCase(
            provider: "google-veo", url: "https://generativelanguage.googleapis.com/v1beta/t/1",
            header: "x-goog-api-key", credential: "canary-key", running: #"{"name":"t1"}"#,
            escalates: false),
        AdapterCase(
            provider: "seedance",
            url:
                "https://ark.ap-southeast.bytepluses.com/api/v3/contents/generations/tasks/t%2F1",
            running: #"{"id":"t1","status":"running"}"#),
        AdapterCase(
            provider: "wavespeed", url: "https://api.wavespeed.ai/api/v3/predictions/t%2F1",
            running: #"{"code":200,"data":{"id":"t1","status":"processing"}}"#),
        AdapterCase(
            provider: "piapi", url: "https://api.piapi.ai/api/v1/task/t%2F1",
            header: "x-api-key", credential: "canary-key",
            running: #"{"code":200,"data":{"task_id":"t1","status":"Processing"}}"#),
        AdapterCase(
            provider: "openai-videos", url: "https://api.openai.com/v1/videos/t%2F1",
            running: #"{"id":"t1","object":"video","status":"in_progress"}"#),
    ]
}

/// An adapter with its keys, and the base addresses that a test names.
func configured(_ name: String, _ variables: [String: String] = [:]) throws -> any Provider {
    let part = "HOLDFAST_" + name.uppercased().replacing("-", with: "_")
    let registry = try ProviderRegistry { variables[$0] ?? ["\(part)_API_KEY": "canary-key"][$0] }
    return try #require(registry.provider(name))
}

@Suite("Rules for every adapter with one key")
struct AdapterRuleTests {
    @Test("each provider with one key has a row")
    func rows() {
        let rows = Set(AdapterCase.all.map(\.provider)).union(["kie", "kling"])
        #expect(rows == Set(ProviderRegistry.names))
    }

    @Test("asks the documented address with a fresh credential", arguments: AdapterCase.all)
    func asks(row: AdapterCase) throws {
        let provider = try configured(row.provider)
        #expect(provider.isConfigured)
        let request = try provider.pollRequest(
            taskID: "t/1", endpoint: row.endpoint, now: testNow)
        #expect(request.method == "GET")
        #expect(request.url == row.url)
        #expect(request.body == nil)
        #expect(request.headers.first(named: row.header) == row.credential)
        #expect(request.headers.first(named: "User-Agent")?.hasPrefix("Mozilla/5.0") == true)
        #expect(request.headers.first(named: "Accept") == "application/json")
        #expect(!request.url.contains("canary"))
        let part = "HOLDFAST_" + row.provider.uppercased().replacing("-", with: "_")
        let proxied = try configured(
            row.provider,
            ["\(part)_API_KEY": "canary-key", "\(part)_BASE_URL": "http://localhost:8080/play/"])
        let path = "/" + row.url.split(separator: "/", maxSplits: 2)[2]
        #expect(
            try proxied.pollRequest(taskID: "t/1", endpoint: row.endpoint, now: testNow).url
                == "http://localhost:8080/play" + path)
    }

    @Test("an id that would climb the path is refused", arguments: AdapterCase.all)
    func dots(row: AdapterCase) throws {
        let provider = try configured(row.provider)
        for id in ["", ".", "..", String(repeating: "a", count: 513)] {
            let error = #expect(throws: Failure.self) {
                try provider.pollRequest(taskID: id, endpoint: row.endpoint, now: testNow)
            }
            #expect(error?.code == "bad_task_id")
        }
    }

    @Test("a key never goes to an address that is not the provider's", arguments: AdapterCase.all)
    func ownOrigin(row: AdapterCase) throws {
        let provider = try configured(row.provider)
        let own = row.url.split(separator: "/").prefix(2).joined(separator: "//")
        for url in [
            "https://cdn.example.com/a.mp4", own.replacing("https", with: "http") + "/a",
            own + ".evil.example/a", own + ":8443/a", own + "@evil.example/a",
            "https://evil.example/" + own, "https://evil.example#" + own, "not a url", "",
            own.replacing("://", with: "://user:pw@") + "/a", own + "\\@evil.example/",
            " " + own + "/a", "https:/" + own.dropFirst(8) + "/a",
        ] {
            #expect(try provider.downloadHeaders(for: url).isEmpty, "\(url)")
        }
        let headers = try provider.downloadHeaders(for: own + "/a")
        #expect(
            headers.first(named: row.header)
                == (provider.facts.downloadNeedsCredentials ? row.credential : nil))
    }

    @Test(
        "refusals leave the task as it is",
        arguments: AdapterCase.all,
        [
            (400, ErrorClass.final, false, false), (401, .transient, true, false),
            (402, .transient, false, false), (403, .transient, true, false),
            (404, .final, false, true), (405, .transient, false, false),
            (408, .transient, false, false), (422, .transient, false, false),
            (429, .transient, false, false), (500, .transient, false, false),
            (503, .transient, false, false), (302, .transient, false, false),
        ])
    func refusals(row: AdapterCase, answer: (Int, ErrorClass, Bool, Bool)) {
        let (status, errorClass, refused, unknownHere) = answer
        let headers = [Header("Retry-After", "7")]
        for body in [#"{"detail":"Canary words"}"#, #"{"error":{"message":"Canary words"}}"#] {
            let verdict = read(row.provider, body, status: status, headers: headers)
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == (row.escalates ? errorClass : .transient))
            #expect(verdict.credentialsRefused == refused)
            #expect(verdict.taskIsUnknownHere == unknownHere)
            #expect(verdict.retryAfter == .seconds(7))
            #expect(verdict.errorMessage?.contains("Canary words") == true)
            #expect(verdict.errorMessage?.contains("\(status)") == true)
        }
        for body in ["<html>Canary</html>", "", "error code: 1010"] {
            let verdict = read(row.provider, body, status: status)
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == .transient)
            #expect(!verdict.taskIsUnknownHere)
        }
        #expect(read(row.provider, row.running, status: status).state == .unknown)
    }

    @Test("a running task is running, under its own id alone", arguments: AdapterCase.all)
    func ids(row: AdapterCase) {
        #expect(read(row.provider, row.running).state == .running)
        #expect(read(row.provider, row.running).taskID == "t1")
        #expect(read(row.provider, "\u{FEFF}" + row.running).state == .running)
        #expect(read(row.provider, row.running + row.running).state == .unknown)
        #expect(read(row.provider, row.running, asked: "T1").state == .unknown)
        let long = row.running.replacing("\"t1\"", with: "901122334455667788")
        #expect(read(row.provider, long, asked: "901122334455667788").state == .running)
        #expect(read(row.provider, long, asked: "901122334455667789").state == .unknown)
        #expect(read(row.provider, long, asked: "901122334455667789").taskID == nil)
    }

    @Test("no list, lookup or refresh where the facts tell of none", arguments: AdapterCase.all)
    func facts(row: AdapterCase) throws {
        let provider = try configured(row.provider)
        let facts = provider.facts
        let request = try provider.listRequest(
            endpoint: provider.listEndpoints(inUse: [row.endpoint]).first ?? row.endpoint,
            cursor: nil, now: testNow)
        #expect((request != nil) == facts.canList)
        #expect(request?.headers.first(named: row.header) == (facts.canList ? row.credential : nil))
        #expect(
            try provider.lookupRequest(jobID: "j", endpoint: row.endpoint, now: testNow) == nil)
        #expect(!facts.canLookUpByOwnID)
        #expect(try provider.refreshRequest(url: "https://a.example/x", now: testNow) == nil)
        #expect(!facts.canRefresh)
        #expect(!facts.rateSource.isEmpty)
        #expect(facts.urlLife >= .seconds(3600))
    }
}
