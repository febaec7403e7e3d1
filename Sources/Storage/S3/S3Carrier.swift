import Core
import Crypto
import HTTP

/// Takes the parts of a large file as a multipart upload, and joins them when it is published.
final class S3Carrier: PartCarrier {
    let partBytes: Int
    let holdsLastBack = false
    private let key: ObjectKey
    private let type: MediaType
    private let wire: S3Wire
    /// What is begun in vain is removed by this one, also when the upload was cancelled.
    private let tidying: S3Wire

    private typealias Waiting = (part: Part, then: (StoreProblem?) -> Void)
    /// In order: held back until the store has given the upload its id, and its turn comes.
    private var held: [Waiting] = []
    /// The store's name for the upload in parts; nil while there is none.
    private var multipartID: String?
    private var isCreating = false
    /// Numbers of the parts that the store has not answered for.
    private var underWay: Set<Int> = []
    private var receipts: [Int: PartReceipt] = [:]

    init(_ object: NewObject, _ wire: S3Wire, tidying: S3Wire) {
        key = object.key
        type = object.type
        self.wire = wire
        self.tidying = tidying
        partBytes = S3Part.size(for: object.bytes)
    }

    var place: String { wire.location.words }
    var isCreateOnly: Bool { wire.location.isCreateOnly }
    var sums: Part.Sums { checksum == .md5 ? .md5 : .sha256 }
    private var checksum: S3Profile.Checksum { wire.location.profile.checksum }

    private var checksSHA256: Bool { checksum == .sha256 }

    /// Said with the first byte, because nothing of it can be changed later.
    private var contentHeaders: [Header] {
        [
            Header("Content-Type", type.contentType),
            Header("Content-Disposition", type.disposition),
            Header("Cache-Control", type.cacheControl),
        ]
    }

    private var createOnly: [Header] { isCreateOnly ? [Header("If-None-Match", "*")] : [] }

    // MARK: Parts

    func carry(_ part: Part, then: @escaping (StoreProblem?) -> Void) {
        held.append((part, then))
        multipartID == nil ? create() : sendHeld()
    }

    private func create() {
        guard !isCreating else { return }
        isCreating = true
        var operation = operation("begin to store \(key)", "POST", key)
        operation.query = [("uploads", "")]
        operation.headers = contentHeaders
        if checksSHA256 { operation.headers.append(Header("x-amz-checksum-algorithm", "SHA256")) }
        let learn: (StoreWire.Answer) -> Void = { [self] answer in
            guard case .success(let response) = answer else { return }
            multipartID = XMLText.first(
                "UploadId", in: String(decoding: response.body, as: UTF8.self))
        }
        // Whoever asked may have given up meanwhile, and this must be undone then.
        wire.send(operation, late: learn) { [self] answer in
            isCreating = false
            learn(answer)
            switch answer {
            case .failure(let problem): failHeld(problem)
            case .success where multipartID == nil: failHeld(unclear("no UploadId"))
            case .success: sendHeld()
            }
        }
    }

    /// Sends what may go now.
    ///
    /// A store that appends parts to one file answers for the part in front once it has caught up
    /// with those behind it, which it never has while more keep coming.
    private func sendHeld() {
        guard let multipartID else { return }
        while let first = held.first,
            first.part.number < (underWay.min() ?? first.part.number) + S3Part.lead
        {
            send(held.removeFirst(), multipartID)
        }
    }

    private func failHeld(_ problem: StoreProblem) {
        let failing = held
        held = []
        for waiting in failing { waiting.then(problem) }
    }

    private func send(_ waiting: Waiting, _ multipartID: String) {
        let part = waiting.part
        guard part.number <= S3Part.most else {
            return waiting.then(unclear("more than \(S3Part.most) parts of \(partBytes) bytes"))
        }
        underWay.insert(part.number)
        var operation = operation("store part \(part.number) of \(key)", "PUT", key)
        operation.query = [("partNumber", "\(part.number)"), ("uploadId", multipartID)]
        operation.headers = part.headers(checksum)
        operation.part = part
        wire.send(operation) { [self] answer in
            underWay.remove(part.number)
            waiting.then(problem(answer, part))
            sendHeld()
        }
    }

