package import Core
import Crypto
import Glibc

/// A body as it arrived.
package struct ArrivedBody: Sendable {
    package var bytes: [UInt8]
    /// Set when the bytes are not all of it.
    package var whole: WholeBody?
}

/// Reads a body from a descriptor: as much as was announced, as much as may be kept, as long as
/// somebody is sending.
package struct BodyReader: Sendable {
    /// What is read at most to learn the digest of a body too long to be kept.
    private static let readLimitBytes = 1 << 30

    private let keptLimitBytes: Int
    /// How long a client may be silent, and how long it may take in all; nil for a person's pipe.
    private let patience: (silence: Duration, total: Duration)?

    /// For a web server, which has received the body before it starts us, or nearly so.
    package static let gateway = BodyReader(patience: (.seconds(10), .seconds(60)))
    /// For a pipe that ends.
    package static let pipe = BodyReader(patience: nil)

    package init(
        keptLimitBytes: Int = ReceivedCallback.bodyLimitBytes,
        patience: (silence: Duration, total: Duration)?
    ) {
        self.keptLimitBytes = keptLimitBytes
        self.patience = patience
    }

    /// - Parameter announced: How many bytes there should be; no more than that is read, as the
    ///   standard for CGI demands. Nil reads to the end.
    package func read(_ descriptor: Int32, announced: Int?) -> ArrivedBody {
        var kept: [UInt8] = []
        var hash = SHA256()
        var count = 0
        var hasEnded = false
        let limit = min(announced ?? .max, Self.readLimitBytes)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let deadline = patience.map { ContinuousClock.now + $0.total }
        while count < limit, isReady(descriptor, until: deadline) {
            let wanted = min(chunk.count, limit - count)
            let got = chunk.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, wanted)
            }
            if got < 0 && errno == EINTR { continue }
            hasEnded = got == 0
            guard got > 0 else { break }
            chunk.withUnsafeBytes { hash.update(bufferPointer: .init(rebasing: $0[..<got])) }
            if kept.count < keptLimitBytes {
                kept += chunk[..<min(got, keptLimitBytes - kept.count)]
            }
            count += got
        }
        let isComplete = announced.map { count == $0 } ?? hasEnded
        guard !isComplete || count > kept.count else { return ArrivedBody(bytes: kept) }
        return ArrivedBody(
            bytes: kept,
            whole: WholeBody(
                bytes: Int64(max(announced ?? count, count)),
                sha256: isComplete ? Array(hash.finalize()) : nil))
    }

    private func isReady(_ descriptor: Int32, until deadline: ContinuousClock.Instant?) -> Bool {
        guard let patience, let deadline else { return true }
        let rest = min(ContinuousClock.now.duration(to: deadline), patience.silence)
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&entry, 1, Int32(clamping: max(rest.milliseconds, 0)))
            if ready < 0 && errno == EINTR { continue }
            return ready != 0
        }
    }
}
