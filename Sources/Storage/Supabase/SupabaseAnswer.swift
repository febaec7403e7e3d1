import Core
import HTTP

extension StoreProblem {
    /// Reads an answer of Supabase Storage; nil when it says that the thing was done.
    ///
    /// What went wrong has the HTTP status 400 almost always, and a status of its own in the body.
    /// Resumable uploads answer with the status itself and plain text.
    init?(supabase response: Response, _ action: String, _ location: SupabaseLocation) {
        guard !(200..<300).contains(response.status) else { return nil }
        let told = try? JSON.parse(Array(response.body.prefix(16_384)))
        let status = told?["statusCode"]?.text.flatMap { Int($0) } ?? response.status
        let code = told?["error"]?.text ?? ""
        let answer = SupabaseAnswer(
            words: [code, told?["code"]?.text ?? ""],
            text: String(decoding: response.body.prefix(16_384), as: UTF8.self),
            refusal: StoreRefusal(action, at: location.words, status: status, code: code))
        self.init(
            status: status, code: code, failure: answer.failure, mayPass: Self.passes(status),
            retryAfter: Self.rest(response, status: status),
            isMissing: [404, 410].contains(status) && !answer.isAboutBucket,
            isTaken: status == 409 && answer.mayMeanTaken)
    }
}

/// The words of Supabase Storage for what it did not do.
///
/// Source: github.com/supabase/storage, `src/internal/errors/codes.ts`.
struct SupabaseAnswer {
    /// Of the fields `error` and `code`; the second is not there in older versions.
    let words: [String]
    let text: String
    let refusal: StoreRefusal

    var isAboutBucket: Bool { says("Bucket not found", "NoSuchBucket") }

    /// Resumable uploads have no word for it, and mean by 409 also an offset that is another.
    var mayMeanTaken: Bool {
        words.allSatisfy(\.isEmpty)
            || says("Duplicate", "ResourceAlreadyExists", "KeyAlreadyExists")
    }

    var failure: Failure {
        if isAboutBucket { return refusal.bucketIsMissing }
        if says("QuotaExceeded", "InsufficientStorage") { return refusal.isFull }
        if says("InvalidJWT") { return wrongKey }
        switch refusal.status {
        case 402: return refusal.isFull
        case 401, 403:
            guard text.contains("row-level security") else { return wrongKey }
            return refusal.configuration(
                "storage_denied",
                "set HOLDFAST_SUPABASE_SERVICE_KEY to the service_role key or a secret key, which"
                    + " the bucket's policies do not bind")
        case 413:
            return refusal.ofObject("raise the file size limit of the bucket and of the project")
        case 415: return refusal.ofObject("let the bucket take files of this type")
        default: return refusal.byStatus
        }
    }

    private var wrongKey: Failure {
        refusal.configuration(
            "storage_key_wrong",
            "set HOLDFAST_SUPABASE_SERVICE_KEY to the project's service_role key or a secret key")
    }

    private func says(_ known: String...) -> Bool { words.contains(where: known.contains) }
}
