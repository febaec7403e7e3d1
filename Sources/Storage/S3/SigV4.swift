package import Core
internal import Crypto
package import HTTP

/// AWS Signature Version 4, in a header or in a query.
///
/// libcurl has a signer of its own, which Debian 12 ships with faults in the order of the query, in
/// paths and in header names; this one signs what is really sent.
///
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
package struct SigV4: Sendable {
    package var accessKeyID: String
    package var secretAccessKey: String
    /// Of temporary credentials; nil for others.
    package var sessionToken: String?
    package var region: String
    package var service: String

    package init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, region: String,
        service: String = "s3"
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.region = region
        self.service = service
    }

    /// What is signed, as it will be sent.
    package struct Subject: Sendable {
        package var method: String
        /// With the port, unless it is the scheme's own.
        package var host: String
        /// Percent-encoded once.
        package var path: String
        /// Names and values as they are meant, without escapes.
        package var query: [(name: String, value: String)]
        package var headers: [Header]

        package init(
            method: String, host: String, path: String,
            query: [(name: String, value: String)] = [], headers: [Header] = []
        ) {
            self.method = method
            self.host = host
            self.path = path
            self.query = query
            self.headers = headers
        }
    }

    /// The SHA-256 of no bytes.
    package static let emptyHash =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    package static let unsignedPayload = "UNSIGNED-PAYLOAD"

    /// The headers of `subject` with those that prove who sends it.
    ///
    /// - Parameters:
    ///   - payloadHash: SHA-256 of the body in lower-case hexadecimal, or `unsignedPayload`.
    ///   - now: The machine's clock; a server refuses what is 15 minutes off.
    package func signedHeaders(
        _ subject: Subject, payloadHash: String, now: Instant
    ) -> [Header] {
        let time = Self.time(now)
        var headers = subject.headers + [Header("x-amz-date", time)]
        if service == "s3" { headers.append(Header("x-amz-content-sha256", payloadHash)) }
        if let sessionToken { headers.append(Header("x-amz-security-token", sessionToken)) }
        var subject = subject
        subject.headers = headers + [Header("host", subject.host)]
        let (names, signature) = sign(subject, payloadHash: payloadHash, time: time)
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope(time)), "
            + "SignedHeaders=\(names), Signature=\(signature)"
        return headers + [Header("Authorization", authorization)]
    }

    /// The query of a link that lets anybody do this once it is known, until it expires.
    ///
    /// - Parameter expires: At most seven days.
    package func signedQuery(_ subject: Subject, expires: Duration, now: Instant) -> String {
        let time = Self.time(now)
        var subject = subject
        subject.headers.append(Header("host", subject.host))
        let (names, _) = Self.canonicalHeaders(subject.headers)
        subject.query += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "\(accessKeyID)/\(scope(time))"),
            ("X-Amz-Date", time), ("X-Amz-Expires", "\(max(1, expires.components.seconds))"),
            ("X-Amz-SignedHeaders", names),
        ]
        if let sessionToken { subject.query.append(("X-Amz-Security-Token", sessionToken)) }
        let (_, signature) = sign(subject, payloadHash: Self.unsignedPayload, time: time)
        return Self.canonicalQuery(subject.query) + "&X-Amz-Signature=" + signature
    }

    /// A query as it is signed and sent: sorted, every name with an equals sign.
    package static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (PercentEscape.encode($0.name), PercentEscape.encode($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    // MARK: Inside

    private func sign(
        _ subject: Subject, payloadHash: String, time: String
    ) -> (names: String, signature: String) {
        let (names, lines) = Self.canonicalHeaders(subject.headers)
        let canonical = [
            subject.method, subject.path.isEmpty ? "/" : subject.path,
            Self.canonicalQuery(subject.query), lines, names, payloadHash,
        ].joined(separator: "\n")
        let digest = Hex.text(SHA256.hash(data: Array(canonical.utf8)))
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope(time))\n\(digest)"
        var key = Array("AWS4\(secretAccessKey)".utf8)
        for part in [String(time.prefix(8)), region, service, "aws4_request", text] {
            key = Array(
                HMAC<SHA256>.authenticationCode(
                    for: Array(part.utf8), using: SymmetricKey(data: key)))
        }
        return (names, Hex.text(key))
    }

    private func scope(_ time: String) -> String {
        "\(time.prefix(8))/\(region)/\(service)/aws4_request"
    }

    /// The names joined by semicolons, and a line for each; several of one name become one.
    private static func canonicalHeaders(_ headers: [Header]) -> (names: String, lines: String) {
        var values: [String: [String]] = [:]
        for header in headers {
            values[header.name.lowercased(), default: []].append(squeezed(header.value))
        }
        let names = values.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        let lines = names.map { "\($0):\(values[$0, default: []].joined(separator: ","))\n" }
        return (names.joined(separator: ";"), lines.joined())
    }

    /// Without blanks at either end, and with one where there were several.
    private static func squeezed(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" })
            .joined(separator: " ")
    }

    /// `20130524T000000Z`.
    static func time(_ now: Instant) -> String {
        now.description.filter { $0 != "-" && $0 != ":" }
    }
}
