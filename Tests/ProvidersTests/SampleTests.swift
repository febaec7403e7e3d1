import Core
import Foundation
import HTTP
import Providers
import Testing

/// A body with the verdicts that are right for it.
struct SampleCase: Sendable, CustomTestStringConvertible {
    var file: String
    var provider: String
    var kind: AnswerKind
    var endpoint: String?
    var httpStatus: Int
    var askedTaskID: String?
    var headers: [Header]
    var now: Instant?
    var isAnyOrder: Bool
    var accepted: [JSONValue]
    var tasks: [JSONValue]?
    var body: [UInt8]

    var testDescription: String { file }

    static let all: [SampleCase] = {
        let folder = Bundle.module.resourceURL?.appending(path: "Samples")
        guard let folder, let index = try? Data(contentsOf: folder.appending(path: "index.json")),
            let cases = (try? JSON.parse(Array(index)))?["cases"]?.array
        else { return [] }
        return cases.compactMap { SampleCase($0, folder: folder) }
    }()

    init?(_ value: JSONValue, folder: URL) {
        guard let file = value["file"]?.text, let provider = value["provider"]?.text,
            let kind = value["kind"]?.text.flatMap(AnswerKind.init),
            let status = value["http_status"]?.int, let expected = value["expected"],
            let body = try? Data(contentsOf: folder.appending(path: file))
        else { return nil }
        self.file = file
        self.provider = provider
        self.kind = kind
        self.endpoint = value["endpoint"]?.text
        self.httpStatus = Int(status)
        self.askedTaskID = value["asked_task_id"]?.text
        self.headers = (value["headers"]?.object?.members ?? []).map {
            Header(name: $0.key, value: $0.value.text ?? "")
        }
        self.now = value["now_unix"]?.int.map { Instant(unixSeconds: $0) }
        self.isAnyOrder = value["url_order"]?.text == "any"
        self.accepted = [expected] + (value["also_accept"]?.array ?? [])
        self.tasks = value["expected_tasks"]?.array
        self.body = Array(body)
    }

    var answer: Answer { Answer(httpStatus: httpStatus, headers: headers, body: body) }

    func accepts(_ verdict: Verdict) -> Bool {
        accepted.contains { Self.agrees(verdict, with: $0, asked: askedTaskID, isAnyOrder) }
    }

    static func agrees(
        _ verdict: Verdict, with expected: JSONValue, asked: String?, _ isAnyOrder: Bool
    ) -> Bool {
        let id = expected["task_id"]?.text
        let urls = (expected["result_urls"]?.array ?? []).compactMap(\.text)
        let message = expected["error_message"]?.text?.lowercased()
        let given = verdict.resultURLs
        return (verdict.taskID == id || (id == nil && verdict.taskID == asked))
            && verdict.state.rawValue == expected["state"]?.text
            && verdict.errorClass.rawValue == expected["error_class"]?.text
            && (isAnyOrder ? given.sorted() == urls.sorted() : given == urls)
            && message.map { verdict.errorMessage?.lowercased().contains($0) ?? false } ?? true
    }
}

@Suite("Samples")
struct SampleTests {
    let now = Instant(unixSeconds: 1_795_257_756)

    @Test("all samples are found")
    func count() {
        #expect(SampleCase.all.count == 85)
        #expect(
            ProviderRegistry.names.allSatisfy { name in
                SampleCase.all.contains { $0.provider == name }
            })
    }

    @Test("every sample gets a right verdict", arguments: SampleCase.all)
    func verdict(sample: SampleCase) throws {
        let provider = try #require(ProviderRegistry.reader(sample.provider))
        let verdict = provider.verdict(
            sample.answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint,
            kind: sample.kind, now: sample.now ?? now)
        #expect(sample.accepts(verdict), "\(verdict)")
        if sample.kind == .callback {
            let blind = provider.verdict(
                sample.answer, askedTaskID: nil, endpoint: nil, kind: .callback, now: now)
            #expect(blind == verdict)
        }
        if let expected = sample.tasks {
            let tasks = try #require(
                provider.listPage(
                    sample.answer, endpoint: sample.endpoint, cursor: nil, now: sample.now ?? now)
            ).tasks.map(\.verdict)
            #expect(tasks.count == expected.count)
            for (task, expected) in zip(tasks, expected) {
                #expect(SampleCase.agrees(task, with: expected, asked: nil, false), "\(task)")
            }
        }
    }

    @Test("a server error about the query hides every record", arguments: SampleCase.all)
    func serverError(sample: SampleCase) throws {
        let provider = try #require(ProviderRegistry.reader(sample.provider))
        for status in [500, 502, 503, 504, 520] {
            let verdict = provider.verdict(
                Answer(httpStatus: status, body: sample.body), askedTaskID: sample.askedTaskID,
                endpoint: sample.endpoint, kind: sample.kind, now: now)
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == .transient)
            #expect(verdict.resultURLs.isEmpty)
            #expect(!verdict.taskIsUnknownHere)
        }
    }

    @Test("an answer about another task says nothing", arguments: SampleCase.all)
    func otherTask(sample: SampleCase) throws {
        let provider = try #require(ProviderRegistry.reader(sample.provider))
        // One digit further: the same number once it has been a Double.
        for asked in ["901122334455667789", "another"] {
            let verdict = provider.verdict(
                sample.answer, askedTaskID: asked, endpoint: sample.endpoint, kind: sample.kind,
                now: now)
            #expect(verdict.taskID == nil)
            // The second answer of two names no task: nothing in it can show that it is another's.
            if sample.kind == .result { continue }
            #expect(verdict.state == .unknown)
            #expect(verdict.errorClass == .transient)
        }
    }

    @Test("the command's object has every field, absent ones null")
    func classification() throws {
        let sample = try #require(
            SampleCase.all.first { $0.file == "kling/success-video-object.json" })
        let provider = try #require(ProviderRegistry.reader("kling"))
        let object = Classification.classify(
            provider: provider, kind: .poll, endpoint: sample.endpoint,
            askedTaskID: sample.askedTaskID, httpStatus: 200, headers: [], now: now,
            body: sample.body)
        let expected: JSONValue = [
            "task_id": "901122334455667788", "state": "succeeded",
            "result_urls": ["https://cdn.example.com/bs2/a1.mp4"], "error_class": "none",
            "error_message": nil, "progress": nil, "cost": ["amount": "2.5", "unit": "units"],
            "url_expires_at": "2026-04-10T00:48:40Z",
        ]
        #expect(object == expected)
    }

    @Test("a list that is none prints no tasks", arguments: ProviderRegistry.names)
    func emptyList(name: String) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        let object = Classification.classify(
            provider: provider, kind: .list, endpoint: nil, askedTaskID: nil, httpStatus: 200,
            headers: [], now: now, body: Array("<html>".utf8))
        #expect(object == ["tasks": []])
    }
}
