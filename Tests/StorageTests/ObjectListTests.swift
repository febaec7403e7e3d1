import Core
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

/// The list of a store, page by page, the same for a folder, S3 and Supabase.
@Suite struct ObjectLists {
    enum Place: CaseIterable { case folder, s3, supabase }

    /// Names in an order that is not that of folders: a hyphen comes before a slash.
    static let names = [
        "a-/video/j_0.mp4", "a/image/j_0.png", "a/video/j_0-1.mp4", "a/video/j_0.mp4",
        "a/video/j_1.mp4", "b=20c/video/k_0.mp4",
    ]

    private func list(
        _ store: any ObjectStore, below prefix: String = "", after place: String? = nil
    ) throws -> ObjectPage {
        let session = try Session()
        var page: Result<ObjectPage, Failure>?
        store.list(below: prefix, after: place, session) { page = $0 }
        session.run { page != nil }
        return try #require(page).get()
    }

    private func fill(_ place: Place, _ names: [String]) throws -> (any ObjectStore, AnyObject) {
        switch place {
        case .folder:
            let folder = try ScratchFolder()
            for name in names {
                let url = URL(fileURLWithPath: folder.path + "/" + name)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data("12345".utf8).write(to: url)
            }
            return (FileStore(root: folder.path), folder)
        case .s3, .supabase:
            let peer = try S3Peer(.stub(place == .s3 ? .aws : .supabase))
            for name in names { try peer.put("made/here/" + name, Array("12345".utf8)) }
            try peer.put("made/elsewhere", [])
            return (try place == .s3 ? peer.store() : peer.supabaseStore(), peer)
        }
    }

    @Test(arguments: Place.allCases)
    func `it names what is there, below a prefix too`(_ place: Place) throws {
        let (store, keeper) = try fill(
            place, Self.names + (place == .folder ? [".holdfast/installation", "a/.x.part"] : []))
        let page = try list(store)
        #expect(page.objects.map(\.name).sorted() == Self.names.sorted())
        #expect(page.objects.allSatisfy { $0.bytes == 5 } && page.next == nil)
        #expect(
            try list(store, below: "a/video/j_0").objects.map(\.name).sorted() == [
                "a/video/j_0-1.mp4", "a/video/j_0.mp4",
            ])
        #expect(try list(store, below: "nobody/").objects == [])
        withExtendedLifetime(keeper) {}
    }

    @Test(arguments: Place.allCases)
    func `pages follow one another without a gap, whatever is in the names`(_ place: Place) throws {
        let names = (0..<1300).map { "a\($0 % 3 == 0 ? "-" : "")/video/j-\($0)_0.mp4" }
        let (store, keeper) = try fill(place, names)
        var found: [String] = []
        var next: String?
        repeat {
            let page = try list(store, after: next)
            #expect(page.objects.count <= ObjectPage.rows)
            found += page.objects.map(\.name)
            next = page.next
        } while next != nil && found.count < 5000
        #expect(found.count == 1300 && Set(found) == Set(names))
        withExtendedLifetime(keeper) {}
    }
}
