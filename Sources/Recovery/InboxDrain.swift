import Core
import HTTP
import Jobs
import Postgres
import Providers

/// Reads the callback inbox and wakes the jobs that callbacks are about.
///
/// Callbacks are hints: the poll decides.
enum InboxDrain {
    /// Pages in one run at most, so that a storm cannot eat the whole time budget.
    static let pageLimit = 100

    static func run(
        _ connection: borrowing Connection, _ wiring: Wiring, into report: inout RunReport
    ) throws {
        let inbox = Inbox(run: wiring.run)
        for _ in 0..<pageLimit {
            if wiring.shouldStop() { return }
            let counts = try connection.repeatable { () -> [String: Int]? in
                let page = try inbox.page(connection)
                guard !page.isEmpty else { return nil }
                return try inbox.drain(connection, page.map { read($0, wiring.callbackSecret) })
            }
            // Nothing drained: what is left is about jobs that somebody has locked.
            guard let counts, !counts.isEmpty else { return }
            for (result, number) in counts {
                // A refused callback stays unmatched for everybody who counts.
                let word = result == "refused" ? "unmatched" : result
                report.count("callbacks_\(word)", number)
            }
        }
    }

    /// What a callback says, as far as it may be believed.
    static func read(_ callback: InboxCallback, _ secret: String?) -> CallbackReading {
        let candidates = CallbackReader.candidates(
            provider: callback.provider, headers: headers(callback.headers),
            query: callback.query, body: callback.body)
        var check = "not_checked"
        var jobID: String?
        if let secret {
            check = "missing"
            if let digest = callback.secretDigest {
                check =
                    SecretDigest.matches(digest, SecretDigest.sha256Hex(secret)) ? "right" : "wrong"
            }
            if check != "wrong", let tag = candidates.jobTag {
                let isRight = CallbackTag.matches(jobID: tag.jobID, tag: tag.tag, secret: secret)
                check = isRight ? "right" : "wrong"
                if isRight { jobID = tag.jobID }
            }
        }
        return CallbackReading(
            callbackID: callback.callbackID, secretCheck: check, jobID: jobID,
            candidates: candidates.taskIDs,
            note: candidates.taskIDs.count > 1 ? "the body names several ids" : nil)
    }

    private static func headers(_ json: String) -> [Header] {
        guard let object = (try? JSON.parse(Array(json.utf8)))?.object else { return [] }
        return object.members.compactMap { member in
            member.value.text.map { Header(member.key, $0) }
        }
    }
}
