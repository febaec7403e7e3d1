package import Core
package import HTTP

extension S3Store {
    /// Asks the server twice for the same key, and for one in parts, on the condition that nothing
    /// is there; removes what it made.
    package func tryTakenKey(_ session: Session) throws(Failure) -> TakenKey? {
        let trial = TakenKeyTrial(location, wire(session))
        let result = Result { () throws(Failure) in try trial.run() }
        trial.remove()
        return try result.get()
    }
}

/// The steps by which a server shows what it does with a key that is taken.
private final class TakenKeyTrial {
    private let wire: S3Wire
    private let name: String
    private var multipartID: String?

    private static let condition = Header("If-None-Match", "*")

    init(_ location: S3Location, _ wire: S3Wire) {
        self.wire = wire
        name = location.name(Probe.name())
    }

    func run() throws(Failure) -> TakenKey {
        let object = operation("store", "PUT", "probe")
        if case .failure(let problem) = ask(object) { throw problem.failure }
        var again = object
        again.headers.append(Self.condition)
        switch ask(again) {
        case .success: return .isOverwritten
        case .failure(let problem) where problem.isTaken: break
        case .failure(let problem):
            guard let status = problem.status, !problem.mayPass else { throw problem.failure }
            return .conditionIsRefused(
                "HTTP \(status)" + (problem.code.isEmpty ? "" : " \(problem.code)"))
        }
        return try join() ? .isOverwrittenInParts : .isRefused
    }

    /// Whether an object in parts takes the place of the other.
    private func join() throws(Failure) -> Bool {
        let begun = try text(operation("store parts of", "POST", query: [("uploads", "")]))
        multipartID = XMLText.first("UploadId", in: String(decoding: begun.body, as: UTF8.self))
        guard let multipartID else { throw unclear("no UploadId") }
        let part = try text(
            operation(
                "store parts of", "PUT", "probe in parts",
                query: [("partNumber", "1"), ("uploadId", multipartID)]))
        guard let etag = part.header("ETag") else { throw unclear("no ETag") }
        var end = operation(
            "store parts of", "POST",
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + "<Part><PartNumber>1</PartNumber><ETag>\(XMLText.escaped(etag))</ETag></Part>"
                + "</CompleteMultipartUpload>",
            query: [("uploadId", multipartID)])
        end.headers = [Header("Content-Type", "application/xml"), Self.condition]
        switch ask(end) {
        case .success:
            self.multipartID = nil
            return true
        case .failure(let problem) where problem.isTaken || problem.status == 501: return false
        case .failure(let problem): throw problem.failure
        }
    }

    /// Removes what is there; what cannot be removed is a few bytes beside the keys.
    func remove() {
        if let multipartID {
            _ = ask(operation("remove", "DELETE", query: [("uploadId", multipartID)]))
        }
        _ = ask(operation("remove", "DELETE"))
    }

    private func text(_ operation: S3Operation) throws(Failure) -> Response {
        switch ask(operation) {
        case .success(let response): return response
        case .failure(let problem): throw problem.failure
        }
    }

    private func ask(_ operation: S3Operation) -> StoreWire.Answer {
        var answer: StoreWire.Answer?
        wire.send(operation) { answer = $0 }
        wire.wire.session.run { answer != nil }
        return answer ?? .failure(StoreProblem(unclear: "nothing", "try", at: wire.location.words))
    }

    private func operation(
        _ action: String, _ method: String, _ text: String? = nil,
        query: [(name: String, value: String)] = []
    ) -> S3Operation {
        var operation = S3Operation(
            action: "\(action) a probe object", method: method, name: name, query: query, text: text
        )
        operation.timeout = .seconds(20)
        if text != nil { operation.headers = [Header("Content-Type", "text/plain")] }
        return operation
    }

    private func unclear(_ what: String) -> Failure {
        StoreProblem(unclear: what, "store parts of a probe object", at: wire.location.words)
            .failure
    }
}
