import Core
import HTTP
import Jobs
import Postgres
import Providers

/// Reads the callback inbox and wakes the jobs that callbacks are about.
///
/// Callbacks are hints: the poll decides.
struct InboxDrain {
    private let wiring: Wiring
    private let inbox: Inbox
    private var ring: KeyRing
    private var refusals = Refusals()

    init(_ wiring: Wiring) {
        self.wiring = wiring
        inbox = Inbox(run: wiring.run)
        ring = KeyRing(inbox: inbox)
    }

    /// What one look at a page came to.
    private enum Step {
        case drained([InboxCallback], DrainedPage)
        /// Keys have to be had first, with no row locked meanwhile.
        case needsKeys(of: String, isRenewal: Bool)
        case empty
    }

    /// Goes through the inbox once, from the oldest on, until `deadline` at most.
    ///
    /// What is about jobs that somebody has locked is passed over and left to the next run, so that
    /// it holds up nothing behind it.
    mutating func run(
        _ connection: borrowing Connection, until deadline: ContinuousClock.Instant,
        into report: inout RunReport
    ) throws {
        var last: Int64 = 0
        defer { refusals.report(&report) }
        while !wiring.shouldStop(), ContinuousClock.now < deadline {
            switch try connection.repeatable({ try step(connection, after: last) }) {
            case .empty:
                return
            case .needsKeys(let provider, let isRenewal):
                guard case .published(let url) = wiring.proof.signer(provider)?.key else { return }
                try ring.load(
                    provider, url: url, isRenewal: isRenewal, connection, into: &report)
            case .drained(let callbacks, let page):
                last = callbacks.last?.callbackID ?? last
                refusals.add(try refused(connection, of: callbacks, page))
                for (callbackID, problem) in page.setAside {
                    report.add(
                        .init(
                            code: "callback_set_aside",
                            message: "callback \(callbackID) could not be read in: \(problem); it "
                                + "waits unmatched, see holdfast callback show \(callbackID)"),
                        status: .needsPerson)
                }
                for (result, number) in page.counts {
                    // A refused callback stays unmatched for everybody who counts.
                    let word = result == "refused" ? "unmatched" : result
                    report.count("callbacks_\(word)", number)
                }
            }
        }
    }

    private func step(_ connection: borrowing Connection, after last: Int64) throws -> Step {
        let page = try inbox.page(connection, after: last)
        guard !page.isEmpty else { return .empty }
        var readings: [CallbackReading] = []
        for callback in page {
            let received = InboxReading(callback, wiring.proof)
            if received.needsKeys, ring[callback.provider] == nil {
                return .needsKeys(of: callback.provider, isRenewal: false)
            }
            let checks = received.checks(published: ring[callback.provider])
            // A key that nobody has seen before may be a new one.
            if received.needsKeys, checks.signature == .wrong, ring.mayBeStale(callback.provider) {
                return .needsKeys(of: callback.provider, isRenewal: true)
            }
            readings.append(received.reading(checks))
        }
        return .drained(page, try inbox.drain(connection, readings))
    }

    /// What was refused of a page; asked for after its transaction.
    private func refused(
        _ connection: borrowing Connection, of page: [InboxCallback], _ drained: DrainedPage
    ) throws -> Refusals {
        var refused = Refusals()
        for callback in page { refused.read[callback.provider, default: 0] += 1 }
        if drained.counts["refused"] != nil {
            let refusals = try inbox.refusals(connection, of: page.map(\.callbackID))
            for refusal in refusals {
                refused.counts[refusal.provider, default: [:]][refusal.why] = refusal.count
                refused.different[refusal.provider, default: 0] += refusal.different
            }
        }
        return refused
    }
}

/// Callbacks that were refused by their proof, of those that a run read.
private struct Refusals {
    /// Callbacks read, by provider.
    var read: [String: Int] = [:]
    /// Those refused, by provider and by what was wrong.
    var counts: [String: [String: Int]] = [:]
    /// The same without copies, by provider.
    var different: [String: Int] = [:]

    mutating func add(_ other: Refusals) {
        read.merge(other.read, uniquingKeysWith: +)
        different.merge(other.different, uniquingKeysWith: +)
        counts.merge(other.counts) { $0.merging($1, uniquingKeysWith: +) }
    }

    /// One alone, however often it comes, may be a stranger's.
    private static let least = 2

