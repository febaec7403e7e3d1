import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What the README tells an application to do, done against a provider at its worst.
@Suite struct GenerateRecipeTests {
    /// A PostgreSQL client and a provider, as small as they can be.
    ///
    /// The README's own code stands between them. The provider keeps what it was asked to create.
    private static let stage = #"""
        import net from "node:net";
        import http from "node:http";

        const text = (value) => Buffer.from(value + "\0");
        const int32 = (value) => { const b = Buffer.alloc(4); b.writeInt32BE(value); return b; };
        const int16 = (value) => { const b = Buffer.alloc(2); b.writeInt16BE(value); return b; };
        const message = (kind, ...parts) => {
          const body = Buffer.concat(parts);
          return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
        };
        function read(kind, body, state) {
          if (kind === "E") {
            const field = (wanted) => body.toString().split("\0")
              .find((part) => part[0] === wanted)?.slice(1);
            state.error = Object.assign(new Error(field("M")), { code: field("C") });
          } else if (kind === "T") {
            let at = 2;
            for (let n = body.readInt16BE(0); n > 0; n--) {
              const end = body.indexOf(0, at);
              state.columns.push([body.toString("utf8", at, end), body.readInt32BE(end + 7)]);
              at = end + 19;
            }
          } else if (kind === "D") {
            let at = 2;
            const row = {};
            for (const [name, type] of state.columns) {
              const length = body.readInt32BE(at);
              at += 4;
              if (length < 0) { row[name] = null; continue; }
              const value = body.toString("utf8", at, at + length);
              row[name] = type === 16 ? value === "t" : type === 3802 ? JSON.parse(value) : value;
              at += length;
            }
            state.rows.push(row);
          }
        }
        class Pool {
          constructor({ connectionString }) { this.url = new URL(connectionString); }
          query(sql, values = []) {
            return new Promise((resolve, reject) => {
              const socket = net.connect(this.url.port, this.url.hostname);
              const state = { columns: [], rows: [], error: null, ready: 0 };
              let seen = Buffer.alloc(0);
              const start = Buffer.concat([int32(196608), text("user"), text(this.url.username),
                text("database"), text(this.url.pathname.slice(1)), Buffer.alloc(1)]);
              socket.on("error", reject);
              socket.write(Buffer.concat([int32(start.length + 4), start]));
              socket.on("data", (bytes) => {
                seen = Buffer.concat([seen, bytes]);
                while (seen.length >= 5 && seen.length > seen.readInt32BE(1)) {
                  const length = seen.readInt32BE(1);
                  const kind = String.fromCharCode(seen[0]);
                  read(kind, seen.subarray(5, length + 1), state);
                  seen = seen.subarray(length + 1);
                  if (kind !== "Z") continue;
                  state.ready += 1;
                  if (state.ready === 1) {
                    socket.write(Buffer.concat([
                      message("P", text(""), text(sql), int16(0)),
                      message("B", text(""), text(""), int16(0), int16(values.length),
                        ...values.flatMap((value) => value === null || value === undefined
                          ? [int32(-1)]
                          : [int32(Buffer.byteLength(value)), Buffer.from(value)]), int16(0)),
                      message("D", Buffer.from("P"), text("")), message("E", text(""), int32(0)),
                      message("S")]));
                  } else {
                    socket.end(message("X"));
                    state.error ? reject(state.error) : resolve({ rows: state.rows });
                  }
                }
              });
            });
          }
        }
        const pg = { Pool };

        const asked = [];
        const provider = http.createServer((request, response) => {
          let body = "";
          request.on("data", (bytes) => (body += bytes));
          request.on("end", () => {
            asked.push(JSON.parse(body));
            const manner = process.env.MANNER;
            const say = (status, text) => { response.writeHead(status); response.end(text); };
            if (manner === "hang") return;
            if (manner === "lost") return request.socket.destroy();
            if (manner === "html") return say(502, "<html>bad gateway</html>");
            if (manner === "null") return say(200, "null");
            if (manner === "http 500") return say(500, '{"code":500,"msg":"Server exception"}');
            if (manner === "no id") return say(200, '{"code":200,"msg":"success","data":null}');
            const code = Number(manner);
            say(200, code
              ? JSON.stringify({ code, msg: "a word from the provider", data: null })
              : JSON.stringify({ code: 200, data: { taskId: `task-${asked.length}` } }));
          });
        });
        await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
        process.env.KIE_BASE_URL = `http://127.0.0.1:${provider.address().port}`;
        """#

    private static let play = #"""

