/// Chunks up to the length of the whole (RFC 9649 for WebP, EBU Tech 3306 for RF64).
struct RIFFWalk: StructureWalk {
    private enum Stage { case header, sizes, chunk }

    let first = Step.go(read: 12)
    private let isSound: Bool
    private var stage = Stage.header
    private var chunk: String?
    /// Where the outer length says that the file ends.
    private var whole: UInt64 = 0
    /// The length of a `data` chunk that does not fit into 32 bits.
    private var longBytes: UInt64?
    private var hasSound = false

    /// Writers of sound that cannot seek back leave outer lengths from here on, or zero.
    private static let placeholder: UInt64 = 0x7fff_0000
    /// Lengths of nothing that exists; below, sums do not overflow.
    private static let absurd: UInt64 = 1 << 62

    init(isSound: Bool) { self.isSound = isSound }

    var place: String? { chunk.map { "within its \($0) chunk" } ?? "within its header" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard !header.isEmpty else { return .over }
        switch stage {
        case .header:
            whole = header.little(4, 4) + 8
            stage = header.word(0) == "RF64" ? .sizes : .chunk
            if stage == .sizes { return .go(read: 24) }
            return isSound && (whole == 8 || whole >= Self.placeholder) ? .over : .go(read: 8)
        case .sizes:
            let (outer, own) = (header.little(8, 8), header.little(4, 4))
            guard header.word(0) == "ds64", own >= 16, outer > 0, outer < Self.absurd else {
                return .over
            }
            whole = outer + 8
            longBytes = header.little(16, 8)
            stage = .chunk
            chunk = "ds64"
            return .go(skip: own - 16, read: 8)
        case .chunk:
            // Behind an odd length, a byte of padding precedes the header.
            return skip(header, header.count - 8, from: position)
        }
    }

    private mutating func skip(
        _ header: UnsafeRawBufferPointer, _ offset: Int, from start: UInt64
    ) -> Step {
        guard let name = header.word(offset) else { return .over }
        var bytes = header.little(offset + 4, 4)
        if name == "data", bytes == 0xffff_ffff, let longBytes { bytes = longBytes }
        // Else one of the two lengths is wrong, and nobody can say which.
        guard bytes < Self.absurd, start + bytes <= whole else { return .over }
        chunk = name.split(separator: " ").joined(separator: " ")
        if name == "data" { hasSound = true }
        let padding = bytes & 1
        // The last padding is left out by some.
        return .go(skip: bytes, read: start + bytes + padding >= whole ? 0 : 8 + Int(padding))
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        // Sound that is all there is enough: some writers count too many bytes into the whole.
        if isSound, hasSound, part.count <= 1 { return nil }
        return chunk.map { "after its \($0) chunk, short of its \(whole) bytes" }
            ?? "within its header"
    }
}

/// Boxes at the top of ISO base media files (ISO/IEC 14496-12) and QuickTime movies.
///
/// A video needs its `moov` box, which most writers put last, and an `mdat` box with the frames,
/// unless it never was more than `ftyp` and one `mdat` that is whole: that shows no end missing. A
/// picture needs its `meta` box, and an `mdat` box or an `idat` box within `meta`.
struct BoxWalk: StructureWalk {
    let first = Step.go(read: 8)
    private let isPicture: Bool
    private var box = "ftyp"
    /// The header at hand is the box's length of 64 bits.
    private var awaitsLength = false
    private var hasDirectory = false
    private var hasContent = false
    /// There were other boxes than the first one and those with content.
    private var hasMore = false
    /// The directory of a fragment has come, its content has not.
    private var owesContent = false
    /// Where the `meta` box ends, whose boxes are walked through like those at the top.
    private var metaEnd: UInt64 = 0

    init(isPicture: Bool) { self.isPicture = isPicture }

    var place: String? { "within its \(box) box" }

