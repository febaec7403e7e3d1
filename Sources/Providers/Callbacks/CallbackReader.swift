import Core
package import HTTP

/// What a callback says about which job or task it is for.
package struct CallbackCandidates: Equatable, Sendable {
    /// Our own address: the job's id and the tag that proves that we wrote it.
    package struct JobTag: Equatable, Sendable {
        package var jobID: String
        /// Empty when the address has none; then nothing proves the job.
        package var tag: String
        /// The id where a plus stands for a blank, as libraries for forms write it; nil without one.
        var spacedJobID: String?

        package init(jobID: String, tag: String) {
            self.jobID = jobID
            self.tag = tag
        }

        /// The job that the tag proves, whichever way its id was written; nil when it proves none.
        package func provenJobID(secret: String) -> String? {
            [jobID, spacedJobID].compactMap { $0 }.first {
                CallbackTag.matches(jobID: $0, tag: tag, secret: secret)
            }
        }
    }

    /// Where the task ids were found; a better place hides the ones after it.
    package enum Source: String, Sendable {
        case none, documented, body, query, header
    }

    package var jobTag: JobTag?
    /// The shared secret as it was given, from `?secret=` or the `X-Callback-Token` header.
    package var secret: String?
    /// Distinct, in order; more than one is ambiguous and matches nothing.
    package var taskIDs: [String]
    package var source: Source

    package var isAmbiguous: Bool { taskIDs.count > 1 }
}

/// Finds the job or task that a callback is about, in a body nobody can vouch for.
package enum CallbackReader {
    /// - Parameters:
    ///   - provider: The provider's name; for an unknown one the search starts at the whole body.
    ///   - query: Without the question mark.
    package static func candidates(
        provider: String, headers: [Header], query: String, body: [UInt8]
    ) -> CallbackCandidates {
        let (taskIDs, source) = taskIDs(provider, headers, query, body)
        return CallbackCandidates(
            jobTag: jobTag(query), secret: secret(headers, query), taskIDs: taskIDs, source: source)
    }

    /// The job of one of our own callback addresses; nil unless its tag is right.
    package static func provenJobID(address: String, secret: String) -> String? {
        jobTag(EndpointText.query(address))?.provenJobID(secret: secret)
    }

    private static func taskIDs(
        _ provider: String, _ headers: [Header], _ query: String, _ body: [UInt8]
    ) -> ([String], CallbackCandidates.Source) {
        if let reader = ProviderRegistry.reader(provider),
            let id = reader.verdict(
                Answer(httpStatus: 200, body: body), askedTaskID: nil, endpoint: nil,
                kind: .callback, now: Instant(unixSeconds: 0)
            ).taskID
        {
            return ([id], .documented)
        }
        if let document = try? JSON.parse(body) {
            let ids = CallbackIDs.deep(in: document, keys: CallbackIDs.bodyKeys)
            if !ids.isEmpty { return (ids, .body) }
        }
        let inQuery = CallbackIDs.inQuery(query)
        if !inQuery.isEmpty { return (inQuery, .query) }
        let inHeaders = CallbackIDs.inHeaders(headers)
        return (inHeaders, inHeaders.isEmpty ? .none : .header)
    }

    // A parameter given twice with different values proves nothing.
    private static func jobTag(_ query: String) -> CallbackCandidates.JobTag? {
        guard let jobID = only("job", query), !jobID.isEmpty else { return nil }
        var tag = CallbackCandidates.JobTag(jobID: jobID, tag: only("tag", query) ?? "")
        if query.utf8.contains(UInt8(ascii: "+")) {
            tag.spacedJobID = only("job", query.replacing("+", with: "%20"))
        }
        return tag
    }

    private static func secret(_ headers: [Header], _ query: String) -> String? {
        only("secret", query) ?? headers.first(named: "X-Callback-Token")?.trimmed
    }

    private static func only(_ name: String, _ query: String) -> String? {
        let values = CallbackIDs.parameters(query).filter { $0.name == name }.map(\.value)
        guard let first = values.first, values.allSatisfy({ $0.isSameText(as: first) }) else {
            return nil
        }
        return first
    }
}
