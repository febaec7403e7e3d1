import NightAssembly
import Core
import Delivery
import Foundation
import Ledger
import Logging
import Runner
import Statements
import Storage
import TestSupport
import Testing

/// Where reports are put, and what becomes of one that is there already.
@Suite struct Shelf {
    private static func context(_ variables: [String: String]) -> RunContext {
        let settings = Settings(environment: { variables[$0] })
        return RunContext(
            command: "ledger-reconciler", runID: RunID.make(), settings: settings,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            startedAt: MachineClock.now())
    }

    private static func night(_ seed: UInt64 = 41) -> NightPages {
        var factory = NightFactory(seed: seed)
        return factory.make()
    }

    private static let names = Set(ReportFile.allCases.map { $0.name(day: "2026-11-20") })

    @Test func `a folder gets every file, and a second time changes nothing`() async throws {
        let folder = try NightFolder()
        let root = folder.path + "/deep/reports"
        let context = Self.context(["HOLDFAST_REPORT_URL": "file://" + root])
        let first = try NightReport.publish(context, Self.night())
        #expect(first.problems.isEmpty && first.warnings.isEmpty)
        #expect(Set(first.files.map(\.name)) == Self.names)
        #expect(first.files.allSatisfy { $0.outcome == .stored })
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: root)) == Self.names)
        #expect(first.summary.text.contains("file://\(root)/holdfast-2026-11-20.html"))
        let inode = try Self.inode(root + "/holdfast-2026-11-20.json")
        let second = try NightReport.publish(context, Self.night())
        #expect(second.files.allSatisfy { $0.outcome == .unchanged })
        #expect(second.files.map(\.sha256) == first.files.map(\.sha256))
        #expect(try Self.inode(root + "/holdfast-2026-11-20.json") == inode)
    }

    private static func inode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.systemFileNumber] as? Int)
    }

    @Test func `another file under the name is kept, and said`() throws {
        let folder = try NightFolder()
        let changed = folder.path + "/holdfast-2026-11-20-models.csv"
        try Data("mine".utf8).write(to: URL(fileURLWithPath: changed))
        let context = Self.context(["HOLDFAST_REPORT_URL": "file://" + folder.path])
        let report = try NightReport.publish(context, Self.night())
        #expect(report.files.filter { $0.outcome == .kept }.count == 1)
        #expect(
            report.files.filter { $0.outcome == .stored }.count == ReportFile.allCases.count - 1)
        #expect(report.problems.map(\.problem.code) == ["report_differs"])
        #expect(report.problems[0].status == .needsPerson)
        #expect(report.problems[0].problem.message.contains("holdfast-2026-11-20-models.csv"))
        #expect(try String(contentsOfFile: changed, encoding: .utf8) == "mine")
    }

    @Test func `what a killed run left behind goes after a day`() throws {
        let folder = try NightFolder()
        let old = folder.path + "/.report-old.part"
        let fresh = folder.path + "/.report-fresh.part"
        for path in [old, fresh] { try Data("half".utf8).write(to: URL(fileURLWithPath: path)) }
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -100_000)], ofItemAtPath: old)
        let context = Self.context(["HOLDFAST_REPORT_URL": "file://" + folder.path])
        _ = try NightReport.publish(context, Self.night())
        #expect(!FileManager.default.fileExists(atPath: old))
        #expect(FileManager.default.fileExists(atPath: fresh))
    }

    @Test(arguments: [S3Peer.Kind.moto, .ministack, .stub(.aws), .stub(.r2)])
    func `a bucket gets every file, and a second time changes nothing`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        var variables = peer.environment(prefix: "finance/daily")
        variables["HOLDFAST_REPORT_URL"] = variables.removeValue(forKey: "HOLDFAST_STORAGE_URL")
        let context = Self.context(variables)
        let first = try NightReport.publish(context, Self.night())
        #expect(first.problems.map(\.problem.message) == [])
        #expect(first.files.count == ReportFile.allCases.count)
        #expect(first.files.allSatisfy { $0.outcome == .stored })
        #expect(first.summary.text.contains("/finance/daily/holdfast-2026-11-20.html?"))
        let second = try NightReport.publish(context, Self.night())
        #expect(second.files.allSatisfy { $0.outcome == .unchanged })
        let third = try NightReport.publish(context, Self.night(42))
        #expect(third.files.allSatisfy { $0.outcome == .kept })
    }

    @Test func `a large file goes to a bucket in parts`() throws {
        let peer = try S3Peer(.stub(.aws))
        var variables = peer.environment(prefix: "")
        variables["HOLDFAST_REPORT_URL"] = variables.removeValue(forKey: "HOLDFAST_STORAGE_URL")
        var factory = NightFactory(seed: 43)
        (factory.accounts, factory.pageRows) = (40_000, 2000)
        let report = try NightReport.publish(Self.context(variables), factory.make())
        #expect(report.problems.map(\.problem.message) == [])
        #expect(report.files.contains { $0.bytes > 10 << 20 })
        #expect(report.files.allSatisfy { $0.outcome == .stored })
    }

    @Test func `a store that is away is a problem of the run, and the rest goes on`() throws {
        let folder = try NightFolder()
        let context = Self.context([
            "HOLDFAST_REPORT_URL": "s3://bucket?endpoint=http://127.0.0.1:1&region=auto",
            "HOLDFAST_S3_ACCESS_KEY_ID": "id", "HOLDFAST_S3_SECRET_ACCESS_KEY": "secret-of-ours",
            "HOLDFAST_MAIL_TO": "root", "HOLDFAST_SENDMAIL": folder.path + "/none",
        ])
        let report = try NightReport.publish(context, Self.night())
        #expect(report.problems.count == 1)
        #expect(report.problems.first?.status == .unavailable)
        #expect(report.warnings.count == 1)
        #expect(!report.summary.text.contains("Report:"))
    }

    @Test(arguments: [
        ("HOLDFAST_REPORT_URL", "nonsense", "storage_url_invalid"),
        ("HOLDFAST_REPORT_URL", "s3://bucket", "storage_key_missing"),
        ("HOLDFAST_REPORT_URL", "file:///proc/nowhere", "storage_unwritable"),
    ])
    func `a place that cannot be is named by its own variable`(
        name: String, value: String, code: String
    ) throws {
        let report = try NightReport.publish(Self.context([name: value]), Self.night())
        #expect(report.problems.map(\.problem.code) == [code])
        let message = report.problems[0].problem.message
        #expect(message.contains(name) || message.contains("/proc/nowhere"))
        #expect(!report.problems[0].problem.message.contains("HOLDFAST_STORAGE_URL"))
        #expect(report.problems[0].status == .configuration)
    }

    @Test(arguments: [
        ["HOLDFAST_MAIL_TO": "a\nb"], ["HOLDFAST_MAIL_FROM": "x y <z@z>"],
        ["HOLDFAST_RUNBOOK_URL": "javascript:alert(1)"],
    ])
    func `settings that cannot be meant end the run`(_ variables: [String: String]) throws {
        let failure = #expect(throws: Failure.self) {
            try NightReport.publish(Self.context(variables), Self.night())
        }
        #expect(failure?.status == .configuration)
    }

    @Test func `nobody is told when a person makes the files again`() throws {
        let folder = try NightFolder()
        let context = Self.context([
            "HOLDFAST_REPORT_URL": "file://" + folder.path, "HOLDFAST_MAIL_TO": "root",
            "HOLDFAST_SENDMAIL": "/none", "HOLDFAST_NOTIFY_URL": "http://127.0.0.1:1/x",
        ])
        #expect(try NightReport.publish(context, Self.night(), tells: false).warnings.isEmpty)
        #expect(try NightReport.publish(context, Self.night()).warnings.count == 2)
    }

    @Test func `without any setting the totals are told all the same`() throws {
        let report = try NightReport.publish(Self.context([:]), Self.night())
        #expect(report.files.isEmpty && report.problems.isEmpty && report.place == nil)
        #expect(report.audit.accounts == 37)
    }

    @Test func `mail carries the page and the workbook`() throws {
        let folder = try NightFolder()
        let program = try folder.program("cat >'\(folder.path)/mail'")
        let report = try NightReport.publish(
            Self.context([
                "HOLDFAST_MAIL_TO": "books@example.com", "HOLDFAST_SENDMAIL": program,
            ]), Self.night())
        #expect(report.warnings == [])
        let mail = try String(contentsOfFile: folder.path + "/mail", encoding: .utf8)
        for file in [ReportFile.page, .workbook, .breaks] {
            #expect(mail.contains("filename=\"\(file.name(day: "2026-11-20"))\""))
        }
    }

    @Test func `kinds of breaks lead to the runbook where one is named`() throws {
        let folder = try NightFolder()
        _ = try NightReport.publish(
            Self.context([
                "HOLDFAST_REPORT_URL": "file://" + folder.path,
                "HOLDFAST_RUNBOOK_URL": "https://wiki.example.com/breaks?a=\"b",
            ]), Self.night())
        let page = try String(
            contentsOfFile: folder.path + "/holdfast-2026-11-20.html", encoding: .utf8)
        #expect(
            page.contains("href=\"https://wiki.example.com/breaks?a=&quot;b#failed-still-held\""))
    }
}
