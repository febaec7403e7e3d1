import CPostgreSQL
import Core

/// The servers that a database URL names, each to be tried on its own.
///
/// libpq leaves the clock to whoever polls a connection, and turns to the next host only when the one
/// before refuses: a server that hangs, or whose packets are dropped, would never be left. So each
/// host gets an attempt and a time limit of its own, in the order of the URL.
///
/// Source: https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
struct HostList {
    /// What one attempt puts in the place of the lists of the URL.
    typealias Parameters = [(name: String, value: String)]

    /// One attempt for each host; a single empty one where libpq is left to its own ways.
    let attempts: [Parameters]
    /// How long each attempt may take.
    let timeout: Duration

    /// - Parameters:
    ///   - options: What the URL says, by keyword.
    ///   - timeout: For all attempts together, unless the URL has a `connect_timeout` for each.
    init(_ options: [String: String], timeout: Duration) {
        let hosts = Self.list(options["host"])
        let addresses = Self.list(options["hostaddr"])
        let count = max(hosts.count, addresses.count)
        let ports = Self.ports(options["port"], count: count)
        // libpq reports lists that do not fit together; an empty entry means a default of its own.
        let fits = [hosts, addresses].allSatisfy {
            ($0.isEmpty || $0.count == count) && !$0.contains("")
        }
        guard count > 1, fits, let ports else {
            attempts = [[]]
            self.timeout = Self.seconds(options["connect_timeout"]) ?? timeout
            return
        }
        let each = (0..<count).map { index in
            (hosts.isEmpty ? [] : [("host", hosts[index])])
                + (addresses.isEmpty ? [] : [("hostaddr", addresses[index])])
                + [("port", ports[index])] as Parameters
        }
        if options["target_session_attrs"] == "prefer-standby" {
            // Any server is better than none, once no standby was found.
            attempts = ["standby", "any"].flatMap { wanted in
                each.map { $0 + [("target_session_attrs", wanted)] }
            }
        } else {
            attempts = each
        }
        self.timeout = Self.seconds(options["connect_timeout"]) ?? timeout / attempts.count
    }

    private static func list(_ text: String?) -> [String] {
        guard let text, !text.isEmpty else { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// One port is for all hosts; nil where the number of them is wrong.
    private static func ports(_ text: String?, count: Int) -> [String]? {
        let ports = list(text).map { $0.isEmpty ? "5432" : $0 }
        switch ports.count {
        case 0: return Array(repeating: "5432", count: count)
        case 1: return Array(repeating: ports[0], count: count)
        default: return ports.count == count ? ports : nil
        }
    }

    /// libpq's rule: 0, less and nothing mean no limit of the URL's, and 1 means 2.
    private static func seconds(_ text: String?) -> Duration? {
        guard let text, let seconds = Int(text), seconds > 0 else { return nil }
        return .seconds(max(2, min(seconds, 600)))
    }
}
