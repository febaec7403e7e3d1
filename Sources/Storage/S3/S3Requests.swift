import Core
import Crypto
import HTTP

/// What an upload asks of the server.
extension S3Upload {
    private var name: String { wire.location.name(key) }

    /// Said with the first byte, because nothing of it can be changed later.
    private func contentHeaders() -> [Header] {
        [
            Header("Content-Type", object.type.contentType),
            Header("Content-Disposition", object.type.disposition),
            Header("Cache-Control", MediaType.cacheControl),
        ]
    }

    private var usesSHA256: Bool { wire.location.profile.checksum == .sha256 }

    // MARK: Parts

    func create() {
        guard multipartID == nil, !isCreating else { return }
        isCreating = true
        var operation = S3Operation(
            action: "begin to store \(key)", method: "POST", name: name, query: [("uploads", "")])
        operation.headers = contentHeaders()
        if usesSHA256 { operation.headers.append(Header("x-amz-checksum-algorithm", "SHA256")) }
        // Whoever asked may have been cancelled meanwhile, and this must be undone then.
        wire.send(operation) { [self] answer in
            isCreating = false
            switch answer {
            case .failure(let problem): fail(problem)
            case .success(let response):
                multipartID = XMLText.first(
                    "UploadId", in: String(decoding: response.body, as: UTF8.self))
                guard multipartID != nil else { return fail(unclear("no UploadId")) }
                stage == .over ? abort() : sendHeld()
            }
        }
    }

    func sendHeld() {
        guard let multipartID else { return }
        for part in held { send(part, multipartID) }
        held = []
    }

    private func send(_ part: S3Part, _ multipartID: String) {
        guard part.number <= S3Part.most else {
            return fail(
                unclear("more than \(S3Part.most) parts of \(partBytes) bytes"))
        }
        partsUnderWay += 1
        var operation = S3Operation(
            action: "store part \(part.number) of \(key)", method: "PUT", name: name,
            query: [("partNumber", "\(part.number)"), ("uploadId", multipartID)])
        operation.headers = part.checksumHeaders
        operation.body = (part.body, Hex.text(part.sha256))
        wire.send(operation) { [self] answer in
            partsUnderWay -= 1
            if stage == .over {
                // The part may have come after the upload was given up, and costs money there.
                if partsUnderWay == 0 { abort() }
                return
            }
            switch answer {
            case .failure(let problem): fail(problem)
            case .success(let response):
                guard let etag = response.header("ETag"), !part.isContradicted(by: response) else {
                    return fail(unclear("another checksum than was sent"))
                }
                etags[part.number] = PartReceipt(
                    etag: etag, sha256: usesSHA256 ? Base64.encode(part.sha256) : nil)
                finishIfComplete()
            }
        }
    }

    /// Gives up what the store keeps of the upload; a failure leaves it to the next claim's search.
    func abort() {
        guard let multipartID, partsUnderWay == 0 else { return }
        let operation = S3Operation(
            action: "give up an upload of \(key)", method: "DELETE", name: name,
            query: [("uploadId", multipartID)])
        wire.send(operation) { _ in }
    }

    // MARK: Publishing

    func publish(as wanted: ObjectKey, then: @escaping (Result<PublishResult, Failure>) -> Void) {
        guard stage == .finished, let digest, wanted.isAlternative(of: key) else {
            return then(.failure(misuse("publish")))
        }
        guard multipartID == nil || wanted == key else { return then(.success(.bytesAreGone)) }
        stage = .publishing
        let end: (Result<PublishResult, Failure>) -> Void = { [self] result in
            switch result {
            case .success(.published): stage = .over
            default: stage = stage == .over ? .over : .finished
            }
            then(result)
        }
        guard !wire.location.profile.isCreateOnly else { return put(wanted, digest, end) }
        // The server would overwrite; the lease keeps every other run of ours away meanwhile.
        look(wanted) { [self] found in
            switch found {
            case .failure(let failure): end(.failure(failure))
            case .success(let other?): end(.success(.alreadyThere(other)))
            case .success(nil): put(wanted, digest, end)
            }
        }
    }

