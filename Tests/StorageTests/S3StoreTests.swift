import Core
import Crypto
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

extension S3Peer {
    func store(
        id: String? = nil, secret: String? = nil, prefix: String = "made/here", port: Int? = nil,
        clock: @escaping @Sendable () -> Instant = S3Peer.now
    ) throws -> S3Store {
        var all = environment(prefix: prefix, port: port)
        all["HOLDFAST_S3_ACCESS_KEY_ID"] = id ?? accessKeyID
        all["HOLDFAST_S3_SECRET_ACCESS_KEY"] = secret ?? secretAccessKey
        let variables = all
        let url = try #require(variables["HOLDFAST_STORAGE_URL"])
        let store = try StorageLocation.parse(url).store(clock: clock) { name throws(Failure) in
            variables[name]
        }
        return try #require(store as? S3Store)
    }

    static let now: @Sendable () -> Instant = {
        Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }
}

/// Bytes that no two calls share, and their digest.
struct SomeBytes {
    let bytes: [UInt8]
    var digest: Storage.Digest {
        Storage.Digest(
            bytes: bytes.count,
            sha256: SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined())
    }

    /// Noise made once, with the seed and the place written into each block of it.
    init(_ count: Int, seed: UInt64 = .random(in: 0 ... .max)) {
        var all: [UInt8] = []
        all.reserveCapacity(count + Self.noise.count)
        while all.count < count {
            withUnsafeBytes(of: (seed, UInt64(all.count))) { all.append(contentsOf: $0) }
            all.append(contentsOf: Self.noise)
        }
        all.removeLast(all.count - count)
        bytes = all
    }

    private static let noise: [UInt8] = {
        var chance = SeededGenerator(seed: 1)
        return (0..<8192).flatMap { _ in withUnsafeBytes(of: chance.next()) { Array($0) } }
    }()

    /// Writes them in pieces, as a download would.
    func write(to upload: any Upload, _ session: Session, pieces: Int = 128 << 10) throws {
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes {
                try upload.append($0, session)
            }
        }
    }
}

@Suite struct S3Objects {
    static let key = ObjectKey(
        account: "a b/ü", kind: .video, jobID: "job+1=2", ordinal: 0, fileExtension: "mp4")
    static let part = 5 << 20
    static let large = part + 9

    private func store(
        _ some: SomeBytes, _ store: S3Store, at key: ObjectKey = key, _ session: Session,
        tellsLength: Bool = true
    ) throws -> PublishResult {
        let upload = try store.begin(
            key: key, uploadID: "u", bytes: tellsLength ? some.bytes.count : nil, session)
        try some.write(to: upload, session)
        #expect(try upload.finish(session) == some.digest)
        defer { upload.cancel() }
        return try upload.publish(session)
    }

    /// One byte, less than a part, one part, a byte more, several.
    static let sizes = [1, 70_000, part, part + 1, 2 * part + 12_345]

