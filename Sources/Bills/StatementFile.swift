package import Core
import Crypto
internal import Disk
import Glibc

/// A file with a provider's lines, which is read more than once.
package struct StatementFile: ~Copyable {
    /// As people named it; `-` is standard input.
    package let name: String
    private let descriptor: Descriptor

    private static let pieceBytes = 65_536
    package static let limitBytes = 4 << 30

    /// Opens a file; standard input and pipes are copied to a file without a name first.
    ///
    /// - Parameter path: `-` for standard input.
    /// - Throws: `no_such_file` (66) when it cannot be read.
    package init(_ path: String) throws(Failure) {
        name = path == "-" ? "standard input" : path
        let source = Descriptor(path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC))
        guard source.isOpen else { throw Self.failure(name, errno) }
        if source.isRegularFile {
            descriptor = source
            return
        }
        descriptor = try Self.copy(source, name)
    }

    private static func copy(
        _ source: borrowing Descriptor, _ name: String
    ) throws(Failure) -> Descriptor {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((folder + "/holdfast-usage.XXXXXX").utf8CString)
        let copy = Descriptor(mkstemp(&template))
        guard copy.isOpen else {
            throw Failure(
                .unavailable, code: "no_temporary_file",
                "\(name) cannot be kept in \(folder): \(String(cString: strerror(errno))); make "
                    + "room there, or set TMPDIR to a folder that can be written")
        }
        unlink(template)
        var total = 0
        var piece = [UInt8](repeating: 0, count: pieceBytes)
        while true {
            let count = piece.withUnsafeMutableBytes { source.read(into: $0) }
            guard count >= 0 else { throw failure(name, errno) }
            if count == 0 { break }
            total += count
            guard total <= limitBytes else { throw tooLarge(name) }
            let problem = piece.withUnsafeBytes {
                copy.write(UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            if let problem {
                throw Failure(
                    .unavailable, code: "no_temporary_file",
                    "\(name) cannot be kept in \(folder): \(String(cString: strerror(problem)))")
            }
        }
        return copy
    }

    /// Reads the file from its start to its end.
    ///
    /// - Parameter take: Gets one piece after the other.
    /// - Returns: the SHA-256 of all of it, in hex.
    package borrowing func read(_ take: (ArraySlice<UInt8>) throws -> Void) throws -> String {
        guard lseek(descriptor.number, 0, SEEK_SET) == 0 else { throw Self.failure(name, errno) }
        var digest = SHA256()
        var total = 0
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        while true {
            let count = piece.withUnsafeMutableBytes { descriptor.read(into: $0) }
            guard count >= 0 else { throw Self.failure(name, errno) }
            if count == 0 { break }
            total += count
            guard total <= Self.limitBytes else { throw Self.tooLarge(name) }
            digest.update(data: piece[..<count])
            try take(piece[..<count])
        }
        return Digests.hex(digest.finalize())
    }

    private static func failure(_ name: String, _ number: Int32) -> Failure {
        Failure(
            .notFound, code: "no_such_file",
            "\(name) cannot be read: \(String(cString: strerror(number))); check the path and the "
                + "file's permissions")
    }

    private static func tooLarge(_ name: String) -> Failure {
        Failure(
            .needsPerson, code: "usage_file",
            "\(name) is larger than \(limitBytes) bytes; split it")
    }
}

enum Digests {
    static func hex(_ digest: some Sequence<UInt8>) -> String { Hex.text(digest) }

    /// SHA-256 of fields, each with its length so that no two lists of them look alike.
    static func of(_ fields: [String]) -> SHA256.Digest {
        var digest = SHA256()
        for field in fields { digest.update(data: Array("\(field.utf8.count):\(field)".utf8)) }
        return digest.finalize()
    }

    /// The first eight bytes, for tables that have to be small.
    static func short(_ digest: SHA256.Digest) -> UInt64 {
        digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
