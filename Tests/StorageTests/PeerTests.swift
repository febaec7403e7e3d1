import TestSupport
import Testing

/// The servers that stores are tested against, looked at with a client that is not ours.
@Suite struct S3Peers {
    @Test(arguments: S3Peer.Kind.all)
    func `a peer keeps what is put there and lists it`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let key = "jobs/1/result a+b.png"
        try peer.put(key, Array("hello".utf8), contentType: "image/png")
        #expect(try peer.objects().map(\.key) == [key])
        let stored = try #require(try peer.object(key))
        #expect(stored.size == 5)
        #expect(stored.contentType == "image/png")
        #expect(
            stored.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        #expect(try peer.object("jobs/2") == nil)
        let id = try peer.beginUpload("jobs/3", parts: [[1, 2, 3]])
        #expect(try peer.uploads().map(\.id) == [id])
        try peer.delete(key)
        #expect(try peer.objects() == [])
    }

    /// A condition that is ignored, a checksum that is not looked at: a store is only as well tested as
    /// its peers are strict, so what they check is itself tested.
    @Test(arguments: S3Peer.Kind.all)
    func `a peer refuses what it is relied upon to refuse`(_ kind: S3Peer.Kind) async throws {
        #expect(try await Peers.weaknesses(of: try S3Peer(kind)) == [])
    }
}
