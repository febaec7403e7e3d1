import Glibc

/// A file descriptor with one owner, or the absence of one after a failed open.
struct Descriptor: ~Copyable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit {
        // The caller of a failed open reads errno after this value has come and gone.
        guard number >= 0 else { return }
        let before = errno
        close(number)
        errno = before
    }

    struct Problem: Error {
        var number: Int32
    }

    var isOpen: Bool { number >= 0 }

    /// Bytes of a regular file; nil for anything else.
    var regularSize: Int? {
        var status = stat()
        guard fstat(number, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// Writes all bytes; the errno when that failed.
    func write(_ bytes: [UInt8]) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count == 0 {
                return EIO
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }

    /// Reads from here to the end, `size` bytes at most.
    func readAll(_ size: Int) -> Result<[UInt8], Problem> {
        var bytes = [UInt8](repeating: 0, count: size)
        var filled = 0
        while filled < size {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(number, $0.baseAddress.map { $0 + filled }, size - filled)
            }
            if count > 0 {
                filled += count
            } else if count == 0 {
                break
            } else if errno != EINTR {
                return .failure(Problem(number: errno))
            }
        }
        bytes.removeLast(size - filled)
        return .success(bytes)
    }

    /// Makes what was written durable; the errno when that failed.
    func sync() -> Int32? {
        guard fsync(number) != 0 else { return nil }
        // Some file systems have no such call for folders; they have nothing to make durable.
        return errno == EINVAL ? nil : errno
    }
}
