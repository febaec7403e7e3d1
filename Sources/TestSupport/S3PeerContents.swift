package import Core
import Foundation

/// What is in the bucket, as boto3 sees it; of the stub's buckets, as the stub itself says, so that
/// looking leaves no line in its log and uses up no fault.
extension S3Peer {
    package struct Listed: Sendable, Equatable {
        package var key: String
        package var size: Int
    }

    package struct Stored: Sendable, Equatable {
        package var key: String
        package var size: Int
        /// Of all bytes, in hexadecimal.
        package var sha256: String
        package var etag: String
        package var contentType: String?
        package var disposition: String?
        package var cacheControl: String?
        package var metadata: [String: String]
    }

    package struct Upload: Sendable, Equatable {
        package var key: String
        package var id: String
    }

    /// Every object but the marks and markers of runs, sorted by key.
    package func objects() throws -> [Listed] {
        let found = isStub ? try state()["objects"] : try ask("objects")
        return try Self.list(found).map {
            Listed(key: try Self.text($0, "key"), size: Self.size($0))
        }.filter { !$0.key.contains(".holdfast/") }
    }

    /// An object with its bytes' digest, or nil when there is none.
    package func object(_ key: String) throws -> Stored? {
        guard isStub else {
            let found = try ask("stored", [("key", .string(key))])
            return found.isNull ? nil : try Self.stored(found, headers: found, metadata: "metadata")
        }
        let found = try Self.list(state()["objects"]).first { $0["key"]?.text == key }
        return try found.map { try Self.stored($0, headers: $0["headers"] ?? .null, metadata: nil) }
    }

    /// Uploads that were begun and neither completed nor aborted.
    package func uploads() throws -> [Upload] {
        let found = isStub ? try state()["uploads"] : try ask("uploads")
        return try Self.list(found).map {
            Upload(key: try Self.text($0, "key"), id: try Self.text($0, "id"))
        }
    }

    /// Puts an object there, past everything under test.
    package func put(_ key: String, _ body: [UInt8], contentType: String? = nil) throws {
        let bytes = JSONValue.string(Data(body).base64EncodedString())
        if isStub {
            let headers: JSONValue = contentType.map { ["content-type": .string($0)] } ?? [:]
            try server.ask(
                "POST", "/control/objects",
                [
                    "bucket": .string(bucket), "key": .string(key), "body": bytes,
                    "headers": headers,
                ])
        } else {
            let type = contentType.map { [("ContentType", JSONValue.string($0))] } ?? []
            try ask("put", [("key", .string(key)), ("body", bytes)] + type)
        }
    }

    /// Begins an upload that nobody completes, and returns its id.
    package func beginUpload(_ key: String, parts: [[UInt8]] = []) throws -> String {
        let parts = parts.map { JSONValue.string(Data($0).base64EncodedString()) }
        if isStub {
            let made = try server.ask(
                "POST", "/control/uploads",
                ["bucket": .string(bucket), "key": .string(key), "parts": .array(parts)])
            return try Self.text(made, "id")
        }
        let id = try ask("begin_upload", [("key", .string(key)), ("parts", .array(parts))]).text
        return id ?? ""
    }

    package func delete(_ key: String) throws {
        if isStub {
            let name = key.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? key
            try server.ask("DELETE", "/control/objects?bucket=\(bucket)&key=\(name)")
        } else {
            try ask("delete", [("key", .string(key))])
        }
    }

    /// Takes the bucket away with everything in it, while its owner still believes in it.
    package func deleteBucket() throws {
        if isStub {
            try settings(["vanished": true])
        } else {
            try ask("delete_bucket")
        }
    }

    /// An address signed by boto3: `get_object` or `put_object` for so many seconds.
    package func presigned(_ operation: String, _ key: String, seconds: Int = 60) throws -> String {
        let address = try ask(
            "presign",
            [
                ("operation", .string(operation)), ("key", .string(key)),
                ("seconds", .integer(seconds)),
            ])
        return address.text ?? ""
    }

    /// Credentials that may do only what an IAM policy says; moto alone checks.
    package func makeUser(policy: JSONValue) throws -> (accessKeyID: String, secret: String) {
        let made = try ask(
            "make_user", [("name", .string(UUID().uuidString)), ("policy", policy)])
        return (try Self.text(made, "access_key"), try Self.text(made, "secret_key"))
    }

    private static func stored(
        _ found: JSONValue, headers: JSONValue, metadata name: String?
    ) throws -> Stored {
        let prefix = "x-amz-meta-"
        var metadata: [String: String] = [:]
        for member in (name.map { headers[$0] ?? .null } ?? headers).object?.members ?? [] {
            if name != nil {
                metadata[member.key] = member.value.text
            } else if member.key.hasPrefix(prefix) {
                metadata[String(member.key.dropFirst(prefix.count))] = member.value.text
            }
        }
        func header(_ here: String, _ there: String) -> String? {
            headers[name == nil ? here : there]?.text
        }
        return Stored(
            key: try text(found, "key"), size: size(found), sha256: try text(found, "sha256"),
            etag: try text(found, "etag"), contentType: header("content-type", "content_type"),
            disposition: header("content-disposition", "disposition"),
            cacheControl: header("cache-control", "cache_control"), metadata: metadata)
    }

    private static func list(_ value: JSONValue?) throws -> [JSONValue] {
        guard let list = value?.array else { throw TestSupportError("no list in the answer") }
        return list
    }

    private static func text(_ value: JSONValue, _ name: String) throws -> String {
        guard let text = value[name]?.text else {
            throw TestSupportError("no \(name) in the answer")
        }
        return text
    }

    private static func size(_ value: JSONValue) -> Int { Int(value["size"]?.int ?? -1) }
}

/// What only the stub can do.
extension S3Peer {
    /// Orders a fault for requests to this bucket; the fields are those of `Fault` in
    /// `Tests/Peers/s3state.py`.
    package func fault(_ kind: String, _ fields: JSONValue = [:]) throws {
        let own = [
            JSONObject.Member(key: "bucket", value: .string(bucket)),
            JSONObject.Member(key: "kind", value: .string(kind)),
        ]
        let all = JSONObject(own + (fields.object?.members ?? []))
        try server.ask("POST", "/control/faults", .object(all))
    }

    package func clearFaults() throws {
        try server.ask("DELETE", "/control/faults?bucket=\(bucket)")
    }

    /// Changes the bucket's ways from now on; the fields are those of `Settings` in
    /// `Tests/Peers/s3state.py`.
    package func settings(_ fields: JSONValue) throws {
        let own = [JSONObject.Member(key: "bucket", value: .string(bucket))]
        let all = JSONObject(own + (fields.object?.members ?? []))
        try server.ask("POST", "/control/settings", .object(all))
    }

    /// Changes one bit of what is stored.
    package func flip(_ key: String, bit: Int) throws {
        try server.ask(
            "POST", "/control/flip",
            ["bucket": .string(bucket), "key": .string(key), "bit": .integer(bit)])
    }

    /// Every request for this bucket, in order: method, operation, key, headers, status, code.
    package func log() throws -> [JSONValue] {
        try server.ask("GET", "/control/log?bucket=\(bucket)").array ?? []
    }

    /// Objects, uploads, and how many connections asked for this bucket.
    package func state() throws -> JSONValue {
        try server.ask("GET", "/control/state?bucket=\(bucket)")
    }
}
