package import Core
package import HTTP

/// Objects in a bucket of an S3-compatible server.
package struct S3Store: ObjectStore {
    let location: S3Location
    private let signer: SigV4
    private let clock: @Sendable () -> Instant

    /// - Parameter clock: The machine's, never shifted: servers refuse signatures of another time.
    package init(
        _ location: S3Location, _ signer: SigV4, clock: @escaping @Sendable () -> Instant
    ) {
        self.location = location
        self.signer = signer
        self.clock = clock
    }

    func wire(_ session: Session) -> S3Wire {
        S3Wire(location, signer, session, clock: clock)
    }

    package func keepsInMemory(_ object: NewObject) -> Bool {
        object.bytes.map { $0 <= Int64(S3Part.size(for: $0)) } ?? false
    }

    package func begin(
        _ object: NewObject, _ session: Session, whenChanged: @escaping () -> Void
    ) throws(Failure) -> any Upload {
        let part = session.part()
        return PartUpload(
            S3Carrier(object, wire(part), tidying: wire(session)), object, part,
            whenChanged: whenChanged)
    }

    package func find(
        _ key: ObjectKey, _ session: Session, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        wire(session).find(key, progress: progress, then: then)
    }

    package func glance(
        at key: ObjectKey, _ session: Session,
        then: @escaping (Result<ObjectGlance?, Failure>) -> Void
    ) {
        var operation = S3Operation(
            action: "look at \(key)", method: "HEAD", name: location.name(key))
        if location.profile.checksum == .sha256 {
            operation.headers = [Header("x-amz-checksum-mode", "ENABLED")]
        }
        wire(session).send(operation) { [location] answer in
            switch answer {
            case .failure(let problem) where problem.isMissing: then(.success(nil))
            case .failure(let problem): then(.failure(problem.failure))
            case .success(let head):
                then(
                    ObjectGlance.read(head, "look at \(key)", at: location.words).map { glance in
                        // That of an object in parts is made of theirs, and ends in their number.
                        let told = head.header("x-amz-checksum-sha256").flatMap {
                            $0.contains("-") ? nil : Base64.bytes($0)
                        }
                        let isWhole = head.header("x-amz-checksum-type") != "COMPOSITE"
                        return ObjectGlance(
                            bytes: glance.bytes, sha256: isWhole ? told.map(Hex.text) : nil)
                    })
            }
        }
    }

    package func url(for key: ObjectKey, publicBaseURL: String?) -> String {
        location.url(
            for: key,
            below: publicBaseURL ?? "\(location.scheme)://\(location.host)\(location.path(nil))")
    }

    /// A link to a private object that anybody may read it by, for at most seven days.
    package func link(to key: ObjectKey, expires: Duration, _ session: Session) -> String? {
        wire(session).link(location.name(key), expires: expires)
    }

    package func check(_ session: Session, isThorough: Bool) throws(Failure) {
        let wire = wire(session)
        let name = location.name(Probe.name())
        func step(_ action: String, _ method: String, _ text: String? = nil) -> Probe.Step {
            var operation = S3Operation(
                action: "\(action) a probe object", method: method, name: name, text: text)
            operation.timeout = .seconds(20)
            if text != nil { operation.headers = [Header("Content-Type", "text/plain")] }
            return { [operation] in wire.send(operation, then: $0) }
        }
        try Probe(
            session: session, store: step("store", "PUT", "probe"), read: step("read", "GET"),
            remove: step("remove", "DELETE"),
            // A key that may not list is not told that nothing is there.
            isSilence: { $0.code == "AccessDenied" }
        ).run(isThorough: isThorough)
    }
}
