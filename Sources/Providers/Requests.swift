import Core
import HTTP

extension Provider {
    /// A request to the provider's own host.
    func request(
        _ target: String, method: String = "GET", _ credentials: Header...
    ) -> Request {
        request(to: settings.baseURL + target, method: method, credentials)
    }

    func request(to url: String, method: String = "GET", _ credentials: [Header]) -> Request {
        Request(
            method: method, url: url,
            headers: credentials + [
                Header("Accept", "application/json"),
                // Some front ends answer 403 to the names of libraries, KIE's "error code: 1010".
                Header("User-Agent", Request.browserUserAgent),
            ])
    }

    /// The key as a bearer token, for a provider that has one key.
    func bearer() throws(Failure) -> Header {
        Header("Authorization", "Bearer \(try key())")
    }

    /// The key of a provider that has one.
    func key() throws(Failure) -> String {
        try credential(Self.credentialVariables.first ?? "")
    }

    /// The number that a cursor stands for, a page or how many tasks to skip.
    func number(_ cursor: String?, from first: Int) -> Int {
        min(max(cursor.flatMap(Int.init) ?? first, first), 1_000_000_000)
    }

    /// The cursor of the page after one of a numbered list; nil on the last.
    ///
    /// Where the provider tells how many tasks there are, it is believed rather than the size of the
    /// page, which it may have cut.
    func nextPage(after cursor: String?, count: Int, size: Int, total: JSONValue = .null) -> String?
    {
        let page = number(cursor, from: 1)
        let isLast = total.wholeNumber.map { Int64(page) * Int64(count) >= $0 } ?? (count < size)
        return isLast || count == 0 ? nil : String(page + 1)
    }

    /// Whether an address is on the provider's own origin: scheme, host and port are the same.
    ///
    /// Credentials go there and nowhere else. The parser is the one of the library that will ask, so
    /// that no trick in the text tells the two apart.
    func owns(_ url: String) -> Bool {
        guard UsableURL.check(url) == url, !UsableURL.hasUserInfo(url),
            let given = SafeURL.parse(url), let own = SafeURL.parse(settings.baseURL)
        else { return false }
        return given == own
    }
}

/// A provider with one dialect, whatever is answered.
protocol PlainProvider: Provider {
    var dialect: any TaskDialect { get }

    /// Whether a page says which words end a task in an answer to a poll of `endpoint`, or in its
    /// list.
    func place(of endpoint: String?) -> AnswerPlace

    /// Whether a page says what callbacks bring. Their address is the application's own.
    var callbackPlace: AnswerPlace { get }
}

/// A plain provider whose tasks stand below one path: `GET {path}/{id}`.
protocol TaskResourceProvider: PlainProvider {
    var tasksPath: String { get }
    /// What may follow a task's id in paths that have pages of their own.
    var taskRests: [String] { get }
    func credentialHeaders() throws(Failure) -> [Header]
}

extension TaskResourceProvider {
    var taskRests: [String] { [] }

    func place(of endpoint: String?) -> AnswerPlace {
        .ofTask(below: tasksPath, endpoint, rests: taskRests)
    }

    func credentialHeaders() throws(Failure) -> [Header] { [try bearer()] }

    package func pollRequest(
        taskID: String, endpoint: String, now: Instant
    ) throws(Failure) -> Request {
        try ask("/" + TaskIDText.forURL(taskID))
    }

    /// A request to the tasks' path and what follows it.
    func ask(_ rest: String) throws(Failure) -> Request {
        request(to: settings.baseURL + tasksPath + rest, try credentialHeaders())
    }
}

extension PlainProvider {
    var callbackPlace: AnswerPlace { .described }

    package func endpoints(for task: TaskReference) -> [String] { [PlainEndpoint.name] }

    /// A reader of an answer to a poll, or of a list.
    func reader(_ answer: Answer, _ endpoint: String?, now: Instant) -> TaskReader {
        TaskReader(dialect, answer, from: place(of: endpoint), now: now)
    }

    package func verdict(
        _ answer: Answer, askedTaskID: String?, endpoint: String?, kind: AnswerKind, now: Instant
    ) -> Verdict {
        let asked = askedTaskID.filled
        guard kind == .callback else {
            return reader(answer, endpoint, now: now).verdict(asked: asked)
        }
        return TaskReader(dialect, answer, from: callbackPlace, now: now)
            .callback(asked: asked, endpoint: endpoint)
    }
}

extension String? {
    /// The id that is asked for; a blank one is none.
    var filled: String? { flatMap { $0.trimmed.isEmpty ? nil : $0 } }
}
