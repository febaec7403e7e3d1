import Core
import HTTP

extension StoreProblem {
    /// Reads the answer of an S3 server; nil when it says that the thing was done.
    ///
    /// The end of a multipart upload may fail with status 200 and an error in the body.
    init?(s3 response: Response, _ action: String, _ location: S3Location, now: Instant) {
        let text = String(decoding: response.body.prefix(16_384), as: UTF8.self)
        let isError = text.contains("<Error>") && !text.contains("<Contents>")
        guard !(200..<300).contains(response.status) || isError else { return nil }
        let code = isError ? XMLText.first("Code", in: text) ?? "" : ""
        let status = isError && response.status == 200 ? 500 : response.status
        let answer = S3Answer(
            code: code, text: text, response: response,
            refusal: StoreRefusal(action, at: location.words, status: status, code: code))
        self.init(
            status: status, code: code, failure: answer.failure(now: now),
            mayPass: Self.passes(status) || S3Answer.passing.contains(code),
            retryAfter: Self.rest(response, status: status),
            isMissing: status == 404
                && ["", "NoSuchKey", "NotFound", "NoSuchUpload"].contains(code),
            isTaken: status == 412 || code == "PreconditionFailed")
    }
}

/// The words of an S3 server for what it did not do.
struct S3Answer {
    let code: String
    let text: String
    let response: Response
    let refusal: StoreRefusal

    /// Words for what may be gone the next time, whatever their status.
    static let passing = [
        "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted",
        "ConditionalRequestConflict", "TooManyRequests",
        // The bytes in memory are right; they were changed on the way.
        "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody",
    ]

    func failure(now: Instant) -> Failure {
        switch code {
        case "NoSuchBucket": return refusal.bucketIsMissing
        // A part that the store took and does not have is as good as no upload.
        case "NoSuchUpload", "InvalidPart", "InvalidPartOrder": return refusal.uploadIsGone
        case "InvalidAccessKeyId":
            return wrongKey("correct HOLDFAST_S3_ACCESS_KEY_ID")
        case "SignatureDoesNotMatch":
            return wrongKey(
                "correct HOLDFAST_S3_SECRET_ACCESS_KEY, or region and endpoint in"
                    + " HOLDFAST_STORAGE_URL")
        case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
            return wrongKey("the temporary credentials are over; give the run fresh ones")
        case "RequestTimeTooSkewed", "RequestExpired":
            return refusal.configuration("clock_skew", skew(now))
        case "PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect":
            let region = XMLText.first("Region", in: text).map { " (it says \($0))" } ?? ""
            return refusal.configuration(
                "storage_region_wrong",
                "set region and endpoint of the bucket in"
                    + " HOLDFAST_STORAGE_URL\(region)")
        case "QuotaExceeded", "XMinioStorageFull", "StorageFull", "InsufficientStorage":
            return refusal.isFull
        case "EntityTooLarge", "EntityTooSmall", "InvalidKey", "KeyTooLongError":
            return refusal.ofObject("the store's limits do not allow this object")
        default: return byStatus
        }
    }

    private var byStatus: Failure {
        switch refusal.status {
        case 401, 403:
            refusal.configuration(
                "storage_denied", "let the key list, read, write and delete objects of the bucket")
        case 301, 307, 308:
            refusal.configuration(
                "storage_region_wrong", "set the bucket's own endpoint in HOLDFAST_STORAGE_URL")
        case 501:
            refusal.configuration(
                "storage_refused",
                "name the vendor with &profile=…, or put &conditional=no, in HOLDFAST_STORAGE_URL")
        default: refusal.byStatus
        }
    }

    private func wrongKey(_ fix: String) -> Failure {
        refusal.configuration("storage_key_wrong", fix)
    }

    /// How far the clocks are apart, where the answer tells.
    private func skew(_ now: Instant) -> String {
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
