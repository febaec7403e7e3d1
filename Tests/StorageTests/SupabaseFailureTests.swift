import Core
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

@Suite struct SupabaseFailures {
    static let part = 6 << 20
    static let key = SupabaseObjects.key
    let peer: S3Peer
    let session: Session

    init() throws {
        peer = try S3Peer(.stub(.supabase))
        session = try Session()
    }

    private func store(
        _ some: SomeBytes, in store: SupabaseStore? = nil, tellsLength: Bool = true
    ) throws -> PublishResult {
        let store = try store ?? peer.supabaseStore()
        let upload = try store.begin(
            key: Self.key, uploadID: "u", bytes: tellsLength ? some.bytes.count : nil, session)
        defer {
            upload.cancel()
            session.settle(within: .seconds(10))
        }
        try some.write(to: upload, session)
        _ = try upload.finish(session)
        return try upload.publish(session)
    }

    /// How a request fails, and whether its bytes have arrived all the same.
    struct Fault: Sendable, CustomStringConvertible {
        var kind: String
        var fields: [String: JSONValue]
        var description: String { "\(kind) \(fields)" }

        init(_ kind: String, _ fields: [String: JSONValue] = [:]) {
            self.kind = kind
            self.fields = fields
        }

        func order(of peer: S3Peer, _ more: [String: JSONValue] = [:]) throws {
            let all = fields.merging(more) { $1 }
            try peer.fault(kind, .object(JSONObject(all.map { .init(key: $0, value: $1) })))
        }
    }

    static let passing = [
        Fault("status", ["status": 429]), Fault("status", ["status": 500]),
        Fault("status", ["status": 503, "headers": ["Retry-After": "1"]]),
        Fault("status", ["status": 423]), Fault("status", ["status": 544]),
        Fault("status", ["status": 503, "early": true]),
        Fault("drop-request"), Fault("drop-answer"),
    ]

    // MARK: Trying again

    @Test(arguments: passing, ["RestCreate", "TusCreate", "TusPatch"])
    func `what passes is tried again`(_ fault: Fault, _ operation: String) throws {
        try fault.order(of: peer, ["operation": .string(operation)])
        let some = SomeBytes(operation == "RestCreate" ? 1000 : Self.part + 1000)
        let result = try store(some)
        // Where the answer to what made it visible was lost, it is found there.
        let isFound = fault.kind == "drop-answer" && operation == "RestCreate"
        #expect(result == (isFound ? .alreadyThere(some.digest) : .published))
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
        #expect(try peer.log().count { $0["operation"]?.text == operation } >= 2)
    }

