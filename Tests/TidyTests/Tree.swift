import Foundation
import TestSupport

/// The project's own files, as they stand on disk; what the build makes is left out.
enum Tree {
    static let root: String = {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        return here.deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }()

    /// Where a build, an editor or a version control system keeps things of its own.
    private static let foreign: Set<String> = [
        ".git", ".build", ".swiftpm", ".holdfast", "Package.resolved",
    ]

    /// Paths below the root, sorted.
    static let files: [String] = {
        var found: [String] = []
        var folders = [""]
        while let folder = folders.popLast() {
            let names =
                (try? FileManager.default.contentsOfDirectory(atPath: root + "/" + folder)) ?? []
            for name in names where !foreign.contains(name) && !name.hasSuffix(".swp") {
                let path = folder.isEmpty ? name : folder + "/" + name
                let attributes = try? FileManager.default.attributesOfItem(
                    atPath: root + "/" + path)
                let isFolder = attributes?[.type] as? FileAttributeType == .typeDirectory
                if isFolder { folders.append(path) } else { found.append(path) }
            }
        }
        return found.sorted()
    }()

    /// The files below a folder whose names end so.
    static func files(below folder: String, ending: String = "") -> [String] {
        files.filter { $0.hasPrefix(folder + "/") && $0.hasSuffix(ending) }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOfFile: root + "/" + path, encoding: .utf8)
    }

    /// The lines of a file with their numbers; none when it is no text.
    static func lines(_ path: String) -> [(number: Int, text: Substring)] {
        guard let text = try? text(path) else { return [] }
        return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .map { ($0 + 1, $1) }
    }

    /// `file:line: text` of every line of every file in which the pattern is found.
    static func findings(
        _ pattern: some RegexComponent, in paths: [String]
    ) -> [String] {
        paths.flatMap { path in
            lines(path).filter { $0.text.firstMatch(of: pattern) != nil }
                .map { "\(path):\($0.number): \($0.text.trimmingCharacters(in: .whitespaces))" }
        }
    }

    /// The folders below `Sources`.
    static let rooms: [String] = Set(
        files(below: "Sources").compactMap { path in
            let parts = path.split(separator: "/")
            return parts.count > 2 ? String(parts[1]) : nil
        }
    ).sorted()
}
