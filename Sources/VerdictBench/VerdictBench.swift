import Core
import Foundation
import HTTP
import Providers

/// Reads the samples again and again, and prints what a verdict costs beside the mere parsing of the
/// same bodies by Foundation's `JSONSerialization`; `scripts/bench-verdicts` builds and runs it.
@main
struct VerdictBench {
    /// A sample body, and what its verdict needs to know.
    struct Case {
        var provider: any Provider
        var kind: AnswerKind
        var endpoint: String?
        var askedTaskID: String?
        var answer: Answer
        var data: Data
    }

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let wanted = Int(arguments[2]), wanted > 0 else {
            FileHandle.standardError.write(
                Data("usage: verdict-bench FOLDER_OF_SAMPLES BODIES\n".utf8))
            exit(64)
        }
        let cases = try cases(URL(filePath: arguments[1]))
        let rounds = (wanted + cases.count - 1) / cases.count
        // Turns, so that whatever else the machine does falls on both.
        var verdicts = Duration.zero
        var parses = Duration.zero
        let clock = ContinuousClock()
        let turns = min(rounds, 20)
        for turn in 0..<turns {
            let share = rounds / turns + (turn < rounds % turns ? 1 : 0)
            verdicts += clock.measure { for _ in 0..<share { read(cases) } }
            parses += clock.measure { for _ in 0..<share { parse(cases) } }
        }
        let bodies = rounds * cases.count
        let bytes = cases.reduce(0) { $0 + $1.data.count } / cases.count
        print("bodies    \(bodies), of \(bytes) bytes in the mean, \(cases.count) samples")
        print("verdict   \(microseconds(verdicts, bodies)) µs each")
        print("parsing   \(microseconds(parses, bodies)) µs each (JSONSerialization, no verdict)")
        print("ratio     \(text(verdicts / parses))")
    }

    private static func cases(_ folder: URL) throws -> [Case] {
        let index = try JSON.parse(
            Array(try Data(contentsOf: folder.appending(path: "index.json"))))
        return try (index["cases"]?.array ?? []).compactMap { entry in
            guard let file = entry["file"]?.text, let kind = entry["kind"]?.text,
                let provider = entry["provider"]?.text.flatMap(ProviderRegistry.reader),
                let kind = AnswerKind(rawValue: kind)
            else { return nil }
            let data = try Data(contentsOf: folder.appending(path: file))
            return Case(
                provider: provider, kind: kind, endpoint: entry["endpoint"]?.text,
                askedTaskID: entry["asked_task_id"]?.text,
                answer: Answer(
                    httpStatus: Int(entry["http_status"]?.int ?? 200), body: Array(data)),
                data: data)
        }
    }

    private static let now = Instant(unixSeconds: 1_795_257_756)
    /// What is read goes into it, so that nothing can be left out as unused.
    nonisolated(unsafe) private static var seen = 0

    private static func read(_ cases: [Case]) {
        for one in cases {
            if one.kind == .list {
                let page = one.provider.listPage(
                    one.answer, endpoint: one.endpoint, cursor: nil, now: now)
                seen += page?.tasks.count ?? 0
            } else {
                let verdict = one.provider.verdict(
                    one.answer, askedTaskID: one.askedTaskID, endpoint: one.endpoint,
                    kind: one.kind, now: now)
                seen += verdict.resultURLs.count
            }
        }
    }

    private static func parse(_ cases: [Case]) {
        for one in cases where (try? JSONSerialization.jsonObject(with: one.data)) != nil {
            seen += 1
        }
    }

    private static func microseconds(_ time: Duration, _ count: Int) -> String {
        text(time / .microseconds(1) / Double(count))
    }

    private static func text(_ number: Double) -> String { String(format: "%.2f", number) }
}
