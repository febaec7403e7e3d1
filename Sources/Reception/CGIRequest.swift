package import Core

/// A request as a web server hands it over: in variables, with the body on standard input.
///
/// Source: RFC 3875, sections 4.1 and 4.2.
package struct CGIRequest: Sendable {
    private static let headerLimit = 100
    private static let valueLimitBytes = 8192
    private static let providerLimitBytes = 100

    package let method: String
    package let provider: String
    package let query: String
    package let headers: JSONObject
    /// How many bytes the client said it would send; nil when it did not say.
    package let announcedBytes: Int?

    /// - Parameters:
    ///   - variables: The whole environment.
    ///   - provider: For a server that gives no path; the path wins.
    package init(_ variables: [(name: String, value: String)], provider: String? = nil) {
        func value(_ name: String) -> String {
            variables.first { $0.name == name }?.value ?? ""
        }
        method = value("REQUEST_METHOD")
        query = value("QUERY_STRING")
        let part = value("PATH_INFO").split(separator: "/").last.map(String.init)
        self.provider = Self.cut((part ?? provider ?? "").lowercased(), Self.providerLimitBytes)
        let length = value("CONTENT_LENGTH")
        announcedBytes =
            !length.isEmpty && length.utf8.allSatisfy { (0x30...0x39).contains($0) }
            ? Int(length) ?? Int.max : nil
        headers = Self.headers(variables)
    }

    /// Whether the process was started by a web server.
    package static func isExpected(_ value: (String) -> String?) -> Bool {
        value("GATEWAY_INTERFACE") != nil || value("REQUEST_METHOD") != nil
    }

    /// Whether the command line is ours.
    ///
    /// A server may pass a query without an equals sign as arguments (section 4.4), and then they are
    /// a stranger's.
    package var argumentsAreOurs: Bool { query.isEmpty || query.utf8.contains(UInt8(ascii: "=")) }

    /// How much body to read: without a word about it these methods have none, and others may.
    package var expectedBytes: Int? { announcedBytes ?? (mayBeProbe ? 0 : nil) }

    /// A request that can bring nothing: a look at whether the address answers.
    package func isProbe(_ body: [UInt8]) -> Bool {
        mayBeProbe && query.isEmpty && body.isEmpty
    }

    private var mayBeProbe: Bool { ["GET", "HEAD", "OPTIONS"].contains(method) }

    /// What the client is told, whatever came.
    package var answer: String {
        let body = method == "HEAD" ? "" : "ok\n"
        return "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            + "Cache-Control: no-store\r\n\r\n" + body
    }

    /// `HTTP_WEBHOOK_ID` was `webhook-id`; which letters were large is lost on the way.
    private static func headers(_ variables: [(name: String, value: String)]) -> JSONObject {
        var headers = JSONObject()
        for (name, value) in variables {
            let isHeader = name.hasPrefix("HTTP_")
            guard isHeader || name == "CONTENT_TYPE", !value.isEmpty else { continue }
            let plain = (isHeader ? name.dropFirst(5) : name[...]).lowercased()
                .replacing("_", with: "-")
            guard headers.members.count < headerLimit || headers.has(plain) else { break }
            headers[plain] = .string(cut(value, valueLimitBytes))
        }
        return headers
    }

    private static func cut(_ text: String, _ limitBytes: Int) -> String {
        text.utf8.count <= limitBytes
            ? text : String(decoding: text.utf8.prefix(limitBytes), as: UTF8.self)
    }
}
