import Core
import HTTP
import Jobs
import Postgres
import Providers

/// Reads the providers' lists of tasks: adopts the tasks that name a job of ours, and finds the ones
/// that no job knows.
///
/// Every list is read from the newest task back to what is known already, page by page; a walk that a
/// run cannot finish goes on in the next one. The providers are read side by side, and each page
/// takes a token of its provider's bucket.
struct ListWalk: ~Copyable {
    /// Pages of one list in one run at most.
    static let pageLimit = 50
    static let pause = Duration.milliseconds(100)

    /// One list on its way through its pages.
    struct Walk {
        let provider: any Provider
        /// The lists of this provider that are still to be read.
        var rest: [String]
        var endpoint = ""
        var start = WalkStart(page: nil, backTo: Instant(unixSeconds: 0))
        var page: String?
        var pages = 0
        var isFirstTry = true
    }

    let wiring: Wiring
    let deadline: ContinuousClock.Instant
    let lists: TaskLists
    let limits: ProviderLimits
    var client: Client?
    var asking: [Int: Walk] = [:]
    var waiting: [Walk] = []
    var nextTag = 0
    var report = RunReport()

    init(_ wiring: Wiring, deadline: ContinuousClock.Instant) {
        self.wiring = wiring
        self.deadline = deadline
        lists = TaskLists(run: wiring.run)
        limits = ProviderLimits(run: wiring.run)
    }

    /// The providers whose lists this host can read now.
    static func due(
        _ connection: borrowing Connection, _ wiring: Wiring, _ selection: Selection
    ) throws -> [any Provider] {
        guard selection.jobIDs.isEmpty else { return [] }
        let askable = Set(wiring.askable(selection))
        return try TaskLists(run: wiring.run).due(connection).filter(askable.contains)
            .compactMap { wiring.providers.provider($0) }.filter(\.facts.canList)
    }

    consuming func run(
        _ connection: borrowing Connection, _ providers: [any Provider]
    ) throws -> RunReport {
        for provider in providers {
            let inUse = try lists.offers(connection, provider: provider.name).flatMap { offer in
                provider.endpoints(
                    for: TaskReference(
                        taskID: "", endpoint: offer.endpoint, model: offer.model, kind: offer.kind))
            }
            let endpoints = provider.listEndpoints(inUse: Array(Set(inUse)).sorted())
            try beginNext(Walk(provider: provider, rest: endpoints), connection)
        }
        while !asking.isEmpty || !waiting.isEmpty {
            if wiring.shouldStop() {
                for walk in waiting + Array(asking.values) { try leave(walk, nil, connection) }
                break
            }
            try askWaiting(connection)
            guard let completions = client?.step(wait: asking.isEmpty ? .zero : Self.pause) else {
                Pause.wait(Self.pause)
                continue
            }
            if asking.isEmpty, completions.isEmpty, !waiting.isEmpty { Pause.wait(Self.pause) }
            for completion in completions {
                guard let walk = asking.removeValue(forKey: completion.tag) else { continue }
                switch completion.result {
                case .failure(let error): try leave(walk, error.message, connection)
                case .success(let response): try take(response, walk, connection)
                }
            }
        }
        if !wiring.shouldStop() { try tellStrays(connection) }
        return report
    }

    // MARK: Asking

    /// Goes on to the next list of a provider that is due; a provider without one is done.
    private mutating func beginNext(
        _ walk: Walk, _ connection: borrowing Connection
    ) throws {
        var walk = walk
        while let endpoint = walk.rest.first {
            walk.rest.removeFirst()
            guard
                let start = try lists.begin(
                    connection, provider: walk.provider.name, endpoint: endpoint)
            else { continue }
            walk.endpoint = endpoint
            walk.start = start
            walk.page = start.page
            walk.pages = 0
            walk.isFirstTry = true
            waiting.append(walk)
            return
        }
    }

    private mutating func askWaiting(_ connection: borrowing Connection) throws {
        var left: [Walk] = []
        for walk in waiting {
            guard ContinuousClock.now < deadline else {
                try leave(walk, nil, connection)
                continue
            }
            switch try limits.take(connection, provider: walk.provider.name, wanted: 1) {
            case nil: try leave(walk, "the provider is left alone", connection)
            case 0: left.append(walk)
            default: try ask(walk, connection)
            }
        }
        waiting = left
    }

