import Core
import HTTP
import Storage
import TestSupport
import Testing

/// Files that share the memory of one session.
@Suite struct Crowds {
    /// One file on its way, and how much of it is written.
    private struct Walk {
        var upload: any Upload
        var some: SomeBytes
        var at = 0

        var isOver: Bool { at == some.bytes.count }

        /// Offers a piece, as a download would.
        mutating func step() throws {
            let end = min(at + 16_384, some.bytes.count)
            let answer = try some.bytes[at..<end].withUnsafeBytes { try upload.write($0) }
            if case .taken = answer { at = end }
        }
    }

    @Test(arguments: [S3Peer.Vendor.aws, .supabase], [true, false])
    func `more large files than fit into memory at once all arrive`(
        _ vendor: S3Peer.Vendor, _ tellsLength: Bool
    ) throws {
        let peer = try S3Peer(.stub(vendor))
        let store: any ObjectStore =
            vendor == .supabase ? try peer.supabaseStore() : try peer.store()
        let session = try Session()
        var walks = try (0..<6).map { number in
            let some = SomeBytes((number % 2 == 0 ? 13 << 20 : 1 << 20) + number)
            let key = ObjectKey(
                account: "a", kind: .video, jobID: "j", ordinal: number, fileExtension: "mp4")
            let upload = try store.begin(
                key: key, uploadID: "u", bytes: tellsLength ? some.bytes.count : nil, session)
            return Walk(upload: upload, some: some)
        }
        var published = 0
        let until = ContinuousClock.now + .seconds(120)
        while !walks.isEmpty, .now < until {
            for place in walks.indices where !walks[place].isOver { try walks[place].step() }
            for walk in walks where walk.isOver {
                #expect(try walk.upload.finish(session) == walk.some.digest)
                #expect(try walk.upload.publish(session) == .published)
                published += 1
            }
            walks.removeAll { $0.isOver }
            _ = session.step(wait: .milliseconds(1))
        }
        #expect(published == 6)
    }
}
