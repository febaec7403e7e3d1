import Core
import Foundation
import HTTP
import Providers
import Testing

@Suite("Properties of every verdict")
struct PropertyTests {
    @Test(
        "hold for mutated samples, read by the right and the wrong adapters",
        arguments: SampleCase.all)
    func mutations(sample: SampleCase) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var chance = Seeded(seed: seed)
        for round in 0..<10 {
            let body = Mutation.any(sample.body, using: &chance)
            let leaves = Leaf.all(in: body)
            for name in ProviderRegistry.names {
                try check(
                    sample, provider: name, body: body, leaves,
                    comment:
                        "seed \(seed), round \(round): \(String(decoding: body, as: UTF8.self))")
            }
        }
    }

    @Test("hold for samples fed to every other adapter", arguments: SampleCase.all)
    func crossFeeding(sample: SampleCase) throws {
        let leaves = Leaf.all(in: sample.body)
        for name in ProviderRegistry.names where name != sample.provider {
            try check(
                sample, provider: name, body: sample.body, leaves, httpStatus: sample.httpStatus,
                comment: "\(name) reads \(sample.file)")
        }
    }

    /// Whose bodies an adapter may take for its own: id and state stand in the same fields, spelled
    /// with the same words, and nothing that is documented tells them apart.
    private static let alike: [String: Set<String>] = [
        "kie": ["piapi"], "piapi": ["minimax"], "replicate": flat, "runway": flat,
        "seedance": flat, "wavespeed": flat,
    ]
    private static let flat: Set<String> = ["replicate", "runway", "seedance", "openai-videos"]

    @Test("shapes that are not alike are told apart", arguments: SampleCase.all)
    func marks(sample: SampleCase) throws {
        for name in ProviderRegistry.names where name != sample.provider {
            let provider = try #require(ProviderRegistry.reader(name))
            let mayBeRead = Self.alike[name]?.contains(sample.provider) ?? false
            for kind in AnswerKind.allCases where !mayBeRead {
                let verdict = provider.verdict(
                    sample.answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint,
                    kind: kind, now: testNow)
                #expect(verdict.state == .unknown, "\(name) reads \(sample.file)")
            }
            // Under another id nothing is read, whatever it looks like.
            let verdict = provider.verdict(
                sample.answer, askedTaskID: "another", endpoint: sample.endpoint, kind: .poll,
                now: testNow)
            #expect(!verdict.state.isFinal, "\(name) reads \(sample.file) for another")
        }
    }

    private func check(
        _ sample: SampleCase, provider name: String, body: [UInt8], _ leaves: [Leaf],
        httpStatus: Int = 200, comment: Comment
    ) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        let oracle = try #require(Oracle.all[name])
        let answer = Answer(httpStatus: httpStatus, headers: sample.headers, body: body)
        _ = provider.listPage(answer, endpoint: sample.endpoint, cursor: nil, now: testNow)
        _ = try? provider.resultRequest(
            after: answer, taskID: sample.askedTaskID ?? "t", endpoint: "a/b", now: testNow)
        for kind in AnswerKind.allCases {
            let verdict = provider.verdict(
                answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint, kind: kind,
                now: testNow)
            #expect(
                (verdict.state == .succeeded) == !verdict.resultURLs.isEmpty, comment)
            #expect(
                verdict.errorClass != .none || verdict.state != .unknown, comment)
            #expect(verdict.taskID == nil || verdict.taskID == sample.askedTaskID, comment)
            guard verdict.state.isFinal else { continue }
            // Read again by another reader, so that a slip of ours cannot vouch for itself.
            for url in verdict.resultURLs {
                #expect(oracle.allows(url, in: leaves, taskID: verdict.taskID), comment)
                #expect(URL(string: url)?.host()?.isEmpty == false, comment)
            }
            if verdict.state == .failed {
                #expect(leaves.contains(where: oracle.spellsFailure), comment)
            }
        }
    }
}
