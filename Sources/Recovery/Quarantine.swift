import Core
import HTTP
import Jobs
import Postgres
import Storage

/// What is kept of a file that is refused, while it is read once more.
final class Keeping {
    let sink: EvidenceSink
    /// Why the file is put off then.
    let message: String
    /// Its name in the quarantine store; nil where nothing goes there.
    let name: String?
    var digest: Digest?

    init(_ sink: EvidenceSink, message: String, name: String?) {
        self.sink = sink
        self.message = message
        self.name = name
    }
}

/// What is refused, on its way into the quarantine store, and out of it when its time is over.
extension StorageMirror {
    /// Reads what the source sends once more, to keep it; false where that was done before.
    mutating func beginKeeping(
        _ landing: Landing, _ message: String, _ connection: borrowing Connection
    ) throws -> Bool {
        guard files.purpose == .delivery, landing.kept == nil,
            try !files.isKept(connection, landing.item, inStore: target.quarantine != nil)
        else { return false }
        landing.reset()
        let (upload, name) = try quarantineUpload(landing, connection)
        let sink = EvidenceSink(
            limitBytes: try files.quarantineLimit(connection), headBytes: KeptFile.headBytes,
            upload: upload)
        landing.phase = .keeping
        landing.kept = Keeping(sink, message: message, name: name)
        let tag = session.download(
            Request(
                url: landing.item.sourceURL, headers: sourceHeaders(landing.item),
                timeout: wiring.run.transferLimit, bodyLimitBytes: .max,
                egress: .publicOnly(allowing: target.egressAllow)),
            sink: sink)
        landing.tag = tag
        transfers[tag] = landing
        return true
    }

    /// The name is committed before the first byte is written, so that what a crash leaves is removed.
    private mutating func quarantineUpload(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws -> ((any Upload)?, String?) {
        guard let store = try usableQuarantine() else { return (nil, nil) }
        let name = (0..<4).map { _ in
            let part = String(chance.next() as UInt32, radix: 16)
            return String(repeating: "0", count: 8 - part.count) + part
        }.joined()
        guard try files.beginQuarantine(connection, landing.item, name) else { return (nil, nil) }
        let object = NewObject(key: ObjectKey(quarantined: name), uploadID: name, type: .bytes)
        do throws(Failure) {
            let upload = try store.begin(object, landing.session) { [desk] in
                desk.put(landing, .keepingChanged)
            }
            return (upload, name)
        } catch {
            quarantineFailed(error)
            return (nil, nil)
        }
    }

    /// The store, once it was proved in this run that it takes files.
    private mutating func usableQuarantine() throws -> (any QuarantineStore)? {
        guard let store = target.quarantine, isQuarantineUsable ?? true else { return nil }
        guard isQuarantineUsable == nil else { return store }
        do {
            // In a session of its own, whose steps take nothing from what is under way here.
            try store.check(Session(), isThorough: false)
            isQuarantineUsable = true
            return store
        } catch let failure as Failure {
            quarantineFailed(failure)
            return nil
        }
    }

    /// Trouble with the quarantine store is told once in a run, and holds up no file.
    private mutating func quarantineFailed(_ failure: Failure) {
        defer { isQuarantineUsable = false }
        guard isQuarantineUsable != false else { return }
        report.add(
            .init(
                code: "quarantine_unavailable",
                message: "what is refused is not kept in \(StorageLocation.quarantineVariable): "
                    + failure.message.replacing(
                        "HOLDFAST_STORAGE_URL", with: StorageLocation.quarantineVariable)),
            status: failure.status == .configuration ? .configuration : .unavailable)
    }

    /// What came is kept, all of it or its beginning, and the file is put off as it was to be.
    mutating func tookKept(
        _ landing: Landing, _ kept: Keeping, _ result: Result<Response, HTTPError>,
        _ connection: borrowing Connection
    ) throws {
        let isWhole =
            if case .success(let response) = result { response.status == 200 } else { false }
        if !isWhole { kept.sink.giveUp() }
        guard let upload = kept.sink.upload else {
            if let failure = kept.sink.failure { quarantineFailed(failure) }
            return try keep(landing, kept, isWhole: isWhole, isStored: false, connection)
        }
        let wanted = kept.sink.digest
        upload.finish { [desk] finished in
            switch finished {
            case .failure(let failure): desk.put(landing, .kept(.failure(failure)))
            case .success:
                upload.publish(as: upload.key) { published in
                    desk.put(landing, .kept(published.flatMap { Self.proof($0, wanted) }))
                }
            }
        }
    }

    private static func proof(_ result: PublishResult, _ wanted: Digest) -> Result<Void, Failure> {
        switch result {
        case .published: .success(())
        case .alreadyThere(let other) where other == wanted: .success(())
        case .alreadyThere, .bytesAreGone:
            .failure(
                Failure(
                    .unavailable, code: "quarantine_unavailable",
                    "the object is not there with the bytes that were written"))
        }
    }

    mutating func wasKept(
        _ landing: Landing, _ result: Result<Void, Failure>, _ connection: borrowing Connection
    ) throws {
        guard let kept = landing.kept else { return }
        if case .failure(let failure) = result {
            quarantineFailed(failure)
            kept.sink.giveUp()
        }
        let isStored = if case .success = result { true } else { false }
        try keep(landing, kept, isWhole: true, isStored: isStored, connection)
    }

    private mutating func keep(
        _ landing: Landing, _ kept: Keeping, isWhole: Bool, isStored: Bool,
        _ connection: borrowing Connection
    ) throws {
        let digest = kept.sink.digest
        let isRunnable =
            if case .refused = MediaType.accepted(first: kept.sink.head) { true } else { false }
        try files.keep(
            connection, landing.item,
            KeptFile(
                type: landing.refusedAs ?? "", sha256: digest.sha256, bytes: Int64(digest.bytes),
                isWhole: isWhole, head: kept.sink.head, isTooLarge: kept.sink.isTooLarge,
                isRunnable: isRunnable, objectName: isStored ? kept.name : nil))
        try putOff(landing, kept.message, connection)
    }

    /// Removes what was kept for long enough.
    mutating func emptyQuarantine(_ connection: borrowing Connection) throws {
        let names = try files.forgetRefused(connection)
        guard !names.isEmpty else { return }
        guard let store = target.quarantine else {
            return report.add(
                .init(
                    code: "quarantine_unset",
                    message: "\(names.count) refused files that were kept for long enough are "
                        + "still where \(StorageLocation.quarantineVariable) once led; set it "
                        + "again, so that they are removed"),
                status: .needsPerson)
        }
        let removal = session.part()
        defer { removal.cancel() }
        var gone: [String] = []
        for name in names where !wiring.shouldStop() {
            let key = ObjectKey(quarantined: name)
            var result: Result<Void, Failure>?
            store.discard(uploadID: name, key: key, removal) { discarded in
                guard case .success = discarded else { return result = discarded }
                store.remove(key, removal) { result = $0 }
            }
            session.run { result != nil || wiring.shouldStop() }
            guard case .success? = result else {
                if case .failure(let failure)? = result { quarantineFailed(failure) }
                break
            }
            gone.append(name)
        }
        try files.forgetQuarantined(connection, gone)
    }
}
