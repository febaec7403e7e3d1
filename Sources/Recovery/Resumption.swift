import HTTP

/// What it takes to go on with a broken download, and to prove that it is still the same file.
///
/// A part is asked for under the validator of the first answer, and overlaps what is there already:
/// a server that ignores the validator and sends another file is caught by its length, its
/// validator, or its bytes.
///
/// Source: RFC 9110, sections 13.1.5 (If-Range) and 14 (ranges).
struct Resumption {
    static let overlapBytes = 64 << 10
    /// Broken transfers of one file in one run that are gone on with.
    static let most = 5

    private var etag: String?
    private var modified: String?
    private var total: Int64?
    /// The last bytes received, `overlapBytes` of them once there are so many.
    private var tail: [UInt8] = []
    /// Bytes at the beginning of this answer that are to be those at the end of `tail`.
    private var toMatch = 0
    private(set) var isUnderWay = false
    /// This answer was not of the same file, or could not be proved to be.
    private(set) var wasRefused = false
    private(set) var count = 0

    /// Bytes of the whole file, as the first answer said.
    var totalBytes: Int64? { total }

    var isPossible: Bool { isWorthwhile && count < Self.most && !wasRefused }

    /// A small file is fetched whole as soon as continued, and keeps no bytes for it.
    private var isWorthwhile: Bool {
        (etag != nil || modified != nil)
            && total.map { $0 > 32 * Int64(Self.overlapBytes) } ?? false
    }

    mutating func remember(_ headers: [Header]) {
        forget()
        total = headers.first(named: "Content-Length").flatMap { Int64($0) }
        // A weak validator is the same for files that are not, byte for byte.
        etag = headers.first(named: "ETag").flatMap { $0.hasPrefix("\"") ? $0 : nil }
        modified = etag == nil ? headers.first(named: "Last-Modified") : nil
        // Of a body in chunks the declared length says nothing (RFC 9112, section 6.3).
        let isEncoded = headers.first(named: "Content-Encoding").map { $0 != "identity" } ?? false
        if isEncoded || headers.first(named: "Transfer-Encoding") != nil {
            total = nil
        }
    }

    /// Nothing is known any more, but how often it was tried.
    mutating func forget() {
        etag = nil
        modified = nil
        total = nil
        tail = []
        toMatch = 0
        isUnderWay = false
        wasRefused = false
    }

    mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        guard isWorthwhile else { return }
        let new = bytes.suffix(Self.overlapBytes)
        let excess = tail.count + new.count - Self.overlapBytes
        if excess > 0 { tail.removeFirst(min(excess, tail.count)) }
        tail.append(contentsOf: new)
    }

    /// The headers that ask for the rest, from a little before `received`.
    mutating func headers(received: Int64) -> [Header] {
        count += 1
        isUnderWay = true
        toMatch = min(tail.count, Self.overlapBytes)
        return [
            Header("Range", "bytes=\(received - Int64(toMatch))-"),
            Header("If-Range", etag ?? modified ?? ""),
        ]
    }

    /// Whether a partial answer begins where it was asked to and is of the same file.
    mutating func accepts(_ headers: [Header], at received: Int64) -> Bool {
        let start = received - Int64(toMatch)
        let range = headers.first(named: "Content-Range") ?? ""
        let isSame =
            range.hasPrefix("bytes \(start)-") && total.map { range.hasSuffix("/\($0)") } ?? false
            && (etag == nil || headers.first(named: "ETag").map { $0 == etag } ?? true)
            && (modified == nil
                || headers.first(named: "Last-Modified").map { $0 == modified } ?? true)
        wasRefused = !isSame
        return isSame
    }

    /// How many of these bytes repeat what is there; nil when they are not the same.
    mutating func overlap(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard toMatch > 0 else { return 0 }
        let repeated = min(toMatch, bytes.count)
        let start = tail.count - toMatch
        let isSame = tail[start..<start + repeated].elementsEqual(bytes[..<repeated])
        wasRefused = !isSame
        return isSame ? repeated : nil
    }

    mutating func matched(_ bytes: Int) { toMatch -= bytes }
}
