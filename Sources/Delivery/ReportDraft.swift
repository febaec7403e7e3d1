package import Core
import Crypto
import Disk
import Glibc
package import Statements
package import Storage

/// A file of a report while it is written: on the disk, under no name, gone with this object.
///
/// It is whole before anybody sees any of it, its length is known to the store, and the database need
/// not wait for a network.
package final class ReportDraft {
    package let file: ReportFile
    private let descriptor: Descriptor
    private let folder: String
    private var hash = SHA256()
    private var bytes = 0

    /// - Parameter folder: Where there is room for it; not a file system in memory.
    /// - Throws: `report_draft` (69) with the folder and the fix.
    package init(_ file: ReportFile, folder: String) throws(Failure) {
        self.file = file
        self.folder = folder
        var path = Array("\(folder)/holdfast-report-XXXXXX".utf8CString)
        let number = mkstemp(&path)
        descriptor = Descriptor(number)
        guard descriptor.isOpen else {
            throw Self.failure(errno, folder)
        }
        unlink(path)
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    }

    package func append(_ piece: [UInt8]) throws(Failure) {
        if let problem = piece.withUnsafeBytes({ descriptor.write($0) }) {
            throw Self.failure(problem, folder)
        }
        hash.update(data: piece)
        bytes += piece.count
    }

    /// Length and checksum of what was written so far.
    package var digest: Storage.Digest {
        Storage.Digest(bytes: bytes, sha256: Hex.text(hash.finalize()))
    }

    /// Reads it from its beginning, a piece at a time.
    package func read(_ take: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        guard lseek(descriptor.number, 0, SEEK_SET) == 0 else { throw Self.failure(errno, folder) }
        var buffer = [UInt8](repeating: 0, count: 128 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { descriptor.read(into: $0) }
            guard count >= 0 else { throw Self.failure(errno, folder) }
            if count == 0 { return }
            var failure: Failure?
            buffer.withUnsafeBytes { filled in
                do throws(Failure) {
                    try take(UnsafeRawBufferPointer(rebasing: filled[..<count]))
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
    }

    /// All of its bytes.
    package func contents() throws(Failure) -> [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(bytes)
        try read { all.append(contentsOf: $0) }
        return all
    }

    /// The first of the usual places that is there: the one that was asked for, then one on a disk.
    package static func folder(_ variable: (String) -> String?) -> String {
        let places = [variable("TMPDIR"), "/var/tmp", "/tmp"].compactMap(\.self)
        return places.first { !$0.isEmpty && access($0, W_OK | X_OK) == 0 } ?? "/tmp"
    }

    private static func failure(_ number: Int32, _ folder: String) -> Failure {
        Failure(
            .unavailable, code: "report_draft",
            "the report cannot be written to \(folder): \(String(cString: strerror(number))); "
                + "make room there, or set TMPDIR to a folder that has some")
    }
}
