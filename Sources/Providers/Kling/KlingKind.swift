import Core

/// One of Kling's task kinds: each has a path, and each answers in the same shape.
struct KlingKind: Sendable {
    /// The short name stored with a job.
    let name: String
    let path: String

    static let text2video = KlingKind(name: "text2video", path: "/v1/videos/text2video")
    static let image2video = KlingKind(name: "image2video", path: "/v1/videos/image2video")
    static let generations = KlingKind(name: "generations", path: "/v1/images/generations")
    static let textToAudio = KlingKind(name: "text-to-audio", path: "/v1/audio/text-to-audio")
    static let videoToAudio = KlingKind(name: "video-to-audio", path: "/v1/audio/video-to-audio")

    static let all: [KlingKind] = [
        text2video, image2video, generations, textToAudio, videoToAudio,
        KlingKind(name: "multi-image2video", path: "/v1/videos/multi-image2video"),
        KlingKind(name: "video-extend", path: "/v1/videos/video-extend"),
        KlingKind(name: "lip-sync", path: "/v1/videos/lip-sync"),
        KlingKind(name: "advanced-lip-sync", path: "/v1/videos/advanced-lip-sync"),
        KlingKind(name: "effects", path: "/v1/videos/effects"),
        KlingKind(name: "motion-control", path: "/v1/videos/motion-control"),
        KlingKind(name: "omni-video", path: "/v1/videos/omni-video"),
        KlingKind(name: "avatar", path: "/v1/videos/avatar/image2video"),
        KlingKind(name: "kolors-virtual-try-on", path: "/v1/images/kolors-virtual-try-on"),
        KlingKind(name: "omni-image", path: "/v1/images/omni-image"),
        KlingKind(name: "multi-image2image", path: "/v1/images/multi-image2image"),
        KlingKind(name: "expand", path: "/v1/images/editing/expand"),
        KlingKind(name: "tts", path: "/v1/audio/tts"),
    ]

    /// The kind of a short name, or of a path with or without method, task id and query.
    static func named(_ text: String) -> KlingKind? {
        let path = EndpointText.path(text)
        return all.first { kind in
            kind.name == path || kind.path == path || path.hasPrefix(kind.path + "/")
        }
    }

    /// The kinds to look in when nobody named one, in order.
    static func candidates(_ kind: JobKind) -> [KlingKind] {
        switch kind {
        case .image: [generations]
        case .video, .other: [image2video, text2video]
        case .audio: [textToAudio, videoToAudio]
        }
    }
}
