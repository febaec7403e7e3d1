import Core
import HTTP
import Storage
import TestSupport
import Testing

extension S3Peer {
    /// The storage URL by which this bucket is reached through Supabase's own interface.
    func supabaseLocation(bucket: String? = nil, prefix: String = "made/here") -> String {
        "supabase://\(bucket ?? self.bucket)/\(prefix)?endpoint=\(origin)"
    }

    func supabaseStore(
        bucket: String? = nil, key: String? = nil, prefix: String = "made/here"
    ) throws -> SupabaseStore {
        let location = try StorageLocation.parse(supabaseLocation(bucket: bucket, prefix: prefix))
        let key = key ?? serviceKey
        let store = try location.store(clock: S3Peer.now) { name throws(Failure) in
            name == "HOLDFAST_SUPABASE_SERVICE_KEY" ? key : nil
        }
        return try #require(store as? SupabaseStore)
    }

    /// Where each unfinished resumable upload stands.
    func resumableOffsets() throws -> [Int64] {
        try state()["resumable"]?.array?.compactMap { $0["offset"]?.int } ?? []
    }

    /// The requests of one kind, in order: what they began at, their length and their status.
    func pieces(_ operation: String = "TusPatch") throws -> [Piece] {
        try log().filter { $0["operation"]?.text == operation }.map { entry in
            Piece(
                offset: entry["headers"]?["upload-offset"]?.text,
                bytes: entry["body_length"]?.int ?? -1, status: entry["status"]?.int ?? -1)
        }
    }

    struct Piece: Equatable {
        var offset: String?
        var bytes: Int64
        /// 0 where no answer was sent.
        var status: Int64
    }
}

@Suite struct SupabaseObjects {
    static let part = 6 << 20
    static let key = ObjectKey(
        account: "a b/ü", kind: .video, jobID: "job+1=2", ordinal: 0, fileExtension: "mp4")
    let peer: S3Peer
    let session: Session

    init() throws {
        peer = try S3Peer(.stub(.supabase))
        session = try Session()
    }

    private func store(
        _ some: SomeBytes, at key: ObjectKey = key, tellsLength: Bool = true
    ) throws -> PublishResult {
        let upload = try peer.supabaseStore().begin(
            key: key, uploadID: "u", bytes: tellsLength ? some.bytes.count : nil, session)
        try some.write(to: upload, session)
        #expect(try upload.finish(session) == some.digest)
        defer { upload.cancel() }
        return try upload.publish(session)
    }

    /// One byte, less than a part, one part, a byte more, two parts, more.
    static let sizes = [1, 70_000, part, part + 1, 2 * part, 2 * part + 12_345]