    private func put(
        _ wanted: ObjectKey, _ digest: Digest,
        _ end: @escaping (Result<PublishResult, Failure>) -> Void
    ) {
        let operation = multipartID == nil ? whole(wanted) : join()
        wire.send(operation) { [self] answer in
            switch answer {
            case .success(let response): confirm(wanted, digest, response.header("ETag"), end)
            case .failure(let problem) where problem.isTaken || problem.isMissing:
                // Taken, or joined by an attempt of ours whose answer was lost.
                look(wanted) { found in
                    switch found {
                    case .failure(let failure): end(.failure(failure))
                    case .success(let there?): end(.success(.alreadyThere(there)))
                    case .success(nil):
                        // R2 forgets the upload when its last step is refused.
                        end(problem.isTaken ? .success(.bytesAreGone) : .failure(problem.failure))
                    }
                }
            case .failure(let problem): end(.failure(problem.failure))
            }
        }
    }

    private func whole(_ wanted: ObjectKey) -> S3Operation {
        var operation = S3Operation(
            action: "store \(wanted)", method: "PUT", name: wire.location.name(wanted))
        operation.headers = contentHeaders() + createOnly
        if let part = held.first {
            operation.headers += part.checksumHeaders
            operation.body = (part.body, Hex.text(part.sha256))
        } else {
            operation.text = ""
        }
        return operation
    }

    private func join() -> S3Operation {
        let parts = etags.sorted { $0.key < $1.key }.map { number, receipt in
            "<Part><PartNumber>\(number)</PartNumber><ETag>\(XMLText.escaped(receipt.etag))</ETag>"
                + (receipt.sha256.map { "<ChecksumSHA256>\($0)</ChecksumSHA256>" } ?? "")
                + "</Part>"
        }
        var operation = S3Operation(
            action: "store \(key)", method: "POST", name: name,
            query: [("uploadId", multipartID ?? "")],
            headers: [Header("Content-Type", "application/xml")] + createOnly,
            text: "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + parts.joined() + "</CompleteMultipartUpload>")
        operation.timeout = .seconds(900)
        return operation
    }

    private var createOnly: [Header] {
        wire.location.profile.isCreateOnly ? [Header("If-None-Match", "*")] : []
    }

    // MARK: Looking

    /// Proves that the store has what was sent: its length, and its checksum where it tells one.
    private func confirm(
        _ wanted: ObjectKey, _ digest: Digest, _ etag: String?,
        _ end: @escaping (Result<PublishResult, Failure>) -> Void
    ) {
        var operation = S3Operation(
            action: "look at \(wanted)", method: "HEAD", name: wire.location.name(wanted))
        if usesSHA256 { operation.headers = [Header("x-amz-checksum-mode", "ENABLED")] }
        wire.send(operation) { [self] answer in
            switch answer {
            case .failure(let problem): end(.failure(problem.failure))
            case .success(let head):
                let isWhole = multipartID == nil
                let sum = isWhole ? head.header("x-amz-checksum-sha256") : nil
                let expected = held.first.map { Base64.encode($0.sha256) }
                guard head.header("Content-Length").flatMap({ Int($0) }) == digest.bytes,
                    sum == nil || sum == expected
                else {
                    return end(
                        .failure(
                            Failure(
                                .unavailable, code: "stored_object_differs",
                                "\(wanted) in \(wire.location.words) has another length or"
                                    + " checksum than was sent; look at it, and at what is between")
                        ))
                }
                held = []
                end(.success(.published))
            }
        }
    }

    /// What is at a key, read whole.
    private func look(
        _ wanted: ObjectKey, then: @escaping (Result<Digest?, Failure>) -> Void
    ) {
        let operation = S3Operation(
            action: "look for \(wanted)", method: "HEAD", name: wire.location.name(wanted))
        wire.send(operation) { [self] answer in
            switch answer {
            case .failure(let problem) where problem.isMissing: then(.success(nil))
            case .failure(let problem): then(.failure(problem.failure))
            case .success:
                store.find(wanted, wire.session) { then($0.map { $0?.digest }) }
            }
        }
    }

    private func unclear(_ what: String) -> S3Problem {
        S3Problem(
            status: nil, code: "",
            failure: Failure(
                .unavailable, code: "storage_unavailable",
                "cannot store \(key): \(wire.location.words) answered with \(what);"
                    + " the next run tries again"),
            mayPass: false, retryAfter: nil)
    }
}
