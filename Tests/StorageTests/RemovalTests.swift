import Core
import HTTP
import Storage
import TestSupport
import Testing

/// An object goes when it is to be forgotten, whichever kind of store has it.
@Suite struct Removal {
    enum Kind: String, CaseIterable, Sendable {
        case folder, s3, supabase
    }

    private let session: Session

    init() throws { session = try Session() }

    @Test(arguments: Kind.allCases)
    func `an object is removed, and one that is not there is no error`(_ kind: Kind) throws {
        let folder = try ScratchFolder()
        let peer = kind == .folder ? nil : try S3Peer(.stub(kind == .s3 ? .aws : .supabase))
        let store: any ObjectStore =
            switch (kind, peer) {
            case (.s3, let peer?): try peer.store()
            case (.supabase, let peer?): try peer.supabaseStore()
            default: FileStore(root: folder.path)
            }
        let keys = (0...1).map { ordinal in
            ObjectKey(
                account: "a b/ü", kind: .video, jobID: "job+1=2", ordinal: ordinal,
                fileExtension: "mp4")
        }
        let some = SomeBytes(1000)
        for (number, key) in keys.enumerated() {
            let upload = try store.begin(
                key: key, uploadID: "u\(number)", bytes: some.bytes.count, session)
            try some.write(to: upload, session)
            _ = try upload.finish(session)
            #expect(try upload.publish(session) == .published)
            upload.cancel()
        }
        for _ in 1...2 { try remove(keys[0], store) }
        #expect(try store.find(keys[0], in: session) == nil)
        #expect(try store.find(keys[1], in: session)?.digest == some.digest)
    }

    private func remove(_ key: ObjectKey, _ store: any ObjectStore) throws {
        var result: Result<Void, Failure>?
        store.remove(key, session) { result = $0 }
        session.run { result != nil }
        try result?.get()
    }
}
