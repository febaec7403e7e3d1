import Core
import HTTP

/// Why a store behind a network did not do what it was asked.
struct StoreProblem: Error, Equatable {
    /// The HTTP status, or the one that the store names in its words; nil when no answer came.
    var status: Int?
    /// The store's own word, such as `SlowDown`; empty where it gave none.
    var code: String
    /// What ends the run if nobody knows better.
    var failure: Failure
    /// Asking again may help.
    var mayPass: Bool
    /// How long the store wants to be left alone.
    var retryAfter: Duration?
    /// There is no such object, or no such upload.
    var isMissing = false
    /// The key is taken, and the write was to create only.
    var isTaken = false
}

extension StoreProblem {
    /// What a transfer without an answer means.
    init(_ error: HTTPError, _ action: String, at place: String) {
        self.init(
            status: nil, code: error.code.rawValue,
            failure: Failure(
                .unavailable, code: "storage_unavailable",
                "cannot \(action) in \(place): \(error.message); the next run tries again"),
            mayPass: ![.tls, .badURL, .stopped].contains(error.code))
    }

    /// An answer that says yes and lacks what it should have.
    init(unclear what: String, _ action: String, at place: String) {
        self.init(
            status: nil, code: "",
            failure: Failure(
                .unavailable, code: "storage_unavailable",
                "cannot \(action): \(place) answered with \(what); the next run tries again"),
            mayPass: false)
    }

    /// How long an answer of that status wants us to wait, up to 30 seconds.
    ///
    /// Who counts by the second, such as R2 the writes to a key, is left alone for one.
    static func rest(_ response: Response, status: Int) -> Duration? {
        response.header("Retry-After").flatMap { Int64($0) }
            .map { .seconds(min(max($0, 0), 30)) } ?? (status == 429 ? .seconds(1) : nil)
    }

    /// Whether asking again may bring another status: also a lock, and a proxy's words for a server
    /// that is away.
    static func passes(_ status: Int) -> Bool {
        [408, 423, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 544].contains(status)
    }
}

extension ObjectGlance {
    /// Reads an answer to HEAD.
    static func read(
        _ head: Response, _ action: String, at place: String
    ) -> Result<ObjectGlance, Failure> {
        guard let bytes = head.header("Content-Length").flatMap({ Int($0) }) else {
            return .failure(StoreProblem(unclear: "no length", action, at: place).failure)
        }
        return .success(ObjectGlance(bytes: bytes))
    }
}

/// What a store answered to something that it did not do, to be said with what helps.
struct StoreRefusal {
    let status: Int
    /// What was tried, where, and the answer.
    let what: String

    init(_ action: String, at place: String, status: Int, code: String) {
        self.status = status
        let said = "\(place) answered HTTP \(status)" + (code.isEmpty ? "" : " \(code)")
        what = "cannot \(action): \(said)"
    }

    /// Nothing can be stored before somebody has changed something.
    func configuration(_ word: String, _ fix: String) -> Failure {
        Failure(.configuration, code: word, "\(what); \(fix)")
    }

    /// About this one object, so that the others may go on.
    func ofObject(_ fix: String) -> Failure {
        Failure(.needsPerson, code: "storage_refused", "\(what); \(fix)")
    }

    /// About this one upload: the file is begun anew, and nobody need look.
    var uploadIsGone: Failure {
        Failure(.needsPerson, code: UploadFailure.gone, "\(what); the next run begins anew")
    }

    var isFull: Failure {
        Failure(
            .unavailable, code: "disk_full",
            "\(what); free space there or raise the quota, the next run goes on")
    }

    var bucketIsMissing: Failure {
        configuration("bucket_missing", "create the bucket or correct HOLDFAST_STORAGE_URL")
    }

    /// What the status alone means.
    var byStatus: Failure {
        switch status {
        case 507: isFull
        case 400..<500 where !StoreProblem.passes(status):
            ofObject("look at what the store says of it")
        default:
            Failure(
                .unavailable, code: "storage_unavailable", "\(what); the next run tries again")
        }
    }
}
