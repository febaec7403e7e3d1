/// What a file is, told from its first bytes.
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

    /// How many bytes from the beginning `detect` wants to see; fewer when the file is shorter.
    package static let sampleBytes = 512

    /// What `detect` found.
    package enum Finding: Equatable, Sendable {
        case media(MediaType)
        /// Nothing to store; the reason is a noun phrase: "an HTML page (declared image/png)".
        case refused(String)
    }

    /// Tells what a file is from its first bytes, and only then from the declared content type.
    ///
    /// Bytes that are known decide alone. What reads as text is refused whatever was declared,
    /// because a page with an error on it is the usual false file. A declared type counts only for
    /// bytes that are neither, and only when it is one whose files may begin with anything.
    package static func detect(first bytes: [UInt8], declared: String? = nil) -> Finding {
        let sample = bytes.prefix(sampleBytes)
        let type = declared.flatMap(essence)
        if let known = Signature.media(Array(sample), declared: type ?? "") {
            return .media(known)
        }
        let suffix = type.map { " (declared \($0))" } ?? " (no usable content type declared)"
        if let other = Signature.refusal(Array(sample)) { return .refused(other + suffix) }
        guard let type, let fileExtension = trusted[type] else {
            return .refused("bytes of an unknown format" + suffix)
        }
        return .media(MediaType(contentType: type, fileExtension: fileExtension))
    }

    /// Types that are believed without a signature: either their files have none that can be
    /// relied on, or nobody would declare them by accident.
    private static let trusted = [
        "audio/aac": "aac", "audio/aiff": "aiff", "audio/midi": "mid", "audio/mp4": "m4a",
        "audio/mpeg": "mp3", "audio/x-aiff": "aiff", "image/bmp": "bmp", "image/jp2": "jp2",
        "image/jxl": "jxl", "image/tiff": "tiff", "image/vnd.radiance": "hdr",
        "image/x-exr": "exr", "video/3gpp": "3gp", "video/mp2t": "ts", "video/mp4": "mp4",
        "video/mpeg": "mpg", "video/quicktime": "mov", "video/x-flv": "flv",
        "video/x-msvideo": "avi",
    ]

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
