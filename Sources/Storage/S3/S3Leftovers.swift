package import Core
package import HTTP

/// Uploads in parts that nobody will complete: they cost money, and no listing of objects shows them.
extension S3Store {
    package func discard(
        uploadID: String?, key: ObjectKey, _ session: Session,
        then: @escaping (Result<Void, Failure>) -> Void
    ) {
        let wire = wire(session)
        // The lease on the file is ours, so whatever is under way at its keys is dead.
        let name = location.name(key)
        list(wire, prefix: name) { result in
            switch result {
            case .failure(let failure): then(.failure(failure))
            case .success(let uploads):
                abort(uploads.filter { $0.name == name }[...], wire, then)
            }
        }
    }

    package func discardAll(
        begunBefore instant: Instant, _ session: Session,
        then: @escaping (Result<Int, Failure>) -> Void
    ) {
        let wire = wire(session)
        list(wire, prefix: location.prefix.isEmpty ? "" : location.prefix + "/") { result in
            switch result {
            case .failure(let failure): then(.failure(failure))
            case .success(let uploads):
                let old = uploads.filter { upload in
                    location.key(upload.name) != nil
                        && upload.begun.map { $0 < instant } ?? false
                }
                abort(old[...], wire) { then($0.map { old.count }) }
            }
        }
    }

    struct Leftover {
        var name: String
        var uploadID: String
        var begun: Instant?
    }

    private func list(
        _ wire: S3Wire, prefix: String, after place: [(name: String, value: String)] = [],
        _ found: [Leftover] = [], then: @escaping (Result<[Leftover], Failure>) -> Void
    ) {
        let operation = S3Operation(
            action: "list uploads under way", method: "GET", name: nil,
            query: [("uploads", ""), ("prefix", prefix)] + place)
        wire.send(operation) { answer in
            switch answer {
            // Some servers have no empty list to give.
            case .failure(let problem) where problem.isMissing: then(.success(found))
            case .failure(let problem): then(.failure(problem.failure))
            case .success(let response):
                let text = String(decoding: response.body, as: UTF8.self)
                let found = found + XMLText.all("Upload", in: text).compactMap(Self.leftover)
                let next = [
                    ("key-marker", "NextKeyMarker"), ("upload-id-marker", "NextUploadIdMarker"),
                ]
                .compactMap { marker in
                    XMLText.first(marker.1, in: text).map { (name: marker.0, value: $0) }
                }
                guard XMLText.first("IsTruncated", in: text) == "true", !next.isEmpty else {
                    return then(.success(found))
                }
                list(wire, prefix: prefix, after: next, found, then: then)
            }
        }
    }

    private static func leftover(_ text: String) -> Leftover? {
        guard let name = XMLText.first("Key", in: text),
            let uploadID = XMLText.first("UploadId", in: text)
        else { return nil }
        return Leftover(
            name: name, uploadID: uploadID,
            begun: XMLText.first("Initiated", in: text).flatMap { Instant(dateAndTime: $0) })
    }

    private func abort(
        _ uploads: ArraySlice<Leftover>, _ wire: S3Wire,
        _ then: @escaping (Result<Void, Failure>) -> Void
    ) {
        guard let first = uploads.first else { return then(.success(())) }
        let operation = S3Operation(
            action: "give up an upload of \(first.name)", method: "DELETE", name: first.name,
            query: [("uploadId", first.uploadID)])
        wire.send(operation) { answer in
            if case .failure(let problem) = answer, !problem.isMissing {
                return then(.failure(problem.failure))
            }
            abort(uploads.dropFirst(), wire, then)
        }
    }
}
