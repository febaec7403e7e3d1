internal import Glibc

/// A file descriptor with one owner, or the absence of one after a failed open.
package struct Descriptor: ~Copyable {
    package let number: Int32

    package init(_ number: Int32) { self.number = number }

    deinit {
        // The caller of a failed open reads errno after this value has come and gone.
        guard number >= 0 else { return }
        let before = errno
        close(number)
        errno = before
    }

    /// An errno.
    package struct Problem: Error {
        package var number: Int32
    }

    package var isOpen: Bool { number >= 0 }

    package var isRegularFile: Bool {
        var status = stat()
        return fstat(number, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Bytes of the file; nil when that cannot be found out.
    package var size: Int? {
        var status = stat()
        return fstat(number, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Writes all bytes; the errno when that failed.
    package func write(_ bytes: UnsafeRawBufferPointer) -> Int32? {
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
    package func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = Glibc.read(number, buffer.baseAddress, buffer.count)
            if count >= 0 || errno != EINTR { return count }
        }
    }

    /// Reads from here to the end, `size` bytes at most.
    package func readAll(_ size: Int) -> Result<[UInt8], Problem> {
        var bytes = [UInt8](repeating: 0, count: size)
        var filled = 0
        while filled < size {
            let count = bytes.withUnsafeMutableBytes {
                read(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
            }
            if count < 0 { return .failure(Problem(number: errno)) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(size - filled)
        return .success(bytes)
    }

    /// Makes what was written durable; the errno when that failed.
    package func sync() -> Int32? {
        guard fsync(number) != 0 else { return nil }
        // Some file systems have no such call for folders; they have nothing to make durable.
        return errno == EINVAL ? nil : errno
    }
}
