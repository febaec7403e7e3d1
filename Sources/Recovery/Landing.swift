import Core
import HTTP
import Jobs
import Storage

/// One result file between the provider and the store.
///
/// The first bytes are held back until its type is known and its key is committed; from then on
/// they stream.
final class Landing: DownloadSink {
    enum Phase {
        /// Waiting for enough bytes to tell the type.
        case head
        /// The type can be told; the transfer is paused until the upload is open.
        case ready
        case streaming
    }

    var item: FileItem
    var phase = Phase.head
    var head: [UInt8] = []
    /// The whole file was shorter than what the type needs.
    var hasEnded = false
    var declaredType: String?
    var key: ObjectKey?
    var upload: (any Upload)?
    /// Follows the file from its first byte, once its type is known.
    var check: TruncationCheck?
    var received: Int64 = 0
    let limitBytes: Int64
    /// Why writing stopped, when it was the store that failed.
    var storeFailure: Failure?
    var exceedsLimit = false
    /// The source was shown our key, so that a refusal may be about the key.
    var showsKey = false
    /// The source was refreshed in this run; another refusal of it is final.
    var wasRefreshed = false

    init(_ item: FileItem, limitBytes: Int64) {
        self.item = item
        self.limitBytes = limitBytes
    }

    /// Whether the source's refusal can mean that the file is gone.
    ///
    /// A refused key says nothing about the file, as long as the file should still be there.
    func isGone(by status: Int) -> Bool {
        guard showsKey, status == 401 || status == 403 else { return true }
        return item.sourceExpiresAt.map { $0 < item.now } ?? false
    }

    /// Back to the start, for a fresh transfer of the same file.
    func reset() {
        upload?.cancel()
        upload = nil
        check = nil
        phase = .head
        head = []
        hasEnded = false
        declaredType = nil
        received = 0
    }

    func began(status: Int, headers: [Header]) -> Bool {
        declaredType = headers.first(named: "Content-Type")
        return status == 200
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer {
        switch phase {
        case .ready:
            return .pause
        case .head:
            head.append(contentsOf: bytes)
            received += Int64(bytes.count)
            if head.count >= MediaType.sampleBytes { phase = .ready }
            return .taken
        case .streaming:
            guard received + Int64(bytes.count) <= limitBytes else {
                exceedsLimit = true
                return .stop
            }
            do {
                try upload?.write(bytes)
            } catch {
                storeFailure = error
                return .stop
            }
            check?.take(bytes)
            received += Int64(bytes.count)
            return .taken
        }
    }

    /// Opens the upload and writes what was held back.
    func open(_ store: any ObjectStore, key: ObjectKey, uploadID: String) throws(Failure) {
        let upload = try store.begin(key: key, uploadID: uploadID)
        var failure: Failure?
        head.withUnsafeBytes { bytes in
            check?.take(bytes)
            do throws(Failure) { try upload.write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        self.key = key
        self.upload = upload
        head = []
        phase = .streaming
    }
}
