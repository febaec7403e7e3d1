import Core
import Foundation

/// A bucket of a test's own at an S3 server that runs for all tests of this process.
///
/// Nobody sees what another test does; the bucket goes with this object.
package final class S3Peer: Sendable {
    package enum Kind: Sendable, Hashable, CustomStringConvertible {
        /// Checks signatures and the clock; ignores conditions and checksums.
        case rclone
        /// Checks signatures, rights and the size of parts; honours conditions.
        case moto
        /// Checks signatures, the clock and checksums; honours conditions.
        case ministack
        /// Ours: checks everything, and fails on order.
        case stub(Vendor)

        package static let all: [Kind] =
            [.rclone, .moto, .ministack] + Vendor.allCases.map { .stub($0) }

        package var description: String {
            switch self {
            case .rclone: "rclone"
            case .moto: "moto"
            case .ministack: "ministack"
            case .stub(let vendor): "stub(\(vendor))"
            }
        }
    }

    /// Whose ways the stub has; `Tests/Peers/s3rules.py` says what they are.
    package enum Vendor: String, Sendable, CaseIterable {
        case aws, r2, supabase, b2, plain
    }

    package let kind: Kind
    package let bucket: String
    /// `http://127.0.0.1:PORT` and, for Supabase, the base path that is part of what is signed.
    package let endpoint: String
    package let region: String
    package let accessKeyID: String
    package let secretAccessKey: String
    /// What Supabase's REST interface takes as a bearer token; empty elsewhere.
    package let serviceKey: String
    let server: PeerServer

    package init(_ kind: Kind) throws {
        self.kind = kind
        bucket = "test-" + UUID().uuidString.lowercased()
        switch kind {
        case .rclone: server = try Self.rclone.get()
        case .moto: server = try Self.moto.get()
        case .ministack: server = try Self.ministack.get()
        case .stub: server = try Self.stub.get()
        }
        if case .stub(let vendor) = kind {
            let made = try server.ask(
                "POST", "/control/buckets",
                ["name": .string(bucket), "profile": .string(vendor.rawValue)])
            endpoint = server.origin + (made["base"]?.text ?? "")
            region = made["region"]?.text ?? ""
            accessKeyID = made["access_key"]?.text ?? ""
            secretAccessKey = made["secret_key"]?.text ?? ""
            serviceKey = made["service_key"]?.text ?? ""
        } else {
            endpoint = server.origin
            region = "us-east-1"
            accessKeyID = server.words.first ?? ""
            secretAccessKey = server.words.last ?? ""
            serviceKey = ""
            try ask("make_bucket")
        }
    }

    deinit {
        if isStub {
            _ = try? server.ask("DELETE", "/control/buckets?bucket=\(bucket)")
        } else {
            _ = try? ask("delete_bucket")
        }
    }

    /// The variables that make an executable store in this bucket.
    ///
    /// - Parameter port: That of a proxy in front of the server.
    package func environment(prefix: String = "made/here", port: Int? = nil) -> [String: String] {
        let profile =
            switch kind {
            // It checks the MD5 of a body and not the hash that is signed.
            case .rclone: "ceph"
            case .stub(.plain): "generic"
            case .moto, .ministack: "aws"
            case .stub(let vendor): vendor.rawValue
            }
        let endpoint = port.map { self.endpoint(at: $0) } ?? endpoint
        return [
            "HOLDFAST_STORAGE_URL": "s3://\(bucket)/\(prefix)?endpoint=\(endpoint)"
                + "&region=\(region)&profile=\(profile)&style=path",
            "HOLDFAST_S3_ACCESS_KEY_ID": accessKeyID,
            "HOLDFAST_S3_SECRET_ACCESS_KEY": secretAccessKey,
        ]
    }

    /// `http://127.0.0.1:PORT`, without any path.
    package var origin: String { server.origin }
    package var port: Int { server.port }

    /// The endpoint at another port: where a proxy listens.
    package func endpoint(at port: Int) -> String {
        endpoint.replacingOccurrences(of: ":\(self.port)", with: ":\(port)")
    }

    var isStub: Bool {
        if case .stub = kind { true } else { false }
    }

    private static let rclone = Result { try Peers.start("peer.py", ["rclone"]) }
    private static let moto = Result { try Peers.start("peer.py", ["moto"]) }
    private static let ministack = Result { try Peers.start("peer.py", ["ministack"]) }
    private static let stub = Result { try Peers.start("s3stub.py") }
    private static let witness = Result { try Peers.start("witness.py") }

    /// Puts a question to boto3, which is neither ours nor the server's.
    @discardableResult
    func ask(_ question: String, _ more: [(String, JSONValue)] = []) throws -> JSONValue {
        let place: [(String, JSONValue)] = [
            ("ask", .string(question)), ("endpoint", .string(endpoint)),
            ("access_key", .string(accessKeyID)), ("secret_key", .string(secretAccessKey)),
            ("region", .string(region)), ("bucket", .string(bucket)),
        ]
        let members = (place + more).map { JSONObject.Member(key: $0, value: $1) }
        return try Self.witness.get().ask("POST", "/", .object(JSONObject(members)))["answer"]
            ?? .null
    }
}
