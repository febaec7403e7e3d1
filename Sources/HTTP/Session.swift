internal import Core

/// Transfers over one client, of which some say themselves what follows when they end.
///
/// A session stays on one thread. Handlers and alarms run inside `step(wait:)`, never inside a
/// sink; what a handler or a sink starts begins with the next step.
///
/// A part of a session shares its client, and is cancelled by itself: from then on nothing that
/// was asked of it is sent, repeated or told.
package final class Session {
    package typealias Handler = (Result<Response, HTTPError>) -> Void

    private let engine: SessionEngine
    /// What this is a part of.
    private let whole: Session?
    private var isCancelled = false
    /// Transfers with a handler, and whether each may change something at the server.
    private var transfers: [Int: Bool] = [:]
    private var alarms: Set<Int> = []
    /// Transfers with a handler, and alarms, of this and of its parts.
    private var underWay = 0
    private var whenEnded: (() -> Void)?

    /// - Parameter bodyBytes: What the bodies of all uploads together may take of memory.
    package init(bodyBytes: Int = 15 << 20) throws(HTTPError) {
        engine = try SessionEngine(bodyBytes: bodyBytes)
        whole = nil
    }

    private init(partOf whole: Session) {
        engine = whole.engine
        self.whole = whole
    }

    /// The memory that upload bodies of this session may take.
    package var bodies: BodyPool { engine.bodies }

    /// Begins a part, whose requests end with `cancel` and leave the others alone.
    package func part() -> Session { Session(partOf: self) }

    // MARK: Asking

    /// Starts a request whose end `step(wait:)` returns under the tag that this returns.
    package func start(_ request: Request) -> Int { engine.start(request) }

    /// Starts a download whose end `step(wait:)` returns under the tag that this returns.
    package func download(_ request: Request, sink: any DownloadSink) -> Int {
        engine.download(request, sink: sink)
    }

    /// Sends a request, with the bytes of `body` if it has one, and has `then` called at its end.
    ///
    /// - Parameter late: Called in its place when this was cancelled meanwhile: for what has to be
    ///   undone then.
    package func send(
        _ request: Request, body: RequestBody? = nil, late: Handler? = nil,
        then: @escaping Handler
    ) {
        guard !isCancelled else { return }
        let isRead = request.method == "GET" || request.method == "HEAD"
        let tag = engine.start(request, body: body)
        expect(tag, mayChange: !isRead, late, then)
    }

    /// Starts a download and has `then` called at its end; not to be called by a sink.
    package func download(
        _ request: Request, sink: any DownloadSink, then: @escaping Handler
    ) {
        guard !isCancelled else { return }
        expect(engine.download(request, sink: sink), mayChange: false, nil, then)
    }

    private func expect(
        _ tag: Int, mayChange: Bool, _ late: Handler?, _ then: @escaping Handler
    ) {
        transfers[tag] = mayChange
        opened()
        engine.whenEnded(tag) { [self] result in
            transfers[tag] = nil
            isCancelled ? late?(result) : then(result)
            closed()
        }
    }

    /// Has `ring` called after a while.
    package func after(_ wait: Duration, _ ring: @escaping () -> Void) {
        guard !isCancelled else { return }
        opened()
        var number = 0
        number = engine.after(wait) { [self] in
            alarms.remove(number)
            ring()
            closed()
        }
        alarms.insert(number)
    }

    /// Lets a paused download go on; not to be called by a sink.
    package func resume(tag: Int) { engine.resume(tag: tag) }

    // MARK: Ending

    /// Ends a transfer that was started without a handler, without a word to anybody.
    package func cancel(tag: Int) { engine.cancel(tag: tag) }

    /// Ends all that was asked of this part itself, without a word to anybody; nothing is sent for
    /// it any more.
    ///
    /// A request that may change something and has left cannot be taken back. It goes on to its
    /// end, so that whoever must know can wait for that.
    /// - Parameter whenEnded: Called once nothing is under way any more: now, or by a later step.
    package func cancel(whenEnded: @escaping () -> Void = {}) {
        guard !isCancelled else { return }
        isCancelled = true
        self.whenEnded = whenEnded
        opened()
        for number in alarms {
            engine.drop(alarm: number)
            closed()
        }
        alarms = []
        for (tag, mayChange) in transfers where !mayChange || engine.waits(tag) {
            engine.cancel(tag: tag)
            transfers[tag] = nil
            closed()
        }
        closed()
    }

    private func opened() {
        underWay += 1
        whole?.opened()
    }

    private func closed() {
        underWay -= 1
        if isCancelled, underWay == 0, let ended = whenEnded {
            whenEnded = nil
            ended()
        }
        whole?.closed()
    }

    /// Nothing is under way, and nobody waits; of a part and its parts, nothing that has a handler.
    package var isIdle: Bool { whole == nil ? engine.isIdle : underWay == 0 }

    // MARK: Moving

    /// Moves everything on for at most `wait`; returns the transfers that ended without a handler.
    ///
    /// It comes back as soon as something happened, also when that concerned a handler alone.
    package func step(wait: Duration) -> [Completion] { engine.step(wait: wait) }

    /// Has the step under way come back soon: for a sink that has something to tell.
    package func interrupt() { engine.interrupt() }

    /// Moves everything on until `isOver`, for commands that do one thing after the other.
    package func run(until isOver: () -> Bool) {
        while !isOver() { _ = step(wait: .seconds(1)) }
    }

    /// Gives what is under way `limit` to end, such as the removal of what was begun in vain.
    package func settle(within limit: Duration) {
        let until = ContinuousClock.now + limit
        while !isIdle, .now < until { _ = step(wait: min(.seconds(1), until - .now)) }
    }
}
