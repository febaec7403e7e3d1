import Core
import Foundation
import Ledger
import Statements
import TestSupport
import Testing

@testable import Delivery

/// A chat and a mail program that misbehave: a warning, never more, and never the secret.
@Suite struct Telling {
    private static let chat = Result {
        try Executable.start(
            Peers.python(), arguments: ["-B", Peers.script("chat.py")], keepsInputOpen: true,
            timeout: .seconds(7200))
    }
    private static let port = Result {
        let line = try chat.get().firstLineBlocking() ?? ""
        return try #require(line.split(separator: ":").last.flatMap { Int($0) })
    }

    private static func summary() throws -> NightSummary {
        var factory = NightFactory(seed: 31)
        let audit = try NightStatements.write(factory.make(), style: ReportStyle(), files: []) {
            _ in { _ in }
        }
        return try NightSummary(
            audit, links: [ReportLink(file: .page, url: "https://reports.example/a?b=1&c=<2>")])
    }

    private static func said(_ path: String) throws -> [JSONValue] {
        let answer = try Loopback.request("GET", port: try port.get(), path: "/said")
        return (try answer.json().array ?? []).filter { $0["path"]?.text == path }
    }

    @Test func `a chat is told in one message`() throws {
        let path = "/taken/\(RunID.make())"
        let summary = try Self.summary()
        #expect(
            Webhook.post(summary, to: "http://127.0.0.1:\(try Self.port.get())\(path)") == nil)
        let said = try Self.said(path)
        #expect(said.count == 1)
        #expect(said.first?["type"]?.text == "application/json; charset=utf-8")
        let text = try #require(
            try JSON.parse(Array((said.first?["body"]?.text ?? "").utf8))["text"]?.text)
        #expect(text.contains("https://reports.example/a?b=1&amp;c=&lt;2&gt;"))
        #expect(text.split(separator: "\n").count <= 10)
        for word in ["revenue", "leaked", "opening", "standing"] { #expect(text.contains(word)) }
    }

    @Test(
        arguments: [
            ("reset", "cut_off"), ("500", "status 500"), ("404", "status 404"),
            ("redirect", "status 302"), ("garbage", "HOLDFAST_NOTIFY_URL"), ("large", "too_large"),
        ])
    func `a chat that fails is a warning without the address`(kind: String, words: String) throws {
        let url = "http://127.0.0.1:\(try Self.port.get())/\(kind)/T0SECRET/B0SECRET"
        let problem = try #require(Webhook.post(Self.summary(), to: url))
        #expect(problem.contains(words), "\(problem)")
        #expect(!problem.contains("SECRET"))
        #expect(try Self.said("/taken/elsewhere").isEmpty)
    }

    @Test(arguments: ["hang", "drip"])
    func `a chat that hangs is left after five seconds`(_ kind: String) throws {
        let start = ContinuousClock.now
        let url = "http://127.0.0.1:\(try Self.port.get())/\(kind)/SECRET"
        let problem = try #require(Webhook.post(Self.summary(), to: url))
        #expect(problem.contains("timeout"), "\(problem)")
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test(arguments: ["", "nonsense", "ftp://x/y", "https://", "http://127.0.0.1:1/SECRET"])
    func `an address that leads nowhere is a warning`(_ url: String) throws {
        let problem = try #require(Webhook.post(Self.summary(), to: url))
        #expect(problem.contains(Webhook.variable))
        #expect(!problem.contains("SECRET"))
    }

    // MARK: Mail

    private static let letter = Letter(
        to: ["books@example.com", "anna@example.com"], from: "holdfast@example.com",
        subject: "Holdfast 2026-11-20: Bücher stimmen", body: "line\n.\nlast\n",
        attachments: [
            .init(
                name: "holdfast-2026-11-20.html", contentType: "text/html; charset=utf-8",
                bytes: Array("<p>\u{1F3AC} --=_holdfast_night\n</p>".utf8)),
            .init(
                name: "x.xlsx", contentType: ReportFile.workbook.contentType,
                bytes: (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }),
        ])

    @Test func `a mail arrives whole, with its attachments`() async throws {
        let folder = try NightFolder()
        let path = try folder.program(

            "printf '%s\\n' \"$*\" >'\(folder.path)/args'; cat >'\(folder.path)/mail'; env >'\(folder.path)/env'"
        )
        #expect(MailProgram(path: path).send(Self.letter.message(), folder: folder.path) == nil)
        let args = try String(contentsOfFile: folder.path + "/args", encoding: .utf8)
        #expect(args == "-i -t\n")
        let environment = try String(contentsOfFile: folder.path + "/env", encoding: .utf8)
        #expect(!environment.contains("HOLDFAST"))
        let read = try await Executable.run(
            Peers.python(),
            arguments: [
                "-c",
                """
                import email, email.policy, json, sys, hashlib
                m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
                print(json.dumps({"to": str(m["To"]), "subject": str(m["Subject"]),
                  "from": str(m["From"]), "defects": [str(d) for p in m.walk() for d in p.defects],
                  "body": m.get_body().get_content(),
                  "files": [[p.get_filename(), p.get_content_type(), str(len(p.get_payload(decode=True)))]
                    for p in m.iter_attachments()],
                  "longest": str(max(len(l) for l in open(sys.argv[1])))}))
                """, folder.path + "/mail",
            ])
        let mail = try JSON.parse(read.stdoutBytes)
        #expect(mail["to"]?.text == "books@example.com, anna@example.com")
        #expect(mail["from"]?.text == "holdfast@example.com")
        #expect(mail["subject"]?.text == "Holdfast 2026-11-20: Bücher stimmen")
        #expect(mail["defects"] == [])
        #expect(mail["body"]?.text == "line\n.\nlast\n")
        #expect(
            mail["files"] == [
                ["holdfast-2026-11-20.html", "text/html", "31"],
                ["x.xlsx", .string(ReportFile.workbook.contentType), "100000"],
            ])
    }

    @Test(.timeLimit(.minutes(1)))
    func `a mail program that hangs is killed, and what it started as well`() throws {
        let folder = try NightFolder()
        let lock = folder.path + "/lock"
        // Both hold the lock for as long as they live.
        let path = try folder.program("exec 9>'\(lock)'; flock 9; sleep 300 & sleep 300")
        let start = ContinuousClock.now
        let problem = try #require(
            MailProgram(path: path, patience: .milliseconds(700)).send(
                Self.letter.message(), folder: folder.path))
        #expect(problem.contains("killed after"))
        #expect(ContinuousClock.now - start < .seconds(5))
        let descriptor = open(lock, O_RDWR)
        #expect(flock(descriptor, LOCK_EX) == 0)
        close(descriptor)
    }

    @Test func `a mail program that refuses is quoted`() throws {
        let folder = try NightFolder()
        let path = try folder.program("echo 'no route to books' >&2; exit 75")
        let problem = try #require(
            MailProgram(path: path).send(Self.letter.message(), folder: folder.path))
        #expect(problem.contains("ended with 75: no route to books"))
    }

    @Test(arguments: ["/nowhere/sendmail", "sendmail", "/etc", "/etc/passwd"])
    func `no mail program is a warning with the fix`(_ path: String) throws {
        let folder = try NightFolder()
        let problem = try #require(
            MailProgram(path: path).send(Self.letter.message(), folder: folder.path))
        #expect(problem.contains("not mailed"), "\(problem)")
        if path != "/etc" { #expect(problem.contains(MailProgram.variable)) }
    }

    @Test func `a mail program that reads nothing is no trouble`() throws {
        let folder = try NightFolder()
        let path = try folder.program("exit 0")
        #expect(MailProgram(path: path).send(Self.letter.message(), folder: folder.path) == nil)
    }
}
