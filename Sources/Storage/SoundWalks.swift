/// Pages of an Ogg file (RFC 3533, section 6).
///
/// The flag of the last page is not asked for: streams that were recorded have none.
struct OggWalk: StructureWalk {
    let first = Step.go(read: 27)
    /// The header at hand is the table of a page's segments.
    private var awaitsTable = false
    /// A page with a position in time has come: the headers are over.
    private var hasContent = false

    var place: String? { "within a page" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        if awaitsTable {
            awaitsTable = false
            return .go(skip: header.reduce(0) { $0 + UInt64($1) }, read: 27)
        }
        guard header.word(0) == "OggS" else { return .over }
        let time = header.little(6, 8)
        if time != 0, time != .max { hasContent = true }
        awaitsTable = true
        return .go(read: Int(header[26]))
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        if awaitsTable { return place }
        guard hasContent else { return "before its content" }
        let isPage = !part.isEmpty && part.prefix(4).elementsEqual("OggS".utf8.prefix(part.count))
        return isPage ? "within the header of a page" : nil
    }
}

/// Metadata blocks of a FLAC file, up to the first frame (RFC 9639, section 8).
///
/// Frames have no length, so that a file cut within them looks like a shorter one.
struct FLACWalk: StructureWalk {
    let first = Step.go(skip: 4, read: 4)
    private var isLast = false

    var place: String? { "within its metadata" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard !isLast, header[0] & 0x7f != 0x7f else { return .over }
        isLast = header[0] & 0x80 != 0
        return .go(skip: header.big(1, 3), read: isLast ? 2 : 4)
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        isLast ? "before its first frame" : place
    }
}

/// The tag in front of an MP3 file (id3.org), or its first frame.
///
/// Frames have lengths, but the last one is cut off in many files that are good.
struct MP3Walk: StructureWalk {
    let first = Step.go(read: 10)
    private var hasTag = false

    var place: String? { hasTag ? "within its tag" : "within its first frame" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard header.count == 10 else { return .over }
        if let tag = Signature.tagBytes(Array(header)) {
            hasTag = true
            return .go(skip: UInt64(tag - 10), read: 4)
        }
        guard let frame = MP3Frame(Array(header)[...]), frame.bytes > 10 else { return .over }
        return .go(skip: UInt64(frame.bytes - 10), read: 0)
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        hasTag ? "before its first frame" : place
    }
}
