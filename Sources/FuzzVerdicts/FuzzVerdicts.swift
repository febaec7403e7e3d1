import Core
import HTTP
import Providers

/// What libFuzzer calls with each input; `scripts/fuzz` builds and runs it.
///
/// The first three bytes choose the adapter, the kind of answer with its HTTP status, and the endpoint;
/// the rest is the body. A broken promise traps, and libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count >= 3 else { return 0 }
    let input = UnsafeBufferPointer(start: start, count: count)
    let name = ProviderRegistry.names[Int(input[0]) % ProviderRegistry.names.count]
    let statuses = [200, 202, 400, 401, 404, 422, 429, 503]
    let kinds = AnswerKind.allCases
    let answer = Answer(
        httpStatus: statuses[Int(input[1]) % statuses.count], headers: [],
        body: Array(input.dropFirst(3)))
    guard let provider = ProviderRegistry.reader(name) else { fatalError("no reader for \(name)") }
    let endpoint = endpoints[Int(input[2]) % endpoints.count]
    check(provider, answer, kinds[Int(input[1]) / statuses.count % kinds.count], endpoint)
    return 0
}

private let asked = "task-1"
private let now = Instant(unixSeconds: 1_795_257_756)

private let endpoints: [String?] = [
    nil, "market", "veo", "suno", "runway", "image2video", "fal-ai/flux/dev", "v2",
]

private func check(
    _ provider: any Provider, _ answer: Answer, _ kind: AnswerKind, _ endpoint: String?
) {
    switch kind {
    case .list:
        let page = provider.listPage(answer, endpoint: endpoint, cursor: nil, now: now)
        for task in page?.tasks ?? [] { keepsItsPromises(task.verdict) }
        _ = provider.refreshedURL(answer)
        _ = Evidence.redact(answer.body)
    case .callback:
        let candidates = CallbackReader.candidates(
            provider: provider.name, headers: [], query: "", body: answer.body)
        precondition(candidates.taskIDs.allSatisfy { !$0.isEmpty }, "an empty id")
    case .poll, .result:
        _ = try? provider.resultRequest(
            after: answer, taskID: asked, endpoint: endpoint ?? "", now: now)
    }
    let verdict = provider.verdict(
        answer, askedTaskID: asked, endpoint: endpoint, kind: kind, now: now)
    keepsItsPromises(verdict)
    precondition(verdict.taskID == nil || verdict.taskID == asked, "about another task")
}

private func keepsItsPromises(_ verdict: Verdict) {
    precondition(
        (verdict.state == .succeeded) == !verdict.resultURLs.isEmpty, "success and files disagree")
    precondition(
        verdict.resultURLs.allSatisfy { SafeURL.parse($0) != nil }, "a URL nobody can fetch")
    precondition(verdict.state != .unknown || verdict.errorClass != .none, "unknown and healthy")
    precondition(
        ![.pending, .running, .succeeded].contains(verdict.state) || verdict.errorClass == .none,
        "healthy and an error")
    precondition(verdict.progress.map { (0...100).contains($0) } ?? true, "progress out of range")
}
