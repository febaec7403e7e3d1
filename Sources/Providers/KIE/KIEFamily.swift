import Core

/// One of KIE's endpoint families: where it answers, and what its words mean.
///
/// Source: docs.kie.ai, the page "get … details" of each family.
struct KIEFamily: Sendable {
    /// What tells the state of a task.
    enum StateField: Sendable {
        /// A field that holds a word.
        case word(String, [String: TaskState])
        /// `successFlag`, a number; and where a family has it, the word that goes with it.
        case flag([Int64: TaskState], word: [String: TaskState]?)
        /// No field: that the query worked is the success.
        case answered
    }

    /// Keys of a kind stand for each of them, in the order of the record.
    static let anyURLKey = "*Url"
    static let anyURLKeyOfCallback = "*_url"

    /// The short name stored with a job.
    let name: String
    let path: String
    let state: StateField
    /// Paths from the record to the result URLs; the first that holds a usable one counts.
    ///
    /// `*` stands for each element of a list, and as the start of a key for each key that ends so,
    /// but for those of the input.
    let files: [[String]]
    /// Its page has no task id in the answer; everywhere else an answer without one is nobody's.
    var namesNoTask = false
    /// The most files that one task gives.
    var mostOutputs = 1

    static let market = KIEFamily(
        name: "market", path: "/api/v1/jobs/recordInfo", state: .word("state", words),
        files: [["resultJson", "resultUrls"], ["resultJson", "videoUrl"]])

    static let veo = KIEFamily(
        name: "veo", path: "/api/v1/veo/record-info", state: .flag(flags, word: nil),
        files: [["response", "resultUrls"], ["response", "originUrls"]])

    /// The 1080p rendering of a finished task; anything but success may mean "not ready".
    static let veo1080p = KIEFamily(
        name: "veo-1080p", path: "/api/v1/veo/get-1080p-video", state: .answered,
        files: [["resultUrl"]], namesNoTask: true)

    static let runway = KIEFamily(
        name: "runway", path: "/api/v1/runway/record-detail", state: .word("state", words),
        files: [["videoInfo", "videoUrl"]])

    static let aleph = KIEFamily(
        name: "aleph", path: "/api/v1/aleph/record-info", state: .flag(flags, word: nil),
        files: [["response", "resultVideoUrl"]])

    static let gpt4oImage = KIEFamily(
        name: "gpt4o-image", path: "/api/v1/gpt4o-image/record-info",
        state: .flag(
            flags,
            word: [
                "generating": .running, "success": .succeeded, "create_task_failed": .failed,
                "generate_failed": .failed,
            ]),
        files: [["response", "resultUrls"]], mostOutputs: 4)

    static let fluxKontext = KIEFamily(
        name: "flux-kontext", path: "/api/v1/flux/kontext/record-info",
        state: .flag(flags, word: nil), files: [["response", "resultImageUrl"]])

    static let suno = KIEFamily(
        name: "suno", path: "/api/v1/generate/record-info",
        state: .word(
            "status",
            [
                "pending": .pending, "text_success": .running, "first_success": .running,
                "success": .succeeded, "create_task_failed": .failed,
                "generate_audio_failed": .failed, "sensitive_word_error": .failed,
                // Generated, but their callback to us failed.
                callbackException: .succeeded,
            ]),
        files: [["response", "sunoData", "*", "audioUrl"]], mostOutputs: 2)

    static let midjourney = KIEFamily(
        name: "mj", path: "/api/v1/mj/record-info", state: .flag(flags, word: nil),
        files: [["resultInfoJson", "resultUrls", "*", "resultUrl"]], mostOutputs: 4)

    static let lumaModify = KIEFamily(
        name: "luma-modify", path: "/api/v1/modify/record-info",
        // 4: generated, but their callback to us failed.
        state: .flag(flags.merging([4: .succeeded]) { $1 }, word: nil),
        files: [["response", "resultUrls"]])

    static let all: [KIEFamily] =
        [
            market, veo, runway, aleph, gpt4oImage, fluxKontext, suno, midjourney, lumaModify,
            veo1080p,
        ] + ofSongs

