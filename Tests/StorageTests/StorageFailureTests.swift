import Core
import Disk
import Foundation
import Testing

@testable import Storage

/// Ends a child process as failed, after its folders have been removed.
private struct Unexpected: Error {}

@Suite(.timeLimit(.minutes(1)))
struct StorageFailureTests {
    let scratch: ScratchFolder
    let key = ObjectKey(
        account: "acct", kind: .image, jobID: "job", ordinal: 0, fileExtension: "png")

    init() throws { scratch = try ScratchFolder() }

    @Test func checkCreatesTheFolderAndLeavesNoTrace() throws {
        let store = FileStore(root: scratch.path + "/a/b/c")
        try store.check()
        try store.check()
        #expect(scratch.contents == ["a", "a/b", "a/b/c"])
        #expect(scratch.mode("a/b/c") == 0o755)
    }

    @Test func aRootThatIsNotThereIsNotCreatedByAnUpload() throws {
        let store = FileStore(root: scratch.path + "/unmounted")
        let failure = #expect(throws: Failure.self) { try store.begin(key: key, uploadID: "u") }
        #expect(failure?.status == .configuration)
        #expect(failure?.code == "storage_unwritable")
        #expect(failure?.message.contains("mounted") == true)
        #expect(throws: Failure.self) { try store.find(key) }
        #expect(scratch.contents.isEmpty)
    }

    @Test(arguments: ["", "/below", "/far/below"])
    func aFileInPlaceOfTheFolderIsUnwritable(_ below: String) throws {
        try scratch.write("x", at: "file")
        let path = scratch.path + "/file" + below
        let failure = #expect(throws: Failure.self) { try FileStore(root: path).check() }
        #expect(failure?.status == .configuration)
        #expect(failure?.code == "storage_unwritable")
        #expect(failure?.message.contains(scratch.path + "/file") == true)
    }