    /// Keeps the receipt for a part; what is wrong with the answer, if anything is.
    private func problem(_ answer: StoreWire.Answer, _ part: Part) -> StoreProblem? {
        switch answer {
        case .failure(let problem): return problem
        case .success(let response):
            guard let etag = response.header("ETag") else { return unclear("no ETag") }
            receipts[part.number] = PartReceipt(
                etag: etag, checksum: checksSHA256 ? part.checksum : nil)
            return nil
        }
    }

    /// Removes what the store has of the upload; a failure leaves it to the next claim's search.
    func giveUp() {
        held = []
        guard let multipartID else { return }
        var operation = operation("give up an upload of \(key)", "DELETE", key)
        operation.query = [("uploadId", multipartID)]
        tidying.send(operation) { _ in }
    }

    // MARK: Publishing

    func publish(
        _ last: Part?, as wanted: ObjectKey, _ digest: Digest,
        then: @escaping (StoreWire.Answer) -> Void
    ) {
        wire.send(multipartID.map(join) ?? whole(last, wanted), then: then)
    }

    private func whole(_ part: Part?, _ wanted: ObjectKey) -> S3Operation {
        var operation = operation("store \(wanted)", "PUT", wanted)
        operation.headers = contentHeaders + createOnly + (part?.headers(checksum) ?? [])
        operation.part = part
        if part == nil { operation.text = "" }
        return operation
    }

    private func join(_ multipartID: String) -> S3Operation {
        let parts = receipts.sorted { $0.key < $1.key }.map { number, receipt in
            "<Part><PartNumber>\(number)</PartNumber><ETag>\(XMLText.escaped(receipt.etag))</ETag>"
                + (receipt.checksum.map { "<ChecksumSHA256>\($0)</ChecksumSHA256>" } ?? "")
                + "</Part>"
        }
        var operation = operation("store \(key)", "POST", key)
        operation.query = [("uploadId", multipartID)]
        operation.headers = [Header("Content-Type", "application/xml")] + createOnly
        operation.text =
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + parts.joined() + "</CompleteMultipartUpload>"
        operation.timeout = .seconds(900)
        return operation
    }

    func find(
        _ wanted: ObjectKey, then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        wire.find(wanted, progress: { _ in }, then: then)
    }

    func look(at wanted: ObjectKey, then: @escaping (StoreWire.Answer) -> Void) {
        var operation = operation("look at \(wanted)", "HEAD", wanted)
        if checksSHA256 { operation.headers = [Header("x-amz-checksum-mode", "ENABLED")] }
        wire.send(operation, then: then)
    }

    func isContradicted(by head: Response, _ only: Part) -> Bool {
        only.isConfirmed(by: head, checksum) == false
    }

    func isProved(by answer: Response, _ only: Part?) -> Bool {
        if let only { return only.isConfirmed(by: answer, checksum) == true }
        // The ETag of a joined object is made of those of its parts, in order; each was checked.
        var hash = Insecure.MD5()
        for receipt in receipts.sorted(by: { $0.key < $1.key }) {
            guard let md5 = Hex.bytes(receipt.value.etag.filter { $0 != "\"" }), md5.count == 16
            else { return false }
            hash.update(data: md5)
        }
        let told = XMLText.first("ETag", in: String(decoding: answer.body, as: UTF8.self))
        let expected = Hex.text(hash.finalize()) + "-\(receipts.count)"
        return told.map { $0.filter { $0 != "\"" }.lowercased() == expected } ?? false
    }

    // MARK: Words

    private func operation(_ action: String, _ method: String, _ key: ObjectKey) -> S3Operation {
        S3Operation(action: action, method: method, name: wire.location.name(key))
    }

    private func unclear(_ what: String) -> StoreProblem {
        StoreProblem(unclear: what, "store \(key)", at: place)
    }
}
