/// A callback as it came in, with its secrets; it goes nowhere but into the inbox.
package struct ReceivedCallback: Equatable, Sendable {
    /// How much of a body is kept; of a longer one the beginning, and the digest of all of it.
    package static let bodyLimitBytes = 16 << 20

    package var provider: String
    /// Values by names in small letters.
    package var headers: JSONObject
    /// Without the question mark.
    package var query: String
    package var body: [UInt8]
    /// What is known of the whole body where less of it is kept; nil where all of it is.
    package var whole: WholeBody?
    /// By the machine's clock, which providers' signatures are about.
    package var receivedAt: Instant

    package init(
        provider: String, headers: JSONObject = JSONObject(), query: String = "",
        body: [UInt8] = [], whole: WholeBody? = nil, receivedAt: Instant
    ) {
        self.provider = provider
        self.headers = headers
        self.query = query
        self.body = body
        self.whole = whole
        self.receivedAt = receivedAt
    }
}

/// A body of which only the beginning was kept.
package struct WholeBody: Equatable, Sendable {
    package var bytes: Int64
    /// Nil when not all of it arrived.
    package var sha256: [UInt8]?

    package init(bytes: Int64, sha256: [UInt8]?) {
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// A callback as it may lie on a disk: of its secrets the digests only.
package struct SpooledCallback: Equatable, Sendable {
    /// The name under which it reaches the inbox once, however often it is read.
    package var spoolID: String
    package var provider: String
    package var headers: JSONObject
    package var query: String
    package var body: [UInt8]
    package var whole: WholeBody?
    /// SHA-256, in hex, of our own secret as it came.
    package var secretDigest: String?
    /// SHA-256, in hex, of the secret that the provider sends in clear.
    package var headerSecretDigest: String?
    package var receivedAt: Instant

    package init(
        spoolID: String, provider: String, headers: JSONObject, query: String, body: [UInt8],
        whole: WholeBody?, secretDigest: String?, headerSecretDigest: String?, receivedAt: Instant
    ) {
        self.spoolID = spoolID
        self.provider = provider
        self.headers = headers
        self.query = query
        self.body = body
        self.whole = whole
        self.secretDigest = secretDigest
        self.headerSecretDigest = headerSecretDigest
        self.receivedAt = receivedAt
    }
}
