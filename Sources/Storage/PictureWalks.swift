/// Chunks from the header to IEND (ISO/IEC 15948, chapter 5).
struct PNGWalk: StructureWalk {
    let first = Step.go(skip: 8, read: 8)
    private var chunk: String?

    var place: String? { chunk.map { "within its \($0) chunk" } ?? "within its header" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard !header.isEmpty else { return .over }
        let length = header.big(0, 4)
        guard let name = header.word(4), name.utf8.allSatisfy({ 0x41...0x5a ~= $0 & 0xdf }),
            length < 1 << 31
        else { return .over }
        chunk = name
        // The checksum follows the content.
        return .go(skip: length + 4, read: name == "IEND" ? 0 : 8)
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        chunk.map { "after its \($0) chunk, before IEND" } ?? "within its header"
    }
}

/// Segments, and behind each start of scan the coded picture, up to the end marker (ITU-T T.81,
/// annex B).
///
/// Previews inside segments have end markers of their own, which are skipped with the segment. What
/// comes behind the first end marker, such as further pictures, is not looked at.
struct JPEGWalk: StructureWalk {
    private enum Stage { case marker, length, scan, scanMarker }

    let first = Step.go(skip: 2, read: 2)
    private var stage = Stage.marker
    private var marker: UInt8 = 0
    private var hasScan = false

    var place: String? { "within a segment" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        switch stage {
        case .marker:
            // Any number of fillers may precede a marker.
            guard header[0] == 0xff || header.count == 1 else { return .over }
            return follow(header[header.count - 1])
        case .length:
            let length = header.big(0, 2)
            guard length >= 2 else { return .over }
            stage = marker == 0xda ? .scan : .marker
            return .go(skip: length - 2, read: marker == 0xda ? 0 : 2)
        case .scan:
            hasScan = true
            stage = .scanMarker
            return .find(0xff)
        case .scanMarker where header.isEmpty:
            return .go(read: 1)
        case .scanMarker:
            switch header[0] {
            case 0xff: return .go(read: 1)
            // The end, tables, another scan, metadata, or the number of lines.
            case 0xd9, 0xc0...0xc7, 0xda...0xdd, 0xe0...0xef, 0xfe: return follow(header[0])
            // A 0xff of the picture itself, a restart, or a mistake that decoders pass over.
            default: return .find(0xff)
            }
        }
    }

    private mutating func follow(_ marker: UInt8) -> Step {
        self.marker = marker
        switch marker {
        case 0xd9:
            return .over
        case 0xff:
            stage = .marker
            return .go(read: 1)
        case 0x01, 0xd0...0xd7:
            stage = .marker
            return .go(read: 2)
        case 0xc0...0xfe:
            stage = .length
            return .go(read: 2)
        default:
            return .over
        }
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        hasScan ? "within its picture, before the end marker" : "before its picture"
    }
}

/// Blocks up to the trailer (GIF89a specification, appendix B).
struct GIFWalk: StructureWalk {
    private enum Stage { case header, block, label, descriptor, subBlocks }

    let first = Step.go(read: 13)
    private var stage = Stage.header

    var place: String? {
        switch stage {
        case .header, .block: "within its colours"
        case .label, .descriptor, .subBlocks: "within a block"
        }
    }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        switch stage {
        case .header:
            stage = .block
            return .go(skip: Self.colors(header[10]), read: 1)
        case .block:
            switch header[0] {
            case 0x21:
                stage = .label
                return .go(read: 1)
            case 0x2c:
                stage = .descriptor
                return .go(read: 9)
            default:
                // The trailer, or nothing that can be followed.
                return .over
            }
        case .label:
            stage = .subBlocks
            return .go(read: 1)
        case .descriptor:
            stage = .subBlocks
            // Behind the colours, one byte for the width of the codes.
            return .go(skip: Self.colors(header[8]) + 1, read: 1)
        case .subBlocks:
            guard header[0] == 0 else { return .go(skip: UInt64(header[0]), read: 1) }
            stage = .block
            return .go(read: 1)
        }
    }

    /// Length of a table of colours, as the flags of a screen or a picture say.
    private static func colors(_ flags: UInt8) -> UInt64 {
        flags & 0x80 == 0 ? 0 : 3 << (UInt64(flags & 7) + 1)
    }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        switch stage {
        case .header: "within its header"
        case .block: "before its trailer"
        case .label, .descriptor, .subBlocks: place
        }
    }
}
