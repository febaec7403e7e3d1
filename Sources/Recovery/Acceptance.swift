import Core
import HTTP
package import Jobs
import Postgres
import Storage

/// A refused file that a person wants delivered all the same.
package struct Acceptance: Sendable {
    package var item: FileItem
    /// The digest that its bytes must have.
    package var sha256: String
    /// Its name in the quarantine store; nil where it is not there.
    package var objectName: String?

    package init(item: FileItem, sha256: String, objectName: String?) {
        self.item = item
        self.sha256 = sha256
        self.objectName = objectName
    }
}

extension Landing {
    /// Whether all of the file came.
    func isAll(_ result: Result<Response, HTTPError>) -> Bool {
        if case .success(let response) = result { response.status == 200 } else { false }
    }
}

/// Refused files on their way from the quarantine store to a customer.
extension StorageMirror {
    /// Begins to read the file from the quarantine store; false where it is to come from its source.
    mutating func fetchFromQuarantine(_ landing: Landing) -> Bool {
        landing.isFromQuarantine = false
        guard let name = acceptance?.objectName, let store = target.quarantine,
            !landing.isQuarantineOver
        else { return false }
        landing.reset()
        let source: ObjectSource?
        do throws(Failure) {
            source = try store.source(of: ObjectKey(quarantined: name), session)
        } catch {
            wiring.tell("file \(landing.item.name): \(error.message)")
            source = nil
        }
        switch source {
        case nil:
            landing.isQuarantineOver = true
            return false
        case .file(let reader):
            landing.feed = (reader, [])
            _ = landing.began(status: 200, headers: [])
        case .request(let request):
            let tag = session.download(request, sink: landing)
            landing.tag = tag
            transfers[tag] = landing
        }
        landing.isFromQuarantine = true
        return true
    }

    /// Goes on with the source itself.
    mutating func leaveQuarantine(_ landing: Landing, _ reason: String) {
        wiring.tell("file \(landing.item.name): \(reason); it is fetched from its source")
        landing.isQuarantineOver = true
        landing.feed = nil
        landing.reset()
        fetch(landing)
    }

    private static let pieceBytes = 1 << 20

    /// Moves files of the quarantine folder on, each until it is to wait.
    mutating func feedFiles(_ connection: borrowing Connection) throws {
        for landing in landings.values {
            while let feed = landing.feed, landing.phase == .head || landing.phase == .streaming {
                var piece = feed.rest
                if piece.isEmpty {
                    piece = [UInt8](repeating: 0, count: Self.pieceBytes)
                    let count = piece.withUnsafeMutableBytes { feed.reader.read(into: $0) }
                    guard count >= 0 else {
                        leaveQuarantine(landing, "the quarantine folder cannot be read")
                        break
                    }
                    guard count > 0 else {
                        landing.feed = nil
                        try sourceEnded(landing, connection)
                        break
                    }
                    piece.removeLast(piece.count - count)
                }
                let answer = piece.withUnsafeBytes { landing.receive($0) }
                guard case .taken = answer else {
                    landing.feed = (feed.reader, piece)
                    if case .stop = answer { try stopped(landing, connection) }
                    break
                }
                landing.feed = (feed.reader, [])
            }
        }
    }

    private mutating func stopped(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws {
        landing.feed = nil
        if let failure = landing.storeFailure {
            return try storeFailed(landing, failure, connection)
        }
        try refuse(
            landing, "too_large",
            "it is larger than max_file_bytes (\(landing.limitBytes) bytes); raise it with holdfast "
                + "policy set max_file_bytes", connection)
    }

    /// The bytes are others than those that the person named.
    mutating func otherBytes(
        _ landing: Landing, _ digest: Digest, _ connection: borrowing Connection
    ) throws {
        landing.upload?.cancel()
        if landing.isFromQuarantine {
            return leaveQuarantine(landing, "the quarantine store has other bytes")
        }
        try refuse(
            landing, "digest_differs",
            "what its source sends now has sha256 \(digest.sha256), which is not the one given",
            connection)
    }

    /// Ends an acceptance without a delivery: the file stays refused.
    mutating func refuse(
        _ landing: Landing, _ code: String, _ reason: String, _ connection: borrowing Connection
    ) throws {
        report.add(
            .init(
                jobID: landing.item.jobID, code: code,
                message: "file \(landing.item.ordinal) was not accepted: \(reason)"),
            status: .needsPerson)
        try putOff(landing, reason, connection)
    }
}
