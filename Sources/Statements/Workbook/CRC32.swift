/// The checksum of ZIP archives.
///
/// Source: ISO 3309, as used in https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
struct CRC32 {
    private var state: UInt32 = 0xffff_ffff

    var value: UInt32 { ~state }

    mutating func update(_ bytes: ArraySlice<UInt8>) {
        var state = state
        Self.table.withUnsafeBufferPointer { table in
            for byte in bytes {
                state = table[Int((state ^ UInt32(byte)) & 0xff)] ^ (state >> 8)
            }
        }
        self.state = state
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { rest, _ in
            rest & 1 == 1 ? (rest >> 1) ^ 0xedb8_8320 : rest >> 1
        }
    }
}
