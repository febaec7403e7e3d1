import Core
import Crypto
import Foundation
import HTTP
import TestSupport
import Testing

@testable import Providers

/// Our checks held against signatures that other libraries made.
@Suite struct SignatureTests {
    static let now: Int64 = 1_800_000_000
    static let base64Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    static let textSecret = "whsec_plain text, not base64!"
    static let body = #"{"id":"pred_1","text":"snow ❄ \u00e9"}"#

    /// What a question to the other libraries came to, asked once for the whole suite.
    static func signed(_ question: JSONValue) async throws -> JSONValue {
        try #require(try await Peers.ask([question]).first)
    }

    static func callback(
        _ headers: [Header], body: String = body, at seconds: Int64 = now, taskIDs: [String] = [],
        isCut: Bool = false, whole: [UInt8]? = nil, secretDigest: String? = nil
    ) -> SignedCallback {
        SignedCallback(
            body: Array(body.utf8), headers: headers, isCut: isCut, wholeSHA256: whole,
            taskIDs: taskIDs, headerSecretDigest: secretDigest,
            receivedAt: Instant(unixSeconds: seconds))
    }

    // MARK: Standard Webhooks

    static let standardScheme = WebhookScheme.standard(secretVariable: "X", secretIsBase64: true)

    static func standardHeaders(
        _ library: String = "standardwebhooks", secret: String = base64Secret
    ) async throws -> [Header] {
        let signature = try #require(
            try await signed([
                "kind": "standard", "library": .string(library), "secret": .string(secret),
                "id": "msg_1", "timestamp": .integer(now), "body": .string(body),
            ]).text)
        return [
            Header("Webhook-Id", "msg_1"), Header("webhook-timestamp", "\(now)"),
            Header("WEBHOOK-SIGNATURE", signature),
        ]
    }

    /// The key as the settings of a host give it.
    static func key(
        _ provider: String, _ variable: String, _ value: String
    ) throws -> WebhookKey? {
        let registry = try ProviderRegistry { $0 == variable ? value : nil }
        return try CallbackProof(secret: nil, registry) { $0 == variable ? value : nil }
            .signer(provider)?.key
    }

    @Test(arguments: ["standardwebhooks", "svix"])
    func `what the published libraries sign is right, and anything else is wrong`(
        _ library: String
    ) async throws {
        let key = try Self.key(
            "replicate", "HOLDFAST_REPLICATE_WEBHOOK_SECRET", Self.base64Secret)
        let headers = try await Self.standardHeaders(library)
        func check(_ callback: SignedCallback) -> CheckResult {
            SignatureCheck.check(callback, Self.standardScheme, key: key).result
        }
        #expect(check(Self.callback(headers)) == .right)
        #expect(check(Self.callback(headers, body: Self.body + " ")) == .wrong)
        #expect(check(Self.callback(headers, body: "")) == .wrong)
        for changed in ["msg_2", "", "1800000000"] {
            #expect(check(Self.callback([Header("webhook-id", changed)] + headers)) == .wrong)
        }
        for changed in ["\(Self.now + 1)", "", "x", "-1", "1e9", " ", "99999999999999999999"] {
            let headers = [Header("webhook-timestamp", changed)] + headers
            #expect(check(Self.callback(headers)) == .wrong, "\(changed)")
        }
        let signature = try #require(headers.first(named: "webhook-signature"))
        let other = String(signature.dropLast(4)) + "AAA="
        for (changed, result) in [
            (other, CheckResult.wrong), ("", .wrong), ("v1,", .wrong), ("v1", .wrong),
            (String(signature.dropFirst(3)), .wrong), ("v1a," + signature.dropFirst(3), .wrong),
            ("v2," + signature.dropFirst(3), .wrong), (signature + "=", .wrong),
            ("\(other) \(signature)", .right), ("\(signature) \(other)", .right),
            ("v1a,x  \(signature)", .right), ("%% v1,% \(signature)", .right),
        ] {
            let headers = [Header("webhook-signature", changed)] + headers
            #expect(check(Self.callback(headers)) == result, "\(changed)")
        }
        #expect(check(Self.callback([])) == .missing)
        #expect(check(Self.callback(Array(headers.prefix(2)))) == .missing)
    }

    @Test(
        arguments: [
            (0, .right), (300, .right), (-300, .right), (301, .wrong), (-301, .wrong),
            (86_400, .wrong),
        ] as [(Int64, CheckResult)])
    func `the time of receipt decides whether a signature is too old`(
        _ seconds: Int64, _ result: CheckResult
    ) throws {
        let key = WebhookKey.secret([1, 2, 3])
        // The same window holds for every scheme that has a time.
        let standard = SignedCallback(
            body: [],
            headers: [
                Header("webhook-id", "m"), Header("webhook-timestamp", "\(Self.now)"),
                Header(
                    "webhook-signature", "v1," + Self.base64HMAC("m.\(Self.now).", key: [1, 2, 3])),
            ], receivedAt: Instant(unixSeconds: Self.now + seconds))
        #expect(SignatureCheck.check(standard, Self.standardScheme, key: key).result == result)
        let kie = SignedCallback(
            body: [],
            headers: [
                Header("X-Webhook-Timestamp", "\(Self.now)"),
                Header("X-Webhook-Signature", Self.base64HMAC("t.\(Self.now)", key: [1, 2, 3])),
            ], taskIDs: ["t"], receivedAt: Instant(unixSeconds: Self.now + seconds))
        let scheme = WebhookScheme.taskHMAC(keyVariable: "X")
        #expect(SignatureCheck.check(kie, scheme, key: key).result == result)
    }

    static func base64HMAC(_ text: String, key: [UInt8]) -> String {
        Data(
            HMAC<SHA256>.authenticationCode(
                for: Array(text.utf8), using: SymmetricKey(data: key))
        ).base64EncodedString()
    }

    /// WaveSpeed takes what follows the mark as text, where others decode it.
    @Test func `a secret that is text is used as text`() async throws {
        let text = String(Self.textSecret.dropFirst(6))
        let headers = try await Self.standardHeaders(
            secret: "whsec_" + Data(text.utf8).base64EncodedString())
        let scheme = WebhookScheme.standard(secretVariable: "X", secretIsBase64: false)
        let finding = SignatureCheck.check(
            Self.callback(headers), scheme, key: .secret(Array(text.utf8)))
        #expect(finding.result == .right)
    }

    @Test func `a body that was cut is not called wrong`() async throws {
        let key = try Self.key(
            "replicate", "HOLDFAST_REPLICATE_WEBHOOK_SECRET", Self.base64Secret)
        let finding = SignatureCheck.check(
            Self.callback(try await Self.standardHeaders(), body: "{", isCut: true),
            Self.standardScheme,
            key: key)
        #expect(finding.result == .notChecked)
        #expect(finding.note?.contains("cut") == true)
    }

    @Test(arguments: ["whsec_%%%%", "secret in words", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"])
    func `a secret that is none is refused by the name of its variable`(_ text: String) throws {
        let failure = #expect(throws: Failure.self) {
            try Self.key("replicate", "HOLDFAST_REPLICATE_WEBHOOK_SECRET", text)
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("HOLDFAST_REPLICATE_WEBHOOK_SECRET") == true)
        #expect(failure?.message.contains(text) == false)
    }

    // MARK: KIE

    @Test func `KIE's pair proves the task id and nothing else`() async throws {
        let code = try #require(
            try await Self.signed([
                "kind": "kie", "key": "kie-webhook-key", "task_id": "task-1",
                "timestamp": .string("\(Self.now)"),
            ]).text)
        let headers = [
            Header("X-Webhook-Timestamp", "\(Self.now)"), Header("X-Webhook-Signature", code),
        ]
        let key = try Self.key("kie", "HOLDFAST_KIE_WEBHOOK_KEY", "kie-webhook-key")
        func check(_ callback: SignedCallback, _ key: WebhookKey?) -> CheckResult {
            SignatureCheck.check(callback, .taskHMAC(keyVariable: "X"), key: key).result
        }
        #expect(check(Self.callback(headers, taskIDs: ["task-1"]), key) == .right)
        #expect(check(Self.callback(headers, body: "x", taskIDs: ["task-1"]), key) == .right)
        #expect(check(Self.callback(headers, taskIDs: ["task-2"]), key) == .wrong)
        #expect(check(Self.callback(headers, taskIDs: []), key) == .wrong)
        #expect(check(Self.callback([headers[0]], taskIDs: ["task-1"]), key) == .wrong)
        #expect(check(Self.callback([headers[1]], taskIDs: ["task-1"]), key) == .wrong)
        #expect(check(Self.callback([], taskIDs: ["task-1"]), key) == .missing)
        #expect(check(Self.callback(headers, taskIDs: ["task-1"]), nil) == .notChecked)
        let other = try Self.key("kie", "HOLDFAST_KIE_WEBHOOK_KEY", "another-key")
        #expect(check(Self.callback(headers, taskIDs: ["task-1"]), other) == .wrong)
    }

    // MARK: fal

    static let falScheme = WebhookScheme.publishedKeys(url: "https://x.example", urlVariable: "X")

    static func fal(_ library: String, seed: UInt8 = 7) async throws -> ([Header], JSONValue) {
        let answer = try await signed([
            "kind": "fal", "library": .string(library),
            "seed": .string(String(repeating: "0\(seed)", count: 32)), "request_id": "req-1",
            "user_id": "user-1", "timestamp": .string("\(now)"), "body": .string(body),
        ])
        let headers = [
            Header("x-fal-webhook-request-id", "req-1"),
            Header("x-fal-webhook-user-id", "user-1"),
            Header("x-fal-webhook-timestamp", "\(now)"),
            Header("x-fal-webhook-signature", answer["signature"]?.text ?? ""),
        ]
        return (
            headers,
            ["kty": "OKP", "crv": "Ed25519", "x": answer["x"] ?? .null, "kid": .string("k\(seed)")]
        )
    }

    @Test(arguments: ["nacl", "cryptography"])
    func `fal's signature is right under one of its published keys`(_ library: String) async throws
    {
        let (headers, jwk) = try await Self.fal(library)
        let (_, stranger) = try await Self.fal(library, seed: 8)
        let keys = PublishedKey.read(
            Array(JSON.write(["keys": [stranger, ["kty": "RSA", "n": "x"], jwk]]).utf8))
        #expect(keys?.count == 2)
        func check(
            _ callback: SignedCallback, _ keys: [PublishedKey]? = keys
        ) -> SignatureFinding {
            SignatureCheck.check(
                callback, Self.falScheme, key: .published(url: "x"), published: keys)
        }
        #expect(check(Self.callback(headers)).result == .right)
        #expect(check(Self.callback(headers, body: Self.body + "\n")).result == .wrong)
        #expect(check(Self.callback(headers, at: Self.now + 301)).result == .wrong)
        for name in headers.map(\.name) {
            let changed = [Header(name, "\(Self.now)")] + headers
            let expected: CheckResult = name == "x-fal-webhook-timestamp" ? .right : .wrong
            #expect(check(Self.callback(changed)).result == expected, "\(name)")
            let without = headers.filter { $0.name != name }
            let missing: CheckResult = name == "x-fal-webhook-signature" ? .missing : .wrong
            #expect(check(Self.callback(without)).result == missing, "\(name)")
        }
        let strangers = PublishedKey.read(Array(JSON.write(["keys": [stranger]]).utf8))
        #expect(check(Self.callback(headers), strangers).result == .wrong)
        #expect(check(Self.callback(headers), []).result == .notChecked)
        #expect(check(Self.callback(headers), nil).result == .notChecked)
        // The digest of all of it is enough where the body itself was too long to keep.
        let digest = Array(SHA256.hash(data: Array(Self.body.utf8)))
        #expect(
            check(Self.callback(headers, body: "{", isCut: true, whole: digest)).result == .right)
        #expect(check(Self.callback(headers, body: "{", isCut: true)).result == .notChecked)
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#,
        #"{"keys":[{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"***"}]}"#, "<html>",
    ])
    func `a document without a usable key is none`(_ document: String) {
        #expect(PublishedKey.read(Array(document.utf8)) == nil)
    }

    // MARK: PiAPI

    @Test func `a secret that comes in clear is compared by its digest`() {
        let scheme = WebhookScheme.clearSecret(header: "x-webhook-secret", secretVariable: "X")
        let key = WebhookKey.secret(Array("clear-secret".utf8))
        for (given, result) in [
            ("clear-secret", CheckResult.right), ("clear-secre", .wrong), ("", .wrong),
            ("clear-secret ", .wrong),
        ] {
            let callback = Self.callback([], secretDigest: SecretDigest.sha256Hex(given))
            #expect(SignatureCheck.check(callback, scheme, key: key).result == result)
        }
        #expect(SignatureCheck.check(Self.callback([]), scheme, key: key).result == .missing)
    }

    // MARK: Together

    @Test(
        arguments: [
            (.notChecked, .notChecked, .notChecked, .notChecked),
            (.missing, .missing, .notChecked, .missing), (.missing, .missing, .right, .right),
            (.right, .missing, .missing, .right), (.missing, .right, .missing, .right),
            (.right, .wrong, .right, .wrong), (.right, .right, .wrong, .wrong),
            (.wrong, .right, .right, .wrong), (.notChecked, .notChecked, .missing, .missing),
            (.missing, .missing, .wrong, .wrong), (.right, .missing, .notChecked, .right),
        ] as [(CheckResult, CheckResult, CheckResult, CheckResult)])
    func `any wrong proof spoils the others, and any right one will do`(
        _ secret: CheckResult, _ tag: CheckResult, _ signature: CheckResult, _ all: CheckResult
    ) {
        var checks = CallbackChecks()
        (checks.secret, checks.tag, checks.signature) = (secret, tag, signature)
        #expect(checks.overall == all)
        #expect(CallbackChecks(json: JSON.write(checks.object)) == checks)
    }

    // MARK: Kling's token

    @Test func `another library accepts Kling's token, and no other secret's`() async throws {
        let registry = try ProviderRegistry {
            ["HOLDFAST_KLING_ACCESS_KEY": "access", "HOLDFAST_KLING_SECRET_KEY": "secret-key"][$0]
        }
        let provider = try #require(registry.provider("kling"))
        // That library reads the machine's own clock.
        let now = Instant(unixSeconds: Int64(Date().timeIntervalSince1970))
        let request = try provider.pollRequest(taskID: "1", endpoint: "image2video", now: now)
        let token = try #require(request.headers.first(named: "Authorization")).dropFirst(7)
        let late = try provider.pollRequest(
            taskID: "1", endpoint: "image2video", now: now + .seconds(-1801))
        let lateToken = try #require(late.headers.first(named: "Authorization")).dropFirst(7)
        let answers = try await Peers.ask([
            ["kind": "token", "token": .string(String(token)), "secret": "secret-key"],
            ["kind": "token", "token": .string(String(token)), "secret": "another-key"],
            ["kind": "token", "token": .string(String(lateToken)), "secret": "secret-key"],
        ])
        #expect(answers[0]["claims"]?["iss"] == "access")
        #expect(answers[0]["header"] == ["alg": "HS256", "typ": "JWT"])
        #expect(answers[1]["error"] == "InvalidSignatureError")
        #expect(answers[2]["error"] == "ExpiredSignatureError")
    }
}
