import Core
import Foundation
import HTTP
import Providers
import Testing

@Suite("Properties of every verdict")
struct PropertyTests {
    @Test(
        "hold for mutated samples, read by the right and the wrong adapter",
        arguments: SampleCase.all)
    func mutations(sample: SampleCase) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var chance = Seeded(seed: seed)
        for round in 0..<100 {
            let body = Mutation.any(sample.body, using: &chance)
            for name in ProviderRegistry.names {
                try check(
                    sample, provider: name, body: body,
                    comment:
                        "seed \(seed), round \(round): \(String(decoding: body, as: UTF8.self))")
            }
        }
    }

    @Test("hold for samples fed to the other adapter", arguments: SampleCase.all)
    func crossFeeding(sample: SampleCase) throws {
        for name in ProviderRegistry.names where name != sample.provider {
            let provider = try #require(ProviderRegistry.reader(name))
            for kind in AnswerKind.allCases {
                let verdict = provider.verdict(
                    sample.answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint,
                    kind: kind, now: testNow)
                #expect(verdict.state == .unknown)
                #expect(verdict.resultURLs.isEmpty)
            }
        }
    }

    private func check(
        _ sample: SampleCase, provider name: String, body: [UInt8], comment: Comment
    ) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        for kind in AnswerKind.allCases {
            let answer = Answer(httpStatus: 200, body: body)
            let verdict = provider.verdict(
                answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint, kind: kind,
                now: testNow)
            _ = provider.listPage(answer, endpoint: sample.endpoint, cursor: nil, now: testNow)
            #expect(
                (verdict.state == .succeeded) == !verdict.resultURLs.isEmpty, comment)
            #expect(
                verdict.errorClass != .none || verdict.state != .unknown, comment)
            #expect(verdict.taskID == nil || verdict.taskID == sample.askedTaskID, comment)
            guard verdict.state.isFinal else { continue }
            // Read again by another reader, so that a slip of ours cannot vouch for itself.
            let values = Self.values(body)
            let candidates = name == "kie" ? Self.kieFiles(values) : Self.klingFiles(values)
            for url in verdict.resultURLs {
                #expect(candidates.contains(url), comment)
                #expect(URL(string: url)?.host()?.isEmpty == false, comment)
            }
            if verdict.state == .failed {
                #expect(values.contains { Self.spellsFailure($0) }, comment)
            }
        }
    }

    /// One value of a document with the keys that lead to it.
    struct Leaf {
        var path: [String]
        var value: Any
    }

    private static func values(_ body: [UInt8]) -> [Leaf] {
        var leaves: [Leaf] = []
        collect(parse(Data(body)), path: [], into: &leaves)
        return leaves
    }

    private static func parse(_ data: Data) -> Any {
        let fragments = JSONSerialization.ReadingOptions.fragmentsAllowed
        return (try? JSONSerialization.jsonObject(with: data, options: fragments)) ?? ""
    }

    private static func collect(_ value: Any, path: [String], into leaves: inout [Leaf]) {
        switch value {
        case let object as [String: Any]:
            for (key, inner) in object { collect(inner, path: path + [key], into: &leaves) }
        case let list as [Any]:
            for inner in list { collect(inner, path: path, into: &leaves) }
        case let text as String:
            leaves.append(Leaf(path: path, value: text))
            if let first = text.first, "{[\"".contains(first), path.count < 12 {
                collect(parse(Data(text.utf8)), path: path, into: &leaves)
            }
        default: leaves.append(Leaf(path: path, value: value))
        }
    }

    private static func kieFiles(_ leaves: [Leaf]) -> Set<String> {
        let places: Set<String> = [
            "resultUrls", "videoUrl", "originUrls", "resultVideoUrl", "resultImageUrl", "audioUrl",
            "resultUrl", "audio_url", "video_url",
        ]
        return texts(leaves) { path in
            path.last.map(places.contains) ?? false
                && !path.contains { ["param", "paramJson", "generateParam"].contains($0) }
        }
    }

    private static func klingFiles(_ leaves: [Leaf]) -> Set<String> {
        let lists: Set<String> = ["videos", "images", "series_images", "audios"]
        return texts(leaves) { path in
            path.contains("task_result") && path.contains(where: lists.contains)
                && !path.contains("task_info")
        }
    }

    private static func texts(_ leaves: [Leaf], at isPlace: ([String]) -> Bool) -> Set<String> {
        Set(
            leaves.filter { isPlace($0.path) }.compactMap { $0.value as? String }
                .map { $0.trimmingCharacters(in: .whitespacesAndNewlines) })
    }

    private static func spellsFailure(_ leaf: Leaf) -> Bool {
        switch (leaf.path.last, leaf.value) {
        case ("state", let word as String), ("task_status", let word as String),
            ("status", let word as String):
            let word = word.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
            return word.hasPrefix("fail") || word.hasSuffix("failed") || word.hasSuffix("error")
        case ("successFlag", let flag): return ["2", "3"].contains("\(flag)")
        // A callback's code, together with the task's id.
        case ("code", let code): return ["400", "422", "500", "501", "531"].contains("\(code)")
        default: return false
        }
    }
}
