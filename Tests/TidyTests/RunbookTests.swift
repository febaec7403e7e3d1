import Foundation
import TestSupport
import Testing

/// Runbooks: whatever names one finds it, and each can be followed from top to bottom.
@Suite struct Runbooks {
    static let sections = ["Meaning", "Impact", "First", "Confirm", "Fix", "Verify", "Escalate"]
    static let pages = Tree.files(below: "runbooks", ending: ".md")

    @Test func `every runbook that is named is there`() {
        var missing: [String] = []
        for path in Leftovers.written where path != "Tests/TidyTests/RunbookTests.swift" {
            for (number, text) in Tree.lines(path) {
                for match in text.matches(of: #/runbooks/([A-Za-z0-9_-]+\.md)/#)
                where !Self.pages.contains("runbooks/\(match.output.1)") {
                    missing.append("\(path):\(number) names \(match.output.0)")
                }
            }
        }
        #expect(missing == [])
    }

    @Test(arguments: pages.filter { !$0.hasSuffix("/README.md") })
    func `it has all sections, in their order`(_ page: String) {
        // "First" may go on: "First: what not to do".
        let headings = Tree.lines(page).compactMap { line in
            line.text.wholeMatch(of: #/#{2} +([A-Za-z]+)(:.*)?/#).map { String($0.output.1) }
        }
        #expect(headings.filter { Self.sections.contains($0) } == Self.sections, "\(page)")
    }

    /// Commands are written out, so that nobody has to know what a letter means at three at night.
    @Test(arguments: pages)
    func `its commands use long flags`(_ page: String) {
        let findings = Tree.findings(
            #/^\s*(holdfast|stuck-sweeper|orphan-recoverer|storage-mirrorer|ledger-reconciler)\b.* -[A-Za-z]\b/#,
            in: [page])
        #expect(findings == [])
    }
}