    @Test func aPlaceThatTakesNoFilesIsUnwritable() {
        let failure = #expect(throws: Failure.self) {
            try FileStore(root: "/proc/holdfast").check()
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.code == "storage_unwritable")
        #expect(failure?.message.contains("/proc/holdfast") == true)
    }

    @Test func aFolderOfSomebodyElseIsUnwritable() async {
        await #expect(processExitsWith: .success) {
            let scratch = try ScratchFolder()
            chmod(scratch.path, 0o555)
            // Root may write everywhere, so the check is made as nobody.
            if geteuid() == 0 { _ = seteuid(65_534) }
            var found: Failure?
            do throws(Failure) { try FileStore(root: scratch.path).check() } catch { found = error }
            _ = seteuid(getuid())
            chmod(scratch.path, 0o755)
            guard let found, found.status == .configuration, found.code == "storage_unwritable",
                found.message.contains(scratch.path), found.message.contains("mode 0555"),
                found.message.contains("chown"), scratch.contents.isEmpty
            else { throw Unexpected() }
        }
    }

    @Test func aFullDiskInTheMiddleOfAWrite() throws {
        // Writing to this device fails as on a full disk, for root and in containers too.
        let store = FileStore(root: scratch.path)
        let upload = FileUpload(
            store: store, key: key, folder: Descriptor(open(scratch.path, O_RDONLY)),
            file: Descriptor(open("/dev/full", O_WRONLY)), temporaryName: ".u.part")
        let failure = #expect(throws: Failure.self) { try upload.write("abc") }
        #expect(failure?.status == .unavailable)
        #expect(failure?.code == "disk_full")
        #expect(failure?.message.contains(scratch.path) == true)
        #expect(failure?.message.contains("No space left") == true)
    }

    @Test func anUploadThatMeetsALimitFailsAndLeavesNothing() async {
        await #expect(processExitsWith: .success) {
            let scratch = try ScratchFolder()
            let key = ObjectKey(
                account: "a", kind: .image, jobID: "j", ordinal: 0, fileExtension: "png")
            let store = FileStore(root: scratch.path)
            var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
            guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
                throw Unexpected()
            }
            var codes: [String] = []
            do {
                let upload = try store.begin(key: key, uploadID: "u")
                let piece = [UInt8](repeating: 1, count: 60_000)
                for _ in 0..<3 { try piece.withUnsafeBytes { try upload.append($0) } }
            } catch let failure as Failure { codes.append(failure.code) }
            limit.rlim_cur = 100
            guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else {
                throw Unexpected()
            }
            do throws(Failure) { try store.check() } catch { codes.append(error.code) }
            guard codes == ["disk_full", "disk_full"], scratch.files.isEmpty else {
                throw Unexpected()
            }
        }
    }

    @Test(arguments: [
        (ENOSPC, "disk_full", Core.ExitStatus.unavailable), (EDQUOT, "disk_full", .unavailable),
        (EFBIG, "disk_full", .unavailable), (EACCES, "storage_unwritable", .configuration),
        (EPERM, "storage_unwritable", .configuration),
        (EROFS, "storage_unwritable", .configuration),
        (ELOOP, "storage_unwritable", .configuration), (EIO, "storage_unavailable", .unavailable),
        (ESTALE, "storage_unavailable", .unavailable),
        (EMFILE, "storage_unavailable", .unavailable),
    ])
    func theKindOfFailure(_ number: Int32, _ code: String, _ status: Core.ExitStatus) {
        let failure = FileStore(root: "/srv/x").failure(number, "write to", "/srv/x")
        #expect(failure.code == code)
        #expect(failure.status == status)
        #expect(failure.message.hasPrefix("cannot write to /srv/x: "))
    }

    @Test(arguments: ["acct", "acct/image"])
    func aLinkInsideTheTreeIsNotFollowed(_ name: String) throws {
        let outside = try ScratchFolder()
        if name.contains("/") { mkdir(scratch.path + "/acct", 0o755) }
        symlink(outside.path, scratch.path + "/" + name)
        let store = FileStore(root: scratch.path)
        #expect(throws: Failure.self) { try store.begin(key: key, uploadID: "u") }
        #expect(throws: Failure.self) { try store.find(key) }
        #expect(throws: Failure.self) { try store.discard(uploadID: "u", key: key) }
        #expect(outside.contents.isEmpty)
    }

    @Test func aLinkInPlaceOfTheObjectIsNeitherFollowedNorReplaced() throws {
        let outside = try ScratchFolder()
        try outside.write("precious", at: "file")
        let store = FileStore(root: scratch.path)
        let upload = try store.begin(key: key, uploadID: "u")
        symlink(outside.path + "/file", scratch.path + "/acct/image/job_0.png")
        try upload.write("new")
        _ = try upload.finish()
        #expect(throws: Failure.self) { try upload.publish() }
        #expect(throws: Failure.self) { try store.find(key) }
        #expect(outside.read("file") == Array("precious".utf8))
    }

    @Test func aPipeInPlaceOfTheObjectDoesNotHoldUpTheRun() throws {
        let store = FileStore(root: scratch.path)
        _ = try store.begin(key: key, uploadID: "u")
        mkfifo(scratch.path + "/acct/image/job_0.png", 0o644)
        let failure = #expect(throws: Failure.self) { try store.find(key) }
        #expect(failure?.code == "storage_unwritable")
    }

    @Test func theRootMayBeALink() throws {
        let outside = try ScratchFolder()
        symlink(outside.path, scratch.path + "/root")
        let store = FileStore(root: scratch.path + "/root")
        try store.check()
        #expect(try store.store("abc", at: key) == .published)
        #expect(outside.files == ["acct/image/job_0.png"])
    }

    @Test(arguments: [
        ("file:///var/lib/holdfast/assets", "/var/lib/holdfast/assets"),
        ("FILE:///srv/x/", "/srv/x"), ("file://localhost/srv//x", "/srv/x"),
        ("file:///srv/my%20files", "/srv/my files"), ("file:///srv/my files", "/srv/my files"),
        ("file:///srv/%C3%A9", "/srv/é"),
    ])
    func readsALocation(_ url: String, _ path: String) throws {
        let location = try StorageLocation.parse(url)
        #expect(location == .folder(path))
        let store = try location.store(clock: { Instant(unixSeconds: 0) }) { _ throws(Failure) in
            nil
        }
        #expect((store as? FileStore)?.root == path)
    }

    @Test(arguments: [
        "", "/srv/x", "file:", "file:/srv/x", "file://", "file:///", "file://host/x", "file:srv",
        "file:///a/../b", "file:///a/./b", "file:///a/%2e%2e/b", "file:///a%00b", "file:///a%2",
        "file:///a%zz", "file:///a?x=secret", "file:///a#secret", "file:///%ff",
        "https://user:secret@host/", "gs://secret/",
    ])
    func refusesALocation(_ url: String) {
        let failure = #expect(throws: Failure.self) { try StorageLocation.parse(url) }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("HOLDFAST_STORAGE_URL") == true)
        #expect(failure?.message.contains("file:///") == true)
        #expect(failure?.message.contains("secret") == false)
    }
}
