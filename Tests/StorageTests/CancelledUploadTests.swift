import Core
import HTTP
import Storage
import TestSupport
import Testing

/// What an upload still does after it was cancelled: it removes what it had begun, and writes nothing.
@Suite struct CancelledUploads {
    static let key = S3Objects.key
    static let name = "made/here/\(key)"
    static let small = 1000
    static let large = (2 * 5 << 20) + 77

    /// Stores that overwrite, so that the upload looks first, and stores that do not.
    static let vendors: [S3Peer.Vendor] = [.plain, .supabase, .b2, .aws]
    static let sizes = [small, large]

    /// All that a cancelled upload may still ask for.
    private static let removals = ["AbortMultipartUpload", "TusDelete"]

    private func written(
        _ size: Int, _ store: any ObjectStore, _ session: Session
    ) throws -> any Upload {
        let upload = try store.begin(key: Self.key, uploadID: "u", bytes: size, session)
        let some = SomeBytes(size)
        try some.write(to: upload, session)
        #expect(try upload.finish(session) == some.digest)
        return upload
    }

    /// Gives what is under way all the time that it wants, and looks at what was left of it.
    private func check(_ peer: S3Peer, _ session: Session, after known: Int) throws {
        session.settle(within: .seconds(20))
        #expect(session.isIdle)
        let later = try peer.log().dropFirst(known).compactMap { $0["operation"]?.text }
        #expect(later.filter { !Self.removals.contains($0) } == [])
        #expect(try peer.objects() == [])
        #expect(try peer.uploads() == [])
        #expect(try peer.resumableOffsets() == [])
    }

    @Test(arguments: vendors, sizes)
    func `an upload that is cancelled before its last step is sent writes nothing any more`(
        _ vendor: S3Peer.Vendor, _ size: Int
    ) throws {
        let peer = try S3Peer(.stub(vendor))
        let session = try Session()
        let upload = try written(size, peer.store(), session)
        let known = try peer.log().count
        upload.publish(as: Self.key) { Issue.record("told \($0)") }
        upload.cancel()
        try check(peer, session, after: known)
    }

    @Test(arguments: [S3Peer.Vendor.plain, .supabase, .b2], sizes)
    func `an upload that is cancelled while it looks at its key writes nothing any more`(
        _ vendor: S3Peer.Vendor, _ size: Int
    ) throws {
        let peer = try S3Peer(.stub(vendor))
        let session = try Session()
        let upload = try written(size, peer.store(), session)
        let known = try peer.log().count
        try peer.fault("hold-answer", ["operation": "GetObject", "seconds": 1])
        upload.publish(as: Self.key) { Issue.record("told \($0)") }
        while try peer.log().count == known { _ = session.step(wait: .milliseconds(5)) }
        upload.cancel()
        try check(peer, session, after: known + 1)
    }

    @Test(arguments: [("plain", "GetObject"), ("aws", "PutObject")])
    func `an upload that is cancelled while it waits for another try makes none`(
        _ vendor: String, _ operation: String
    ) throws {
        let peer = try S3Peer(.stub(try #require(S3Peer.Vendor(rawValue: vendor))))
        let session = try Session()
        let upload = try written(Self.small, peer.store(), session)
        let known = try peer.log().count
        try peer.fault(
            "status", ["operation": .string(operation), "headers": ["Retry-After": "2"]])
        upload.publish(as: Self.key) { Issue.record("told \($0)") }
        while try peer.log().last?["status"]?.int != 503 {
            _ = session.step(wait: .milliseconds(5))
        }
        _ = session.step(wait: .milliseconds(200))
        upload.cancel()
        try check(peer, session, after: known + 1)
    }

    @Test func `a part that is cancelled while it waits is not sent again`() throws {
        let peer = try S3Peer(.stub(.aws))
        let session = try Session()
        try peer.fault(
            "status", ["operation": "UploadPart", "headers": ["Retry-After": "2"], "times": -1])
        let upload = try peer.store().begin(
            key: Self.key, uploadID: "u", bytes: Self.large, session)
        try SomeBytes(6 << 20).write(to: upload, session)
        while try peer.log().last?["status"]?.int != 503 {
            _ = session.step(wait: .milliseconds(5))
        }
        _ = session.step(wait: .milliseconds(200))
        let known = try peer.log().count
        upload.cancel()
        try check(peer, session, after: known)
    }

    @Test(arguments: [6 << 20, (6 << 20) + 1000])
    func `a piece for Supabase that is cancelled while it waits for another try is not sent again`(
        _ size: Int
    ) throws {
        let peer = try S3Peer(.stub(.supabase))
        let session = try Session()
        let upload = try peer.supabaseStore().begin(
            key: Self.key, uploadID: "u", bytes: size, session)
        try SomeBytes(size).write(to: upload, session)
        _ = try upload.finish(session)
        let operation = size > 6 << 20 ? "TusPatch" : "RestCreate"
        try peer.fault(
            "status",
            ["operation": .string(operation), "headers": ["Retry-After": "2"], "times": -1])
        upload.publish(as: Self.key) { Issue.record("told \($0)") }
        while try peer.log().last?["status"]?.int != 503 {
            _ = session.step(wait: .milliseconds(5))
        }
        _ = session.step(wait: .milliseconds(200))
        let known = try peer.log().count
        upload.cancel()
        try check(peer, session, after: known)
    }

    /// A request that the store has already cannot be taken back; it writes all of the file or nothing.
    @Test(arguments: vendors, sizes)
    func `whenever an upload is cancelled, its key has the whole file or nothing`(
        _ vendor: S3Peer.Vendor, _ size: Int
    ) throws {
        for steps in 0..<8 {
            let peer = try S3Peer(.stub(vendor))
            let session = try Session()
            let upload = try written(size, peer.store(), session)
            upload.publish(as: Self.key) { _ in }
            for _ in 0..<steps { _ = session.step(wait: .milliseconds(3)) }
            upload.cancel()
            session.settle(within: .seconds(20))
            #expect(try peer.objects().allSatisfy { $0.size == size }, "after \(steps) steps")
            #expect(try peer.uploads() == [], "after \(steps) steps")
            #expect(
                try peer.log().allSatisfy {
                    $0["operation"] != "PutObject" || $0["body_length"]?.int == Int64(size)
                }, "after \(steps) steps")
        }
    }
}
