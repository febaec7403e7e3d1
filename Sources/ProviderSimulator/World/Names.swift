import Crypto
import Foundation

/// Ids in the manner of each provider, made from 64 random bits.
enum Names {
    static func taskID(_ provider: Provider, _ endpoint: String, bits: UInt64) -> String {
        let more = Chance.mix(bits)
        let hex = padded(bits, radix: 16, to: 16) + padded(more, radix: 16, to: 16)
        return switch provider {
        case .kie where endpoint == Endpoint.veo: "veo_task_" + String(bits, radix: 16)
        case .kie: String(bits, radix: 16) + String(more, radix: 16)
        case .kling: String(900_000_000_000_000_000 + bits % 99_999_999_999_999_999)
        case .replicate: padded(bits, radix: 36, to: 13) + padded(more, radix: 36, to: 13)
        case .fal, .runway, .luma, .piapi: uuid(hex)
        case .minimax where endpoint == Endpoint.v1: String(300_000_000_000_000 + bits % (1 << 46))
        case .minimax: String(200_000_000_000_000_000 + bits % (1 << 56))
        case .googleVeo:
            "models/veo-3.1-generate-preview/operations/"
                + String(padded(bits, radix: 36, to: 13).suffix(12))
        case .seedance: "cgt-20260311101500-" + String(padded(bits, radix: 36, to: 13).suffix(8))
        case .wavespeed: hex
        case .openAIVideos: "video_" + String(hex.prefix(24))
        }
    }

    /// The name of a file where the provider gives files names of their own; nil where not.
    static func fileID(_ task: SimulatedTask, ordinal: Int) -> String? {
        let digest = SHA256.hash(data: Data("file|\(task.id)|\(ordinal)".utf8))
        let bits = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return switch task.provider {
        // Above 2^53, where a client that reads numbers as Double asks for another file.
        case .minimax: String(300_000_000_000_000_000 + bits % (1 << 56) | 1)
        case .googleVeo: String(padded(bits, radix: 36, to: 13).suffix(12))
        default: nil
        }
    }

    private static func uuid(_ hex: String) -> String {
        var rest = hex[...]
        let parts = [8, 4, 4, 4, 12].map { length in
            defer { rest = rest.dropFirst(length) }
            return String(rest.prefix(length))
        }
        return parts.joined(separator: "-")
    }

    private static func padded(_ value: UInt64, radix: Int, to length: Int) -> String {
        let text = String(value, radix: radix)
        return String(repeating: "0", count: max(length - text.count, 0)) + text
    }
}
