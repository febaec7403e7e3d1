import Core

/// A ZIP archive written from front to back, the same bytes for the same entries.
///
/// Entries are in the deflate format without compression: unlike entries that are stored, readers
/// that go from front to back find their end, although their length is told behind them.
///
/// Sources: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, RFC 1951
struct ZipWriter {
    private struct Entry {
        var name: [UInt8]
        var offset: UInt32
        var crc: UInt32 = 0
        var compressed: UInt32 = 0
        var size: UInt32 = 0
    }

    private let sink: Ink.Sink
    private var offset = 0
    private var entries: [Entry] = []
    private var crc = CRC32()
    private var size = 0
    private var compressed = 0
    private var block: [UInt8] = []

    /// Nobody opens a larger one, and sizes above it need another format.
    static let limitBytes = 0xffff_0000
    private static let blockBytes = 0xffff

    init(_ sink: @escaping Ink.Sink) { self.sink = sink }

    /// Begins a file; the one before must have been ended.
    mutating func begin(_ name: String) throws {
        let name = Array(name.utf8)
        entries.append(Entry(name: name, offset: UInt32(offset)))
        (crc, size, compressed) = (CRC32(), 0, 0)
        try put(
            Bytes(0x0403_4b50 as UInt32).shared(name) { _ in }.bytes)
    }

    mutating func write(_ bytes: [UInt8]) throws {
        crc.update(bytes[...])
        size += bytes.count
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Self.blockBytes - block.count)
            block += piece
            rest = rest.dropFirst(piece.count)
            if block.count == Self.blockBytes { try flush(isLast: false) }
        }
    }

    mutating func end() throws {
        try flush(isLast: true)
        guard var entry = entries.popLast() else { return }
        entry.crc = crc.value
        entry.size = UInt32(size)
        entry.compressed = UInt32(compressed)
        entries.append(entry)
        try put(
            Bytes(0x0807_4b50 as UInt32).add(entry.crc).add(entry.compressed).add(entry.size).bytes)
    }

    /// Writes the directory that ends the archive.
    mutating func close() throws {
        let start = UInt32(offset)
        for entry in entries {
            try put(
                Bytes(0x0201_4b50 as UInt32).add(20 as UInt16).shared(
                    entry.name, entry.crc, entry.compressed, entry.size
                ) {
                    // No comment, first disk, no attributes.
                    $0 = $0.add(0 as UInt16).add(0 as UInt16).add(0 as UInt16).add(0 as UInt32)
                        .add(entry.offset)
                }.bytes)
        }
        let count = UInt16(entries.count)
        try put(
            Bytes(0x0605_4b50 as UInt32).add(0 as UInt32).add(count).add(count)
                .add(UInt32(offset) - start).add(start).add(0 as UInt16).bytes)
    }

    private mutating func flush(isLast: Bool) throws {
        let length = UInt16(block.count)
        var piece: [UInt8] = [isLast ? 1 : 0]
        piece += Bytes(length).add(~length).bytes
        piece += block
        compressed += piece.count
        block.removeAll(keepingCapacity: true)
        try put(piece)
    }

    private mutating func put(_ bytes: [UInt8]) throws {
        offset += bytes.count
        guard offset < Self.limitBytes else {
            throw Failure(
                .configuration, code: "workbook_too_large",
                "the day does not fit into a workbook of 4 GiB; the other files hold it")
        }
        try sink(bytes)
    }
}

/// Little-endian numbers, one behind the other.
private struct Bytes {
    var bytes: [UInt8] = []

    init(_ number: some FixedWidthInteger) { self = Bytes().add(number) }
    private init() {}

    func add(_ number: some FixedWidthInteger) -> Bytes {
        var more = self
        withUnsafeBytes(of: number.littleEndian) { more.bytes.append(contentsOf: $0) }
        return more
    }

    /// What the header of an entry and its line in the directory have in common; `between` adds what
    /// stands before the name.
    ///
    /// Every file is of 1 January 1980, the first day there is, so that a day's archive is always the
    /// same. Its name is UTF-8 (bit 11); its checksum and lengths stand behind it (bit 3).
    func shared(
        _ name: [UInt8], _ crc: UInt32 = 0, _ compressed: UInt32 = 0, _ size: UInt32 = 0,
        between: (inout Bytes) -> Void
    ) -> Bytes {
        var all = add(20 as UInt16).add(0x0808 as UInt16).add(8 as UInt16)
            .add(0 as UInt16).add(0x0021 as UInt16)
            .add(crc).add(compressed).add(size).add(UInt16(name.count)).add(0 as UInt16)
        between(&all)
        all.bytes += name
        return all
    }
}
