import Core
import HTTP
import Jobs
import Postgres
import Providers
import Storage

/// Files on their way from their sources.
extension StorageMirror {
    /// For a file behind the provider's key; without the key it is asked for bare, and refused.
    func sourceHeaders(_ item: FileItem) -> [Header] {
        (try? wiring.providers.provider(item.provider)?.downloadHeaders(for: item.sourceURL)) ?? []
    }

    mutating func fetch(_ landing: Landing) {
        if fetchFromQuarantine(landing) { return }
        let item = landing.item
        var headers = sourceHeaders(item)
        landing.refusedAs = nil
        landing.showsKey = !headers.isEmpty
        if landing.canResume {
            headers += landing.resumption.headers(received: landing.received)
        } else {
            landing.reset()
        }
        let now = ContinuousClock.now
        let left = wiring.run.transferLimit - (now - (landing.firstFetch ?? now))
        landing.firstFetch = landing.firstFetch ?? now
        let tag = session.download(
            Request(
                url: item.sourceURL, headers: headers, timeout: max(.seconds(1), left),
                bodyLimitBytes: .max, egress: .publicOnly(allowing: target.egressAllow)),
            sink: landing)
        landing.tag = tag
        transfers[tag] = landing
    }

    mutating func collect(_ connection: borrowing Connection) throws {
        var wait = due.since == nil ? Duration.milliseconds(200) : DueSteps.patience
        if !desk.isEmpty { wait = .zero }
        for completion in session.step(wait: wait) {
            if let rescue = rescues.removeValue(forKey: completion.tag) {
                try take(rescue, completion.result, connection)
            } else if let landing = transfers.removeValue(forKey: completion.tag) {
                landing.tag = nil
                try take(landing, completion.result, connection)
            }
        }
    }

    private mutating func take(
        _ landing: Landing, _ result: Result<Response, HTTPError>,
        _ connection: borrowing Connection
    ) throws {
        if let kept = landing.kept { return try tookKept(landing, kept, result, connection) }
        if landing.isFromQuarantine, !landing.isAll(result), landing.storeFailure == nil {
            return leaveQuarantine(landing, "the quarantine store did not give it")
        }
        switch result {
        case .failure(let error): try takeFailure(landing, error, connection)
        case .success(let response) where response.status == 200 && !landing.resumption.isUnderWay:
            try sourceEnded(landing, connection)
        case .success(let response) where response.status == 206 && landing.resumption.isUnderWay:
            if landing.resumption.wasRefused {
                fetch(landing)
            } else {
                try sourceEnded(landing, connection)
            }
        case .success(let response) where [401, 403, 404, 410].contains(response.status):
            try rescue(
                landing, "the source answered HTTP \(response.status)",
                isGone: landing.isGone(by: response.status), connection)
        case .success(let response) where response.status == 416 && landing.resumption.isUnderWay:
            landing.reset()
            fetch(landing)
        case .success(let response):
            try putOff(landing, "the source answered HTTP \(response.status)", connection)
        }
    }

    mutating func sourceEnded(
        _ landing: Landing, _ connection: borrowing Connection
    ) throws {
        landing.hasEnded = true
        switch landing.phase {
        case .head: landing.phase = .ready
        case .streaming: try finishIfEnded(landing, connection)
        case .settling, .ready, .opening, .storing, .troubled, .keeping: break
        }
    }

    private mutating func takeFailure(
        _ landing: Landing, _ error: HTTPError, _ connection: borrowing Connection
    ) throws {
        if let failure = landing.storeFailure {
            return try storeFailed(landing, failure, connection)
        }
        if landing.exceedsLimit {
            let limit = "max_file_bytes (\(landing.limitBytes) bytes)"
            report.add(
                .init(
                    jobID: landing.item.jobID, code: "too_large",
                    message: "file \(landing.item.name) is larger than \(limit); raise it with "
                        + "holdfast policy set max_file_bytes"),
                status: .needsPerson)
            return try putOff(landing, "larger than \(limit)", connection)
        }
        // Bytes of another file were caught; the whole of it is fetched anew.
        if landing.resumption.wasRefused { return fetch(landing) }
        let elapsed = landing.firstFetch.map { ContinuousClock.now - $0 } ?? .zero
        if [.cutOff, .timeout, .connect].contains(error.code), elapsed < wiring.run.transferLimit,
            landing.mayTryAgain()
        {
            let wait = Backoff(base: .milliseconds(500), maximum: .seconds(10))
                .wait(attempt: landing.resumption.count + 1, using: &chance)
            landing.steps.after(wait) { [desk] in desk.put(landing, .mayResume) }
            return
        }
        if error.code == .blockedAddress {
            report.add(
                .init(
                    jobID: landing.item.jobID, code: error.code.rawValue, message: error.message),
                status: .needsPerson)
        }
        try putOff(landing, error.message, connection)
    }

    /// Ends a file's transfer, if one is under way.
    mutating func drop(_ landing: Landing) {
        guard let tag = landing.tag else { return }
        landing.tag = nil
        transfers[tag] = nil
        session.cancel(tag: tag)
    }

    /// Puts a file off after a failure that may pass.
    mutating func putOff(
        _ landing: Landing, _ message: String, _ connection: borrowing Connection
    ) throws {
        drop(landing)
        landing.upload?.cancel()
        if landing.refusedAs != nil, try beginKeeping(landing, message, connection) { return }
        let wait = Backoff(base: Rules.backoffBase, maximum: .seconds(600))
            .wait(attempt: landing.item.attempts + 1, using: &chance)
        let kind: FileStep.Kind =
            landing.refusedAs.map { .refused(wait: wait, message: message, as: $0) }
            ?? .retry(wait: wait, message: message)
        try record(connection, [FileStep(landing.item, kind)], "retry_later")
    }
}
