internal import CCurl
internal import Core

/// Many transfers at once over one libcurl multi handle, on the thread that calls.
///
/// A client stays on one thread. Connections are kept and used again while it lives. Nothing
/// moves between calls of `step(wait:)`.
package struct Client: ~Copyable {
    private let multi: UnsafeMutableRawPointer
    private var transfers: [Int: Transfer] = [:]
    private var tags: [UnsafeMutableRawPointer: Int] = [:]
    /// What ended outside of `step(wait:)`, for its next call.
    private var ended: [Completion] = []

    package init() throws(HTTPError) {
        try Library.start()
        guard let multi = curl_multi_init() else {
            throw HTTPError(
                code: .other, host: "", message: "libcurl gives no multi handle",
                hostTrouble: .resources)
        }
        self.multi = multi
    }

    deinit {
        for transfer in transfers.values { curl_multi_remove_handle(multi, transfer.easy) }
        curl_multi_cleanup(multi)
    }

    /// Transfers whose completion has not been returned yet.
    package var inFlight: Int { transfers.count + ended.count }

    /// Starts a request whose answer is kept in memory, up to its `bodyLimitBytes`.
    ///
    /// Redirects are not followed: a 3xx is a status like any other. Everything that goes wrong,
    /// a bad URL included, comes as a completion. A tag belongs to one transfer at a time.
    ///
    /// The bytes of `body` take the place of the request's own; they are sent from where they lie.
    package mutating func start(_ request: Request, tag: Int, body: RequestBody? = nil) {
        add(request, tag: tag, sink: nil, body: body)
    }

    /// Starts a GET whose body goes to `sink`, following at most five redirects.
    ///
    /// The egress policy is applied to every connection. Headers that could carry a credential
    /// are dropped for good when a redirect leads to another origin; https never becomes http.
    /// The request's method and body are not used. A paused download still ends at its `timeout`.
    package mutating func download(_ request: Request, tag: Int, sink: any DownloadSink) {
        add(request, tag: tag, sink: sink)
    }

    /// Drives the transfers for at most `wait`; returns those that ended as soon as one did.
    ///
    /// Returns at once when nothing is in flight, and early when `isEnough` says so.
    package mutating func step(
        wait: Duration, isEnough: () -> Bool = { false }
    ) -> [Completion] {
        let until = ContinuousClock.now + min(wait, .seconds(3600))
        while true {
            var running = Int32(0)
            check(curl_multi_perform(multi, &running))
            collect()
            let left = until - ContinuousClock.now
            guard ended.isEmpty, !transfers.isEmpty, left > .zero, !isEnough() else { break }
            let milliseconds = Int32(clamping: left.milliseconds + 1)
            check(curl_multi_poll(multi, nil, 0, milliseconds, nil))
        }
        defer { ended = [] }
        return ended
    }

    /// Lets a paused download go on; does nothing to any other.
    package mutating func resume(tag: Int) {
        guard let transfer = transfers[tag], transfer.isPaused else { return }
        transfer.isPaused = false
        // This delivers the held bytes before it returns, so the sink may pause or stop again. When
        // it fails the held bytes are gone, but libcurl would go on with those that follow.
        let code = curl_easy_pause(transfer.easy, CURLPAUSE_CONT)
        if code != CURLE_OK { finish(tag, code) }
    }

    /// Ends a transfer without a completion.
    package mutating func cancel(tag: Int) {
        ended.removeAll { $0.tag == tag }
        if let transfer = transfers[tag] { remove(transfer, tag) }
    }

    /// Sends one request and waits for its answer; what else is in flight goes on meanwhile.
    package mutating func perform(_ request: Request) throws(HTTPError) -> Response {
        let tag = Int.min
        var others: [Completion] = []
        start(request, tag: tag)
        while true {
            var answer: Result<Response, HTTPError>?
            for completion in step(wait: .seconds(1)) {
                if completion.tag == tag {
                    answer = completion.result
                } else {
                    others.append(completion)
                }
            }
            if let answer {
                ended = others
                return try answer.get()
            }
        }
    }

    // MARK: Inside

    private mutating func add(
        _ request: Request, tag: Int, sink: (any DownloadSink)?, body: RequestBody? = nil
    ) {
        do throws(HTTPError) {
            guard transfers[tag] == nil else {
                throw HTTPError(code: .other, host: "", message: "tag \(tag) is in use")
            }
            let transfer = try Transfer(request, sink: sink, body: body)
            try admit(transfer)
            transfers[tag] = transfer
            tags[transfer.easy] = tag
        } catch {
            ended.append(Completion(tag: tag, result: .failure(error)))
        }
    }

    private func admit(_ transfer: Transfer) throws(HTTPError) {
        let code = curl_multi_add_handle(multi, transfer.easy)
        guard code != CURLM_OK else { return }
        throw transfer.failure(.other, "\(transfer.host): \(Self.text(code))")
    }

    private mutating func remove(_ transfer: Transfer, _ tag: Int) {
        curl_multi_remove_handle(multi, transfer.easy)
        transfers[tag] = nil
        tags[transfer.easy] = nil
    }

    private mutating func collect() {
        var left = Int32(0)
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = curl_message_easy(message),
                let tag = tags[easy]
            else { continue }
            finish(tag, curl_message_result(message))
        }
    }

    private mutating func finish(_ tag: Int, _ code: CURLcode) {
        guard let transfer = transfers[tag] else { return }
        if let result = transfer.result(code) {
            remove(transfer, tag)
            ended.append(Completion(tag: tag, result: result))
            return
        }
        curl_multi_remove_handle(multi, transfer.easy)
        do throws(HTTPError) {
            try transfer.follow()
            try admit(transfer)
        } catch {
            transfers[tag] = nil
            tags[transfer.easy] = nil
            ended.append(Completion(tag: tag, result: .failure(error)))
        }
    }

    /// An error of the multi handle itself is no transfer's fault, yet none can go on.
    private mutating func check(_ code: CURLMcode) {
        guard code != CURLM_OK else { return }
        for (tag, transfer) in transfers {
            remove(transfer, tag)
            let error = transfer.failure(.other, "\(transfer.host): \(Self.text(code))")
            ended.append(Completion(tag: tag, result: .failure(error)))
        }
    }

    private static func text(_ code: CURLMcode) -> String {
        String(cString: curl_multi_strerror(code))
    }
}
