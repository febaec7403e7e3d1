package import Core
import Foundation
import Providers

/// What a test has to know about a provider that the simulator plays.
package struct PlayedProvider: Sendable, CustomStringConvertible {
    package let name: String
    /// The family that jobs and tasks are of.
    package let endpoint: String?
    /// It tells the end and the files apart: a second request follows the poll.
    package let asksTwice: Bool
    /// It hands files out itself, against the key.
    package let keepsFiles: Bool
    /// It lists tasks.
    package let lists: Bool
    /// Its list gives back where it is to call, so that a task tells its job.
    package let tellsCallback: Bool

    package var description: String { name }

    /// Every provider that this build knows.
    package static let all = ProviderRegistry.names.map { PlayedProvider($0) }

    package static func named(_ names: String...) -> [PlayedProvider] {
        all.filter { names.contains($0.name) }
    }

    package static func all(but names: String...) -> [PlayedProvider] {
        all.filter { !names.contains($0.name) }
    }

    private init(_ name: String) {
        self.name = name
        self.asksTwice = ["fal", "minimax"].contains(name)
        self.keepsFiles = ["google-veo", "openai-videos"].contains(name)
        self.lists = !["kie", "runway", "google-veo", "piapi"].contains(name)
        self.tellsCallback = ["replicate", "luma"].contains(name)
        self.endpoint =
            switch name {
            case "kie": "market"
            case "kling": "image2video"
            case "fal": "fal-ai/example-video/turbo"
            default: nil
            }
    }

    /// Its part in the names of variables.
    private var stem: String {
        "HOLDFAST_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    package var baseURLVariable: String { stem + "_BASE_URL" }

    /// The variable whose value it takes for a proof of who we are.
    package var keyVariable: String { stem + (name == "kling" ? "_SECRET_KEY" : "_API_KEY") }

    /// Where it is and what it knows us by, when a simulator plays it.
    package func environment(at base: String) -> [String: String] {
        var all = [
            baseURLVariable: "\(base)/\(name)", keyVariable: "simulator-\(name)-api-key",
        ]
        switch name {
        case "kling":
            all[stem + "_ACCESS_KEY"] = "simulator-kling-access-key"
            all[keyVariable] = "simulator-kling-secret-key"
        case "fal":
            all[stem + "_PLATFORM_BASE_URL"] = "\(base)/fal"
            all[stem + "_KEYS_URL"] = "\(base)/fal/.well-known/jwks.json"
        default: break
        }
        return all
    }

    /// What callbacks that the simulator signs are checked with, as the provider hands it out; empty
    /// where it signs nothing, or publishes its keys.
    package var webhookEnvironment: [String: String] {
        let secret = "simulator-\(name)-webhook-secret"
        return switch name {
        case "kie": [stem + "_WEBHOOK_KEY": secret]
        case "replicate", "openai-videos":
            [stem + "_WEBHOOK_SECRET": "whsec_" + Data(secret.utf8).base64EncodedString()]
        case "wavespeed": [stem + "_WEBHOOK_SECRET": "whsec_" + secret]
        case "piapi": [stem + "_WEBHOOK_SECRET": secret]
        default: [:]
        }
    }
}

extension RescueLine {
    /// Places a new task at a simulated provider and returns the id that the provider gave it.
    package func orderTask(_ provider: PlayedProvider, _ task: JSONValue = [:]) throws -> String {
        var members: [JSONObject.Member] = [
            .init(key: "provider", value: .string(provider.name))
        ]
        if let endpoint = provider.endpoint {
            members.append(.init(key: "endpoint", value: .string(endpoint)))
        }
        members += task.object?.members ?? []
        let answer = try simulator.post("/control/tasks", json: .object(JSONObject(members)))
        guard let id = answer["tasks"]?.array?.first?["task_id"]?.text else {
            throw TestSupportError("the simulator names no task")
        }
        return id
    }

    /// What the application does for a customer at any provider; returns the task's id.
    package func open(
        _ id: String, at provider: PlayedProvider, credits: Int = 100, task: JSONValue = [:]
    ) throws -> String {
        let taskID = try orderTask(provider, task)
        try open(
            id, provider: provider.name, credits: credits,
            outputs: Int(task["outputs"]?.int ?? 1), endpoint: provider.endpoint, taskID: taskID,
            task: nil)
        return taskID
    }

    /// Changes a task that is there already.
    package func change(_ taskID: String, _ members: JSONValue) throws {
        let own = JSONObject.Member(key: "task_id", value: .string(taskID))
        let order = JSONObject([own] + (members.object?.members ?? []))
        _ = try simulator.post("/control/tasks", json: .object(order))
    }

    /// Makes a provider misbehave in one way, named as the simulator's control page names its rate.
    ///
    /// - Parameters:
    ///   - taskID: nil for all tasks.
    ///   - step: nil for all that is asked of the provider.
    ///   - count: nil until it is taken back.
    package func fault(
        _ provider: PlayedProvider, _ trouble: String, rate: String = "1", taskID: String? = nil,
        step: String? = nil, count: Int? = nil
    ) throws {
        let members: [(String, JSONValue?)] = [
            ("provider", .string(provider.name)), (trouble, .number(rate)),
            ("task_id", taskID.map { .string($0) }), ("step", step.map { .string($0) }),
            ("count", count.map { .integer($0) }),
        ]
        try fault(
            .object(
                JSONObject(
                    members.compactMap { name, value in
                        value.map { JSONObject.Member(key: name, value: $0) }
                    })))
    }

    /// The last requests that the simulator has seen, oldest first.
    package func requests() throws -> [JSONValue] {
        try simulator.get("/control/requests?limit=1000")["requests"]?.array ?? []
    }
}
