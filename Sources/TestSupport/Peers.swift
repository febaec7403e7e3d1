package import Core
import Foundation

/// Programs in Python that are held against ours; `scripts/test` installs the libraries they use.
package enum Peers {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The Python that has the libraries of `Tests/Peers/requirements.txt`.
    package static func python() throws -> String {
        let python = root + "/.build/peers/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw TestSupportError("\(python) is not there; scripts/test installs it")
        }
        return python
    }

    /// The path of a script below `Tests/Peers`.
    package static func script(_ name: String) -> String { root + "/Tests/Peers/" + name }

    /// Puts questions to `Tests/Peers/sign.py`; one answer each.
    package static func ask(_ questions: [JSONValue]) async throws -> [JSONValue] {
        let finished = try await Executable.run(
            python(), arguments: [script("sign.py")],
            input: Array(JSON.write(.array(questions)).utf8))
        guard finished.status == 0, let answers = try JSON.parse(finished.stdoutBytes).array else {
            throw TestSupportError("Tests/Peers/sign.py failed: \(finished.stderr)")
        }
        return answers
    }
}
