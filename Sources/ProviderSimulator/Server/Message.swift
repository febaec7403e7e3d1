import Foundation

/// One HTTP request, read whole.
struct Request: Sendable {
    var method: String
    /// Path segments, percent-decoded one by one, so that an id may contain `/`.
    var segments: [String]
    var path: String
    /// The query exactly as it was sent: signed URLs are checked digit for digit.
    var rawQuery: String
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]
    var keepAlive: Bool

    init(
        method: String, target: String, headers: [String: String], body: [UInt8], keepAlive: Bool
    ) {
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        self.method = method
        self.path = String(target[..<mark])
        self.rawQuery = mark == target.endIndex ? "" : String(target[mark...].dropFirst())
        self.segments = path.utf8.split(separator: UInt8(ascii: "/")).map {
            let part = String(Substring($0))
            return part.removingPercentEncoding ?? part
        }
        self.headers = headers
        self.body = body
        self.keepAlive = keepAlive
    }

    /// A query item, percent-decoded; nil when it is not there.
    func query(_ name: String) -> String? {
        for item in rawQuery.split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.first.map(String.init) == name else { continue }
            let value = pair.count > 1 ? String(pair[1]) : ""
            return value.removingPercentEncoding ?? value
        }
        return nil
    }

    /// A query item as a number from 1 up; `standard` when it is not there, nil when it is no such
    /// number.
    func number(_ name: String, standard: Int, most: Int) -> Int? {
        guard let text = query(name) else { return standard }
        return Int(text).flatMap { (1...most).contains($0) ? $0 : nil }
    }

    /// The body as a JSON object, or nil when it is anything else.
    func object() -> [String: Any]? {
        (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any]
    }
}

/// What is sent back, and how badly.
struct Response: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case file(FileContent)

        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .file(let content): content.count
            }
        }
    }

    /// How the answer goes over the wire.
    enum Manner: Sendable, Equatable {
        case whole
        /// Close without a single byte.
        case refuse
        /// Stay silent for so long, then close.
        case hang(milliseconds: Int)
        /// Announce the whole length, send half of it, close.
        case cut
        /// Send half of the body, stay silent for so long, close.
        case stall(milliseconds: Int)
        /// Spread a file over so long.
        case slow(milliseconds: Int)
    }

    var status: Int
    var headers: [(name: String, value: String)] = []
    var body: Body
    var manner = Manner.whole
    var delayMilliseconds = 0

    static func json(_ value: JSONText, status: Int = 200) -> Response {
        Response(
            status: status, headers: [("Content-Type", "application/json")],
            body: .bytes(value.bytes))
    }

    static func text(_ text: String, type: String, status: Int) -> Response {
        Response(status: status, headers: [("Content-Type", type)], body: .bytes(Array(text.utf8)))
    }

    /// What a front end says while nothing behind it answers.
    static let badGateway = Response.text(
        "<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>",
        type: "text/html", status: 502)

    static let refused = Response(status: 0, body: .bytes([]), manner: .refuse)

    /// The status for the log of requests; 0 when the client saw none.
    var loggedStatus: Int {
        switch manner {
        case .refuse, .hang: 0
        case .whole, .cut, .stall, .slow: status
        }
    }

    static let reasons: [Int: String] = [
        200: "OK", 202: "Accepted", 302: "Found", 400: "Bad Request", 401: "Unauthorized",
        403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required",
        413: "Content Too Large", 422: "Unprocessable Content", 429: "Too Many Requests",
        431: "Request Header Fields Too Large", 500: "Internal Server Error",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    ]
}
