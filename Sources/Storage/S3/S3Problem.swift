import Core
import HTTP

/// Why the store did not do what it was asked.
struct S3Problem: Error, Equatable {
    /// The HTTP status; nil when no answer came.
    var status: Int?
    /// The store's own word, such as `SlowDown`; empty where it gave none.
    var code: String
    /// What ends the run if nobody knows better.
    var failure: Failure
    /// Asking again may help.
    var mayPass: Bool
    /// How long the store wants to be left alone.
    var retryAfter: Duration?

    var isMissing: Bool {
        status == 404 && ["", "NoSuchKey", "NotFound", "NoSuchUpload"].contains(code)
    }
    /// The key is taken, and the write was to create only.
    var isTaken: Bool { status == 412 || code == "PreconditionFailed" }
}

extension S3Problem {
    /// What a transfer without an answer means.
    init(_ error: HTTPError, _ action: String, _ location: S3Location) {
        self.init(
            status: nil, code: error.code.rawValue,
            failure: Failure(
                .unavailable, code: "storage_unavailable",
                "cannot \(action) in \(location.words): \(error.message); the next run tries again"
            ),
            mayPass: error.code != .tls && error.code != .badURL, retryAfter: nil)
    }

    /// Reads an answer; nil when it says that the thing was done.
    ///
    /// The end of a multipart upload may fail with status 200 and an error in the body.
    init?(_ response: Response, _ action: String, _ location: S3Location, now: Instant) {
        let text = String(decoding: response.body.prefix(16_384), as: UTF8.self)
        let isError = text.contains("<Error>") && !text.contains("<Contents>")
        guard !(200..<300).contains(response.status) || isError else { return nil }
        let code = isError ? XMLText.first("Code", in: text) ?? "" : ""
        let status = isError && response.status == 200 ? 500 : response.status
        self.init(
            status: status, code: code,
            failure: Self.failure(
                status, code, text, response, action: action, location, now: now),
            mayPass: Self.passes(status, code),
            retryAfter: response.header("Retry-After").flatMap { Int64($0) }
                .map { .seconds(min(max($0, 0), 30)) } ?? Self.rest(status))
    }

    /// Who counts by the second, such as R2 the writes to a key, is left alone for one.
    private static func rest(_ status: Int) -> Duration? { status == 429 ? .seconds(1) : nil }

    private static func passes(_ status: Int, _ code: String) -> Bool {
        let words = [
            "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted",
            "ConditionalRequestConflict", "TooManyRequests",
            // The bytes in memory are right; they were changed on the way.
            "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch",
            "IncompleteBody",
        ]
        if words.contains(code) { return true }
        return [408, 429, 500, 502, 503, 504].contains(status)
    }

    private static func failure(
        _ status: Int, _ code: String, _ text: String, _ response: Response, action: String,
        _ location: S3Location, now: Instant
    ) -> Failure {
        let said = "\(location.words) answered HTTP \(status)" + (code.isEmpty ? "" : " \(code)")
        let what = "cannot \(action): \(said)"
        // About this one object, so that the others may go on.
        func refused(_ fix: String) -> Failure {
            Failure(.needsPerson, code: "storage_refused", "\(what); \(fix)")
        }
        func configuration(_ word: String, _ fix: String) -> Failure {
            Failure(.configuration, code: word, "\(what); \(fix)")
        }
        switch code {
        case "NoSuchBucket":
            return configuration(
                "bucket_missing", "create the bucket or correct HOLDFAST_STORAGE_URL")
        case "InvalidAccessKeyId":
            return configuration("storage_key_wrong", "correct HOLDFAST_S3_ACCESS_KEY_ID")
        case "SignatureDoesNotMatch":
            return configuration(
                "storage_key_wrong",
                "correct HOLDFAST_S3_SECRET_ACCESS_KEY, or region and endpoint in"
                    + " HOLDFAST_STORAGE_URL")
        case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
            return configuration(
                "storage_key_wrong", "the temporary credentials are over; give the run fresh ones")
        case "RequestTimeTooSkewed", "RequestExpired":
            return configuration("clock_skew", skew(response, now))
        case "PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect":
            let region = XMLText.first("Region", in: text).map { " (it says \($0))" } ?? ""
            return configuration(
                "storage_region_wrong",
                "set region and endpoint of the bucket in"
                    + " HOLDFAST_STORAGE_URL\(region)")
        case "QuotaExceeded", "XMinioStorageFull", "StorageFull", "InsufficientStorage":
            return Failure(
                .unavailable, code: "disk_full",
                "\(what); free space there or raise the quota, the next run goes on")
        case "EntityTooLarge", "EntityTooSmall", "InvalidKey", "KeyTooLongError":
            return refused("the store's limits do not allow this object")
        default: break
        }
        switch status {
        case 401, 403:
            return configuration(
                "storage_denied",
                "let the key list, read, write and delete objects of the bucket")
        case 507:
            return Failure(
                .unavailable, code: "disk_full",
                "\(what); free space there or raise the quota, the next run goes on")
        case 301, 307, 308:
            return configuration(
                "storage_region_wrong", "set the bucket's own endpoint in HOLDFAST_STORAGE_URL")
        case 501:
            return configuration(
                "storage_refused", "name the vendor with &profile=… in HOLDFAST_STORAGE_URL")
        case 400..<500 where status != 408 && status != 429:
            return refused("look at what the store says of it")
        default:
            return Failure(
                .unavailable, code: "storage_unavailable", "\(what); the next run tries again")
        }
    }

    /// How far the clocks are apart, where the answer tells.
    private static func skew(_ response: Response, _ now: Instant) -> String {
        guard let there = response.header("Date").flatMap(HTTPDate.parse) else {
            return "set this host's clock (NTP)"
        }
        let minutes = (now - there).microseconds / 60_000_000
        let words =
            minutes < 0
            ? "this host's clock is \(-minutes) min behind"
            : "this host's clock is \(minutes) min ahead"
        return "\(words) of the store's; set it right (NTP)"
    }
}
