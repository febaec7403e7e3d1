import Core
import Foundation
import HTTP

/// Downloads what standard input names, one URL a line, and prints one line of JSON for each.
///
/// Tests run it where this process cannot go: in another network, with another resolver, in another
/// environment. The policy is that of every download, public addresses and the ranges of
/// `HOLDFAST_EGRESS_ALLOW`, unless `--anywhere` asks for none. Each download has a client of its
/// own; with `--together` all have one, and many are in flight at once.
@main
struct EgressProbe {
    static func main() throws {
        let arguments = Set(CommandLine.arguments.dropFirst())
        guard arguments.isSubset(of: ["--anywhere", "--together"]) else {
            FileHandle.standardError.write(
                Data("usage: EgressProbe [--anywhere] [--together] < URLS\n".utf8))
            exit(64)
        }
        // libcurl turns names outside ASCII into what is asked for, in the character set of the locale.
        setlocale(LC_ALL, "")
        var egress = EgressPolicy.anywhere
        if !arguments.contains("--anywhere") {
            let allowed = ProcessInfo.processInfo.environment["HOLDFAST_EGRESS_ALLOW"] ?? ""
            egress = .publicOnly(allowing: try CIDR.list(allowed))
        }
        var requests: [Request] = []
        while let line = readLine() {
            requests.append(Request(url: line, bodyLimitBytes: 1 << 10, egress: egress))
        }
        let together = arguments.contains("--together")
        for batch in together ? [requests] : requests.map({ [$0] }) {
            try download(batch)
        }
    }

    private static let limit = 16

    /// Downloads with one client, and prints in the order in which the downloads end.
    private static func download(_ requests: [Request]) throws {
        var client = try Client()
        var started = 0
        while started < requests.count || client.inFlight > 0 {
            while started < requests.count, client.inFlight < limit {
                client.download(requests[started], tag: started, sink: Sink())
                started += 1
            }
            for completion in client.step(wait: .seconds(1)) {
                say(requests[completion.tag].url, completion.result)
            }
        }
    }

    /// Takes everything and keeps nothing.
    private final class Sink: DownloadSink {
        func began(status: Int, headers: [Header]) -> Bool { true }
        func receive(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer { .taken }
    }

    private static func say(_ url: String, _ result: Result<Response, HTTPError>) {
        var members: [(String, String)] = [("url", JSON.quoted(url))]
        switch result {
        case .success(let response): members.append(("status", String(response.status)))
        case .failure(let error):
            members.append(("code", JSON.quoted(error.code.rawValue)))
            members.append(("message", JSON.quoted(error.message)))
        }
        let texts = members.map { "\(JSON.quoted($0)):\($1)" }
        FileHandle.standardOutput.write(Data(("{" + texts.joined(separator: ",") + "}\n").utf8))
    }
}
