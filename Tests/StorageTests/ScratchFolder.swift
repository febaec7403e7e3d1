import Core
import Foundation
import HTTP
import Storage
import Testing

/// A folder of its own for a test, gone with the value.
final class ScratchFolder {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("holdfast-storage-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Every file and folder below, hidden ones too, in order.
    var contents: [String] {
        (FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []).sorted()
    }

    var files: [String] {
        contents.filter { name in
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: path + "/" + name, isDirectory: &isFolder)
            return exists && !isFolder.boolValue
        }
    }

    func write(_ text: String, at name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
    }

    func read(_ name: String) -> [UInt8] {
        FileManager.default.contents(atPath: path + "/" + name).map(Array.init) ?? []
    }

    func mode(_ name: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path + "/" + name)
        return (attributes?[.posixPermissions] as? Int) ?? -1
    }
}

/// Waits for what a handler is told.
private func told<Value>(
    _ session: Session, _ ask: (@escaping (Result<Value, Failure>) -> Void) -> Void
) throws -> Value {
    var answer: Result<Value, Failure>?
    ask { answer = $0 }
    session.run { answer != nil }
    return try #require(answer).get()
}

// One thing after the other, as no run does it and every test needs it.

extension Upload {
    func write(_ text: String, _ session: Session? = nil) throws {
        var text = text
        try text.withUTF8 { try append(UnsafeRawBufferPointer($0), session) }
    }

    func append(_ bytes: UnsafeRawBufferPointer, _ session: Session? = nil) throws {
        while case .full = try write(bytes) { _ = session?.step(wait: .seconds(1)) }
    }

    func finish(_ session: Session) throws -> Digest { try told(session) { finish(then: $0) } }

    func publish(as other: ObjectKey? = nil, _ session: Session) throws -> PublishResult {
        try told(session) { publish(as: other ?? key, then: $0) }
    }

    // A folder answers at once.
    func finish() throws -> Digest { try finish(Session()) }
    func publish(as other: ObjectKey? = nil) throws -> PublishResult {
        try publish(as: other, Session())
    }
}

extension ObjectStore {
    func check() throws(Failure) {
        do { try check(Session(), isThorough: true) } catch let failure as Failure {
            throw failure
        } catch { throw Failure(.defect, code: "session", "no session") }
    }

    func begin(
        key: ObjectKey, uploadID: String, bytes: Int? = nil, _ session: Session? = nil
    ) throws -> any Upload {
        let type = MediaType(contentType: "video/mp4", fileExtension: "mp4")
        return try begin(
            NewObject(key: key, uploadID: uploadID, type: type, bytes: bytes.map(Int64.init)),
            session ?? Session(), whenChanged: {})
    }

    func find(_ key: ObjectKey, in session: Session? = nil) throws -> StoredObject? {
        let session = try session ?? Session()
        return try told(session) { find(key, session, then: $0) }
    }

    func discard(uploadID: String?, key: ObjectKey, in session: Session? = nil) throws {
        let session = try session ?? Session()
        try told(session) { discard(uploadID: uploadID, key: key, session, then: $0) }
    }

    func discardAll(begunBefore instant: Instant, in session: Session) throws -> Int {
        try told(session) { discardAll(begunBefore: instant, session, then: $0) }
    }

    /// Stores a text from beginning to end.
    func store(_ text: String, at key: ObjectKey, uploadID: String = UUID().uuidString) throws
        -> PublishResult
    {
        let session = try Session()
        let upload = try begin(key: key, uploadID: uploadID, session)
        try upload.write(text)
        _ = try upload.finish(session)
        return try upload.publish(session)
    }
}
