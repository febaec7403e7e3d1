import Foundation

/// The application's own endpoint that starts the processing of a job.
struct TriggerPlay: Sendable {
    let world: World
    static let storedBodyLimitBytes = 65_536

    static func jobID(_ request: Request) -> String? { request.object()?["job_id"] as? String }

    func answer(_ request: Request, trouble: Trouble?) -> Response {
        guard request.method == "POST", request.segments == ["app", "trigger"] else {
            return Self.body(404, "not found")
        }
        let object = request.object()
        let job = object?["job_id"] as? String
        let response = judge(request, job: job, trouble: trouble)
        record(request, object: object, job: job ?? "", response: response)
        return response
    }

    private func judge(_ request: Request, job: String?, trouble: Trouble?) -> Response {
        let settings = world.read { $0.trigger }
        switch trouble {
        case .refuse: return .refused
        case .unauthorized: return Self.body(401, "unauthorized")
        case .rateLimited: return Self.body(429, "too many requests")
        case .serverError: return Self.body(500, "internal error")
        case .hang, .cut, nil: break
        }
        guard request.headers[settings.header] == settings.secret else {
            return Self.body(401, "unauthorized")
        }
        guard job?.isEmpty == false else { return Self.body(400, "job_id is missing") }
        return Self.body(202, nil)
    }

    private func record(
        _ request: Request, object: [String: Any]?, job: String, response: Response
    ) {
        let text = String(decoding: request.body.prefix(Self.storedBodyLimitBytes), as: UTF8.self)
        let isWhole = request.body.count <= Self.storedBodyLimitBytes
        world.change { state in
            var count = state.counts.triggers[job] ?? Counts.TriggerCount()
            count.statuses.append(response.status)
            if response.status == 202 { count.accepted += 1 }
            count.keys.append(request.headers["idempotency-key"] ?? "")
            count.attempts.append(Self.number(object?["attempt"]))
            count.bodies.append(object != nil && isWhole ? .raw(text) : .text(text))
            state.counts.triggers[job] = count
            if response.status == 401 {
                state.counts.unauthorized[Area.trigger.rawValue, default: 0] += 1
            }
        }
    }

    private static func number(_ value: Any?) -> JSONText {
        (value as? Int).map { .int($0) } ?? .null
    }

    private static func body(_ status: Int, _ error: String?) -> Response {
        .json(
            .object(error.map { [("error", .text($0))] } ?? [("accepted", .bool(true))]),
            status: status)
    }
}