    @Test(arguments: passing, [true, false])
    func `the last part is tried again`(_ fault: Fault, _ tellsLength: Bool) throws {
        try fault.order(of: peer, ["operation": "TusPatch", "skip": 1])
        let some = SomeBytes(Self.part + 1000)
        let isFound = fault.kind == "drop-answer"
        #expect(
            try store(some, tellsLength: tellsLength)
                == (isFound ? .alreadyThere(some.digest) : .published))
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
    }

    @Test(arguments: [0, 1], [0, 1_500_000])
    func `a part that broke off goes on where the server has it`(
        _ broken: Int, _ kept: Int
    ) throws {
        let some = SomeBytes(2 * Self.part + 77)
        try peer.fault(
            "drop-request",
            [
                "operation": "TusPatch", "skip": .integer(broken), "after": 1_500_000,
                "done": .bool(kept > 0),
            ])
        #expect(try store(some, tellsLength: false) == .published)
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
        var expected = [0, Self.part].map {
            S3Peer.Piece(offset: "\($0)", bytes: Int64(Self.part), status: 204)
        }
        expected.append(.init(offset: "\(2 * Self.part)", bytes: 77, status: 204))
        let start = broken * Self.part
        expected[broken] = .init(
            offset: "\(start + kept)", bytes: Int64(Self.part - kept), status: 204)
        expected.insert(.init(offset: "\(start)", bytes: 1_500_000, status: 0), at: broken)
        #expect(try peer.pieces() == expected)
        #expect(try peer.pieces("TusHead").count == 1)
    }

    @Test func `a part is not sent again when only its answer was lost`() throws {
        let some = SomeBytes(Self.part + 5)
        try peer.fault("status", ["operation": "TusPatch", "status": 502, "done": true])
        #expect(try store(some) == .published)
        #expect(try peer.pieces().map(\.bytes) == [Int64(Self.part), 5])
    }

    @Test func `another offset than ours is asked for, and is no taken key`() throws {
        let some = SomeBytes(Self.part + 5)
        // The server has the bytes, says otherwise, and knows better when it is asked.
        try peer.fault("status", ["operation": "TusPatch", "status": 409, "done": true])
        #expect(try store(some) == .published)
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
    }

    @Test func `what does not pass ends after five attempts`() throws {
        try peer.fault("status", ["operation": "RestCreate", "status": 503, "times": -1])
        let failure = #expect(throws: Failure.self) { try store(SomeBytes(10)) }
        #expect(failure?.code == "storage_unavailable")
        #expect(failure?.status == .unavailable)
        #expect(try peer.log().count == 5)
    }

    @Test func `an object of another length is not what was stored`() throws {
        // The answer is yes, but what is there is somebody else's.
        try peer.put("made/here/\(Self.key)", [1, 2, 3])
        try peer.fault("status", ["operation": "RestCreate", "status": 200])
        let failure = #expect(throws: Failure.self) { try store(SomeBytes(1000)) }
        #expect(failure?.code == "stored_object_differs")
        #expect(failure?.status == .unavailable)
    }

    // MARK: Refusals

    struct Refusal: Sendable, CustomStringConvertible {
        var code: String
        var status: Core.ExitStatus
        var says: String
        /// What the server is told to answer.
        var answer: Int
        var body: String
        var description: String { "\(answer) \(body)" }

        init(
            _ answer: Int, _ body: String, _ code: String, _ status: Core.ExitStatus, _ says: String
        ) {
            self.code = code
            self.status = status
            self.says = says
            self.answer = answer
            self.body = body
        }
    }

    static let refusals = [
        Refusal(
            400, #"{"statusCode":"403","error":"Unauthorized","message":"jwt expired"}"#,
            "storage_key_wrong", .configuration, "HTTP 403 Unauthorized; set HOLDFAST_SUPABASE"),
        Refusal(
            401, #"{"message":"Invalid API key"}"#, "storage_key_wrong", .configuration,
            "answered HTTP 401; set HOLDFAST_SUPABASE_SERVICE_KEY"),
        Refusal(
            400, #"{"statusCode":"400","error":"InvalidJWT","code":"InvalidJWT"}"#,
            "storage_key_wrong", .configuration, "HTTP 400 InvalidJWT"),
        Refusal(
            400,
            #"{"statusCode":"403","error":"Unauthorized","#
                + #""message":"new row violates row-level security policy"}"#,
            "storage_denied", .configuration, "the bucket's policies"),
        Refusal(
            400, #"{"statusCode":"404","error":"Bucket not found","code":"NoSuchBucket"}"#,
            "bucket_missing", .configuration, "create the bucket"),
        Refusal(
            402, #"{"message":"restricted due to exceed_storage_size_quota"}"#,
            "disk_full", .unavailable, "raise the quota"),
        Refusal(
            400, #"{"statusCode":"413","error":"Payload too large","code":"EntityTooLarge"}"#,
            "storage_refused", .needsPerson, "raise the file size limit"),
        Refusal(
            413, "Maximum size exceeded\n", "storage_refused", .needsPerson,
            "raise the file size limit"),
        Refusal(
            400, #"{"statusCode":415,"error":"invalid_mime_type"}"#,
            "storage_refused", .needsPerson, "files of this type"),
        Refusal(
            400, #"{"statusCode":"400","error":"InvalidKey","code":"InvalidKey"}"#,
            "storage_refused", .needsPerson, "look at what the store says"),
        Refusal(
            503, "<html>no</html>", "storage_unavailable", .unavailable, "the next run tries again"),
    ]

    @Test(arguments: refusals, [1000, part + 5])
    func `a refusal says what it is, where, and what helps`(
        _ refusal: Refusal, _ size: Int
    ) throws {
        try peer.fault(
            "status",
            [
                "operation": size > Self.part ? "TusCreate" : "RestCreate", "times": -1,
                "status": .integer(refusal.answer), "body": .string(refusal.body),
            ])
        let failure = #expect(throws: Failure.self) { try store(SomeBytes(size)) }
        #expect(failure?.code == refusal.code)
        #expect(failure?.status == refusal.status)
        let message = failure?.message ?? ""
        #expect(message.contains(refusal.says), "\(message)")
        #expect(message.contains("cannot store \(Self.key): bucket \(peer.bucket) at 127.0.0.1:"))
        #expect(!message.contains(peer.serviceKey))
    }

    @Test func `a wrong key is found by every way in, and is in no message`() throws {
        let secret = "not-the-right-key"
        let wrong = try peer.supabaseStore(key: secret)
        let failures = [
            #expect(throws: Failure.self) { try wrong.check(session, isThorough: false) },
            #expect(throws: Failure.self) { try wrong.check(session, isThorough: true) },
            #expect(throws: Failure.self) { try wrong.find(Self.key, in: session) },
            #expect(throws: Failure.self) { try store(SomeBytes(10), in: wrong) },
            #expect(throws: Failure.self) { try store(SomeBytes(Self.part + 1), in: wrong) },
        ]
        for failure in failures {
            #expect(failure?.code == "storage_key_wrong")
            #expect(failure?.status == .configuration)
            #expect(failure?.message.contains("HOLDFAST_SUPABASE_SERVICE_KEY") == true)
            #expect(failure?.message.contains(secret) == false)
        }
    }

    @Test func `a bucket that is not there is found by every way in`() throws {
        let lost = try peer.supabaseStore(bucket: "nowhere")
        let failures = [
            #expect(throws: Failure.self) { try lost.check(session, isThorough: false) },
            #expect(throws: Failure.self) { try lost.find(Self.key, in: session) },
            #expect(throws: Failure.self) { try store(SomeBytes(10), in: lost) },
        ]
        for failure in failures {
            #expect(failure?.code == "bucket_missing")
            #expect(failure?.status == .configuration)
            #expect(failure?.message.contains("bucket nowhere") == true)
        }
    }

    @Test(arguments: [403, 507])
    func `a quota that is met leaves work for the next run`(_ status: Int) throws {
        try peer.settings(["quota_bytes": 100, "quota_status": .integer(status)])
        for size in [1000, Self.part + 1] {
            let failure = #expect(throws: Failure.self) { try store(SomeBytes(size)) }
            #expect(failure?.code == "disk_full")
            #expect(failure?.status == .unavailable)
        }
    }

    @Test func `the key goes to no other host, whatever an answer says`() throws {
        // Whoever answers may name any place for the parts.
        let id = Data("\(peer.bucket)/any/thing".utf8).base64EncodedString()
            .replacingOccurrences(of: "=", with: "")
        try peer.fault(
            "status",
            [
                "operation": "TusCreate", "status": 201,
                "headers": ["Location": .string("http://127.0.0.1:1/storage/v1/\(id)")],
            ])
        let failure = #expect(throws: Failure.self) { try store(SomeBytes(Self.part + 1)) }
        #expect(failure?.code == "storage_refused")
        #expect(try peer.pieces().count == 1)
    }
}

