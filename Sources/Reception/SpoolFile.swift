import Core

/// The form of one spooled callback: a line with the version and the digest of the rest, a line of
/// JSON, and the body as it came.
enum SpoolFile {
    /// What a file turned out to be.
    enum Content {
        case callback(SpooledCallback)
        /// Cut off, changed or never one of ours.
        case damaged
        /// Of a later version than this build reads.
        case newer
    }

    static let magic = "holdfast-callback "
    static let version = 1
    /// The lines before the body; a longer file is none of ours.
    static let headLimitBytes = 4 << 20

    static func bytes(_ callback: SpooledCallback) -> [UInt8] {
        let head: JSONValue = [
            "received_us": .integer(callback.receivedAt.microseconds),
            "provider": .string(callback.provider), "headers": .object(callback.headers),
            "query": .string(callback.query), "secret_digest": .optional(callback.secretDigest),
            "header_secret_digest": .optional(callback.headerSecretDigest),
            "whole_bytes": callback.whole.map { .integer($0.bytes) } ?? .null,
            "whole_sha256": .optional(callback.whole?.sha256.map { Hex.text($0) }),
        ]
        let rest = Array((JSON.write(head) + "\n").utf8) + callback.body
        return Array("\(magic)\(version) \(Digest.sha256Hex(rest))\n".utf8) + rest
    }

    static func read(_ bytes: [UInt8], spoolID: String) -> Content {
        guard let (first, rest) = line(bytes[...]), first.hasPrefix(magic) else { return .damaged }
        let words = first.dropFirst(magic.count).split(separator: " ")
        guard words.count == 2, let version = Int(words[0]) else { return .damaged }
        guard version == Self.version else { return .newer }
        guard words[1] == Digest.sha256Hex(Array(rest)), let (second, body) = line(rest),
            let head = (try? JSON.parse(second))?.object,
            let received = head["received_us"]?.int, let provider = head["provider"]?.text,
            let headers = head["headers"]?.object, let query = head["query"]?.text
        else { return .damaged }
        let whole = head["whole_bytes"]?.int.map { bytes in
            WholeBody(bytes: bytes, sha256: head["whole_sha256"]?.text.flatMap(Hex.bytes))
        }
        return .callback(
            SpooledCallback(
                spoolID: spoolID, provider: provider, headers: headers, query: query,
                body: Array(body), whole: whole, secretDigest: head["secret_digest"]?.text,
                headerSecretDigest: head["header_secret_digest"]?.text,
                receivedAt: Instant(microseconds: received)))
    }

    /// The text up to the first line end, and what follows it.
    private static func line(_ bytes: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        return (String(decoding: bytes[..<end], as: UTF8.self), bytes[(end + 1)...])
    }
}
