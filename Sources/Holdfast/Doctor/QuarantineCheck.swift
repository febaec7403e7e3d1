import Assembly
import Core
import HTTP
import Recovery
import Runner
import Storage

/// Whether what is refused is kept, and by nobody's address to be had.
extension Checkup {
    private static let quarantine = "quarantine"

    mutating func quarantine(_ settings: Settings) {
        look(Self.quarantine) { checks in
            let variable = StorageLocation.quarantineVariable
            guard try settings.value(variable) != nil else {
                return checks.ok(
                    Self.quarantine,
                    "\(variable) is not set: of a refused file the first 64 KiB are kept, in the "
                        + "database")
            }
            let files = try StorageLocation.parse(
                settings.require(
                    "HOLDFAST_STORAGE_URL",
                    fix: "set it to file:///var/lib/holdfast/assets or the like"))
            guard let (place, store) = try MirrorTarget.quarantine(settings, beside: files) else {
                return
            }
            let session = try Session()
            try store.check(session, isThorough: true)
            let base = try settings.value("HOLDFAST_PUBLIC_BASE_URL")
            let probe = try QuarantineProbe(store, session)
            defer { probe.remove() }
            if let address = probe.addresses(place, base).first(where: probe.isServed) {
                return checks.fail(
                    Self.quarantine,
                    "anybody can read what is in \(place.words): it is served at "
                        + "\(address.prefix { $0 != "?" })",
                    "set \(variable) to a place that no address leads to, or close that one")
            }
            checks.ok(
                Self.quarantine,
                "\(place.words): a file was stored and removed, and no public address led to it")
        }
    }
}

/// A small object that is looked for at public addresses.
private struct QuarantineProbe {
    private let store: any QuarantineStore
    private let session: Session
    private let key: ObjectKey
    private let text: [UInt8]

    init(_ store: any QuarantineStore, _ session: Session) throws(Failure) {
        var chance = SystemRandomNumberGenerator()
        let name = "probe-" + String(chance.next() as UInt64, radix: 36)
        self.store = store
        self.session = session
        key = ObjectKey(quarantined: name)
        text = Array("holdfast \(name)".utf8)
        let upload = try store.begin(
            NewObject(key: key, uploadID: name, type: .bytes, bytes: Int64(text.count)), session,
            whenChanged: {})
        var taken = Result<WriteAnswer, Failure>.success(.taken)
        text.withUnsafeBytes { bytes in
            taken = Result { () throws(Failure) in try upload.write(bytes) }
        }
        _ = try taken.get()
        _ = try Self.told(session) { upload.finish(then: $0) }
        _ = try Self.told(session) { upload.publish(as: upload.key, then: $0) }
    }

    /// Where it would be, if the public addresses led to it.
    func addresses(_ place: StorageLocation, _ base: String?) -> [String] {
        var all: [String] = []
        if var base {
            all.append(store.url(for: key, publicBaseURL: base))
            while base.hasSuffix("/") { base.removeLast() }
            all.append("\(base)/\(key)")
        }
        if case .s3 = place { all.append(store.url(for: key, publicBaseURL: nil)) }
        return all
    }

    /// Whether its bytes are had at an address, without any key.
    func isServed(_ address: String) -> Bool {
        let tag = session.start(Request(url: address, timeout: .seconds(10)))
        var answer: Result<Response, HTTPError>?
        while answer == nil {
            answer = session.step(wait: .seconds(1)).first { $0.tag == tag }?.result
        }
        guard case .success(let response)? = answer else { return false }
        return response.status == 200 && response.body == text
    }

    func remove() {
        _ = try? Self.told(session) { store.remove(key, session, then: $0) }
    }

    private static func told<Value>(
        _ session: Session, _ ask: (@escaping (Result<Value, Failure>) -> Void) -> Void
    ) throws(Failure) -> Value {
        var answer: Result<Value, Failure>?
        ask { answer = $0 }
        session.run { answer != nil }
        guard let answer else {
            throw Failure(.defect, code: "quarantine_probe", "the store did not answer")
        }
        return try answer.get()
    }
}