    private mutating func ask(_ walk: Walk, _ connection: borrowing Connection) throws {
        do {
            guard
                var request = try walk.provider.listRequest(
                    endpoint: walk.endpoint, cursor: walk.page, now: wiring.wallClock())
            else { return try leave(walk, "the provider has no list", connection) }
            request.timeout = wiring.run.requestTimeout
            if client == nil { client = try Client() }
            nextTag += 1
            asking[nextTag] = walk
            client?.start(request, tag: nextTag)
        } catch let failure as Failure {
            try leave(walk, failure.message, connection)
        }
    }

    // MARK: Reading

    private mutating func take(
        _ response: Response, _ walk: Walk, _ connection: borrowing Connection
    ) throws {
        var walk = walk
        let name = walk.provider.name
        guard
            let page = walk.provider.listPage(
                Answer(response), endpoint: walk.endpoint, cursor: walk.page,
                now: wiring.wallClock())
        else {
            // A fresh token may be all it takes.
            if response.status == 401, walk.isFirstTry {
                walk.isFirstTry = false
                waiting.append(walk)
                return
            }
            let problem = "HTTP \(response.status), and no list that can be read"
            return try leave(walk, problem, connection)
        }
        var refused: [RunReport.Problem] = []
        let adopted = try connection.repeatable(
            page.tasks.compactMap { Self.sighted($0, wiring.proof.secrets) }
        ) { [lists] in
            try lists.record(connection, provider: name, endpoint: walk.endpoint, $0)
        } refused: {
            refused.append(
                .init(
                    code: "listed_task_refused",
                    message: "task \($0.taskID), which \(name) lists, could not be taken in: "
                        + "\($1.message) (\($1.sqlState)); the others were, and each walk tries it again"
                ))
        }
        for problem in refused { report.add(problem, status: .needsPerson) }
        for (taskID, jobID) in adopted.joined() {
            wiring.tell("job \(jobID): task \(taskID) found in the list of \(name)")
        }
        walk.pages += 1
        walk.isFirstTry = true
        // Some lists are not quite in the order of creation: one old task ends nothing.
        let dates = page.tasks.compactMap(\.createdAt)
        let isBackFarEnough = !dates.isEmpty && dates.allSatisfy { $0 < walk.start.backTo }
        walk.page = isBackFarEnough || page.tasks.isEmpty ? nil : page.next
        let isOver = walk.page == nil || walk.pages >= Self.pageLimit
        try lists.note(
            connection, provider: name, endpoint: walk.endpoint, page: walk.page, isOver: isOver,
            problem: nil)
        if isOver { try beginNext(walk, connection) } else { waiting.append(walk) }
    }

    /// A task with the job that it names: by our own id, or by our callback address with its tag.
    static func sighted(_ task: ListedTask, _ secrets: [String]) -> SightedTask? {
        guard let taskID = task.verdict.taskID else { return nil }
        var jobID = task.ownID
        if jobID == nil, let url = task.callbackURL {
            jobID =
                secrets.lazy.compactMap { CallbackReader.provenJobID(address: url, secret: $0) }
                .first
        }
        return SightedTask(
            taskID: taskID, jobID: jobID, state: task.verdict.state, cost: task.verdict.cost,
            createdAt: task.createdAt)
    }

    // MARK: Leaving

    /// Gives a walk's lease back, and with a problem, goes on to the provider's next list later.
    private mutating func leave(
        _ walk: Walk, _ problem: String?, _ connection: borrowing Connection
    ) throws {
        try lists.note(
            connection, provider: walk.provider.name, endpoint: walk.endpoint, page: walk.page,
            isOver: true, problem: problem ?? "the run ended first")
        guard let problem else { return }
        wiring.tell("the list of \(walk.provider.name) \(walk.endpoint): \(problem)")
        if !wiring.shouldStop(), ContinuousClock.now < deadline {
            try beginNext(walk, connection)
        }
    }

    private mutating func tellStrays(_ connection: borrowing Connection) throws {
        for stray in try lists.strays(connection) {
            report.count("stray_found")
            report.add(
                .init(
                    code: "stray_task",
                    message: "\(stray.provider) has task \(stray.taskID) (\(stray.state)"
                        + (stray.cost.map { ", \($0)" } ?? "")
                        + "), which no job knows; if it belongs to one, mark it: "
                        + "SELECT holdfast.mark_submitted(job, task)"),
                status: .needsPerson)
        }
    }
}
