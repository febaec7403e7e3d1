import Core
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

/// Small objects by which installations tell each other apart, in each kind of store.
@Suite struct StoreMarkerFiles {
    /// A store that is empty, and what keeps it alive.
    private struct Place {
        let markers: StoreMarkers
        let owner: AnyObject
        /// Puts bytes there by another way than ours.
        let put: ([UInt8]) throws -> Void
    }

    private static let name = MarkerName("some host/ü")
    private static let words = Array("first words".utf8)
    private static let others = Array("other words".utf8)

    private static let kinds: [S3Peer.Kind?] =
        [nil, .stub(.aws), .stub(.b2), .stub(.plain), .stub(.supabase), .rclone, .ministack]

    private static func place(_ kind: S3Peer.Kind?) throws -> Place {
        guard let kind else {
            let folder = try ScratchFolder()
            return Place(
                markers: StoreMarkers(
                    FileStore(root: folder.path), at: folder.path, try Session()),
                owner: folder
            ) {
                try FileManager.default.createDirectory(
                    atPath: folder.path + "/.holdfast", withIntermediateDirectories: true)
                try folder.write(String(decoding: $0, as: UTF8.self), at: name.path)
            }
        }
        let peer = try S3Peer(kind)
        let store: any ObjectStore =
            kind == .stub(.supabase) ? try peer.supabaseStore() : try peer.store()
        return Place(
            markers: StoreMarkers(store, at: "bucket \(peer.bucket)", try Session()), owner: peer
        ) { try peer.put("made/here/" + name.path, $0) }
    }

    @Test(arguments: kinds)
    func `a marker is written once, found, and replaced only on request`(
        _ kind: S3Peer.Kind?
    ) throws {
        let place = try Self.place(kind)
        try withExtendedLifetime(place) {
            let markers = place.markers
            #expect(try markers.read(Self.name) == .absent)
            #expect(try markers.writeIfAbsent(Self.name, Self.words))
            #expect(try markers.read(Self.name) == .bytes(Self.words))
            #expect(try !markers.writeIfAbsent(Self.name, Self.others))
            #expect(try markers.read(Self.name) == .bytes(Self.words))
            #expect(try markers.read(.installation) == .absent)
            try markers.overwrite(Self.name, Self.others)
            #expect(try markers.read(Self.name) == .bytes(Self.others))
            try markers.overwrite(.installation, Self.words)
            #expect(try markers.read(.installation) == .bytes(Self.words))
        }
    }

    @Test(arguments: kinds, [0, 1, 4096, 4097, 200_000])
    func `what somebody else put there is told as it is, and a large one is not read`(
        _ kind: S3Peer.Kind?, _ size: Int
    ) throws {
        let place = try Self.place(kind)
        try withExtendedLifetime(place) {
            let bytes = [UInt8](repeating: 0x41, count: size)
            try place.put(bytes)
            #expect(
                try place.markers.read(Self.name) == (size > 4096 ? .tooLarge : .bytes(bytes)))
            #expect(try !place.markers.writeIfAbsent(Self.name, Self.words))
        }
    }

    @Test(arguments: [S3Peer.Kind.stub(.aws), .stub(.plain), .stub(.supabase)])
    func `a store that is away says nothing about what is there`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let store: any ObjectStore =
            kind == .stub(.supabase) ? try peer.supabaseStore() : try peer.store()
        let markers = StoreMarkers(store, at: "the bucket", try Session())
        try peer.fault("status", ["status": 503, "times": -1])
        for ask in [
            { _ = try markers.read(Self.name) },
            { _ = try markers.writeIfAbsent(Self.name, Self.words) },
            { try markers.overwrite(Self.name, Self.words) },
        ] {
            #expect { try ask() } throws: { ($0 as? Failure)?.status == .unavailable }
        }
        try peer.clearFaults()
        #expect(try peer.objects() == [])
    }

    @Test func `a run that was told to stop asks nothing and waits for nothing`() throws {
        let peer = try S3Peer(.stub(.aws))
        let markers = StoreMarkers(
            try peer.store(), at: "the bucket", try Session(), shouldStop: { true })
        for ask in [
            { _ = try markers.read(Self.name) },
            { try markers.overwrite(Self.name, Self.words) },
        ] {
            #expect { try ask() } throws: {
                ($0 as? Failure)?.message.contains("told to stop") == true
            }
        }
        #expect(try peer.log().isEmpty)
    }

    @Test func `in a folder a marker can be read by every login, and no link is followed`() throws {
        let folder = try ScratchFolder()
        let markers = StoreMarkers(FileStore(root: folder.path), at: folder.path, try Session())
        #expect(try markers.writeIfAbsent(.installation, Self.words))
        #expect(folder.contents == [".holdfast", ".holdfast/installation"])
        #expect(folder.mode(".holdfast/installation") == 0o644)
        #expect(folder.mode(".holdfast") == 0o755)
        let files = FileManager.default
        try files.removeItem(atPath: folder.path + "/.holdfast/installation")
        try files.createSymbolicLink(
            atPath: folder.path + "/.holdfast/installation", withDestinationPath: "/etc/passwd")
        #expect { try markers.read(.installation) } throws: {
            ($0 as? Failure)?.code == "storage_unwritable"
        }
        #expect {
            try StoreMarkers(FileStore(root: folder.path + "/absent"), at: "", Session()).overwrite(
                .installation, [])
        } throws: {
            ($0 as? Failure)?.code == "storage_unwritable"
        }
    }

    @Test func `a marker has at most 4096 bytes`() throws {
        let folder = try ScratchFolder()
        let markers = StoreMarkers(FileStore(root: folder.path), at: folder.path, try Session())
        #expect {
            try markers.overwrite(.installation, [UInt8](repeating: 0, count: 4097))
        } throws: {
            ($0 as? Failure)?.code == "marker_too_large"
        }
    }
}
