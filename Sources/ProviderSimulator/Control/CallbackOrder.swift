/// What a control request says about the callback of a task.
///
/// The answer has the `headers` and the `body` that the provider would send now, and, with a `url`
/// on the loopback, the `statuses` that each copy was answered with; 0 means not at all.
struct CallbackOrder: Decodable, Sendable {
    enum Signature: String, CaseIterable { case right, wrong, missing }

    var taskID: String
    /// Without it, nothing is sent.
    var url: String?
    var signature: Signature
    /// How long ago it was signed.
    var ageSeconds: Int
    var copies: Int

    private static let fields: Set<String> = [
        "task_id", "url", "signature", "age_seconds", "copies",
    ]

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(decoder, allowed: Self.fields)
        guard let id: String = try object.value("task_id") else {
            throw ControlError(field: "task_id", reason: "is missing")
        }
        taskID = id
        url = try object.value("url")
        signature = try object.choice("signature") ?? .right
        ageSeconds = try object.integer("age_seconds", -86_400...86_400) ?? 0
        copies = try object.integer("copies", 1...100_000) ?? 1
    }

    /// Sends what was ordered, outside of the world's lock.
    ///
    /// - Throws: `ControlError` when there is no such task, callback or receiver.
    func carryOut(in world: World) throws -> JSONText {
        guard let task = world.read({ $0.tasks[taskID] }) else {
            throw ControlError(field: "task_id", reason: "no task \(taskID)")
        }
        guard let text = task.provider.play(world).callback(world.glance(task)) else {
            throw ControlError(field: "task_id", reason: "\(task.provider) sends no callbacks")
        }
        let body = text.bytes
        let seconds = Clock.milliseconds() / 1000 - Int64(ageSeconds)
        let headers =
            signature == .missing
            ? []
            : Webhook(world: world, provider: task.provider).headers(
                taskID: task.id, body: body, seconds: seconds,
                key: signature == .wrong ? "somebody else's" : nil)
        let statuses = try send(body, headers)
        return .object([
            ("headers", .object(headers.map { ($0.name, .text($0.value)) })),
            ("body", .text(text.string)), ("statuses", .array(statuses.map { .int($0) })),
        ])
    }

    private func send(_ body: [UInt8], _ headers: Webhook.Headers) throws -> [Int] {
        guard let url else { return [] }
        guard let courier = Courier(url) else {
            throw ControlError(field: "url", reason: "must be http on the loopback")
        }
        return (0..<copies).map { _ in courier.post(body, headers: headers) }
    }
}

/// What a control request says about the pages of lists.
struct ListOrder: Decodable, Sendable {
    var pageLimit: Int?

    init(from decoder: any Decoder) throws {
        let object = try StrictObject(decoder, allowed: ["page_limit"])
        pageLimit = try object.integer("page_limit", 1...1000)
    }
}
