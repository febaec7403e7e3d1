internal import Crypto
package import HTTP
internal import Core

/// Reads what is not stored, as evidence: its digest and its beginning.
package final class EvidenceSink: DownloadSink {
    private let limitBytes: Int64
    private let headBytes: Int
    private var hash = SHA256()
    private var bytes = 0
    package private(set) var head: [UInt8] = []

    /// - Parameters:
    ///   - limitBytes: More than that ends the download.
    ///   - headBytes: So many of the first bytes are kept.
    package init(limitBytes: Int64, headBytes: Int) {
        self.limitBytes = limitBytes
        self.headBytes = headBytes
    }

    /// Of all bytes that were taken.
    package var digest: Digest { Digest(bytes: bytes, sha256: Hex.text(hash.finalize())) }

    package func began(status: Int, headers: [Header]) -> Bool { status == 200 }

    package func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        guard Int64(bytes) + Int64(piece.count) <= limitBytes else { return .stop }
        hash.update(bufferPointer: piece)
        head += piece.prefix(max(0, headBytes - head.count))
        bytes += piece.count
        return .taken
    }
}
