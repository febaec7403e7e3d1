import Core
import Foundation
import TestSupport

/// How a client asks the simulated providers, written down from their pages and not by our adapters.
enum Question {
    /// The question about one task, as the providers' pages give it.
    static let polls = [
        "replicate": "GET /v1/predictions/{id}",
        "fal": "GET .../requests/{id}/status",
        "runway": "GET /v1/tasks/{id}",
        "luma": "GET /dream-machine/v1/generations/{id}",
        "minimax": "GET /v1/query/video_generation?task_id=",
        "google-veo": "GET /v1beta/{operation name}",
        "seedance": "GET /api/v3/contents/generations/tasks/{id}",
        "wavespeed": "GET /api/v3/predictions/{id}",
        "piapi": "GET /api/v1/task/{id}",
        "openai-videos": "GET /v1/videos/{id}",
    ]
    static let names = polls.keys.sorted()
    private static let falModel = "/fal-ai/example-video"

    static func key(_ name: String) -> [(String, String)] {
        let key = "simulator-\(name)-api-key"
        return switch name {
        case "fal": [("Authorization", "Key " + key)]
        case "piapi": [("x-api-key", key)]
        case "google-veo": [("x-goog-api-key", key)]
        case "runway": [("Authorization", "Bearer " + key), ("X-Runway-Version", "2024-11-06")]
        default: [("Authorization", "Bearer " + key)]
        }
    }

    /// Asks what `endpoint` says, about the id where it has a place for one.
    static func ask(
        _ name: String, _ endpoint: String, _ id: String, _ simulator: Simulator
    ) throws -> Loopback.Answer {
        var path = endpoint.replacingOccurrences(of: "GET ", with: "")
            .replacingOccurrences(of: "...", with: falModel)
            .replacingOccurrences(of: "{id}", with: id)
            .replacingOccurrences(of: "{operation name}", with: id)
        if path == "response_url" { path = "\(falModel)/requests/\(id)" }
        if path.hasSuffix("task_id=") { path += id }
        if path.hasSuffix("file_id=") {
            let poll = try ask(name, polls[name] ?? "", id, simulator)
            path += try poll.json()["file_id"]?.text ?? ""
        }
        if !path.hasPrefix("/") { path = "/" + path }
        return try Loopback.request(
            "GET", port: simulator.port, path: "/\(name)\(path)", headers: key(name))
    }
}
