internal import Crypto
package import HTTP
package import Core

/// Reads what is refused, as evidence: its digest and its beginning, and all of it into an upload
/// where there is one.
package final class EvidenceSink: DownloadSink {
    private let limitBytes: Int64
    private let headBytes: Int
    private var hash = SHA256()
    private var bytes = 0
    package private(set) var head: [UInt8] = []
    /// Takes all of it; nil where nothing does.
    package private(set) var upload: (any Upload)?
    /// Why the upload took no more.
    package private(set) var failure: Failure?
    /// The download was ended because of its size.
    package private(set) var isTooLarge = false

    /// - Parameters:
    ///   - limitBytes: More than that ends the download.
    ///   - headBytes: So many of the first bytes are kept.
    package init(limitBytes: Int64, headBytes: Int, upload: (any Upload)? = nil) {
        self.limitBytes = limitBytes
        self.headBytes = headBytes
        self.upload = upload
    }

    /// Of all bytes that were taken.
    package var digest: Digest { Digest(bytes: bytes, sha256: Hex.text(hash.finalize())) }

    package func began(status: Int, headers: [Header]) -> Bool { status == 200 }

    package func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        guard Int64(bytes) + Int64(piece.count) <= limitBytes else {
            isTooLarge = true
            return .stop
        }
        do throws(Failure) {
            if case .full? = try upload?.write(piece) { return .pause }
        } catch {
            giveUp(error)
        }
        hash.update(bufferPointer: piece)
        head += piece.prefix(max(0, headBytes - head.count))
        bytes += piece.count
        return .taken
    }

    /// Stores nothing more, and removes what was; digest and beginning are still read.
    package func giveUp(_ reason: Failure? = nil) {
        failure = failure ?? reason
        upload?.cancel()
        upload = nil
    }
}
