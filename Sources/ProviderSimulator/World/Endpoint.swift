/// The families of tasks that are played.
enum Endpoint {
    static let market = "market"
    static let veo = "veo"
    /// MiniMax's older interface, with its second request, and the newer one without.
    static let v1 = "v1"
    static let v2 = "v2"
    /// The only family of a provider that has no more than one.
    static let tasks = "tasks"

    private static let klingVideos = [
        "image2video", "text2video", "multi-image2video", "video-extend", "lip-sync", "effects",
        "motion-control", "omni-video",
    ]
    private static let klingImages = ["generations", "kolors-virtual-try-on"]

    /// The families by name; empty for fal, whose families are the paths of models.
    static func all(of provider: Provider) -> [String] {
        switch provider {
        case .kie: [market, veo]
        case .kling: klingVideos + klingImages
        case .fal: []
        case .minimax: [v1, v2]
        // The model decides where the result stands.
        case .piapi: ["kling", "luma", "wan", "flux"]
        case .replicate, .runway, .luma, .googleVeo, .seedance, .wavespeed, .openAIVideos: [tasks]
        }
    }

    static func isKnown(_ endpoint: String, of provider: Provider) -> Bool {
        guard provider == .fal else { return all(of: provider).contains(endpoint) }
        let parts = endpoint.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count >= 2 && parts.allSatisfy { !$0.isEmpty && $0 != "requests" }
    }

    static func isImage(_ endpoint: String, of provider: Provider) -> Bool {
        switch provider {
        case .kling: klingImages.contains(endpoint)
        case .piapi: endpoint == "flux"
        default: false
        }
    }

    static func standard(of provider: Provider) -> String {
        switch provider {
        case .kling: "image2video"
        case .fal: "fal-ai/example-video"
        default: all(of: provider).first ?? tasks
        }
    }

    /// As much of a family as the address of a question about one task tells.
    static func asked(_ endpoint: String, of provider: Provider) -> String {
        switch provider {
        case .kie, .kling, .minimax: endpoint
        // A model's path below its application stands in the submission only.
        case .fal: endpoint.split(separator: "/").prefix(2).joined(separator: "/")
        default: tasks
        }
    }

    /// The Kling family that `/v1/<group>/<kind>` names, if there is such a one.
    static func kling(group: String, kind: String) -> String? {
        switch group {
        case "videos": klingVideos.contains(kind) ? kind : nil
        case "images": klingImages.contains(kind) ? kind : nil
        default: nil
        }
    }
}
