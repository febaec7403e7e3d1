package import Core
import HTTP
package import Statements
import Storage

/// Where reports are put: a folder or a bucket, under names that say the day.
///
/// Nothing on it is ever replaced. A sealed day makes the same files again and again, so that a file
/// with other bytes is one that another version made, as the books remember, or else one of another
/// close of the day, or one that somebody changed.
package struct ReportShelf {
    /// The variable that names it.
    package static let variable = "HOLDFAST_REPORT_URL"

    package enum Outcome: String, Sendable {
        case stored
        /// It was there, byte for byte.
        case unchanged
        /// Another file is there under this name, and stays; what the day says stands beside it.
        case kept
    }

    private let store: any ObjectStore
    private let session: Session
    private let baseURL: String?
    /// For people: nothing secret.
    package let words: String

    /// How long a link to a private bucket can be used.
    private static let linkLife = Duration.seconds(7 * 86_400)
    /// No draft takes this long to be stored.
    private static let leftoverAge = Duration.seconds(86_400)

    /// - Parameters:
    ///   - url: As in `HOLDFAST_STORAGE_URL`.
    ///   - baseURL: What links begin with; without it they are made by the store.
    ///   - clock: The machine's own, for signatures and for the age of leftovers.
    ///   - variable: Looks up the store's keys.
    /// - Throws: `storage_url_invalid` and the like (78), with the name of the variable.
    package init(
        url: String, baseURL: String?, clock: @escaping @Sendable () -> Instant,
        variable: (String) throws(Failure) -> String?
    ) throws(Failure) {
        do throws(Failure) {
            let location = try StorageLocation.parse(url)
            words = location.words
            store = try location.store(clock: clock, variable: variable)
        } catch { throw Self.renamed(error) }
        do throws(HTTPError) { session = try Session() } catch {
            throw Failure(.defect, code: "report_shelf", error.message)
        }
        self.baseURL = baseURL
        do throws(Failure) {
            try store.check(session, isThorough: false)
        } catch { throw Self.renamed(error) }
        // A folder keeps what a killed run left; whether that can be removed is of no importance.
        let old = clock() + (.zero - Self.leftoverAge)
        _ = try? told { store.discardAll(begunBefore: old, session, then: $0) }
    }

    /// Puts a draft on the shelf; until the end nobody sees any of it.
    ///
    /// - Parameter published: SHA-256, in hex, of what was published under its name before, where that
    ///   is known: untouched, it is as good as the draft.
    package func put(
        _ draft: ReportDraft, day: String, runID: String, published: String? = nil
    ) throws(Failure) -> Outcome {
        do throws(Failure) {
            return try place(draft, Self.key(draft.file, day), runID, published)
        } catch { throw Self.renamed(error) }
    }

    private func place(
        _ draft: ReportDraft, _ key: ObjectKey, _ runID: String, _ published: String?
    ) throws(Failure) -> Outcome {
        let digest = draft.digest
        if let there = try told({ store.find(key, session, then: $0) }) {
            return there.digest == digest || there.digest.sha256 == published ? .unchanged : .kept
        }
        let object = NewObject(
            key: key, uploadID: "report-\(runID)-\(draft.file.fileExtension)",
            type: MediaType(
                contentType: draft.file.contentType, fileExtension: draft.file.fileExtension),
            bytes: Int64(digest.bytes))
        try told { store.discard(uploadID: object.uploadID, key: key, session, then: $0) }
        let upload = try store.begin(object, session) { [session] in session.interrupt() }
        defer {
            upload.cancel()
            session.settle(within: .seconds(5))
        }
        try draft.read { piece throws(Failure) in
            while case .full = try upload.write(piece) { _ = session.step(wait: .seconds(1)) }
        }
        let sent = try told { upload.finish(then: $0) }
        guard sent == digest else {
            throw Failure(
                .unavailable, code: "report_draft", "\(key): the draft has changed on the disk")
        }
        switch try told({ upload.publish(as: key, then: $0) }) {
        case .published: return .stored
        case .alreadyThere(let there): return there == digest ? .unchanged : .kept
        case .bytesAreGone:
            let there = try told { store.find(key, session, then: $0) }
            return there?.digest == digest ? .unchanged : .kept
        }
    }

    /// Where people find a file that is on the shelf.
    package func link(_ file: ReportFile, day: String) -> ReportLink {
        let key = Self.key(file, day)
        let signed =
            baseURL == nil ? store.link(to: key, expires: Self.linkLife, session) : nil
        return ReportLink(file: file, url: signed ?? store.url(for: key, publicBaseURL: baseURL))
    }

    static func key(_ file: ReportFile, _ day: String) -> ObjectKey {
        let name = file.name(day: day)
        return ObjectKey(
            document: String(name.dropLast(file.fileExtension.count + 1)),
            fileExtension: file.fileExtension)
    }

    /// Waits for what a handler is told.
    private func told<Value>(
        _ ask: (@escaping (Result<Value, Failure>) -> Void) throws(Failure) -> Void
    ) throws(Failure) -> Value {
        var answer: Result<Value, Failure>?
        try ask { answer = $0 }
        session.run { answer != nil }
        guard let answer else {
            throw Failure(.defect, code: "report_shelf", "the store did not answer")
        }
        return try answer.get()
    }

    /// Stores speak of the variable that names the place of results; this one is named by another.
    private static func renamed(_ failure: Failure) -> Failure {
        Failure(
            failure.status, code: failure.code,
            failure.message.replacing("HOLDFAST_STORAGE_URL", with: variable))
    }
}
