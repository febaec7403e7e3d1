import Core
import HTTP
import Storage
import TestSupport
import Testing

/// Whether a store refuses a key that is taken, and what is made of that.
@Suite struct ConditionalWrites {
    static let key = S3Objects.key

    private func store(
        _ peer: S3Peer, _ profile: String, _ more: String = ""
    ) throws -> S3Store {
        let url =
            "s3://\(peer.bucket)/made/here?endpoint=\(peer.endpoint)&region=\(peer.region)"
            + "&profile=\(profile)&style=path" + more
        let variables = peer.environment()
        let location = try StorageLocation.parse(url)
        let store = try location.store(clock: S3Peer.now) { name throws(Failure) in
            variables[name]
        }
        return try #require(store as? S3Store)
    }

    /// What each peer does with `If-None-Match: *`.
    static let peers: [(S3Peer.Kind, TakenKey)] = [
        (.stub(.aws), .isRefused), (.stub(.r2), .isRefused), (.moto, .isRefused),
        (.ministack, .isRefused), (.stub(.plain), .isOverwritten),
        (.stub(.supabase), .isOverwritten), (.rclone, .isOverwritten),
        (.stub(.b2), .conditionIsRefused("HTTP 501 NotImplemented")),
    ]

    @Test(arguments: peers)
    func `a store is found to refuse a key that is taken, or not to`(
        _ kind: S3Peer.Kind, _ expected: TakenKey
    ) throws {
        let peer = try S3Peer(kind)
        #expect(try peer.store().tryTakenKey(Session()) == expected)
        #expect(try peer.objects() == [])
        #expect(try peer.uploads() == [])
    }

    /// Some servers look at the condition of a small object and not of one in parts.
    @Test func `a store that refuses only small objects is not relied upon`() throws {
        let peer = try S3Peer(.stub(.aws))
        try peer.settings(["joins_unconditionally": true])
        #expect(try peer.store().tryTakenKey(Session()) == .isOverwrittenInParts)
        #expect(try peer.objects() == [])
        #expect(try peer.uploads() == [])
    }

    @Test(arguments: [1000, (5 << 20) + 9], ["", "&conditional=yes", "&conditional=no"])
    func `what the storage URL says of a server is what uploads go by`(
        _ size: Int, _ more: String
    ) throws {
        for profile in ["generic", "aws"] {
            let peer = try S3Peer(.stub(.aws))
            let (store, session) = (try store(peer, profile, more), try Session())
            let some = SomeBytes(size)
            let upload = try store.begin(
                key: Self.key, uploadID: "u", bytes: some.bytes.count, session)
            try some.write(to: upload, session)
            _ = try upload.finish(session)
            #expect(try upload.publish(session) == .published)
            let log = try peer.log()
            let isConditional = more.isEmpty ? profile == "aws" : more == "&conditional=yes"
            let looks = log.filter { $0["operation"] == "GetObject" }
            let conditions = log.filter { $0["headers"]?["if-none-match"]?.text == "*" }
            #expect(looks.isEmpty == isConditional)
            #expect(conditions.isEmpty != isConditional)
            #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
        }
    }

    @Test func `a word that is neither yes nor no is refused`() {
        #expect {
            try StorageLocation.parse("s3://bucket?endpoint=https://s3.example.com&conditional=1")
        } throws: { error in
            (error as? Failure)?.message.contains("its conditional is neither yes nor no") == true
        }
    }
}
