internal import Core
internal import Glibc

/// What a session and its parts share: the client, and who is to be told what.
final class SessionEngine {
    let bodies: BodyPool
    private var client: Client
    private var handlers: [Int: Session.Handler] = [:]
    private var starting: [(tag: Int, request: Request, body: RequestBody?)] = []
    private var alarms: [(number: Int, due: ContinuousClock.Instant, ring: () -> Void)] = []
    private var lastNumber = 0
    private var isInterrupted = false

    init(bodyBytes: Int) throws(HTTPError) {
        client = try Client()
        bodies = BodyPool(budget: bodyBytes)
    }

    func start(_ request: Request, body: RequestBody? = nil) -> Int {
        lastNumber += 1
        starting.append((lastNumber, request, body))
        return lastNumber
    }

    func download(_ request: Request, sink: any DownloadSink) -> Int {
        lastNumber += 1
        client.download(request, tag: lastNumber, sink: sink)
        return lastNumber
    }

    /// Has a handler called at the end of a transfer, which `step` does not return then.
    func whenEnded(_ tag: Int, _ handler: @escaping Session.Handler) { handlers[tag] = handler }

    func after(_ wait: Duration, _ ring: @escaping () -> Void) -> Int {
        lastNumber += 1
        alarms.append((lastNumber, .now + wait, ring))
        return lastNumber
    }

    func resume(tag: Int) { client.resume(tag: tag) }

    func drop(alarm number: Int) { alarms.removeAll { $0.number == number } }

    func cancel(tag: Int) {
        handlers[tag] = nil
        starting.removeAll { $0.tag == tag }
        client.cancel(tag: tag)
    }

    /// Whether nothing of a request has been sent yet.
    func waits(_ tag: Int) -> Bool { starting.contains { $0.tag == tag } }

    var isIdle: Bool { client.inFlight == 0 && starting.isEmpty && alarms.isEmpty }

    func interrupt() { isInterrupted = true }

    func step(wait: Duration) -> [Completion] {
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
        left.removeAll { hand($0) }
        bodies.wakeWaiting()
        return left
    }

    /// Tells the handler of a transfer, if it has one.
    private func hand(_ completion: Completion) -> Bool {
        guard let handler = handlers.removeValue(forKey: completion.tag) else { return false }
        handler(completion.result)
        return true
    }

    private func ring() {
        let now = ContinuousClock.now
        while let next = alarms.firstIndex(where: { $0.due <= now }) {
            alarms.remove(at: next).ring()
        }
    }
}
