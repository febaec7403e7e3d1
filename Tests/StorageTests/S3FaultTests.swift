import Core
import HTTP
import Storage
import TestSupport
import Testing

/// A store that fails, lies or goes away.
@Suite struct S3Faults {
    static let key = S3Objects.key
    static let small = 1000
    static let large = (2 * 5 << 20) + 77

    private func publish(_ some: SomeBytes, _ store: S3Store, _ session: Session) throws
        -> PublishResult
    {
        let upload = try store.begin(
            key: Self.key, uploadID: "u", bytes: some.bytes.count, session)
        defer { upload.cancel() }
        try some.write(to: upload, session)
        #expect(try upload.finish(session) == some.digest)
        return try upload.publish(session)
    }

    struct Passing: CustomTestStringConvertible, Sendable {
        var kind = "status"
        var size = small
        var fields: JSONValue
        var testDescription: String { "\(kind) \(size) \(JSON.write(fields))" }
    }

    static let passing: [Passing] = [
        .init(fields: ["operation": "PutObject", "status": 503, "code": "SlowDown", "times": 2]),
        .init(fields: ["operation": "PutObject", "status": 429, "code": "TooManyRequests"]),
        .init(fields: ["operation": "PutObject", "status": 500, "code": "InternalError"]),
        .init(
            fields: [
                "operation": "PutObject", "status": 503, "code": "SlowDown",
                "headers": ["Retry-After": "1"],
            ]),
        .init(
            fields: [
                "operation": "PutObject", "status": 409, "code": "ConditionalRequestConflict",
                "conditional": true,
            ]),
        .init(kind: "drop-request", fields: ["operation": "PutObject", "after": 300]),
        .init(kind: "drop-answer", fields: ["operation": "PutObject", "done": true]),
        .init(kind: "drop-answer", fields: ["operation": "HeadObject"]),
        .init(size: large, fields: ["operation": "CreateMultipartUpload", "status": 500]),
        .init(size: large, fields: ["operation": "UploadPart", "status": 503, "times": 3]),
        .init(size: large, fields: ["operation": "UploadPart", "status": 429, "skip": 1]),
        .init(
            kind: "drop-request", size: large, fields: ["operation": "UploadPart", "after": 9000]),
        .init(kind: "drop-answer", size: large, fields: ["operation": "UploadPart", "done": true]),
        .init(
            kind: "error-in-success", size: large, fields: ["operation": "CompleteMultipartUpload"]),
        .init(
            size: large,
            fields: [
                "operation": "CompleteMultipartUpload", "status": 409,
                "code": "ConditionalRequestConflict",
            ]),
        .init(
            kind: "drop-answer", size: large,
            fields: ["operation": "CompleteMultipartUpload", "done": true]),
    ]

    @Test(arguments: passing)
    func `what passes is waited for, and the object arrives once`(_ fault: Passing) throws {
        let peer = try S3Peer(.stub(.aws))
        let (store, session) = (try peer.store(), try Session())
        try peer.fault(fault.kind, fault.fields)
        let some = SomeBytes(fault.size)
        let result = try publish(some, store, session)
        // An attempt whose answer was lost finds its own object.
        #expect(result == .published || result == .alreadyThere(some.digest))
        session.settle(within: .seconds(10))
        #expect(try peer.objects().map(\.size) == [fault.size])
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
        #expect(try peer.uploads() == [])
        let log = JSON.write(.array(try peer.log()))
        #expect(!log.contains(peer.secretAccessKey))
    }

    struct Lasting: CustomTestStringConvertible, Sendable {
        var name: String
        var size = small
        var status: Core.ExitStatus
        var code: String
        var words: [String]
        var make: @Sendable (S3Peer) throws -> Void
        var testDescription: String { "\(name) \(size)" }
    }

    static let lasting: [Lasting] = troubles(small, "PutObject") + troubles(large, "UploadPart")

