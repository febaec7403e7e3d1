package import Core
package import HTTP

/// Objects in a bucket of Supabase Storage, by its own interface rather than its S3 one.
///
/// A key that is taken is refused there, which its S3 interface overwrites.
package struct SupabaseStore: ObjectStore {
    let location: SupabaseLocation
    private let serviceKey: String

    /// - Parameter serviceKey: The project's `service_role` key, or a secret key.
    package init(_ location: SupabaseLocation, serviceKey: String) {
        self.location = location
        self.serviceKey = serviceKey
    }

    func site(_ session: Session) -> SupabaseSite {
        SupabaseSite(location, serviceKey: serviceKey, session)
    }

    package func keepsInMemory(_ object: NewObject) -> Bool {
        object.bytes.map { $0 <= Int64(SupabaseCarrier.onlyPartBytes) } ?? false
    }

    package func begin(
        _ object: NewObject, _ session: Session, whenChanged: @escaping () -> Void
    ) throws(Failure) -> any Upload {
        let part = session.part()
        return PartUpload(
            SupabaseCarrier(object, site(part), tidying: site(session)), object, part,
            whenChanged: whenChanged)
    }

    package func find(
        _ key: ObjectKey, _ session: Session, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        site(session).find(key, progress: progress, then: then)
    }

    package func glance(
        at key: ObjectKey, _ session: Session,
        then: @escaping (Result<ObjectGlance?, Failure>) -> Void
    ) {
        let site = site(session)
        let address = location.object(location.name(key), "authenticated/")
        let action = "look at \(key)"
        site.wire.send(action, { site.request("HEAD", address) }) { [location] answer in
            switch answer {
            // What is wrong stands in a body, which this answer has not.
            case .failure(let problem) where problem.status == 400 || problem.isMissing:
                site.find(key, progress: { _ in }) { found in
                    then(
                        found.map { object in
                            object.map {
                                ObjectGlance(bytes: $0.digest.bytes, sha256: $0.digest.sha256)
                            }
                        })
                }
            case .failure(let problem): then(.failure(problem.failure))
            case .success(let head):
                then(ObjectGlance.read(head, action, at: location.words).map(Optional.some))
            }
        }
    }

    package func remove(
        _ key: ObjectKey, _ session: Session, then: @escaping (Result<Void, Failure>) -> Void
    ) {
        let site = site(session)
        let address = location.object(location.name(key))
        site.wire.send("remove \(key)", { site.request("DELETE", address) }) { answer in
            switch answer {
            case .failure(let problem) where !problem.isMissing: then(.failure(problem.failure))
            case .failure, .success: then(.success(()))
            }
        }
    }

    /// Does nothing: what a crash left cannot be listed, is visible to nobody, and goes in a day.
    package func discard(
        uploadID: String?, key: ObjectKey, _ session: Session,
        then: @escaping (Result<Void, Failure>) -> Void
    ) { then(.success(())) }

    /// Does nothing, like `discard`.
    package func discardAll(
        begunBefore instant: Instant, _ session: Session,
        then: @escaping (Result<Int, Failure>) -> Void
    ) { then(.success(0)) }

    /// Without a base URL it is an address that works if the bucket is a public one.
    package func url(for key: ObjectKey, publicBaseURL: String?) -> String {
        location.url(for: key, below: publicBaseURL ?? location.publicAddress)
    }

    package func check(_ session: Session, isThorough: Bool) throws(Failure) {
        let site = site(session)
        let name = location.name(Probe.name())
        func step(_ action: String, _ request: @escaping () -> Request) -> Probe.Step {
            return { site.wire.send("\(action) a probe object", request, then: $0) }
        }
        try Probe(
            session: session,
            store: step("store") {
                site.request(
                    "POST", location.object(name), [Header("Content-Type", "text/plain")],
                    text: "probe")
            },
            read: step("read") { site.request("GET", location.object(name, "authenticated/")) },
            remove: step("remove") { site.request("DELETE", location.object(name)) },
            isSilence: { _ in false }
        ).run(isThorough: isThorough)
    }
}

/// A bucket of Supabase Storage in one session, with the key that proves who asks.
struct SupabaseSite {
    let location: SupabaseLocation
    let wire: StoreWire
    private let serviceKey: String

    init(_ location: SupabaseLocation, serviceKey: String, _ session: Session) {
        self.location = location
        self.serviceKey = serviceKey
        wire = StoreWire(session, place: location.words) { response, action in
            StoreProblem(supabase: response, action, location)
        }
    }

    /// Reads an object back, all of it; nil when there is none.
    func find(
        _ key: ObjectKey, progress: @escaping (Int) -> Void,
        then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        let address = location.object(location.name(key), "authenticated/")
        let sink = DigestSink(progress)
        wire.download("read \(key)", into: sink, { request("GET", address) }) {
            then(sink.object(key, $0))
        }
    }

    func request(
        _ method: String, _ address: String, _ headers: [Header] = [], text: String? = nil
    ) -> Request {
        Request(
            method: method, url: address,
            headers: headers + [
                // Keys of the new kind are looked for in the first, the old ones in the second.
                Header("apikey", serviceKey), Header("Authorization", "Bearer \(serviceKey)"),
                // Secret keys are refused to whatever looks like a browser.
                Header("User-Agent", "holdfast"),
            ],
            body: text.map { Array($0.utf8) }, timeout: .seconds(300),
            // A piece counts from where the last one ended, so that no second one may follow unasked.
            isRepeatable: method != "PATCH")
    }
}
