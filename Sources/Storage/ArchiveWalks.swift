/// The length that a GLB file says it has (glTF 2.0, section 4.4.2; the same place in version 1).
struct GLBWalk: StructureWalk {
    let first = Step.go(read: 12)
    private var hasHeader = false

    var place: String? { hasHeader ? "within its chunks" : "within its header" }

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step {
        guard !header.isEmpty, header.little(8, 4) >= 12 else { return .over }
        hasHeader = true
        return .go(skip: header.little(8, 4) - 12, read: 0)
    }
}

/// The record at the end of a ZIP file (APPNOTE, section 4.3.16).
///
/// An archive that is stored inside this one has such a record too, which is taken for this one's
/// when the file ends shortly behind it.
struct ZIPWalk: StructureWalk {
    /// A record with the longest comment.
    let first = Step.keep(last: 22 + 65_535)
    let place: String? = nil

    mutating func next(_ header: UnsafeRawBufferPointer, at position: UInt64) -> Step { .over }

    func end(_ part: UnsafeRawBufferPointer, at position: UInt64) -> String? {
        var start = part.count - 22
        while start >= 0 {
            if part[start] == 0x50, part.big(start, 4) == 0x504b_0506,
                isRecord(part, start, at: position - UInt64(part.count - start))
            {
                return nil
            }
            start -= 1
        }
        return "before its central directory does"
    }

    /// Whether comment and directory of a record fit to where it is.
    private func isRecord(
        _ part: UnsafeRawBufferPointer, _ start: Int, at position: UInt64
    ) -> Bool {
        guard part.count - start - 22 >= Int(part.little(start + 20, 2)) else { return false }
        let (bytes, offset) = (part.little(start + 12, 4), part.little(start + 16, 4))
        // Beyond 4 GiB the fields hold something else, or what is left of the true values.
        return position > UInt64(UInt32.max) || offset == 0xffff_ffff || bytes == 0xffff_ffff
            || offset + bytes <= position
    }
}
