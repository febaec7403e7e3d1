internal import Glibc

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

    var isOpen: Bool { number >= 0 }

    var isRegularFile: Bool {
        var status = stat()
        return fstat(number, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Bytes of the file; nil when that cannot be found out.
    var size: Int? {
        var status = stat()
        return fstat(number, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Writes all bytes; the errno when that failed.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(number, piece.baseAddress, piece.count)
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

    /// Bytes read, zero at the end, negative with errno set on failure.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = Glibc.read(number, buffer.baseAddress, buffer.count)
            if count >= 0 || errno != EINTR { return count }
        }
    }

    /// Makes what was written durable; the errno when that failed.
    func sync() -> Int32? {
        guard fsync(number) != 0 else { return nil }
        // Some file systems have no such call for folders; they have nothing to make durable.
        return errno == EINVAL ? nil : errno
    }
}
