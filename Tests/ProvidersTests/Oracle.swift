import Foundation

/// One value of a document with the keys that lead to it, as Foundation reads it.
struct Leaf {
    var path: [String]
    var value: Any

    static func all(in body: [UInt8]) -> [Leaf] {
        var leaves: [Leaf] = []
        collect(parse(Data(body)), path: [], into: &leaves)
        return leaves
    }

    private static func parse(_ data: Data) -> Any {
        let fragments = JSONSerialization.ReadingOptions.fragmentsAllowed
        return (try? JSONSerialization.jsonObject(with: data, options: fragments)) ?? ""
    }

    private static func collect(_ value: Any, path: [String], into leaves: inout [Leaf]) {
        switch value {
        case let object as [String: Any]:
            for (key, inner) in object { collect(inner, path: path + [key], into: &leaves) }
        case let list as [Any]:
            for inner in list { collect(inner, path: path, into: &leaves) }
        case let text as String:
            leaves.append(Leaf(path: path, value: text))
            if let first = text.first, "{[\"".contains(first), path.count < 12 {
                collect(parse(Data(text.utf8)), path: path, into: &leaves)
            }
        default: leaves.append(Leaf(path: path, value: value))
        }
    }

    var word: String {
        "\(value)".trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
    }

    func hasAny(_ keys: String...) -> Bool { path.contains { keys.contains($0) } }
    func ends(in keys: String...) -> Bool { path.last.map(keys.contains) ?? false }
}

/// Where a provider documents its files, and how it spells a failure: told a second time, so that the
/// adapters are not their own judges.
struct Oracle: Sendable {
    var isFile: @Sendable (Leaf) -> Bool
    var spellsFailure: @Sendable (Leaf) -> Bool
    /// A URL that is made from the task's id, where bodies name none.
    var derivedURL: (@Sendable (String) -> String)?

    func allows(_ url: String, in leaves: [Leaf], taskID: String?) -> Bool {
        if let derivedURL { return taskID.map(derivedURL) == url }
        return leaves.contains { leaf in
            isFile(leaf)
                && (leaf.value as? String)?.trimmingCharacters(in: .whitespacesAndNewlines) == url
        }
    }

    private static func word(_ key: String, _ words: String...) -> @Sendable (Leaf) -> Bool {
        { $0.ends(in: key) && words.contains($0.word) }
    }

    static let all: [String: Oracle] = [
        "kie": Oracle(
            isFile: { leaf in
                leaf.ends(
                    in: "resultUrls", "videoUrl", "originUrls", "resultVideoUrl", "resultImageUrl",
                    "audioUrl", "resultUrl", "audio_url", "video_url")
                    && !leaf.hasAny("param", "paramJson", "generateParam")
            },
            spellsFailure: { leaf in
                switch leaf.path.last {
                case "state", "status":
                    leaf.word == "fail" || leaf.word.hasSuffix("failed")
                        || leaf.word.hasSuffix("error")
                case "successFlag": ["2", "3"].contains(leaf.word)
                // A callback's code, together with the task's id.
                case "code": ["400", "422", "500", "501", "531"].contains(leaf.word)
                default: false
                }
            }),
        "kling": Oracle(
            isFile: {
                $0.hasAny("task_result") && $0.hasAny("videos", "images", "series_images", "audios")
                    && !$0.hasAny("task_info")
            },
            spellsFailure: word("task_status", "failed")),
        "replicate": Oracle(
            isFile: { $0.hasAny("output") }, spellsFailure: word("status", "failed")),
        "luma": Oracle(
            isFile: { $0.hasAny("assets") && $0.ends(in: "video", "image") },
            spellsFailure: word("state", "failed")),
        "fal": Oracle(
            isFile: {
                $0.ends(in: "url")
                    && $0.hasAny("images", "image", "video", "videos", "audio", "audio_file")
            },
            spellsFailure: {
                ($0.ends(in: "status") && ["failed", "error"].contains($0.word))
                    || $0.hasAny("detail")
            }),
        "runway": Oracle(
            isFile: { $0.ends(in: "output") }, spellsFailure: word("status", "failed")),
        "minimax": Oracle(
            isFile: {
                $0.ends(in: "download_url", "video_url")
                    || ($0.ends(in: "url") && $0.hasAny("content"))
            },
            spellsFailure: word("status", "fail", "failed")),
        "google-veo": Oracle(
            isFile: {
                $0.ends(in: "uri") && $0.hasAny("generatedSamples", "generatedVideos")
                    && $0.hasAny("response")
            },
            spellsFailure: { $0.hasAny("error", "raiMediaFilteredCount") }),
        "seedance": Oracle(
            isFile: { $0.ends(in: "video_url") && $0.hasAny("content") },
            spellsFailure: word("status", "failed")),
        "wavespeed": Oracle(
            isFile: { $0.ends(in: "outputs") }, spellsFailure: word("status", "failed")),
        "piapi": Oracle(
            isFile: { leaf in
                leaf.hasAny("output") && !leaf.hasAny("cover", "last_frame", "thumbnail")
            },
            spellsFailure: word("status", "failed")),
        "openai-videos": Oracle(
            isFile: { _ in false },
            spellsFailure: {
                ($0.ends(in: "status") && $0.word == "failed")
                    || ($0.ends(in: "type") && $0.word == "video.failed")
            },
            derivedURL: { "https://api.openai.com/v1/videos/\($0)/content" }),
    ]
}
