import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// nginx and fcgiwrap with the configuration of `examples/`, on a port and a socket of one test's own.
private final class WebServer: Sendable {
    let folder = NSTemporaryDirectory() + "holdfast-web-" + RunID.make()
    let port: Int
    private let nginx: RunningProcess
    private let wrap: RunningProcess

    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    private static func program(_ name: String) throws -> String {
        for folder in ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        where access(folder + "/" + name, X_OK) == 0 { return folder + "/" + name }
        throw TestSupportError("\(name) is not there; scripts/test installs it")
    }

    init(_ scene: ReceiverScene) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        let socket = folder + "/wrap.sock"
        // One process: more of them would outlive the one that we end.
        wrap = try Executable.start(
            Self.program("fcgiwrap"), arguments: ["-s", "unix:" + socket],
            timeout: .seconds(300))
        let settings = [
            "HOLDFAST_DATABASE_URL=\(scene.line.database.url)",
            "HOLDFAST_SPOOL_DIR=\(scene.spool)", "",
        ]
        try Data(settings.joined(separator: "\n").utf8)
            .write(to: URL(fileURLWithPath: folder + "/receiver.env"))
        var seat: (Int, RunningProcess)?
        for _ in 0..<20 where seat == nil {
            // Below the range that the kernel gives to outgoing connections.
            let port = Int.random(in: 15_000..<32_000)
            try Self.configure(folder, port, socket)
            let server = try Self.start(folder)
            if Self.answers(port, server) { seat = (port, server) }
        }
        guard let seat else { throw TestSupportError("nginx finds no port") }
        (port, nginx) = seat
    }

    deinit {
        nginx.kill(SIGTERM)
        wrap.kill(SIGTERM)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The example with this test's places in it; each of them has to be there.
    private static func configure(_ folder: String, _ port: Int, _ socket: String) throws {
        var example = try String(
            contentsOfFile: root + "/examples/nginx-callbacks.conf", encoding: .utf8)
        for (place, ours) in [
            ("127.0.0.1:8080", "127.0.0.1:\(port)"), ("/run/fcgiwrap.socket", socket),
            ("/var/log/nginx/holdfast-callbacks.log", folder + "/access.log"),
            ("/usr/local/bin/callback-receiver", try Executable.path("callback-receiver")),
            ("/etc/holdfast/receiver.env", folder + "/receiver.env"),
        ] {
            guard example.contains(place) else {
                throw TestSupportError("the example does not name \(place)")
            }
            example = example.replacingOccurrences(of: place, with: ours)
        }
        let whole = """
            \(getuid() == 0 ? "user root;" : "")
            daemon off;
            worker_processes 2;
            pid \(folder)/pid;
            error_log \(folder)/error.log;
            events { worker_connections 64; }
            http {
                client_body_temp_path \(folder)/body;
                proxy_temp_path \(folder)/proxy;
                fastcgi_temp_path \(folder)/fastcgi;
                uwsgi_temp_path \(folder)/uwsgi;
                scgi_temp_path \(folder)/scgi;
                \(example)
            }
            """
        try Data((whole + "\n").utf8).write(to: URL(fileURLWithPath: folder + "/nginx.conf"))
    }

    private static func start(_ folder: String) throws -> RunningProcess {
        try Executable.start(
            program("nginx"),
            arguments: ["-p", folder, "-c", folder + "/nginx.conf", "-e", folder + "/error.log"],
            timeout: .seconds(300))
    }

    /// Whether it is our server that answers on the port; false when it has ended without.
    private static func answers(_ port: Int, _ server: RunningProcess) -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let answer = try? Loopback.request("GET", port: port, path: "/callbacks/probe")
            if answer?.text == "ok\n" { return true }
            if kill(server.pid, 0) != 0 { return false }
        }
        return false
    }

    func post(
        _ body: [UInt8], path: String = "/callbacks/kie", method: String = "POST",
        headers: [(String, String)] = []
    ) throws -> Loopback.Answer {
        try Loopback.request(method, port: port, path: path, headers: headers, body: body)
    }

    /// What nginx has written about requests.
    var log: String { (try? String(contentsOfFile: folder + "/access.log", encoding: .utf8)) ?? "" }

    /// Has nginx read its configuration anew and replace its workers.
    func reload() { nginx.kill(SIGHUP) }
}