    static let callbackException = "callback_exception"

    // The market's words and Runway's, which spell waiting differently and agree on the end.
    private static let words: [String: TaskState] = [
        "waiting": .pending, "wait": .pending, "queuing": .pending, "queueing": .pending,
        "generating": .running, "success": .succeeded, "fail": .failed,
    ]

    private static let flags: [Int64: TaskState] = [
        0: .running, 1: .succeeded, 2: .failed, 3: .failed,
    ]

    // A path that older clients still use for the market.
    private static let olderPaths = ["/api/v1/playground/recordinfo": market]

    /// The family of a short name, a path, or a method and path with or without a query.
    static func named(_ text: String) -> KIEFamily? {
        let path = EndpointText.path(text).asciiLowercased
        return all.first { $0.name == path || $0.path.asciiLowercased == path } ?? olderPaths[path]
    }

    /// The family that a record looks like, for a path that no table names.
    ///
    /// It tells what its words mean as long as the task goes on or has succeeded. That they end a
    /// task would be a guess, since families that look alike use them differently.
    static func resembling(_ record: JSONObject) -> KIEFamily? {
        if record.has("state") { return record.has("videoInfo") ? runway : market }
        if record.has("resultInfoJson") { return midjourney }
        let response = record["response"]?.opened.object ?? JSONObject()
        guard record.has("successFlag") else { return record.has("status") ? suno : nil }
        if record.has("status") { return gpt4oImage }
        if response.has("resultVideoUrl") { return aleph }
        if response.has("resultImageUrl") { return fluxKontext }
        return KIEFamily(
            name: "", path: "", state: .flag(flags, word: nil), files: [["response", "resultUrls"]])
    }

    /// The families to look in when nobody named one, in order.
    ///
    /// Model names with a slash are the market's own way to write them.
    static func candidates(model: String, kind: JobKind) -> [KIEFamily] {
        let model = model.word
        for (start, family) in modelStarts where model.hasPrefix(start) { return [family] }
        if kind == .audio, model.hasPrefix("v"), model.dropFirst().first?.isNumber == true {
            return [suno]
        }
        switch kind {
        case .audio: return [market, suno]
        case .image: return model.contains("/") ? [market] : [market, gpt4oImage, fluxKontext]
        case .video, .other: return [market, veo]
        }
    }

    private static let modelStarts: [(String, KIEFamily)] = [
        ("veo", veo), ("runway-aleph", aleph), ("runway_aleph", aleph), ("aleph", aleph),
        ("gpt4o-image", gpt4oImage), ("gpt-4o-image", gpt4oImage), ("4o-image", gpt4oImage),
        ("flux-kontext", fluxKontext), ("suno", suno), ("midjourney", midjourney),
        ("mj", midjourney), ("luma-modify", lumaModify), ("runway", runway),
    ]
}

/// Endpoints as people and fact pages write them.
enum EndpointText {
    /// The path of `GET /a/b?c=d`, `https://host/a/b` or `/a/b/`; a short name stays as it is.
    static func path(_ text: String) -> String {
        var rest = target(text)
        if let query = rest.unicodeScalars.firstIndex(where: { $0 == "?" || $0 == "#" }) {
            rest = String(rest[..<query])
        }
        if let scheme = rest.utf8.firstRange(of: Array("://".utf8)) {
            let host = rest[scheme.upperBound...]
            rest = String(host.drop { $0 != "/" })
        }
        while rest.utf8.count > 1, rest.hasSuffix("/") { rest.removeLast() }
        return rest
    }

    /// What follows the first `?`.
    static func query(_ text: String) -> String {
        let target = target(text)
        guard let sign = target.unicodeScalars.firstIndex(of: "?") else { return "" }
        return String(target[target.unicodeScalars.index(after: sign)...])
    }

    private static func target(_ text: String) -> String {
        let words = text.trimmed.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let method = words.first,
            method.utf8.allSatisfy({ (0x41...0x5A).contains($0) })
        else { return text.trimmed }
        return words[1].trimmed
    }
}
