internal import Glibc

/// Follows a file's structure while its bytes pass by, and says at the end whether the end is there.
///
/// A source that breaks off may still have announced just as many bytes as it sent; what gives it
/// away is the file itself. Only what the structure proves is refused: where it cannot be followed,
/// by an unknown box or noise behind the header, the file is accepted, and so is one with more
/// bytes than it needs. Payloads are skipped by their length, so that the cost is that of the
/// headers; memory is a few bytes, 128 KiB for an archive.
package struct TruncationCheck: Sendable {
    /// "a PNG", "an MP4".
    private let name: String
    private var walk: any StructureWalk
    private var step: Step
    private var gathered: [UInt8] = []
    /// Bytes of the file so far.
    private var position: UInt64 = 0

    /// A check for a file of this type; types that `MediaType.detect` does not find are accepted.
    package init(_ type: MediaType) {
        (name, walk) = Self.walk(type)
        step = walk.first
    }

    private static func walk(_ type: MediaType) -> (String, any StructureWalk) {
        switch type.fileExtension {
        case "png": ("a PNG", PNGWalk())
        case "jpg": ("a JPEG", JPEGWalk())
        case "gif": ("a GIF", GIFWalk())
        case "webp": ("a WebP", RIFFWalk(isSound: false))
        case "wav": ("a WAV", RIFFWalk(isSound: true))
        case "avif": ("an AVIF", BoxWalk(isPicture: true))
        case "heic": ("a HEIC", BoxWalk(isPicture: true))
        case "mp4": ("an MP4", BoxWalk(isPicture: false))
        case "m4a": ("an M4A", BoxWalk(isPicture: false))
        case "mov": ("a MOV", BoxWalk(isPicture: false))
        case "webm": ("a WebM", EBMLWalk())
        case "ogg", "ogv": ("an Ogg file", OggWalk())
        case "flac": ("a FLAC", FLACWalk())
        case "mp3": ("an MP3", MP3Walk())
        case "glb": ("a GLB", GLBWalk())
        case "zip": ("a ZIP", ZIPWalk())
        default: ("a file", NoWalk())
        }
    }

    /// Takes the next bytes of the file, in pieces of any size, each byte once and in order.
    package mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            if case .over = step { return }
            let count = use(rest)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// How the file is broken off, after its last byte; nil when nothing shows that it is.
    ///
    /// A noun phrase: "a PNG that ends within its IDAT chunk, 1234 bytes early".
    package func truncation() -> String? {
        let place =
            switch step {
            case .over: String?.none
            case .go(let skip, _) where skip > 0:
                walk.place.map { "\($0), \(skip) byte\(skip == 1 ? "" : "s") early" }
            case .go, .find, .keep:
                gathered.withUnsafeBytes { walk.end($0, at: position) }
            }
        return place.map { "\(name) that ends \($0)" }
    }

    /// Takes what the step at hand wants of some bytes; how many those were, at least one.
    private mutating func use(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch step {
        case .over:
            return bytes.count
        case .go(let skip, let read) where skip > 0:
            let count = Int(min(skip, UInt64(bytes.count)))
            position += UInt64(count)
            step = .go(skip: skip - UInt64(count), read: read)
            if skip == UInt64(count), read == 0 { advance(.init(start: nil, count: 0)) }
            return count
        case .go(_, let read):
            return gather(bytes, read)
        case .find(let byte):
            guard let start = bytes.baseAddress, let there = memchr(start, Int32(byte), bytes.count)
            else {
                position += UInt64(bytes.count)
                return bytes.count
            }
            let count = UnsafeRawPointer(there) - start + 1
            position += UInt64(count)
            advance(.init(start: nil, count: 0))
            return count
        case .keep(let last):
            position += UInt64(bytes.count)
            if bytes.count >= last { gathered.removeAll(keepingCapacity: true) }
            // Cut back only now and then, so that small pieces do not move all of it each time.
            let end = bytes.suffix(last)
            if gathered.count + end.count > 2 * last { gathered.removeFirst(gathered.count - last) }
            gathered.append(contentsOf: end)
            return bytes.count
        }
    }

    private mutating func gather(_ bytes: UnsafeRawBufferPointer, _ wanted: Int) -> Int {
        let count = min(wanted - gathered.count, bytes.count)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        position += UInt64(count)
        if count == wanted {
            advance(piece)
            return count
        }
        gathered.append(contentsOf: piece)
        if gathered.count == wanted {
            let header = gathered
            gathered.removeAll(keepingCapacity: true)
            header.withUnsafeBytes { advance($0) }
        }
        return count
    }

    private mutating func advance(_ header: UnsafeRawBufferPointer) {
        step = walk.next(header, at: position)
        // A walk may have nothing to skip and nothing to read before it can say more.
        while case .go(skip: 0, read: 0) = step {
            step = walk.next(.init(start: nil, count: 0), at: position)
        }
    }
}

/// What a walk wants of the bytes that come next.
enum Step: Sendable {
    /// So many bytes are of no interest; the walk is told those after them.
    case go(skip: UInt64 = 0, read: Int)
    /// Nothing is of interest before the next such byte; the walk goes on behind it.
    case find(UInt8)
    /// The walk is told the last so many bytes, and perhaps some before them, when all have come.
    case keep(last: Int)
    /// Nothing can be missing any more, or nothing can be told.
    case over
}

/// The way through the structure of one format, from header to header.
protocol StructureWalk: Sendable {
    /// From the file's first byte.
    var first: Step { get }

    /// Where bytes that are skipped lie: "within its IDAT chunk"; nil when they need not be there.
    var place: String? { get }

    /// Takes what the last step asked for.
    ///
    /// - Parameter position: How many bytes of the file came until the end of these.
    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step

    /// Where the file ends, when that is while a header is awaited; nil when it may end there.
    ///
    /// - Parameter part: What there was of the header, or the bytes that were kept.
    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String?
}

extension StructureWalk {
    /// A walk that gathers headers begins with one of them.
    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        place ?? "within its header"
    }
}

/// For types whose structure is not known.
private struct NoWalk: StructureWalk {
    let first = Step.over
    let place: String? = nil

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step { .over }
}

extension UnsafeRawBufferPointer {
    /// An unsigned integer of so many bytes, the most significant first.
    ///
    /// The caller has looked that they are there.
    func big(_ offset: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in offset..<offset + count { value = value << 8 | UInt64(self[index]) }
        return value
    }

    /// An unsigned integer of so many bytes, the least significant first.
    func little(_ offset: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in (offset..<offset + count).reversed() {
            value = value << 8 | UInt64(self[index])
        }
        return value
    }

    /// Four characters; nil when one of them cannot be printed.
    func word(_ offset: Int) -> String? {
        guard offset + 4 <= count else { return nil }
        let bytes = self[offset..<offset + 4]
        guard bytes.allSatisfy({ 0x20..<0x7f ~= $0 }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
