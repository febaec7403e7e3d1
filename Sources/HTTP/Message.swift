/// One header line of a request or an answer.
package struct Header: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    package init(name: String, value: String) {
        self.init(name, value)
    }
}

/// What is asked of a server, and the limits of asking.
package struct Request: Equatable, Sendable {
    package var method: String
    package var url: String
    package var headers: [Header]
    package var body: [UInt8]?
    /// The whole request, redirects included.
    package var timeout: Duration
    /// Name resolution, TCP and TLS of one connection together.
    package var connectTimeout: Duration
    /// Bytes of the answer's body; one more and the transfer ends with `tooLarge`.
    package var bodyLimitBytes: Int
    package var egress: EgressPolicy
    /// Downloads and uploads: how long fewer than one byte a second may arrive, in whole seconds.
    package var stallTimeout: Duration
    /// Sending it twice makes no difference, so that a kept connection may carry its body.
    package var isRepeatable: Bool

    package init(
        method: String = "GET",
        url: String,
        headers: [Header] = [],
        body: [UInt8]? = nil,
        timeout: Duration = .seconds(20),
        connectTimeout: Duration = .seconds(5),
        bodyLimitBytes: Int = 8 << 20,
        egress: EgressPolicy = .anywhere,
        stallTimeout: Duration = .seconds(60),
        isRepeatable: Bool = false
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.bodyLimitBytes = bodyLimitBytes
        self.egress = egress
        self.stallTimeout = stallTimeout
        self.isRepeatable = isRepeatable
    }

    /// Sent unless a header says otherwise: some providers' front ends answer 403 to libraries.
    package static let browserUserAgent =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
        + " Chrome/142.0.0.0 Safari/537.36"
}

/// What a server answered, whatever the status.
package struct Response: Equatable, Sendable {
    package var status: Int
    package var headers: [Header]
    /// Empty for downloads, whose bytes went to the sink.
    package var body: [UInt8]

    package init(status: Int, headers: [Header] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The value of the first header of that name, in any letter case.
    package func header(_ name: String) -> String? {
        headers.first(named: name)
    }
}

extension [Header] {
    /// The value of the first header of that name, in any letter case.
    package func first(named name: String) -> String? {
        let wanted = name.lowercased()
        return first { $0.name.lowercased() == wanted }?.value
    }
}