    /// Any other word ends the walk: what it begins may be noise.
    private static let known: Set<String> = [
        "ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "moof", "mfra", "meta", "uuid",
        "sidx", "ssix", "prft", "emsg", "pdin", "pnot", "PICT", "udta", "junk",
    ]
    private static let knownInMeta: Set<String> = [
        "hdlr", "pitm", "iloc", "iinf", "iref", "iprp", "idat", "dinf", "ipro", "grpl", "free",
        "skip", "uuid",
    ]
    private static let absurd: UInt64 = 1 << 62

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        if awaitsLength {
            awaitsLength = false
            let bytes = header.big(0, 8)
            return bytes >= 16 ? enter(bytes - 16, at: position) : .over
        }
        let isInMeta = position - 8 < metaEnd
        guard let name = header.word(4),
            (isInMeta ? Self.knownInMeta : Self.known).contains(name)
        else { return .over }
        box = name
        note(name)
        switch header.big(0, 4) {
        case 0:
            // The box goes on to the end of the file, and what is missing now does not come.
            return isInMeta || isComplete ? .over : .keep(last: 1)
        case 1:
            awaitsLength = true
            return .go(read: 8)
        case 2..<8:
            return .over
        case let bytes:
            return enter(bytes - 8, at: position)
        }
    }

    private mutating func note(_ name: String) {
        switch name {
        case "moov": hasDirectory = true
        case "meta": hasDirectory = hasDirectory || isPicture
        case "moof": owesContent = true
        case "mdat", "idat": (hasContent, owesContent) = (true, false)
        case "ftyp": break
        default: hasMore = true
        }
    }

    private mutating func enter(_ bytes: UInt64, at position: UInt64) -> Step {
        guard bytes < Self.absurd else { return .over }
        guard isPicture, box == "meta", bytes >= 12 else { return .go(skip: bytes, read: 8) }
        metaEnd = position + bytes
        // Version and flags precede the boxes inside.
        return .go(skip: 4, read: 8)
    }

    private var isComplete: Bool { hasDirectory && hasContent && !owesContent }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        if awaitsLength { return place }
        if position < metaEnd { return "within its meta box" }
        let isBare = hasContent && !hasMore && !isPicture
        if !hasDirectory, isBare, part.isEmpty { return nil }
        if !hasDirectory { return "before its \(isPicture ? "meta" : "moov") box" }
        if !isComplete { return "before its mdat box" }
        // A few bytes more than a whole file needs are no box, unless they begin to name one.
        guard part.count > 4 else { return nil }
        let start = String(decoding: part[4...], as: UTF8.self)
        return Self.known.contains { $0.hasPrefix(start) } ? "within the header of a box" : nil
    }
}

/// The segment of a WebM file (RFC 8794, RFC 9559).
struct EBMLWalk: StructureWalk {
    let first = Step.go(read: 12)
    private var isInSegment = false

    var place: String? { isInSegment ? "within its segment" : "within its header" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard !header.isEmpty else { return .over }
        let id: UInt64 = isInSegment ? 0x1853_8067 : 0x1a45_dfa3
        guard header.big(0, 4) == id, let (bytes, width) = Self.length(header) else { return .over }
        // As many bytes of the content are in the header already.
        let early = UInt64(8 - width)
        guard let bytes, bytes >= early else { return .over }
        defer { isInSegment = true }
        return .go(skip: bytes - early, read: isInSegment ? 0 : 12)
    }

    /// The length behind an element's id of four bytes, and of how many bytes it is.
    ///
    /// The length itself is nil where the writer did not know it.
    private static func length(_ header: UnsafeRawBufferPointer) -> (UInt64?, width: Int)? {
        guard header[4] != 0 else { return nil }
        let width = header[4].leadingZeroBitCount + 1
        let ones: UInt64 = (1 << (7 * UInt64(width))) - 1
        let value = header.big(4, width) & ones
        return (value == ones ? nil : value, width)
    }
}
