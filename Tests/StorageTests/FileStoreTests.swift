import Core
import Crypto
import Foundation
import Testing

@testable import Storage

@Suite(.timeLimit(.minutes(1)))
struct FileStoreTests {
    let scratch: ScratchFolder
    let store: FileStore
    let key = ObjectKey(
        account: "acct", kind: .video, jobID: "job-1", ordinal: 0, fileExtension: "mp4")

    init() throws {
        scratch = try ScratchFolder()
        store = FileStore(root: scratch.path)
    }

    private func digest(_ text: String) -> Storage.Digest {
        let hash = SHA256.hash(data: Data(text.utf8)).map { String(format: "%02x", $0) }
        return Digest(bytes: text.utf8.count, sha256: hash.joined())
    }

    @Test func nothingIsVisibleBeforePublish() throws {
        let upload = try store.begin(key: key, uploadID: "u1")
        try upload.write("abc")
        #expect(scratch.files == ["acct/video/.u1.part"])
        #expect(try store.find(key) == nil)
        try upload.write("")
        try upload.write("def")
        #expect(try upload.finish() == digest("abcdef"))
        #expect(try store.find(key) == nil)
        #expect(try upload.publish() == .published)
        #expect(scratch.files == ["acct/video/job-1_0.mp4"])
        #expect(try store.find(key) == StoredObject(key: key, digest: digest("abcdef")))
        #expect(scratch.read("acct/video/job-1_0.mp4") == Array("abcdef".utf8))
    }

    @Test func knownDigests() throws {
        let upload = try store.begin(key: key, uploadID: "u")
        #expect(
            try upload.finish().sha256
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        let other = try store.begin(key: key, uploadID: "v")
        try other.write("abc")
        #expect(
            try other.finish().sha256
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func manyBytesGoThrough() throws {
        let piece = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 131 >> 3) }
        let upload = try store.begin(key: key, uploadID: "u")
        var hash = SHA256()
        for _ in 0..<20 {
            try piece.withUnsafeBytes { try upload.append($0) }
            hash.update(data: piece)
        }
        let digest = try upload.finish()
        #expect(digest.bytes == 20_000_060)
        #expect(digest.sha256 == hash.finalize().map { String(format: "%02x", $0) }.joined())
        #expect(try upload.publish() == .published)
        #expect(try store.find(key)?.digest == digest)
    }

    @Test func anObjectIsNeverOverwritten() throws {
        #expect(try store.store("first", at: key) == .published)
        #expect(try store.store("second", at: key) == .alreadyThere(digest("first")))
        #expect(try store.store("first", at: key) == .alreadyThere(digest("first")))
        #expect(scratch.read("acct/video/job-1_0.mp4") == Array("first".utf8))
        #expect(scratch.files == ["acct/video/job-1_0.mp4"])
    }

    @Test func aTakenKeyLeavesTheAlternative() throws {
        #expect(try store.store("first", at: key) == .published)
        let upload = try store.begin(key: key, uploadID: "u")
        try upload.write("second")
        _ = try upload.finish()
        #expect(try upload.publish() == .alreadyThere(digest("first")))
        #expect(try upload.publish(as: key.alternative(1)) == .published)
        #expect(scratch.files == ["acct/video/job-1_0-1.mp4", "acct/video/job-1_0.mp4"])
        #expect(try store.find(key.alternative(1))?.digest == digest("second"))
    }

    @Test func ofManyAtOnceOneWins() async throws {
        let store = store
        let key = key
        let results = try await withThrowingTaskGroup(of: (String, PublishResult).self) { group in
            for number in 0..<16 {
                group.addTask { ("text \(number)", try store.store("text \(number)", at: key)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let winners = results.filter { $0.1 == .published }
        let winner = try #require(winners.first).0
        #expect(winners.count == 1)
        #expect(results.count { $0.1 == .alreadyThere(digest(winner)) } == 15)
        #expect(try store.find(key)?.digest == digest(winner))
        #expect(scratch.files == ["acct/video/job-1_0.mp4"])
    }

    @Test func modesDoNotDependOnTheUmask() throws {
        let upload = try store.begin(key: key, uploadID: "u")
        #expect(scratch.mode("acct/video/.u.part") & 0o7137 == 0)
        _ = try upload.finish()
        _ = try upload.publish()
        #expect(scratch.mode("acct/video/job-1_0.mp4") == 0o644)
        #expect(scratch.mode("acct") == 0o755)
        #expect(scratch.mode("acct/video") == 0o755)
    }

    @Test func whatIsNotPublishedLeavesNothing() throws {
        do {
            let upload = try store.begin(key: key, uploadID: "dropped")
            try upload.write("abc")
        }
        do {
            let upload = try store.begin(key: key, uploadID: "finished")
            try upload.write("abc")
            _ = try upload.finish()
        }
        let cancelled = try store.begin(key: key, uploadID: "cancelled")
        try cancelled.write("abc")
        cancelled.cancel()
        cancelled.cancel()
        #expect(scratch.files.isEmpty)
    }

    @Test func aCrashLeavesAHiddenFileThatDiscardRemoves() throws {
        let upload = try store.begin(key: key, uploadID: "u/1")
        try upload.write("abc")
        // Never released, as in a process that was killed.
        let leaked = Unmanaged.passRetained(upload as AnyObject)
        #expect(scratch.files == ["acct/video/.u=2F1.part"])
        #expect(try store.find(key) == nil)
        let failure = #expect(throws: Failure.self) { try store.begin(key: key, uploadID: "u/1") }
        #expect(failure?.code == "upload_exists")
        try store.discard(uploadID: "another", key: key)
        #expect(scratch.files.count == 1)
        try store.discard(uploadID: "u/1", key: key)
        #expect(scratch.files.isEmpty)
        #expect(try store.store("again", at: key, uploadID: "u/1") == .published)
        leaked.release()
        #expect(scratch.files == ["acct/video/job-1_0.mp4"])
    }

    @Test func discardWithoutAnythingThereIsFine() throws {
        try store.discard(uploadID: "u", key: key)
        #expect(scratch.contents.isEmpty)
    }

    @Test func stepsOutOfOrderAreRefused() throws {
        let upload = try store.begin(key: key, uploadID: "u")
        #expect(throws: Failure.self) { try upload.publish() }
        _ = try upload.finish()
        #expect(throws: Failure.self) { try upload.write("x") }
        #expect(throws: Failure.self) { try upload.finish() }
        let elsewhere = ObjectKey(
            account: "other", kind: .video, jobID: "job-1", ordinal: 0, fileExtension: "mp4")
        #expect(throws: Failure.self) { try upload.publish(as: elsewhere) }
        #expect(try upload.publish() == .published)
        #expect(throws: Failure.self) { try upload.publish() }
    }

    @Test func urlsOfObjects() throws {
        let store = FileStore(root: "/srv/my assets")
        #expect(
            store.url(for: key, publicBaseURL: "https://cdn.example/a/")
                == "https://cdn.example/a/acct/video/job-1_0.mp4")
        #expect(
            store.url(for: key, publicBaseURL: nil)
                == "file:///srv/my%20assets/acct/video/job-1_0.mp4")
    }
}
