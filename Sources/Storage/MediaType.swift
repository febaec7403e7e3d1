/// What a file is, told from its first bytes: one of the types that are stored.
package struct MediaType: Equatable, Sendable {
    package var contentType: String
    /// Without a dot, in lower case.
    package var fileExtension: String

    package init(contentType: String, fileExtension: String) {
        self.contentType = contentType
        self.fileExtension = fileExtension
    }

    /// Whether a browser that gets the object shows it or saves it: what it can run is saved.
    package var disposition: String {
        let isShown = ["image/", "video/", "audio/"].contains { contentType.hasPrefix($0) }
        return isShown && contentType != "image/svg+xml" ? "inline" : "attachment"
    }

    /// Objects are never overwritten, so that everybody may keep them.
    package static let cacheControl = "public, max-age=\(cacheSeconds), immutable"
    static let cacheSeconds = 31_536_000

    /// Text, tables and documents are reports, and bare bytes are what was refused: nobody's to keep on
    /// the way.
    private var isPrivate: Bool {
        contentType.hasPrefix("text/") || contentType == "application/json"
            || contentType == Self.bytes.contentType
            || contentType.hasPrefix("application/vnd.")
    }
    var cacheControl: String { isPrivate ? "private, no-store" : Self.cacheControl }
    var cacheSeconds: Int { isPrivate ? 0 : Self.cacheSeconds }

    /// How many bytes from the beginning `detect` wants to see; fewer when the file is shorter.
    package static let sampleBytes = 512

    /// What `detect` found.
    package enum Finding: Equatable, Sendable {
        case media(MediaType)
        /// Nothing to store; the reason is a noun phrase: "an HTML page (declared image/png)".
        case refused(String)
    }

    /// Tells what a file is from its first bytes.
    ///
    /// The bytes decide alone, whatever was declared: a wrong label on good media is no error, and
    /// the right label on anything else is no reason to store it. The declared type is heard only
    /// where a container does not tell sound from pictures.
    package static func detect(first bytes: [UInt8], declared: String? = nil) -> Finding {
        let sample = Array(bytes.prefix(sampleBytes))
        let type = declared.flatMap(essence)
        let text = Refusal.text(sample)
        if text == nil, let known = Signature.media(sample, declared: type ?? "") {
            return .media(known)
        }
        let reason = text ?? Refusal.foreign(sample) ?? "bytes of an unknown format"
        let label = type.map { "declared \($0)" } ?? "no usable content type declared"
        return .refused("\(reason) (\(label))")
    }

    /// What a file is stored as that a person wants delivered although it was refused.
    ///
    /// Refused are the types that a browser runs: markup, and text that may be a script. What is no
    /// media is stored as bare bytes, which a browser saves.
    package static func accepted(first bytes: [UInt8]) -> Finding {
        let sample = Array(bytes.prefix(sampleBytes))
        if case .media(let type) = detect(first: sample) { return .media(type) }
        return Refusal.runnable(sample).map { .refused($0) } ?? .media(.bytes)
    }

    /// The type without its parameters, in lower case; nil when it is not one.
    private static func essence(_ declared: String) -> String? {
        let type = declared.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        let parts = type.split(separator: "/", omittingEmptySubsequences: false)
        let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789.+-_".utf8)
        guard type.utf8.count <= 80, parts.count == 2,
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(allowed.contains) })
        else { return nil }
        return type
    }
}

extension MediaType {
    private static let known = [
        png, jpeg, gif, webp, avif, heic, mp4, m4a, mov, webm, mp3, wav, ogg, ogv, flac, glb, zip,
    ]

    /// The type of a key of ours, by its extension.
    package init(ofKey key: ObjectKey) {
        let name = key.description
        self = Self.known.first { name.hasSuffix("." + $0.fileExtension) } ?? .bytes
    }

    /// Nothing that anybody shows or runs.
    package static let bytes = MediaType(
        contentType: "application/octet-stream", fileExtension: "bin")
    static let png = MediaType(contentType: "image/png", fileExtension: "png")
    static let jpeg = MediaType(contentType: "image/jpeg", fileExtension: "jpg")
    static let gif = MediaType(contentType: "image/gif", fileExtension: "gif")
    static let webp = MediaType(contentType: "image/webp", fileExtension: "webp")
    static let avif = MediaType(contentType: "image/avif", fileExtension: "avif")
    static let heic = MediaType(contentType: "image/heic", fileExtension: "heic")
    static let mp4 = MediaType(contentType: "video/mp4", fileExtension: "mp4")
    static let m4a = MediaType(contentType: "audio/mp4", fileExtension: "m4a")
    static let mov = MediaType(contentType: "video/quicktime", fileExtension: "mov")
    static let webm = MediaType(contentType: "video/webm", fileExtension: "webm")
    static let webmSound = MediaType(contentType: "audio/webm", fileExtension: "webm")
    static let mp3 = MediaType(contentType: "audio/mpeg", fileExtension: "mp3")
    static let wav = MediaType(contentType: "audio/wav", fileExtension: "wav")
    static let ogg = MediaType(contentType: "audio/ogg", fileExtension: "ogg")
    static let ogv = MediaType(contentType: "video/ogg", fileExtension: "ogv")
    static let flac = MediaType(contentType: "audio/flac", fileExtension: "flac")
    static let glb = MediaType(contentType: "model/gltf-binary", fileExtension: "glb")
    static let zip = MediaType(contentType: "application/zip", fileExtension: "zip")
}
