import Glibc

/// Small text files: settings and secrets.
enum TextFile {
    /// Why a file cannot be used, in words that follow its path.
    struct Problem: Error {
        var words: String
    }

    static func read(_ path: String, limitBytes: Int) throws(Problem) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw problem(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw problem(errno) }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= limitBytes else {
                throw Problem(
                    words: "is larger than the \(limitBytes) bytes that such a file may have")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw Problem(words: "is not UTF-8 text")
        }
        return text
    }

    private static func problem(_ code: Int32) -> Problem {
        Problem(words: "cannot be read: " + String(cString: strerror(code)))
    }
}
