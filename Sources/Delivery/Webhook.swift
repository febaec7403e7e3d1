import Core
import HTTP
package import Statements

/// A chat's incoming webhook.
package enum Webhook {
    /// The variable that holds its address, which is its password as well.
    package static let variable = "HOLDFAST_NOTIFY_URL"
    /// From the first packet to the last; a chat must not hold up the books.
    private static let patience = Duration.seconds(5)

    /// Posts a summary once.
    ///
    /// - Returns: What went wrong, with the fix and without the address; nil when it was taken.
    package static func post(_ summary: NightSummary, to url: String) -> String? {
        guard SafeURL.parse(url) != nil else {
            return "\(variable) is no http or https address; set it to the webhook's"
        }
        let request = Request(
            method: "POST", url: url,
            headers: [
                Header("Content-Type", "application/json; charset=utf-8"),
                Header("User-Agent", "holdfast"),
            ], body: summary.slackBody, timeout: patience, connectTimeout: .seconds(3),
            bodyLimitBytes: 64 << 10)
        do throws(HTTPError) {
            var client = try Client()
            let answer = try client.perform(request)
            guard (200..<300).contains(answer.status) else {
                return "the summary was not taken by \(variable): status \(answer.status)"
                    + ((300..<400).contains(answer.status)
                        ? "; redirects are not followed, set it to the address they lead to" : "")
            }
            return nil
        } catch {
            return "the summary was not taken by \(variable): \(error.code.rawValue)"
        }
    }
}