    /// Whoever mistypes a secret loses every callback: when most of a provider's are refused, a
    /// person has to look.
    func report(_ report: inout RunReport) {
        for (provider, reasons) in counts.sorted(by: { $0.key < $1.key }) {
            report.refusedCallbacks.merge(reasons, uniquingKeysWith: +)
            let refused = reasons.values.reduce(0, +)
            let all = read[provider, default: 0]
            guard different[provider, default: 0] >= Self.least, refused * 2 > all else { continue }
            let name = provider.isEmpty ? "nobody that was named" : provider
            report.add(
                .init(
                    code: "callbacks_refused",
                    message: "\(refused) of \(all) callbacks of \(name) were refused ("
                        + RunReport.words(reasons) + "): "
                        + CallbackRefusal.meaning(Array(reasons.keys), provider: provider)
                        + "; look at them with: holdfast callback list --result refused"
                        + (provider.isEmpty ? "" : " --provider \(provider)"),
                    subject: provider),
                status: .needsPerson)
        }
    }
}

/// What a callback says, and how far it may be believed.
struct InboxReading {
    private let callback: InboxCallback
    private let proof: CallbackProof
    private let candidates: CallbackCandidates
    private let signed: SignedCallback
    private let earlier: CallbackChecks?

    init(_ callback: InboxCallback, _ proof: CallbackProof) {
        self.callback = callback
        self.proof = proof
        let headers = Self.headers(callback.headers)
        candidates = CallbackReader.candidates(
            provider: callback.provider, headers: headers, query: callback.query,
            body: callback.body)
        signed = SignedCallback(
            body: callback.body, headers: headers, isCut: callback.isCut,
            wholeSHA256: callback.wholeSHA256, taskIDs: candidates.taskIDs,
            headerSecretDigest: callback.headerSecretDigest, receivedAt: callback.receivedAt)
        earlier = callback.earlierChecks.flatMap { CallbackChecks(json: $0) }
    }

    private var signer: CallbackProof.Signer? { proof.signer(callback.provider) }

    /// Whether only keys that the provider publishes can tell about it.
    var needsKeys: Bool {
        guard let signer else { return false }
        return SignatureCheck.needsPublishedKeys(signed, signer.scheme, key: signer.key)
    }

    /// The job of our own address, where its tag is right.
    private var provenJobID: String? {
        proof.secrets.lazy.compactMap { candidates.jobTag?.provenJobID(secret: $0) }.first
    }

    func checks(published: [PublishedKey]?) -> CallbackChecks {
        var checks = CallbackChecks()
        if let secret = proof.secrets.first {
            checks.secret = .missing
            if let digest = callback.secretDigest {
                let place = proof.secrets.firstIndex {
                    SecretDigest.matches(digest, SecretDigest.sha256Hex($0))
                }
                checks.secret = place == nil ? .wrong : .right
                if place != 0, place != nil { note(old: proof.oldSecret, &checks) }
            }
            checks.tag = .missing
            if let tag = candidates.jobTag {
                checks.tag = provenJobID == nil ? .wrong : .right
                if checks.tag == .right, tag.provenJobID(secret: secret) == nil {
                    note(old: proof.oldSecret, &checks)
                }
            }
        }
        if let signer { check(signer, published, &checks) }
        recall(&checks)
        return checks
    }

    /// The provider's own proof, by the first of its keys that fits.
    private func check(
        _ signer: CallbackProof.Signer, _ published: [PublishedKey]?, _ checks: inout CallbackChecks
    ) {
        let findings = signer.keys.map {
            SignatureCheck.check(signed, signer.scheme, key: $0, published: published)
        }
        let place = findings.firstIndex { $0.result == .right } ?? 0
        guard findings.indices.contains(place) else { return }
        checks.signature = findings[place].result
        if let note = findings[place].note { checks.notes.append(note) }
        if place > 0 { note(old: signer.old, &checks) }
    }

    private func note(old: OldSecret?, _ checks: inout CallbackChecks) {
        if let old { checks.olds.insert(old) }
    }

    /// Read again, a callback has lost its secrets; what they proved then is what is known.
    private func recall(_ checks: inout CallbackChecks) {
        guard let earlier else { return }
        if callback.secretDigest == nil { checks.secret = earlier.secret }
        if let signer, case .clearSecret = signer.scheme, callback.headerSecretDigest == nil {
            checks.signature = earlier.signature
        }
    }

    func reading(_ checks: CallbackChecks) -> CallbackReading {
        var notes = checks.notes
        if candidates.isAmbiguous { notes.append("the body names several ids") }
        if callback.isCut { notes.append("not all of the body was kept") }
        return CallbackReading(
            callbackID: callback.callbackID, secretCheck: checks.overall.rawValue,
            checks: checks.object,
            jobID: checks.overall == .right ? provenJobID : nil,
            candidates: candidates.taskIDs,
            note: notes.isEmpty ? nil : notes.joined(separator: "; "),
            oldSecrets: checks.overall == .right
                ? checks.olds.map { ($0.variable, $0.name) }.sorted { $0 < $1 } : [])
    }

    private static func headers(_ json: String) -> [Header] {
        guard let object = (try? JSON.parse(Array(json.utf8)))?.object else { return [] }
        return object.members.compactMap { member in
            member.value.text.map { Header(member.key, $0) }
        }
    }
}
