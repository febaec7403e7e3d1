package import Core
internal import Disk
internal import Glibc

extension StateFolder: MarkerPlace {
    package var words: String { "state folder \(root)" }

    package func read(_ name: MarkerName) throws(Failure) -> Marker {
        do throws(Descriptor.Problem) {
            switch try file(name).read(limitBytes: Marker.limitBytes) {
            case .absent: return .absent
            case .bytes(let bytes): return .bytes(bytes)
            case .tooLarge: return .tooLarge
            }
        } catch {
            throw failure(error.number, "read", name)
        }
    }

    package func writeIfAbsent(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) -> Bool {
        try write(name, bytes, replacing: false)
    }

    package func overwrite(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) {
        _ = try write(name, bytes, replacing: true)
    }

    private func write(
        _ name: MarkerName, _ bytes: [UInt8], replacing: Bool
    ) throws(Failure) -> Bool {
        do throws(Descriptor.Problem) {
            return try file(name).write(bytes, replacing: replacing)
        } catch {
            throw failure(error.number, "write", name)
        }
    }

    private func file(_ name: MarkerName) -> SmallFile {
        SmallFile(root: root, folder: MarkerName.folder, name: name.fileName)
    }

    /// The failure for an errno; a full disk goes by itself, and the rest does not.
    private func failure(_ number: Int32, _ action: String, _ name: MarkerName) -> Failure {
        var buffer = [CChar](repeating: 0, count: 128)
        let reason =
            strerror_r(number, &buffer, buffer.count) == 0
            ? String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
            : "error \(number)"
        let what = "cannot \(action) \(root)/\(name): \(reason)"
        guard ![ENOSPC, EDQUOT, EIO, ESTALE].contains(number) else {
            return Failure(
                .unavailable,
                code: number == EIO || number == ESTALE ? "state_unavailable" : "disk_full",
                "\(what); free space there, or correct \(Self.variable); the next run tries again")
        }
        return Failure(
            .configuration, code: "state_unwritable",
            "\(what); give the folder to uid \(geteuid()), or correct \(Self.variable)")
    }
}
