import Core
import Crypto
import HTTP

/// Gathers the bytes of a file into parts of one size, in memory that is counted.
///
/// A part is handed on when the one after it gets its first byte, so that whoever gets it knows
/// that it is not the last.
final class PartGatherer {
    let partBytes: Int
    /// How many parts were begun.
    private(set) var count = 0
    private let pool: BodyPool
    private let sums: Part.Sums
    /// How many bytes the source said that there would be.
    private let expected: Int64?
    private let whenRoom: () -> Void

    private var hash = SHA256()
    private var bytes = 0
    private var filling: Part?
    /// The part to follow, reserved before the one in front of it is full.
    private var next: RequestBody?
    private var waitsForRoom = false
    private var isOver = false

    /// - Parameter whenRoom: Called when there is room again after `.full`.
    init(
        _ pool: BodyPool, partBytes: Int, expected: Int64?, _ sums: Part.Sums,
        whenRoom: @escaping () -> Void
    ) {
        self.pool = pool
        self.partBytes = partBytes
        self.expected = expected
        self.sums = sums
        self.whenRoom = whenRoom
    }

    /// Appends all of the bytes or none; `handOn` gets the parts that others follow.
    ///
    /// Throws `upload_piece_too_large` (70) for more bytes than a part has, and `source_too_long`
    /// (75) for more than the source had announced.
    func write(
        _ piece: UnsafeRawBufferPointer, handOn: (Part) -> Void
    ) throws(Failure) -> WriteAnswer {
        guard piece.count <= partBytes else {
            throw Failure(
                .defect, code: "upload_piece_too_large",
                "\(piece.count) bytes were written at once; a part has \(partBytes)")
        }
        if let expected, Int64(bytes + piece.count) > expected {
            throw Failure(
                .needsPerson, code: "source_too_long",
                "the source sent more than the \(expected) bytes that it had announced")
        }
        guard !waitsForRoom, reserve(for: piece.count) else { return .full }
        var rest = piece
        while !rest.isEmpty, let part = partWithRoom(handOn) {
            let taken = part.append(rest)
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: rest[..<taken]))
            bytes += taken
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
        }
        return .taken
    }

    /// No bytes follow: the last part, nil of an empty file, and the digest of them all.
    func end() -> (last: Part?, digest: Digest) {
        let last = filling
        seal(last)
        giveUp()
        return (last, Digest(bytes: bytes, sha256: Hex.text(hash.finalize())))
    }

    /// Lets go of what is not handed on yet.
    func giveUp() {
        isOver = true
        filling = nil
        next = nil
    }

    private func partWithRoom(_ handOn: (Part) -> Void) -> Part? {
        if let filling, filling.body.room > 0 { return filling }
        guard let body = next else { return nil }
        next = nil
        count += 1
        if let full = filling {
            seal(full)
            handOn(full)
        }
        // The hash of the file is that of its first part, as long as there is no second.
        filling = Part(number: count, body: body, count == 1 ? sums.subtracting(.sha256) : sums)
        return filling
    }

    private func seal(_ part: Part?) { part?.seal(whole: part?.number == 1 ? hash : nil) }

    // MARK: Room

    /// Makes sure that there is room for so many bytes: in this part, and the rest in the next.
    private func reserve(for count: Int) -> Bool {
        let room = (filling?.body.room ?? 0) + (next?.room ?? 0)
        guard room < count else { return true }
        let wish = wish(for: count)
        if let body = pool.take(wish) {
            next = body
            return true
        }
        waitsForRoom = true
        pool.whenRoom(wish) { [weak self] body in
            guard let self, !isOver else { return }
            next = body
            waitsForRoom = false
            whenRoom()
        }
        return false
    }

    private func wish(for count: Int) -> RoomWish {
        // What is left of a file whose length is known needs no more room than that.
        let left = expected.map { Int($0) - bytes - (filling?.body.room ?? 0) } ?? partBytes
        let wanted = left > 0 ? max(min(left, partBytes), min(count, partBytes)) : partBytes
        if let filling { return RoomWish(wanted, holding: filling.body.capacity) }
        // Unless somebody can always take a second part, many first ones could take all the room
        // and wait for each other.
        let isOnlyPart = expected.map { $0 <= Int64(partBytes) } ?? false
        return RoomWish(wanted, spare: isOnlyPart ? 0 : partBytes)
    }
}