    @Test(arguments: sizes, [true, false])
    func `objects of every size arrive whole, with what they are said to be`(
        _ size: Int, _ tellsLength: Bool
    ) throws {
        let some = SomeBytes(size)
        #expect(try store(some, tellsLength: tellsLength) == .published)
        let there = try #require(try peer.object("made/here/\(Self.key)"))
        #expect(there.size == size)
        #expect(there.sha256 == some.digest.sha256)
        #expect(there.contentType == "video/mp4")
        // A resumable upload can say how long, and nothing else.
        #expect(
            there.cacheControl
                == (size > Self.part
                    ? "max-age=31536000" : "public, max-age=31536000, immutable"))
        #expect(try peer.supabaseStore().find(Self.key, in: session)?.digest == some.digest)
        #expect(try peer.resumableOffsets() == [])
    }

    @Test func `an empty object is an object`() throws {
        #expect(try store(SomeBytes(0)) == .published)
        #expect(try peer.object("made/here/\(Self.key)")?.size == 0)
    }

    @Test(arguments: [1000, 2 * part, 2 * part + 5], [true, false])
    func `nothing is visible before it is published, and nothing is left of what is given up`(
        _ size: Int, _ tellsLength: Bool
    ) throws {
        let store = try peer.supabaseStore()
        let upload = try store.begin(
            key: Self.key, uploadID: "u", bytes: tellsLength ? size : nil, session)
        try SomeBytes(size).write(to: upload, session)
        _ = try upload.finish(session)
        let held = (size - 1) % Self.part + 1
        #expect(try peer.resumableOffsets() == (size > Self.part ? [Int64(size - held)] : []))
        #expect(try peer.objects() == [])
        #expect(try store.find(Self.key, in: session) == nil)
        upload.cancel()
        session.settle(within: .seconds(10))
        #expect(try peer.resumableOffsets() == [])
        #expect(try peer.objects() == [])
    }

    @Test func `what is given up before its first request has left sends none`() throws {
        let upload = try peer.supabaseStore().begin(key: Self.key, uploadID: "u", session)
        try SomeBytes(Self.part + 1).write(to: upload, session)
        upload.cancel()
        session.settle(within: .seconds(10))
        #expect(try peer.log() == [])
        #expect(try peer.resumableOffsets() == [])
    }

    @Test(arguments: [1000, part + 5])
    func `an object that is there is never overwritten`(_ size: Int) throws {
        let first = SomeBytes(size)
        #expect(try store(first) == .published)
        #expect(try store(first) == .alreadyThere(first.digest))
        #expect(try store(SomeBytes(size)) == .alreadyThere(first.digest))
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == first.digest.sha256)
        session.settle(within: .seconds(10))
        #expect(try peer.resumableOffsets() == [])
    }

    @Test func `a key that is taken while the parts are sent is found to be`() throws {
        let other = SomeBytes(10)
        let some = SomeBytes(3 * Self.part)
        let upload = try peer.supabaseStore().begin(key: Self.key, uploadID: "u", session)
        let half = some.bytes.count / 2
        for (number, piece) in [some.bytes[..<half], some.bytes[half...]].enumerated() {
            if number == 1 { try peer.put("made/here/\(Self.key)", other.bytes) }
            for start in stride(from: piece.startIndex, to: piece.endIndex, by: 64 << 10) {
                try piece[start..<min(start + 64 << 10, piece.endIndex)].withUnsafeBytes {
                    try upload.append($0, session)
                }
            }
        }
        #expect(try upload.finish(session) == some.digest)
        #expect(try upload.publish(session) == .alreadyThere(other.digest))
        #expect(try upload.publish(as: Self.key.alternative(1), session) == .bytesAreGone)
        upload.cancel()
        session.settle(within: .seconds(10))
        #expect(try peer.resumableOffsets() == [])
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == other.digest.sha256)
    }

    @Test func `a small object goes to its other key without its bytes being fetched again`() throws
    {
        let other = SomeBytes(3)
        try peer.put("made/here/\(Self.key)", other.bytes)
        let some = SomeBytes(1000)
        let upload = try peer.supabaseStore().begin(key: Self.key, uploadID: "u", session)
        try some.write(to: upload, session)
        _ = try upload.finish(session)
        #expect(try upload.publish(session) == .alreadyThere(other.digest))
        #expect(try upload.publish(as: Self.key.alternative(1), session) == .published)
    }

    @Test(arguments: [1000, part + 9])
    func `of sixteen who write at once, one wins`(_ size: Int) async throws {
        let results = try await withThrowingTaskGroup(of: PublishResult.self) { group in
            for number in 0..<16 {
                group.addTask { [peer] in
                    let (some, session) = (SomeBytes(size, seed: UInt64(number)), try Session())
                    let upload = try peer.supabaseStore().begin(
                        key: Self.key, uploadID: "u", bytes: size, session)
                    try some.write(to: upload, session)
                    _ = try upload.finish(session)
                    let result = try upload.publish(session)
                    upload.cancel()
                    session.settle(within: .seconds(10))
                    return result
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count { $0 == .published } == 1)
        let there = try #require(try peer.object("made/here/\(Self.key)"))
        let winner = Storage.Digest(bytes: there.size, sha256: there.sha256)
        #expect((0..<16).contains { SomeBytes(size, seed: $0).digest == winner })
        #expect(results.count { $0 == .alreadyThere(winner) } == 15)
        #expect(try peer.resumableOffsets() == [])
    }

    @Test func `there is nothing to discard`() throws {
        let store = try peer.supabaseStore()
        try store.discard(uploadID: "u", key: Self.key, in: session)
        #expect(try store.discardAll(begunBefore: S3Peer.now(), in: session) == 0)
        #expect(try peer.log() == [])
    }

    @Test func `a store that takes files is found to`() throws {
        let store = try peer.supabaseStore()
        try store.check(session, isThorough: false)
        #expect(try peer.log().map { $0["method"]?.text } == ["GET"])
        try store.check(session, isThorough: true)
        #expect(try peer.objects() == [])
    }

    @Test func `the address that customers see`() throws {
        let store = try peer.supabaseStore()
        let escaped = "made/here/a%3D20b%3D2F%3DC3%3DBC/video/job%3D2B1%3D3D2_0.mp4"
        #expect(
            store.url(for: Self.key, publicBaseURL: "https://cdn.example.com/")
                == "https://cdn.example.com/" + escaped)
        #expect(
            store.url(for: Self.key, publicBaseURL: nil)
                == "\(peer.origin)/storage/v1/object/public/\(peer.bucket)/\(escaped)")
    }
}
