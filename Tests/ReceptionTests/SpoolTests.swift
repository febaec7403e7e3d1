import Core
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Reception

/// The folder where callbacks wait while the database is away.
@Suite struct SpoolTests {
    /// A folder of one test's own.
    final class Folder: Sendable {
        let path = NSTemporaryDirectory() + "holdfast-spool-" + RunID.make()
        var spool: Spool { Spool(folder: path) }

        init() throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var files: [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
        }

        func bytes(_ name: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
        }

        func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
        }
    }

    static func received(_ seconds: Int64 = 1_800_000_000, body: [UInt8] = []) -> ReceivedCallback {
        ReceivedCallback(
            provider: "kie", headers: JSONObject([.init(key: "content-type", value: "a\"b")]),
            query: "job=1&tag=2", body: body, receivedAt: Instant(unixSeconds: seconds))
    }

    static let bodies: [[UInt8]] = [
        [], Array("{}".utf8), Array("\n\n\nholdfast-callback 1 x\n".utf8),
        [0xff, 0x00, 0xfe, 0x0a],
        [UInt8](repeating: 0x61, count: 300_000),
    ]

    @Test(arguments: bodies.indices)
    func `a callback comes back as it went in`(_ index: Int) throws {
        let body = Self.bodies[index]
        let folder = try Folder()
        let received = Self.received(body: body)
        let name = try folder.spool.put(received)
        #expect(folder.files == [name + ".callback"])
        #expect(try folder.spool.list().names == [name])
        guard case .callback(let found) = try folder.spool.read(name) else {
            Issue.record("not a callback")
            return
        }
        #expect(found == SpooledCallback(received, spoolID: name))
        #expect(found.body == body)
        #expect(found.receivedAt == received.receivedAt)
        try folder.spool.remove(name)
        try folder.spool.remove(name)
        #expect(folder.files == [])
    }

    @Test func `what is known of a cut body comes back too`() throws {
        let folder = try Folder()
        var received = Self.received(body: [1, 2])
        received.whole = WholeBody(bytes: 1 << 40, sha256: [9, 8, 7])
        guard case .callback(let found) = try folder.spool.read(folder.spool.put(received)) else {
            Issue.record("not a callback")
            return
        }
        #expect(found.whole == received.whole)
    }

    @Test func `names sort in the order of arrival`() throws {
        let folder = try Folder()
        var names: [String] = []
        for seconds in [1_000_000_000, 1_800_000_000, 1_800_000_001, 99_000_000_000] as [Int64] {
            names.append(try folder.spool.put(Self.received(seconds)))
        }
        #expect(try folder.spool.list().names == names)
    }

    @Test func `no secret reaches the disk`() throws {
        let folder = try Folder()
        var received = Self.received()
        received.query = "job=1&secret=s3cr%65t&x=1&secret=s3cret"
        for name in ["authorization", "Cookie", "x-callback-token", "X-Webhook-Secret"] {
            received.headers[name] = "s3cret"
        }
        let name = try folder.spool.put(received)
        let text = String(decoding: try folder.bytes(name + ".callback"), as: UTF8.self)
        #expect(!text.contains("s3c"))
        guard case .callback(let found) = try folder.spool.read(name) else {
            Issue.record("not a callback")
            return
        }
        let digest = Digest.sha256Hex(Array("s3cret".utf8))
        #expect(found.secretDigest == digest)
        #expect(found.headerSecretDigest == digest)
        #expect(found.query == "job=1&secret=[redacted]&x=1&secret=[redacted]")
        #expect(found.headers.keys == ["content-type"])
    }

    @Test func `a file that is cut anywhere is damaged, and kept for a person`() throws {
        let folder = try Folder()
        let name = try folder.spool.put(Self.received(body: Array("body".utf8)))
        let whole = try folder.bytes(name + ".callback")
        for length in 0..<whole.count {
            try folder.write(name + ".callback", whole[..<length])
            guard case .damaged = try folder.spool.read(name) else {
                Issue.record("\(length) of \(whole.count) bytes were taken for a callback")
                return
            }
        }
        for at in whole.indices {
            var changed = whole
            changed[at] ^= 0x20
            try folder.write(name + ".callback", changed)
            if case .callback = try folder.spool.read(name) {
                Issue.record("byte \(at) was changed unnoticed")
            }
        }
        try folder.spool.setAside(name)
        #expect(folder.files == [name + ".callback.aside"])
        #expect(try folder.spool.list().names == [])
        #expect(try folder.spool.list().aside == [name + ".callback.aside"])
    }

    @Test func `a file of a later version is left where it is`() throws {
        let folder = try Folder()
        try folder.write("1.callback", "holdfast-callback 2 abc\nanything".utf8)
        guard case .newer = try folder.spool.read("1") else {
            Issue.record("taken for something else")
            return
        }
    }

    @Test func `links and folders are no callbacks`() throws {
        let folder = try Folder()
        symlink("/etc/hostname", folder.path + "/1.callback")
        mkdir(folder.path + "/2.callback", 0o755)
        for name in ["1", "2"] {
            guard case .damaged = try folder.spool.read(name) else {
                Issue.record("\(name) was taken for a callback")
                continue
            }
        }
        guard case .gone = try folder.spool.read("3") else {
            Issue.record("3 is there")
            return
        }
    }

    @Test func `only leftovers that are old enough are removed`() throws {
        let folder = try Folder()
        let now = Instant(unixSeconds: 1_800_000_000)
        for (name, age) in [(".old.tmp", 3601), (".young.tmp", 3599)] {
            try folder.write(name, "half a callb".utf8)
            var times = [
                timeval(tv_sec: Int(now.unixSeconds) - age, tv_usec: 0),
                timeval(tv_sec: Int(now.unixSeconds) - age, tv_usec: 0),
            ]
            #expect(utimes(folder.path + "/" + name, &times) == 0)
        }
        try folder.spool.removeLeftovers(folder.spool.list().unfinished, now: now)
        #expect(folder.files == [".young.tmp"])
    }

    @Test func `a host without the folder has nothing to do, and cannot keep anything`() throws {
        let spool = Spool(folder: "/nonexistent/spool")
        #expect(!spool.hasFiles)
        #expect(try spool.list() == Spool.Listing())
        let failure = #expect(throws: Failure.self) { try spool.put(Self.received()) }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("HOLDFAST_SPOOL_DIR") == true)
        #expect(throws: Failure.self) { try spool.check() }
    }

    @Test func `a probe of the folder leaves nothing behind`() throws {
        let folder = try Folder()
        try folder.spool.check()
        #expect(folder.files == [])
        #expect(!folder.spool.hasFiles)
    }
}
