import Foundation
import Glibc
import TestSupport
import Testing

/// What should not be left lying about.
@Suite struct Leftovers {
    /// Files that people write, as opposed to samples of what others send.
    static let written = Tree.files.filter { !$0.contains("/Samples/") }

    /// Put together here, so that this file is not its own finding.
    static let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]

    @Test(arguments: marks)
    func `no mark says that something is unfinished`(_ mark: String) throws {
        let pattern = try Regex("\\b\(mark)\\b")
        #expect(Tree.findings(pattern, in: Self.written) == [])
    }

    @Test func `no merge was left half done`() {
        #expect(Tree.findings(#/^(<{7} |={7}$|>{7} )/#, in: Self.written) == [])
    }

    /// Folders of the machine that somebody worked on.
    @Test func `no path leads to one particular machine`() throws {
        let folders = ["wo" + "rk", "ro" + "ot", "opt/sw" + "ift", "ho" + "me/[a-z]+"]
        let pattern = try Regex("(^|[^A-Za-z0-9_.*}$-])/(\(folders.joined(separator: "|")))/")
        #expect(Tree.findings(pattern, in: Self.written) == [])
    }

    @Test func `no page is named that is not part of the project`() throws {
        let pages = ["DES" + "IGN", "INCID" + "ENTS", "EXAM" + "PLES"]
        let pattern = try Regex("\\b(\(pages.joined(separator: "|")))\\.md\\b")
        #expect(Tree.findings(pattern, in: Self.written) == [])
    }

    static let lineLimit = 500

    @Test func `no file is longer than what can be read in one go`() {
        let endings = [".swift", ".sql", ".md", ".h", ".sh"]
        let long = Self.written.filter { path in
            endings.contains { path.hasSuffix($0) } || !path.contains(".")
                || path.hasPrefix("scripts/")
        }.compactMap { path in
            let count = Tree.lines(path).count - 1
            return count > Self.lineLimit ? "\(path): \(count) lines" : nil
        }
        #expect(long == [])
    }

    @Test func `every text file ends with a line end and has no blanks at the ends of lines`() {
        let texts = Self.written.filter { !Tree.lines($0).isEmpty }
        #expect(texts.filter { (try? Tree.text($0).hasSuffix("\n")) == false } == [])
        #expect(Tree.findings(#/[ \t]+$/#, in: texts) == [])
    }

    @Test func `scripts can be run and say with what`() throws {
        for path in Tree.files(below: "scripts") where !path.hasPrefix("scripts/lib/") {
            #expect(access(Tree.root + "/" + path, X_OK) == 0, "\(path) is not executable")
            #expect(try Tree.text(path).hasPrefix("#!/usr/bin/env bash\n"), "\(path)")
        }
    }
}
