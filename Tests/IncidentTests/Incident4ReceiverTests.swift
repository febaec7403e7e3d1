import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// Every way into the inbox, and everything that may come along it.
@Suite(.serialized) struct Incident4Receiver {
    /// What a provider, or anybody, may send.
    struct Odd: CustomTestStringConvertible {
        var name: String
        var body: [UInt8] = []
        var path = "/kie"
        var method = "POST"
        var variables: [String: String?] = [:]
        var provider = "kie"
        /// Nothing to keep: a look at whether the address answers.
        var isProbe = false
        var testDescription: String { name }
    }

    static let odd: [Odd] = [
        Odd(name: "bad JSON", body: Array(#"{"taskId":"#.utf8)),
        Odd(name: "no id", body: Array(#"{"msg":"done"}"#.utf8)),
        Odd(name: "not UTF-8", body: [0xff, 0x00, 0xfe, 0x7b, 0x22]),
        Odd(name: "empty"),
        Odd(name: "HTML", body: Array("<html>".utf8), variables: ["CONTENT_TYPE": "text/html"]),
        Odd(
            name: "unknown provider", body: Array("{}".utf8), path: "/nobody-knows",
            provider: "nobody-knows"),
        Odd(name: "no provider", body: Array("{}".utf8), path: "", provider: ""),
        Odd(
            name: "a path with odd bytes", body: Array("{}".utf8), path: "/k\u{1}\"'; DROP é",
            provider: "k\u{1}\"'; drop é"),
        Odd(name: "PUT", body: Array("{}".utf8), method: "PUT"),
        Odd(name: "no method", body: Array("{}".utf8), variables: ["REQUEST_METHOD": ""]),
        Odd(name: "no interface", body: Array("{}".utf8), variables: ["GATEWAY_INTERFACE": nil]),
        Odd(
            name: "GET with a query", method: "GET", variables: ["QUERY_STRING": "taskId=task-1"]),
        Odd(name: "GET", method: "GET", isProbe: true),
        Odd(name: "HEAD", method: "HEAD", isProbe: true),
        Odd(name: "OPTIONS", method: "OPTIONS", isProbe: true),
        Odd(
            name: "no length", body: Array(#"{"taskId":"task-1"}"#.utf8),
            variables: ["CONTENT_LENGTH": nil]),
        Odd(
            name: "a length that is none", body: Array("{}".utf8),
            variables: ["CONTENT_LENGTH": "two"]),
        Odd(
            name: "more announced than sent", body: Array(#"{"taskId":"task"#.utf8),
            variables: ["CONTENT_LENGTH": "999"]),
        Odd(
            name: "arguments by a stranger", body: Array("{}".utf8),
            variables: ["QUERY_STRING": "--env-file+/etc/passwd"]),
        Odd(
            name: "a variable that is no text", body: Array("{}".utf8),
            variables: ["HTTP_X_ODD": "\u{fffd}\u{1}", "QUERY_STRING": "a=%ff%00&b"]),
    ]

    // MARK: I-4a

    @Test(arguments: odd, [false, true])
    func `I-4a the gateway answers 200 and keeps what came`(
        _ odd: Odd, _ isAway: Bool
    ) async throws {
        let scene = try ReceiverScene(try RescueLine())
        let finished = try await scene.gateway(
            odd.body, path: odd.path, method: odd.method, odd.variables,
            arguments: odd.name == "arguments by a stranger"
                ? ["--env-file", "/etc/passwd"] : [], isAway: isAway)
        #expect(finished.isAnsweredWith200, "\(finished.stdout)")
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stdout.hasSuffix("\r\n\r\nok\n") == (odd.method != "HEAD"))
        #expect(scene.files.count == (isAway && !odd.isProbe ? 1 : 0))
        #expect(finished.stderr.isEmpty == (!isAway || odd.isProbe), "\(finished.stderr)")
        let sweep = try await scene.sweep()
        #expect(sweep.status == 0, "\(sweep.stderr)")
        #expect(scene.files == [])
        let rows = try scene.line.sql(
            "SELECT provider, body, drained_at IS NULL AS waits FROM holdfast.callback")
        #expect(try rows.map { try $0.text("provider") } == (odd.isProbe ? [] : [odd.provider]))
        #expect(try rows.map { try $0.bytes("body") } == (odd.isProbe ? [] : [odd.body]))
        #expect(try rows.allSatisfy { try !$0.bool("waits") })
    }

    @Test(arguments: odd.filter { $0.method == "POST" && !$0.provider.isEmpty }, [false, true])
    func `I-4a standard input keeps what came and says where`(
        _ odd: Odd, _ isAway: Bool
    ) async throws {
        let scene = try ReceiverScene(try RescueLine())
        let query = (odd.variables["QUERY_STRING"] ?? nil) ?? ""
        let finished = try await scene.line.run(
            "callback-receiver",
            [
                "--provider", odd.provider, "--header", "Content-Type: application/json",
                "--header", "X-Task-Id: task-9",
            ] + (query.isEmpty ? [] : ["--query=\(query)"]), offset: nil,
            scene.settings(isAway: isAway), input: odd.body)
        #expect(finished.status == 0, "\(finished.stderr)")
        #expect(finished.stderr == "")
        #expect(
            finished.stdout.hasPrefix(
                isAway ? "the callback is spooled as 0" : "callback 1 is in the inbox"),
            "\(finished.stdout)")
        #expect(scene.files.count == (isAway ? 1 : 0))
        #expect(try await scene.sweep().status == 0)
        let row = try scene.line.sql(
            """
            SELECT provider, body, headers::text AS headers, candidates
            FROM holdfast.callback
            """
        ).single()
        #expect(try row.text("provider") == odd.provider)
        #expect(try row.bytes("body") == odd.body)
        #expect(
            try row.text("headers")
                == #"{"x-task-id": "task-9", "content-type": "application/json"}"#)
    }

    @Test func `I-4a standard input answers in JSON too, and tells wrong usage`() async throws {
        let scene = try ReceiverScene(try RescueLine())
        let run = { (arguments: [String], isAway: Bool) async throws in
            try await scene.line.run(
                "callback-receiver", arguments, offset: nil, scene.settings(isAway: isAway),
                input: [0x7b, 0x7d])
        }
        let kept = try await run(["--provider", "kie", "--output", "json"], false)
        #expect(try JSON.parse(kept.stdoutBytes)["callback_id"] == 1)
        let spooled = try await run(["--provider", "kie", "--output", "json"], true)
        #expect(try JSON.parse(spooled.stdoutBytes)["kept"] == "spool")
        for arguments in [
            [], ["--provider", ""], ["--provider", "kie", "--header", "x"],
            ["--provider", "kie", "--header", ": x"], ["--nonsense"],
        ] {
            #expect(try await run(arguments, false).status == 64, "\(arguments)")
        }
        #expect(try await run(["--version"], false).status == 0)
        #expect(try await run(["--help"], false).stdout.contains("HOLDFAST_SPOOL_DIR"))
    }

    /// Ten million bytes, and more than is kept of any body.
    @Test(arguments: [(10_000_000, false), (17 << 20, true)])
    func `I-4a a body of any size is kept, or its beginning and the digest of all of it`(
        _ size: Int, _ isAway: Bool
    ) async throws {
        let scene = try ReceiverScene(try RescueLine())
        try scene.line.open("job-1", taskID: "task-1")
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        let tag = Incident4.tags["job-1"] ?? ""
        let finished = try await scene.gateway(
            body, ["QUERY_STRING": "job=job-1&tag=\(tag)"], isAway: isAway)
        #expect(finished.isAnsweredWith200)
        #expect(finished.status == 0, "\(finished.stderr)")
        // A run may spend its time on bringing so much in, and leave reading it to the next.
        for _ in 0..<3 {
            #expect(try await scene.sweep(Incident4.configured).status == 0)
        }
        let row = try scene.line.sql(
            """
            SELECT c.result, octet_length(c.body) AS kept, c.whole_bytes,
                coalesce(c.whole_sha256, sha256(c.body))
                    = sha256(convert_to(repeat('x', \(size)::integer), 'UTF8')) AS is_whole, c.note
            FROM holdfast.callback c
            """
        ).single()
        #expect(try row.text("result") == "matched")
        #expect(try row.int("kept") == min(size, 16 << 20))
        #expect(try row.optionalInt("whole_bytes") == (size > 16 << 20 ? size : nil))
        #expect(try row.bool("is_whole"))
        #expect(
            try row.optionalText("note") == (size > 16 << 20 ? "not all of the body was kept" : nil)
        )
        #expect(try scene.line.polls("task-1") == 1)
    }

    @Test func `I-4a without a database and without a folder it still says 200, and why`()
        async throws
    {
        let scene = try ReceiverScene(try RescueLine())
        let secret = "s3cr3t-in-the-query"
        for (changes, status) in [
            (["HOLDFAST_SPOOL_DIR": nil], 75),
            (["HOLDFAST_SPOOL_DIR": "/nonexistent/spool"], 78),
            (["HOLDFAST_DATABASE_URL": nil, "HOLDFAST_SPOOL_DIR": nil], 78),
            (["HOLDFAST_DATABASE_URL": "not a url", "HOLDFAST_SPOOL_DIR": nil], 78),
        ] as [([String: String?], Int32)] {
            var variables = changes
            variables["QUERY_STRING"] = "secret=\(secret)"
            let finished = try await scene.gateway(
                Array("the body".utf8), variables, isAway: true)
            #expect(finished.isAnsweredWith200)
            #expect(finished.status == status, "\(finished.stderr)")
            #expect(finished.stderr.split(separator: "\n").count == 1)
            #expect(finished.stderr.contains("the callback is lost"))
            #expect(!finished.stderr.contains("the body") && !finished.stderr.contains(secret))
        }
    }

    /// The folder may be named in the server's configuration, and the file with the rest be gone.
    @Test func `I-4a a settings file that cannot be read loses nothing`() async throws {
        let scene = try ReceiverScene(try RescueLine())
        let finished = try await scene.gateway(
            Array("{}".utf8),
            ["HOLDFAST_ENV_FILE": "/nonexistent/holdfast.env", "HOLDFAST_DATABASE_URL": nil])
        #expect(finished.isAnsweredWith200)
        #expect(scene.files.count == 1)
        #expect(finished.stderr.contains("/nonexistent/holdfast.env"))
    }

    @Test func `I-4a a database that says nothing costs two seconds`() async throws {
        let scene = try ReceiverScene(try RescueLine())
        // It takes the connection and never speaks.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ =
                    bind(listener, $0, length) == 0 && listen(listener, 8) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        let port = UInt16(bigEndian: name.sin_port)
        let started = ContinuousClock.now
        let finished = try await scene.gateway(
            Array("{}".utf8), ["HOLDFAST_DATABASE_URL": "postgres://x@127.0.0.1:\(port)/x"])
        let took = ContinuousClock.now - started
        #expect(finished.isAnsweredWith200)
        #expect(scene.files.count == 1)
        #expect(took >= .milliseconds(1900))
        // With room for a machine that does other things too.
        #expect(took < .seconds(8), "\(took)")
    }

    // MARK: The same row either way

    @Test(arguments: [
        "", "secret=callback-secret", "a=1&secret=call%62ack-secret&b=2", "secret=",
        "?secret=callback-secret&secret=x", "job=job-1&tag=00", "a=b?secret=callback-secret",
        "secret=%zz%", "xsecret=kept",
    ])
    func `I-4a a spooled callback becomes the row that it would have been`(
        _ query: String
    ) async throws {
        let scene = try ReceiverScene(try RescueLine())
        let variables: [String: String?] = [
            "QUERY_STRING": query, "HTTP_AUTHORIZATION": "Bearer x", "HTTP_COOKIE": "x=y",
            "HTTP_PROXY_AUTHORIZATION": "x", "HTTP_X_WEBHOOK_SECRET": "provider's secret",
            "HTTP_WEBHOOK_ID": "msg_\"1\\", "HTTP_X_CALLBACK_TOKEN": "callback-secret",
        ]
        let body = Array(#"{"taskId":"task-1"}"#.utf8)
        for isAway in [false, true] {
            #expect(try await scene.gateway(body, variables, isAway: isAway).isAnsweredWith200)
        }
        for name in scene.files {
            let text = try String(contentsOfFile: scene.spool + "/" + name, encoding: .utf8)
            #expect(!text.contains("callback-secret") && !text.contains("provider's secret"))
        }
        #expect(try await scene.sweep(Incident4.configured).status == 0)
        let checked = try scene.line.sql(
            """
            SELECT concat_ws(' ', provider, digest, headers, query, body, secret_check, checks,
                candidates) AS row FROM holdfast.callback
            """
        ).map { try $0.text("row") }
        #expect(checked.count == 2)
        #expect(Set(checked).count == 1, "\(checked)")
        #expect(
            try scene.line.text(
                """
                SELECT count(*) FROM holdfast.callback c
                WHERE strpos(c::text, 'callback-secret') > 0 OR strpos(c::text, 'provider''s') > 0
                """) == "0")
    }
}
