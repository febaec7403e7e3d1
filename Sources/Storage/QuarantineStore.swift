package import Core
internal import Disk
internal import Glibc
package import HTTP

/// A store for what was refused, which nobody else reads: its objects are read back.
package protocol QuarantineStore: ObjectStore {
    /// Where the bytes of an object come from; nil when there is none, as far as that is known yet.
    func source(of key: ObjectKey, _ session: Session) throws(Failure) -> ObjectSource?
}

/// Where the bytes of an object come from.
package enum ObjectSource {
    case file(FileReader)
    /// To be sent at once; it holds a signature.
    case request(Request)
}

/// A file that is read from its beginning to its end.
package final class FileReader {
    private let file: Descriptor

    init(_ file: consuming Descriptor) { self.file = file }

    /// How many bytes were read; 0 at the end, less when that failed.
    package func read(into buffer: UnsafeMutableRawBufferPointer) -> Int { file.read(into: buffer) }
}

extension ObjectKey {
    /// The key of a refused file, whose name tells nothing of it.
    package init(quarantined name: String) {
        self.init(document: name, fileExtension: MediaType.bytes.fileExtension)
    }
}

extension FileStore: QuarantineStore {
    package func source(of key: ObjectKey, _ session: Session) throws(Failure) -> ObjectSource? {
        guard let folder = try openFolder(of: key, creating: false),
            let file = try openObject(key, in: folder)
        else { return nil }
        return .file(FileReader(file))
    }

    package func remove(
        _ key: ObjectKey, _ session: Session, then: @escaping (Result<Void, Failure>) -> Void
    ) {
        then(
            Result { () throws(Failure) in
                guard let folder = try openFolder(of: key, creating: false),
                    unlinkat(folder.number, key.fileName, 0) != 0
                else { return }
                let number = errno
                if number != ENOENT { throw failure(number, "remove a file in", root) }
            })
    }
}

extension S3Store: QuarantineStore {
    private static let linkLife = Duration.seconds(3600)

    package func source(of key: ObjectKey, _ session: Session) throws(Failure) -> ObjectSource? {
        guard let link = link(to: key, expires: Self.linkLife, session) else { return nil }
        return .request(Request(url: link, timeout: Self.linkLife, bodyLimitBytes: .max))
    }

    package func remove(
        _ key: ObjectKey, _ session: Session, then: @escaping (Result<Void, Failure>) -> Void
    ) {
        let operation = S3Operation(
            action: "remove \(key)", method: "DELETE", name: location.name(key))
        wire(session).send(operation) { answer in
            switch answer {
            case .failure(let problem) where !problem.isMissing: then(.failure(problem.failure))
            case .failure, .success: then(.success(()))
            }
        }
    }
}

extension StorageLocation {
    /// The variable that names the quarantine.
    package static let quarantineVariable = "HOLDFAST_QUARANTINE_URL"

    /// Reads the address of a store for what was refused, which lies outside the one for files.
    ///
    /// Throws `storage_url_invalid` and `quarantine_is_public` (78).
    package static func quarantine(
        _ url: String, beside files: StorageLocation
    ) throws(Failure) -> StorageLocation {
        let place: StorageLocation
        do throws(Failure) {
            place = try parse(url)
        } catch {
            throw error.naming(quarantineVariable)
        }
        if case .supabase = place {
            throw Failure(
                .configuration, code: "storage_url_invalid",
                "\(quarantineVariable) takes a folder or an S3 bucket; set it to "
                    + "file:///var/lib/holdfast/quarantine or to s3://bucket/prefix?endpoint=...")
        }
        guard place.isOutside(files) else {
            throw Failure(
                .configuration, code: "quarantine_is_public",
                "\(quarantineVariable) names \(place.words), which is where HOLDFAST_STORAGE_URL puts "
                    + "customers' files, or a part of it; what was refused must lie where nobody "
                    + "reads it: set it to another \(place.noun)")
        }
        return place
    }

    /// The store at this place; the same credentials as for files.
    package func quarantineStore(
        clock: @escaping @Sendable () -> Instant,
        variable: (String) throws(Failure) -> String?
    ) throws(Failure) -> any QuarantineStore {
        do throws(Failure) {
            let store = try store(clock: clock, variable: variable)
            guard let store = store as? any QuarantineStore else {
                throw Failure(
                    .configuration, code: "storage_url_invalid",
                    "HOLDFAST_STORAGE_URL names no folder and no S3 bucket")
            }
            return store
        } catch {
            throw error.naming(Self.quarantineVariable)
        }
    }

    private var noun: String { if case .folder = self { "folder" } else { "bucket" } }

    private func isOutside(_ other: StorageLocation) -> Bool {
        switch (self, other) {
        case (.folder(let path), .folder(let files)):
            return !Self.isBelow(Self.resolved(path), Self.resolved(files))
        case (.s3(let place), .s3(let files)):
            guard place.words.lowercased() == files.words.lowercased() else { return true }
            return !files.prefix.isEmpty && !Self.isBelow(place.prefix, files.prefix)
        default: return true
        }
    }

    private static func isBelow(_ path: String, _ root: String) -> Bool {
        path == root || path.hasPrefix(root + "/")
    }

    /// The path without symbolic links, as far as there is something at it.
    private static func resolved(_ path: String) -> String {
        var parts = path.split(separator: "/").map(String.init)
        var rest: [String] = []
        while true {
            if let found = realpath("/" + parts.joined(separator: "/"), nil) {
                defer { free(found) }
                let text = String(cString: found)
                return ([text == "/" ? "" : text] + rest).joined(separator: "/")
            }
            guard let last = parts.popLast() else { return path }
            rest.insert(last, at: 0)
        }
    }
}

extension Failure {
    /// The same about the variable that names the quarantine.
    fileprivate func naming(_ variable: String) -> Failure {
        Failure(status, code: code, message.replacing("HOLDFAST_STORAGE_URL", with: variable))
    }
}
