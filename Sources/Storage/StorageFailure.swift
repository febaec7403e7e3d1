internal import Core
internal import Glibc

extension FileStore {
    /// The failure for an errno: what was tried, where, and what to do about it.
    func failure(_ number: Int32, _ action: String, _ path: String) -> Failure {
        let reason = Self.text(number)
        switch number {
        case ENOSPC, EDQUOT, EFBIG:
            return Failure(
                .unavailable, code: "disk_full",
                "cannot \(action) \(path): \(reason); free space there or raise the quota,"
                    + " the next run goes on")
        case EACCES, EPERM, EROFS, EOPNOTSUPP, ENOTDIR, ELOOP, ENOENT, EISDIR, EEXIST, ENAMETOOLONG:
            return Failure(
                .configuration, code: "storage_unwritable",
                "cannot \(action) \(path): \(reason); \(advice(number, path))")
        default:
            return Failure(
                .unavailable, code: "storage_unavailable",
                "cannot \(action) \(path): \(reason); the next run tries again")
        }
    }

    private func advice(_ number: Int32, _ path: String) -> String {
        let user = "uid \(geteuid())"
        switch number {
        case ENOENT:
            return "is the volume mounted? Create the folder for \(user), or run holdfast doctor"
        case EOPNOTSUPP:
            return "HOLDFAST_STORAGE_URL must name a folder on a file system that has hard links"
        case EROFS:
            return
                "mount it for writing again; do not point HOLDFAST_STORAGE_URL to another folder,"
                + " or what was stored before is not found"
        case ENOTDIR, ELOOP, EISDIR, EEXIST:
            return "something that is not a folder is in its place; move it away"
        case ENAMETOOLONG:
            return "HOLDFAST_STORAGE_URL must name a shorter path"
        default: break
        }
        // Where the folder itself is not there yet, its nearest parent is what refuses.
        var nearest = path
        var status = stat()
        while stat(nearest, &status) != 0, let slash = nearest.lastIndex(of: "/"),
            slash != nearest.startIndex
        {
            nearest = String(nearest[..<slash])
        }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        let advice =
            Self.shared.contains(nearest)
            ? "create \(root) and give it to \(user), and leave \(nearest) as it is"
            : "give it to \(user) with chown; once files are stored there, leave"
                + " HOLDFAST_STORAGE_URL as it is"
        return "\(nearest) belongs to uid \(status.st_uid) gid \(status.st_gid), mode 0\(mode);"
            + " \(advice)"
    }

    /// Folders of the system, which belong to no program.
    private static let shared: Set<String> = [
        "", "/", "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr",
        "/var", "/var/lib",
    ]

    private static func text(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    }
}
