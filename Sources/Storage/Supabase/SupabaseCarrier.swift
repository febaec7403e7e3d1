import Core
import HTTP

/// Takes a small file in one request, and a large one as a resumable upload.
///
/// Once the key is found to be taken nothing more is sent. The file is still read to its end,
/// because whether the object that is there is the same one is told by the digest.
final class SupabaseCarrier: PartCarrier {
    /// Supabase takes no other size, but of the last part.
    static let onlyPartBytes = 6 << 20

    let partBytes = SupabaseCarrier.onlyPartBytes
    let sums: Part.Sums = []
    let isCreateOnly = true
    let holdsLastBack = true
    private let key: ObjectKey
    private let type: MediaType
    private let site: SupabaseSite
    private let resumable: ResumableUpload

    private var held: [(part: Part, then: (StoreProblem?) -> Void)] = []
    private var isBusy = false
    private var taken: StoreProblem?

    init(_ object: NewObject, _ site: SupabaseSite, tidying: SupabaseSite) {
        key = object.key
        type = object.type
        self.site = site
        resumable = ResumableUpload(
            site.location.name(key), type, length: object.bytes, "store \(key)", site,
            tidying: tidying)
    }

    var place: String { site.location.words }

    func carry(_ part: Part, then: @escaping (StoreProblem?) -> Void) {
        held.append((part, then))
        sendHeld()
    }

    /// Sends one part at a time: the server knows a part by where it begins.
    private func sendHeld() {
        guard !isBusy, !held.isEmpty else { return }
        let (part, then) = held.removeFirst()
        isBusy = true
        send(part, of: nil) { [self] answer in
            isBusy = false
            if case .failure(let problem) = answer, !problem.isTaken {
                then(problem)
            } else {
                then(nil)
            }
            sendHeld()
        }
    }

    private func send(
        _ part: Part, of total: Int?, then: @escaping (StoreWire.Answer) -> Void
    ) {
        if let taken { return then(.failure(taken)) }
        let piece = ResumableUpload.Piece(
            body: part.body, start: (part.number - 1) * partBytes, total: total)
        resumable.send(piece) { [self] answer in
            if case .failure(let problem) = answer, problem.isTaken { taken = problem }
            then(answer)
        }
    }

    func publish(
        _ last: Part?, as wanted: ObjectKey, _ digest: Digest,
        then: @escaping (StoreWire.Answer) -> Void
    ) {
        if let last, last.number > 1 { return send(last, of: digest.bytes, then: then) }
        let headers = [
            Header("Content-Type", type.contentType),
            Header("Cache-Control", type.cacheControl), Header("x-upsert", "false"),
        ]
        let address = site.location.object(site.location.name(wanted))
        let text = last == nil ? "" : nil
        site.wire.send(
            "store \(wanted)", body: last?.body,
            { [site] in site.request("POST", address, headers, text: text) }, then: then)
    }

    func find(
        _ wanted: ObjectKey, then: @escaping (Result<StoredObject?, Failure>) -> Void
    ) {
        site.find(wanted, progress: { _ in }, then: then)
    }

    func look(at wanted: ObjectKey, then: @escaping (StoreWire.Answer) -> Void) {
        let address = site.location.object(site.location.name(wanted), "authenticated/")
        site.wire.send("look at \(wanted)", { [site] in site.request("HEAD", address) }, then: then)
    }

    /// Nothing is told of an object's bytes but how many they are.
    func isProved(by answer: Response, _ only: Part?) -> Bool { false }
    func isContradicted(by head: Response, _ only: Part) -> Bool { false }

    func giveUp() {
        held = []
        resumable.remove()
    }
}
