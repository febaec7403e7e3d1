import Core
import Providers
import Testing

/// An answer that does not name the task is believed only where the provider's page has no id in it.
@Suite struct UnnamedAnswers {
    private static let now = Instant(unixSeconds: 1_795_257_756)

    /// Polls that tell something about the task asked for, which they name.
    private static let telling = SampleCase.all.filter { sample in
        sample.kind == .poll && sample.askedTaskID != nil
            && sample.accepted.contains { $0["state"]?.text != "unknown" }
    }

    @Test func `every provider has an answer that is looked at here`() {
        #expect(Set(Self.telling.map(\.provider)) == Set(ProviderRegistry.names))
    }

    @Test(arguments: telling)
    func `the same answer without the id of its task is not understood`(
        _ sample: SampleCase
    ) throws {
        let asked = try #require(sample.askedTaskID)
        let whole = try JSON.parse(sample.body)
        let unnamed = whole.without(asked)
        try #require(unnamed != whole, "the sample names its task")
        let provider = try #require(ProviderRegistry.reader(sample.provider))
        let verdict = provider.verdict(
            Answer(
                httpStatus: sample.httpStatus, headers: sample.headers,
                body: Array(JSON.write(unnamed).utf8)),
            askedTaskID: asked, endpoint: sample.endpoint, kind: .poll,
            now: sample.now ?? Self.now)
        #expect(verdict.state == .unknown, "\(verdict)")
        #expect(verdict.resultURLs.isEmpty)
    }

    /// Pages without an id: KIE's 1080p rendering, fal's response, MiniMax's file.
    @Test(arguments: [
        (
            "kie", AnswerKind.poll, "GET /api/v1/veo/get-1080p-video",
            #"{"code":200,"msg":"success","data":{"resultUrl":"https://cdn.example.com/1.mp4"}}"#
        ),
        (
            "fal", .result, "tasks", #"{"video":{"url":"https://cdn.example.com/1.mp4"}}"#
        ),
        (
            "minimax", .result, "GET /v1/files/retrieve?file_id=",
            #"{"file":{"file_id":1,"download_url":"https://cdn.example.com/1.mp4"},"#
                + #""base_resp":{"status_code":0}}"#
        ),
    ])
    func `an answer whose page has none is`(
        _ name: String, _ kind: AnswerKind, _ endpoint: String, _ body: String
    ) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        let verdict = provider.verdict(
            Answer(httpStatus: 200, body: Array(body.utf8)), askedTaskID: "123",
            endpoint: endpoint, kind: kind, now: Self.now)
        #expect(verdict.resultURLs == ["https://cdn.example.com/1.mp4"], "\(verdict)")
    }
}

extension JSONValue {
    /// The same without the members that hold this text, also as a number.
    fileprivate func without(_ id: String) -> JSONValue {
        switch self {
        case .object(let object):
            .object(
                JSONObject(
                    object.members.filter { $0.value.text != id }.map {
                        JSONObject.Member(key: $0.key, value: $0.value.without(id))
                    }))
        case .array(let elements): .array(elements.map { $0.without(id) })
        case .null, .bool, .number, .string: self
        }
    }
}