/// The receiver behind a real web server, configured as the documentation says.
@Suite(.serialized) struct WebServerTests {
    @Test func `everything is answered 200 and kept, database or not`() async throws {
        let scene = try ReceiverScene(try RescueLine())
        let server = try WebServer(scene)
        try scene.line.open("job-1", taskID: "task-1")
        var sent: [[UInt8]] = []
        func send(_ body: [UInt8], _ path: String, method: String = "POST") throws {
            let answer = try server.post(body, path: path, method: method)
            #expect(answer.status == 200, "\(method) \(path)")
            sent.append(body)
        }
        let query = "job=job-1&tag=\(Incident4.tags["job-1"] ?? "")"
        try send(Array(#"{"taskId":"task-1"}"#.utf8), "/callbacks/kie?\(query)")
        try send([0xff, 0x00, 0x0a], "/callbacks/kie")
        try send([], "/callbacks/kie")
        try send(Array("{".utf8), "/callbacks/nobody-knows?secret=callback-secret", method: "PUT")
        try send([UInt8](repeating: 0x78, count: 10_000_000), "/callbacks/kie/")
        for method in ["GET", "HEAD", "OPTIONS"] {
            #expect(try server.post([], method: method).status == 200)
        }
        // Without a database: the whole of it goes into the spool.
        let admin = try TestCluster.shared().connect()
        try admin.execute(
            "ALTER DATABASE \(raw: scene.line.database.name) ALLOW_CONNECTIONS false")
        let waiting = scene.files.count
        try send(Array(#"{"n":1}"#.utf8), "/callbacks/kie?\(query)")
        try send(Array(#"{"n":2}"#.utf8), "/callbacks/kie?\(query)&secret=callback-secret")
        #expect(scene.files.count == waiting + 2)
        server.reload()
        try send(Array(#"{"n":3}"#.utf8), "/callbacks/kie")
        #expect(scene.files.count == waiting + 3)
        try admin.execute(
            "ALTER DATABASE \(raw: scene.line.database.name) ALLOW_CONNECTIONS true")
        // Most of them bear no proof, and a person is told that.
        let swept = try await scene.sweep(Incident4.configured)
        #expect(swept.status == 1 && swept.stderr.contains("callbacks of kie were refused"))
        #expect(scene.files == [])
        let kept = try scene.line.sql("SELECT body FROM holdfast.callback").map {
            try $0.bytes("body")
        }
        #expect(
            kept.sorted { $0.lexicographicallyPrecedes($1) }
                == sent.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(try scene.line.polls("task-1") == 1)
        #expect(
            try scene.line.text(
                """
                SELECT string_agg(DISTINCT provider || ' ' || (headers ->> 'host' IS NOT NULL), ', ')
                FROM holdfast.callback
                """) == "kie true, nobody-knows true")
        #expect(server.log.contains("POST /callbacks/kie"))
        #expect(!server.log.contains("tag=") && !server.log.contains("callback-secret"))
    }

    /// Sending it again could not help.
    @Test func `what no configuration lets in is answered 200 all the same`() async throws {
        let scene = try ReceiverScene(try RescueLine())
        let server = try WebServer(scene)
        // Announced and never sent: nginx refuses by the length alone.
        let answer = try Loopback.request(
            "POST", port: server.port, path: "/callbacks/kie",
            headers: [("Content-Length", "300000000")])
        #expect(answer.status == 200)
        #expect(answer.text == "too large to keep\n")
    }
}

/// What the documentation tells people to copy.
@Suite struct CallbackRecipeTests {
    static let page = WebServer.root + "/docs/callbacks.md"

    /// The first block of that language.
    private func recipe(_ language: String) throws -> String {
        let page = try String(contentsOfFile: Self.page, encoding: .utf8)
        let parts = page.components(separatedBy: "```\(language)\n")
        try #require(parts.count == 2)
        return parts[1].components(separatedBy: "```")[0]
    }

    private func run(
        _ program: String, _ arguments: [String], _ source: String
    ) async throws -> String {
        let finished = try await Executable.run(
            "/usr/bin/env", arguments: [program] + arguments,
            environment: ["HOLDFAST_CALLBACK_SECRET": Incident4.secret],
            input: Array(source.utf8))
        #expect(finished.status == 0, "\(finished.stderr)")
        return finished.stdout
    }

    private let address =
        "https://hooks.example.com/callbacks/kie?job=job-1&tag=\(Incident4.tags["job-1"] ?? "")\n"

    @Test func `the recipe in TypeScript makes the address that is believed`() async throws {
        // Of its types there are these only; without them it is JavaScript.
        let source = try recipe("ts").replacingOccurrences(of: ": string", with: "")
        let output = try await run(
            "node", ["--input-type=module"], source + #"console.log(callbackUrl("job-1", "kie"));"#)
        #expect(output == address)
    }

    @Test func `the recipe in Python makes the address that is believed`() async throws {
        let output = try await run(
            "python3", ["-"], try recipe("python") + #"print(callback_url("job-1", "kie"))"#)
        #expect(output == address)
    }

    @Test func `an id with odd characters survives the address`() async throws {
        let line = try RescueLine()
        let id = "job/1 ä&tag=+%"
        try line.open(id, taskID: "task-1")
        let quoted = JSON.quoted(id)
        for output in [
            try await run(
                "python3", ["-"], try recipe("python") + "print(callback_url(\(quoted), 'kie'))"),
            try await run(
                "node", ["--input-type=module"],
                try recipe("ts").replacingOccurrences(of: ": string", with: "")
                    + "console.log(callbackUrl(\(quoted), 'kie'));"),
        ] {
            let query = output.split(separator: "?")[1].dropLast()
            try Incident4().receive(line, "{}", query: String(query))
        }
        _ = try await line.run("stuck-sweeper", [], offset: nil, Incident4.configured)
        #expect(
            try Incident4().inbox(line) == ["matched right \(id)", "duplicate right \(id)"]
                || Incident4().inbox(line) == ["matched right \(id)", "matched right \(id)"])
    }
}