    @Test(arguments: S3Peer.Kind.all)
    func `objects of every size arrive whole, with what they are said to be`(
        _ kind: S3Peer.Kind
    ) throws {
        let peer = try S3Peer(kind)
        let store = try peer.store()
        let session = try Session()
        for (number, size) in Self.sizes.enumerated() {
            let key = ObjectKey(
                account: "a b/ü", kind: .video, jobID: "job+1=2", ordinal: number,
                fileExtension: "mp4")
            let some = SomeBytes(size)
            #expect(
                try self.store(some, store, at: key, session, tellsLength: number % 2 == 0)
                    == .published)
            let there = try #require(try peer.object("made/here/\(key)"))
            #expect(there.size == size)
            #expect(there.sha256 == some.digest.sha256)
            #expect(there.contentType == "video/mp4")
            #expect(there.disposition == "inline")
            #expect(there.cacheControl == "public, max-age=31536000, immutable")
            #expect(try store.find(key, in: session)?.digest == some.digest)
        }
        session.settle(within: .seconds(5))
        #expect(try peer.uploads() == [])
    }

    @Test(arguments: S3Peer.Kind.all)
    func `nothing is visible before it is published, and nothing is left of what is given up`(
        _ kind: S3Peer.Kind
    ) throws {
        let peer = try S3Peer(kind)
        let (store, session) = (try peer.store(), try Session())
        for size in [1000, 2 * Self.part + 5] {
            let upload = try store.begin(key: Self.key, uploadID: "u", session)
            try SomeBytes(size).write(to: upload, session)
            _ = try upload.finish(session)
            #expect(try peer.objects() == [])
            #expect(try store.find(Self.key, in: session) == nil)
            upload.cancel()
            session.settle(within: .seconds(10))
            #expect(try peer.uploads() == [])
        }
    }

    @Test(arguments: S3Peer.Kind.all)
    func `an object that is there is never overwritten`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let (store, session) = (try peer.store(), try Session())
        for (number, size) in [1000, Self.part + 5].enumerated() {
            let key = Self.key.alternative(number)
            let first = SomeBytes(size)
            #expect(try self.store(first, store, at: key, session) == .published)
            #expect(try self.store(first, store, at: key, session) == .alreadyThere(first.digest))
            #expect(
                try self.store(SomeBytes(size), store, at: key, session)
                    == .alreadyThere(first.digest))
            #expect(try peer.object("made/here/\(key)")?.sha256 == first.digest.sha256)
        }
        session.settle(within: .seconds(10))
        #expect(try peer.uploads() == [])
    }

    @Test func `a small object goes to its other key without its bytes being fetched again`() throws
    {
        let peer = try S3Peer(.stub(.aws))
        let (store, session) = (try peer.store(), try Session())
        try peer.put("made/here/\(Self.key)", [1, 2, 3])
        let some = SomeBytes(1000)
        let upload = try store.begin(key: Self.key, uploadID: "u", session)
        try some.write(to: upload, session)
        _ = try upload.finish(session)
        #expect(
            try upload.publish(session)
                == .alreadyThere(
                    Storage.Digest(
                        bytes: 3,
                        sha256: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81"))
        )
        #expect(try upload.publish(as: Self.key.alternative(1), session) == .published)
        let large = try store.begin(key: Self.key, uploadID: "v", session)
        try SomeBytes(Self.part + 1).write(to: large, session)
        _ = try large.finish(session)
        #expect(try large.publish(as: Self.key.alternative(2), session) == .bytesAreGone)
        large.cancel()
    }

    // Moto, without a lock around the end of an upload in parts, sometimes lets two of them win.
    @Test(
        arguments: [
            (S3Peer.Kind.moto, 1000), (.ministack, 1000), (.ministack, large), (.stub(.aws), 1000),
            (.stub(.aws), large), (.stub(.r2), 1000), (.stub(.r2), large),
        ])
    func `of sixteen who write at once, one wins`(_ kind: S3Peer.Kind, _ size: Int) async throws {
        let peer = try S3Peer(kind)
        let results = try await withThrowingTaskGroup(of: PublishResult.self) { group in
            for number in 0..<16 {
                group.addTask {
                    let (store, session) = (try peer.store(), try Session())
                    return try self.store(
                        SomeBytes(size, seed: UInt64(number)), store, session)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count { $0 == .published } == 1)
        let there = try #require(try peer.object("made/here/\(Self.key)"))
        let winner = (0..<16).map { SomeBytes(size, seed: $0).digest }.first {
            $0.sha256 == there.sha256
        }
        let others = results.filter { $0 != .published && $0 != .bytesAreGone }
        #expect(try others.allSatisfy { $0 == .alreadyThere(try #require(winner)) })
    }

    @Test(arguments: S3Peer.Kind.all)
    func `what a crash left behind is removed, and nobody else's`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let (store, session) = (try peer.store(), try Session())
        let name = "made/here/\(Self.key)"
        _ = try peer.beginUpload(name, parts: [SomeBytes(100).bytes])
        _ = try peer.beginUpload(name)
        let other = try peer.beginUpload("made/here/a/video/other_0.mp4")
        let foreign = try peer.beginUpload("elsewhere/file.mp4")
        try store.discard(uploadID: "u", key: Self.key, in: session)
        #expect(Set(try peer.uploads().map(\.id)) == [other, foreign])
        // Moto says of every upload that it began in 2010.
        guard kind != .moto else { return }
        #expect(try store.discardAll(begunBefore: S3Peer.now() + .seconds(-600), in: session) == 0)
        #expect(try store.discardAll(begunBefore: S3Peer.now() + .seconds(600), in: session) == 1)
        #expect(try peer.uploads().map(\.id) == [foreign])
    }

    @Test(arguments: S3Peer.Kind.all)
    func `a store that takes files is found to`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let store = try peer.store()
        try store.check(Session(), isThorough: false)
        try store.check(Session(), isThorough: true)
        #expect(try peer.objects() == [])
    }

    @Test(arguments: [S3Peer.Kind.rclone, .ministack, .stub(.aws)])
    func `a signed link shows a private object`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let (store, session) = (try peer.store(), try Session())
        let some = SomeBytes(5000)
        #expect(try self.store(some, store, session) == .published)
        var client = try Client()
        let link = try #require(
            store.link(to: Self.key, expires: .seconds(600), session))
        let answer = try client.perform(Request(url: link))
        #expect(answer.status == 200)
        #expect(answer.body == some.bytes)
        let forged = link.replacingOccurrences(of: "Expires=600", with: "Expires=601")
        #expect(try client.perform(Request(url: forged)).status == 403)
    }

    @Test func `the address that customers see`() throws {
        let peer = try S3Peer(.stub(.aws))
        let store = try peer.store()
        let name = "made/here/a=20b=2F=C3=BC/video/job=2B1=3D2_0.mp4"
        #expect("made/here/\(Self.key)" == name)
        let escaped = name.replacingOccurrences(of: "=", with: "%3D")
        #expect(
            store.url(for: Self.key, publicBaseURL: "https://cdn.example.com/")
                == "https://cdn.example.com/" + escaped)
        #expect(
            store.url(for: Self.key, publicBaseURL: nil)
                == "\(peer.endpoint)/\(peer.bucket)/\(escaped)")
    }
}
