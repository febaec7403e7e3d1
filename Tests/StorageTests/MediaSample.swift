import Foundation
import Storage
import Testing

/// A file with what it is to be taken for.
struct MediaSample: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    /// What it is stored as; nil when it is refused.
    var type: MediaType?

    var testDescription: String { name }

    /// Real files of every kind that is stored.
    static let good = folder("good")
    /// Real files of kinds that are not stored.
    static let foreign = folder("foreign")

    /// Labels that say nothing, lie, or cannot be read.
    static let labels: [String?] = [
        nil, "", "application/octet-stream", "image/png", "video/mp4", "text/html; charset=utf-8",
        "application/json", "image/svg+xml", "nonsense", "audio/mpeg",
    ]

    private static let contentTypes = [
        "png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
        "avif": "image/avif", "heic": "image/heic", "mp4": "video/mp4", "m4a": "audio/mp4",
        "mov": "video/quicktime", "webm": "video/webm", "mp3": "audio/mpeg", "wav": "audio/wav",
        "ogg": "audio/ogg", "ogv": "video/ogg", "flac": "audio/flac", "glb": "model/gltf-binary",
        "zip": "application/zip",
    ]

    private static func folder(_ name: String) -> [MediaSample] {
        guard let folder = Bundle.module.resourceURL?.appending(path: "Media/\(name)"),
            let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        else { return [] }
        return names.sorted().compactMap { file in
            guard let bytes = try? Data(contentsOf: folder.appending(path: file)) else {
                return nil
            }
            let ending = (file as NSString).pathExtension
            let type = contentTypes[ending].map {
                MediaType(contentType: $0, fileExtension: ending)
            }
            return MediaSample(name: file, bytes: Array(bytes), type: type)
        }
    }

    static func named(_ name: String) -> MediaSample {
        good.first { $0.name == name } ?? MediaSample(name: "no sample " + name, bytes: [])
    }
}

/// The media gate as the mirror uses it: what `detect` says, and then the check of the whole.
enum Gate {
    /// Why a file is refused; nil when it is stored.
    static func refusal(_ bytes: [UInt8], declared: String? = nil, pieces: Int? = nil) -> String? {
        switch MediaType.detect(first: bytes, declared: declared) {
        case .refused(let reason): reason
        case .media(let type): truncation(bytes, as: type, pieces: pieces)
        }
    }

    /// What the check of a file says that comes in pieces of so many bytes, or in one.
    static func truncation(_ bytes: [UInt8], as type: MediaType, pieces: Int? = nil) -> String? {
        var check = TruncationCheck(type)
        bytes.withUnsafeBytes { all in
            var start = 0
            while start < all.count {
                let end = min(start + (pieces ?? all.count), all.count)
                check.take(UnsafeRawBufferPointer(rebasing: all[start..<end]))
                start = end
            }
        }
        return check.truncation()
    }
}
