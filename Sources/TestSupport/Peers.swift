package import Core
import Foundation

/// Signatures made and checked by libraries that are not ours; `scripts/test` installs them.
package enum Peers {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Puts questions to `Tests/Peers/sign.py`; one answer each.
    package static func ask(_ questions: [JSONValue]) async throws -> [JSONValue] {
        let python = root + "/.build/peers/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw TestSupportError("\(python) is not there; scripts/test installs it")
        }
        let finished = try await Executable.run(
            python, arguments: [root + "/Tests/Peers/sign.py"],
            input: Array(JSON.write(.array(questions)).utf8))
        guard finished.status == 0, let answers = try JSON.parse(finished.stdoutBytes).array else {
            throw TestSupportError("Tests/Peers/sign.py failed: \(finished.stderr)")
        }
        return answers
    }
}