        const outcome = async (work) => {
          try { await work(); return "done"; } catch (error) { return error.code ?? String(error); }
        };
        const once = () => outcome(() => generate("job-1", "customer", { prompt: "a cat" }));
        const outcomes = process.env.AT_ONCE
          ? await Promise.all([once(), once(), once()]) : [await once(), await once()];
        outcomes.push(await outcome(() => start("job-1")));
        console.log(JSON.stringify({ outcomes, asked }));
        process.exit(0);
        """#

    private static let page = #filePath.components(separatedBy: "/Tests/")[0] + "/README.md"

    /// The README's own code, without its types.
    private func recipe() throws -> String {
        let page = try String(contentsOfFile: Self.page, encoding: .utf8)
        let parts = page.components(separatedBy: "```ts\n")
        try #require(parts.count == 2)
        var source = parts[1].components(separatedBy: "```")[0]
        for type in [": Promise<Response>", ": Request", ": string", ": object"] {
            source = source.replacingOccurrences(of: type, with: "")
        }
        source = source.replacingOccurrences(of: "SECRET!", with: "SECRET")
        source = source.replacingOccurrences(of: #"import pg from "pg";"#, with: "")
        // A test need not wait as long as an application.
        return source.replacingOccurrences(of: "30_000", with: "500")
    }

    private func play(
        _ line: RescueLine, _ manner: String, atOnce: Bool = false
    ) async throws -> JSONValue {
        let finished = try await Executable.run(
            "/usr/bin/env", arguments: ["node", "--input-type=module"],
            environment: [
                "DATABASE_URL": try line.database.url(role: "holdfast_app"),
                "HOLDFAST_CALLBACK_SECRET": Incident4.secret, "MANNER": manner,
                "AT_ONCE": atOnce ? "1" : "", "KIE_API_KEY": "key",
            ],
            input: Array((Self.stage + recipe() + Self.play).utf8), timeout: .seconds(20))
        #expect(finished.status == 0, "\(finished.stderr)")
        return try JSON.parse(finished.stdoutBytes)
    }

    private func line() throws -> RescueLine {
        let line = try RescueLine()
        try line.sql("SELECT holdfast.grant_credits('customer', 500, 'r')")
        return line
    }

    @Test(arguments: [false, true])
    func `a request that is repeated creates one task`(_ atOnce: Bool) async throws {
        let line = try line()
        let played = try await play(line, "well", atOnce: atOnce)
        #expect(Set((played["outcomes"]?.array ?? []).compactMap(\.text)) == ["done"])
        #expect(played["asked"]?.array?.count == 1)
        // What to make came from the job itself.
        #expect(played["asked"]?.array?.first?["input"] == ["prompt": "a cat"])
        #expect(try line.outcome("job-1") == "submitted/held")
        #expect(try line.balance("customer") == "300/200/0")
    }

    /// The task may be there: nothing is given back and nothing is sent twice.
    @Test(arguments: ["hang", "lost", "html", "null", "http 500", "500", "501", "455", "no id"])
    func `an answer that proves nothing is left to the sweeper`(_ manner: String) async throws {
        let line = try line()
        let played = try await play(line, manner)
        #expect(Set((played["outcomes"]?.array ?? []).compactMap(\.text)) == ["done"])
        #expect(played["asked"]?.array?.count == 1)
        #expect(try line.outcome("job-1") == "created/held")
        #expect(try line.balance("customer") == "300/200/0")
        #expect(
            try line.text("SELECT (submitting_at IS NOT NULL)::text FROM holdfast.job") == "true")
    }

    /// The provider's page says that nothing was created.
    @Test(arguments: ["401", "402", "422", "429"])
    func `a clear refusal gives the credits back`(_ manner: String) async throws {
        let line = try line()
        let played = try await play(line, manner)
        #expect(played["outcomes"] == ["done", "HF003", "done"])
        #expect(played["asked"]?.array?.count == 1)
        #expect(try line.outcome("job-1") == "failed/voided/application")
        #expect(try line.balance("customer") == "500/0/0")
        #expect(try line.status("job-1").text("error_message") == "a word from the provider")
    }
}