@Suite struct SupabaseLocations {
    @Test func `a location names bucket, prefix and project`() throws {
        let url = "supabase://Results%20here/a/b/?endpoint=https://abc.supabase.co/"
        let location = try StorageLocation.parse(url)
        #expect(location.words == "bucket Results here at abc.supabase.co, Supabase Storage")
        let store = try location.store(clock: S3Peer.now) { _ throws(Failure) in "key" }
        #expect(
            store.url(for: SupabaseObjects.key, publicBaseURL: nil).hasPrefix(
                "https://abc.supabase.co/storage/v1/object/public/Results%20here/a/b/a%3D20b"))
    }

    @Test func `a store wants its key`() throws {
        let location = try StorageLocation.parse("supabase://b?endpoint=https://abc.supabase.co")
        let failure = #expect(throws: Failure.self) {
            try location.store(clock: S3Peer.now) { _ throws(Failure) in nil }
        }
        #expect(failure?.code == "storage_key_missing")
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("HOLDFAST_SUPABASE_SERVICE_KEY") == true)
    }

    @Test(arguments: [
        ("supabase:bucket", "followed by //"), ("supabase://", "names no bucket"),
        ("supabase://bucket", "endpoint=https://PROJECT"),
        ("supabase://bucket?endpoint=", "its endpoint is empty"),
        ("supabase://bucket?endpoint=abc.supabase.co", "no http or https"),
        ("supabase://bucket?endpoint=https://secret@abc.supabase.co", "without user"),
        ("supabase://bucket?endpoint=https://abc.supabase.co/storage/v1", "without /storage/v1"),
        ("supabase://bucket?endpoint=https://abc.supabase.co/storage/v1/s3", "without /storage/v1"),
        ("supabase://bucket?endpoint=https://abc.supabase.co&region=secret", "may have endpoint"),
        ("supabase://b%C3%BCcher?endpoint=https://abc.supabase.co", "names no bucket"),
        ("supabase://bucket/b%C3%BCcher?endpoint=https://abc.supabase.co", "allows in no key"),
        ("supabase://bucket/..?endpoint=https://abc.supabase.co", "no key may have"),
    ])
    func `what names no place is refused`(_ url: String, _ says: String) {
        let failure = #expect(throws: Failure.self) { try StorageLocation.parse(url) }
        #expect(failure?.code == "storage_url_invalid")
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains(says) == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains("secret") == false)
    }
}
