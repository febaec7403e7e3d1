internal import Core
internal import Glibc

/// Transfers over one client, of which some say themselves what follows when they end.
///
/// A session stays on one thread. Handlers and alarms run inside `step(wait:)`, never inside a
/// sink; what a handler or a sink starts begins with the next step.
package final class Session {
    package typealias Handler = (Result<Response, HTTPError>) -> Void

    /// The memory that upload bodies of this session may take.
    package let bodies: BodyPool
    private var client: Client
    private var handlers: [Int: Handler] = [:]
    private var starting: [(tag: Int, request: Request, body: RequestBody?)] = []
    private var alarms: [(due: ContinuousClock.Instant, ring: () -> Void)] = []
    private var lastTag = 0
    private var isInterrupted = false

    /// - Parameter bodyBytes: What the bodies of all uploads together may take of memory.
    package init(bodyBytes: Int = 15 << 20) throws(HTTPError) {
        client = try Client()
        bodies = BodyPool(budget: bodyBytes)
    }

    /// Starts a request whose end `step(wait:)` returns under the tag that this returns.
    package func start(_ request: Request) -> Int {
        lastTag += 1
        starting.append((lastTag, request, nil))
        return lastTag
    }

    /// Starts a download whose end `step(wait:)` returns under the tag that this returns.
    package func download(_ request: Request, sink: any DownloadSink) -> Int {
        lastTag += 1
        client.download(request, tag: lastTag, sink: sink)
        return lastTag
    }

    /// Sends a request, with the bytes of `body` if it has one, and has `then` called at its end.
    package func send(
        _ request: Request, body: RequestBody? = nil, then: @escaping Handler
    ) {
        let tag = start(request)
        starting[starting.count - 1].body = body
        handlers[tag] = then
    }

    /// Starts a download and has `then` called at its end; not to be called by a sink.
    package func download(
        _ request: Request, sink: any DownloadSink, then: @escaping Handler
    ) {
        handlers[download(request, sink: sink)] = then
    }

    /// Has `ring` called after a while.
    package func after(_ wait: Duration, _ ring: @escaping () -> Void) {
        alarms.append((.now + wait, ring))
    }

    /// Lets a paused download go on; not to be called by a sink.
    package func resume(tag: Int) { client.resume(tag: tag) }

    /// Ends a transfer without a word to anybody.
    package func cancel(tag: Int) {
        handlers[tag] = nil
        starting.removeAll { $0.tag == tag }
        client.cancel(tag: tag)
    }

    /// Nothing is under way, and nobody waits.
    package var isIdle: Bool { client.inFlight == 0 && starting.isEmpty && alarms.isEmpty }

    /// Moves everything on for at most `wait`; returns the transfers that ended without a handler.
    ///
    /// It comes back as soon as something happened, also when that concerned a handler alone.
    package func step(wait: Duration) -> [Completion] {
        for (tag, request, body) in starting { client.start(request, tag: tag, body: body) }
        starting = []
        let due = alarms.map(\.due).min()
        let limit = due.map { max(.zero, min(wait, $0 - .now)) } ?? wait
        var left: [Completion] = []
        if client.inFlight > 0 {
            left = client.step(wait: limit) { isInterrupted }
        } else if limit > .zero, due != nil {
            poll(nil, 0, Int32(clamping: limit.milliseconds + 1))
        }
        isInterrupted = false
        ring()
        left.removeAll { completion in
            guard let handler = handlers.removeValue(forKey: completion.tag) else { return false }
            handler(completion.result)
            return true
        }
        bodies.wakeWaiting()
        return left
    }

    /// Has the step under way come back soon: for a sink that has something to tell.
    package func interrupt() { isInterrupted = true }

    /// Moves everything on until `isOver`, for commands that do one thing after the other.
    package func run(until isOver: () -> Bool) {
        while !isOver() { _ = step(wait: .seconds(1)) }
    }

    /// Gives what is under way `limit` to end, such as the removal of what was begun in vain.
    package func settle(within limit: Duration) {
        let until = ContinuousClock.now + limit
        while !isIdle, .now < until { _ = step(wait: min(.seconds(1), until - .now)) }
    }

    private func ring() {
        let now = ContinuousClock.now
        let ringing = alarms.filter { $0.due <= now }
        guard !ringing.isEmpty else { return }
        alarms.removeAll { $0.due <= now }
        for alarm in ringing { alarm.ring() }
    }
}
