import Foundation
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

extension Upload {
    func write(_ text: String) throws {
        var text = text
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
    }
}

extension ObjectStore {
    /// Stores a text from beginning to end.
    func store(_ text: String, at key: ObjectKey, uploadID: String = UUID().uuidString) throws
        -> PublishResult
    {
        let upload = try begin(key: key, uploadID: uploadID)
        try upload.write(text)
        _ = try upload.finish()
        return try upload.publish()
    }
}