    static func troubles(_ size: Int, _ put: JSONValue) -> [Lasting] {
        [
            Lasting(
                name: "always busy", size: size, status: .unavailable, code: "storage_unavailable",
                words: ["503 SlowDown", "the next run tries again"]
            ) { try $0.fault("status", ["operation": put, "times": -1]) },
            Lasting(
                name: "the bucket vanishes midway", size: size, status: .configuration,
                code: "bucket_missing", words: ["NoSuchBucket", "HOLDFAST_STORAGE_URL"]
            ) { try $0.fault("vanish", ["operation": put]) },
            Lasting(
                name: "denied", size: size, status: .configuration, code: "storage_denied",
                words: ["403 AccessDenied", "let the key list, read, write and delete"]
            ) { try $0.settings(["denied": [put]]) },
            Lasting(
                name: "quota", size: size, status: .unavailable, code: "disk_full",
                words: ["QuotaExceeded", "raise the quota"]
            ) { try $0.settings(["quota_bytes": 10]) },
            Lasting(
                name: "disk full there", size: size, status: .unavailable, code: "disk_full",
                words: ["HTTP 507", "free space there"]
            ) { try $0.settings(["quota_bytes": 10, "quota_status": 507]) },
            Lasting(
                name: "their clock", size: size, status: .configuration, code: "clock_skew",
                words: ["min behind", "NTP"]
            ) { try $0.settings(["skew_minutes": 20]) },
            Lasting(
                name: "our clock", size: size, status: .configuration, code: "clock_skew",
                words: ["min ahead", "NTP"]
            ) { try $0.settings(["skew_minutes": -20]) },
            Lasting(
                name: "an object that it does not take", size: size, status: .needsPerson,
                code: "storage_refused", words: ["EntityTooLarge", "limits"]
            ) {
                try $0.fault(
                    "status",
                    ["operation": put, "status": 400, "code": "EntityTooLarge", "times": -1])
            },
        ]
    }

