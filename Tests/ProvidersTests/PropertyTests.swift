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
        for round in 0..<40 {
            let body = Mutation.any(sample.body, using: &chance)
            for name in ProviderRegistry.names {
                try check(
                    sample, provider: name, body: body,
                    comment:
                        "seed \(seed), round \(round): \(String(decoding: body, as: UTF8.self))")
            }
        }
    }

    @Test("hold for samples fed to every other adapter", arguments: SampleCase.all)
    func crossFeeding(sample: SampleCase) throws {
        for name in ProviderRegistry.names where name != sample.provider {
            try check(
                sample, provider: name, body: sample.body, httpStatus: sample.httpStatus,
                comment: "\(name) reads \(sample.file)")
        }
    }

    private func check(
        _ sample: SampleCase, provider name: String, body: [UInt8], httpStatus: Int = 200,
        comment: Comment
    ) throws {
        let provider = try #require(ProviderRegistry.reader(name))
        let oracle = try #require(Oracle.all[name])
        let leaves = Leaf.all(in: body)
        for kind in AnswerKind.allCases {
            let answer = Answer(httpStatus: httpStatus, headers: sample.headers, body: body)
            let verdict = provider.verdict(
                answer, askedTaskID: sample.askedTaskID, endpoint: sample.endpoint, kind: kind,
                now: testNow)
            _ = provider.listPage(answer, endpoint: sample.endpoint, cursor: nil, now: testNow)
            _ = try? provider.resultRequest(
                after: answer, taskID: sample.askedTaskID ?? "t", endpoint: "a/b", now: testNow)
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