    @Test(arguments: lasting)
    func `what lasts is named, with the fix, and nothing half-written is visible`(
        _ trouble: Lasting
    ) throws {
        let peer = try S3Peer(.stub(.aws))
        let (store, session) = (try peer.store(), try Session())
        try trouble.make(peer)
        let failure = #expect(throws: Failure.self) {
            try publish(SomeBytes(trouble.size), store, session)
        }
        #expect(failure?.status == trouble.status)
        #expect(failure?.code == trouble.code)
        let message = failure?.message ?? ""
        for words in trouble.words + [peer.bucket, "127.0.0.1"] {
            #expect(message.contains(words), "\(message)")
        }
        #expect(!message.contains(peer.secretAccessKey) && !message.contains("Signature="))
        session.settle(within: .seconds(10))
        #expect(try peer.objects() == [])
    }

    @Test func `a part whose upload is gone fails the file and not the run`() throws {
        let peer = try S3Peer(.stub(.aws))
        let (store, session) = (try peer.store(), try Session())
        try peer.fault("no-such-upload", ["operation": "UploadPart", "times": -1])
        let failure = #expect(throws: Failure.self) {
            try publish(SomeBytes(Self.large), store, session)
        }
        #expect(failure?.status == .needsPerson)
        #expect(failure?.code == "upload_gone")
    }

    @Test func `parts do not run away from one that the store is still at work on`() throws {
        let peer = try S3Peer(.stub(.plain))
        let (store, session) = (try peer.store(), try Session())
        // As does a server that answers for a part once those that came behind it are written too.
        try peer.fault("hold-answer", ["operation": "UploadPart", "seconds": 1])
        #expect(try publish(SomeBytes(12 * 5 << 20), store, session) == .published)
        let parts = try peer.log().filter { $0["operation"]?.text == "UploadPart" }
        #expect(parts.count == 12)
        let meanwhile = parts.compactMap { $0["meanwhile"]?.int }
        // Parts 1 and 2 go together: of the two it is the first to arrive that is held up.
        #expect(meanwhile.count == 1 && meanwhile.allSatisfy { $0 <= 8 }, "\(meanwhile)")
    }

    @Test(arguments: [S3Peer.Kind.rclone, .moto, .ministack, .stub(.aws), .stub(.r2)])
    func `a wrong key is found before any file is fetched`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let wrong = [
            try peer.store(secret: "wrong-secret-of-40-characters-1234567890"),
            try peer.store(id: "AKIANOBODYKNOWSTHIS0"),
        ]
        for store in wrong {
            for isThorough in [false, true] {
                let failure = #expect(throws: Failure.self) {
                    try store.check(Session(), isThorough: isThorough)
                }
                #expect(failure?.status == .configuration, "\(failure?.message ?? "")")
                #expect(failure?.message.contains("wrong-secret") == false)
            }
        }
    }

    @Test(arguments: S3Peer.Kind.all)
    func `a missing bucket is found before any file is fetched`(_ kind: S3Peer.Kind) throws {
        let peer = try S3Peer(kind)
        let store = try peer.store()
        try peer.deleteBucket()
        let failure = #expect(throws: Failure.self) {
            try store.check(Session(), isThorough: false)
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.code == "bucket_missing")
    }

    @Test func `a key without the right to write is found by a thorough check`() throws {
        let peer = try S3Peer(.moto)
        let user = try peer.makeUser(policy: [
            "Version": "2012-10-17",
            "Statement": [["Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"]],
        ])
        let store = try peer.store(id: user.accessKeyID, secret: user.secret)
        let failure = #expect(throws: Failure.self) {
            try store.check(Session(), isThorough: true)
        }
        #expect(failure?.code == "storage_denied")
    }

    /// Bits that change on the way to the store, in the body of a small file and of parts.
    @Test(
        arguments: [
            // After a wrong part rclone forgets the upload, so that the whole file is begun anew.
            (S3Peer.Kind.rclone, small), (.ministack, small), (.ministack, large),
            (.stub(.aws), small), (.stub(.aws), large), (.stub(.b2), small), (.stub(.b2), large),
        ])
    func `a bit that flips on the wire is noticed, and the bytes are sent again`(
        _ kind: S3Peer.Kind, _ size: Int
    ) throws {
        let peer = try S3Peer(kind)
        let proxy = try FlippingProxy(to: peer.port)
        var chance = SeededGenerator()
        let (store, session) = (try peer.store(port: proxy.port), try Session())
        try proxy.flip(
            .request, offset: Int.random(in: 0..<Self.small, using: &chance),
            bit: Int.random(in: 0..<8, using: &chance))
        let some = SomeBytes(size)
        #expect(try publish(some, store, session) == .published, "\(chance)")
        #expect(try peer.object("made/here/\(Self.key)")?.sha256 == some.digest.sha256)
    }

    /// An object that is damaged where it lies is not what was stored.
    @Test func `a damaged object reads back with another digest`() throws {
        let peer = try S3Peer(.stub(.aws))
        let (store, session) = (try peer.store(), try Session())
        let some = SomeBytes(5000)
        #expect(try publish(some, store, session) == .published)
        try peer.flip("made/here/\(Self.key)", bit: 12_345)
        let there = try #require(try store.find(Self.key, in: session))
        #expect(there.digest.bytes == 5000)
        #expect(there.digest.sha256 != some.digest.sha256)
    }

    @Test(arguments: [
        ("s3://b", "names no bucket"), ("s3:bucket", "followed by //"),
        ("s3://bucket?endpoint=ftp://x", "endpoint"),
        ("s3://bucket?endpoint=https://secret@host", "endpoint"),
        ("s3://bucket?profile=other", "profile"), ("s3://bucket?style=round", "style"),
        ("s3://bucket?colour=red", "nothing else"), ("s3://bucket?region=", "region"),
        ("s3://bucket?region=a&region=b", "region"), ("s3://bucket/a/../b", "prefix"),
        ("s3://bucket?endpoint=https://host.example&profile=b2", "region"),
    ])
    func `a storage URL that is wrong says what is wrong with it`(_ url: String, _ word: String) {
        let failure = #expect(throws: Failure.self) { try StorageLocation.parse(url) }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains(word) == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains("secret") == false)
    }

    @Test(arguments: [
        ("s3://bucket", "bucket bucket at s3.us-east-1.amazonaws.com, profile aws"),
        (
            "s3://bucket?endpoint=https://s3.eu-west-1.amazonaws.com",
            "bucket bucket at s3.eu-west-1.amazonaws.com, profile aws"
        ),
        (
            "s3://bucket/p?endpoint=https://abc.r2.cloudflarestorage.com",
            "bucket bucket at abc.r2.cloudflarestorage.com, profile r2"
        ),
        (
            "s3://bucket?endpoint=https://abc.supabase.co/storage/v1/s3&region=eu-west-1",
            "bucket bucket at abc.supabase.co, profile supabase"
        ),
        (
            "s3://bucket?endpoint=https://s3.us-west-004.backblazeb2.com",
            "bucket bucket at s3.us-west-004.backblazeb2.com, profile b2"
        ),
        (
            "s3://bucket?endpoint=http://minio:9000&profile=minio",
            "bucket bucket at minio:9000, profile minio"
        ),
        (
            "s3://bucket?endpoint=http://10.0.0.1:7480",
            "bucket bucket at 10.0.0.1:7480, profile generic"
        ),
    ])
    func `a vendor is known by its host, or by name`(_ url: String, _ words: String) throws {
        #expect(try StorageLocation.parse(url).words == words)
    }

    @Test func `half a pair of keys is refused by name`() throws {
        let location = try StorageLocation.parse("s3://bucket")
        let failure = #expect(throws: Failure.self) {
            try location.store(clock: S3Peer.now) { name throws(Failure) in
                name == "HOLDFAST_S3_ACCESS_KEY_ID" ? "id" : nil
            }
        }
        #expect(failure?.code == "storage_key_missing")
        #expect(failure?.message.contains("HOLDFAST_S3_SECRET_ACCESS_KEY") == true)
    }
}
