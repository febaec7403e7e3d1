import Core
import HTTP
import Storage
import TestSupport
import Testing

/// The signer, held against what Amazon published and against botocore.
@Suite struct SigV4Signatures {
    private static let signer = SigV4(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1")
    private static let host = "examplebucket.s3.amazonaws.com"
    /// 24 May 2013, 00:00 UTC.
    private static let now = Instant(unixSeconds: 1_369_353_600)

    struct Example: CustomTestStringConvertible, Sendable {
        var subject: SigV4.Subject
        var payloadHash = SigV4.emptyHash
        var signature: String
        var testDescription: String { "\(subject.method) \(subject.path)" }
    }

    // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    static let published = [
        Example(
            subject: .init(
                method: "GET", host: host, path: "/test.txt",
                headers: [Header("Range", "bytes=0-9")]),
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Example(
            subject: .init(
                method: "PUT", host: host, path: "/test%24file.text",
                headers: [
                    Header("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                    Header("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ]),
            payloadHash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Example(
            subject: .init(method: "GET", host: host, path: "/", query: [("lifecycle", "")]),
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Example(
            subject: .init(
                method: "GET", host: host, path: "/", query: [("prefix", "J"), ("max-keys", "2")]),
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: published)
    func `signs what Amazon's page signs`(_ example: Example) throws {
        let headers = Self.signer.signedHeaders(
            example.subject, payloadHash: example.payloadHash, now: Self.now)
        let authorization = try #require(headers.first(named: "Authorization"))
        #expect(authorization.hasSuffix("Signature=" + example.signature))
    }

    // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    @Test func `signs the link that Amazon's page signs`() {
        let query = Self.signer.signedQuery(
            .init(method: "GET", host: Self.host, path: "/test.txt"), expires: .seconds(86_400),
            now: Self.now)
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        #expect(query.hasSuffix("&X-Amz-Signature=" + signature))
    }

    /// Names, values and paths with everything that signers get wrong, from a printed seed.
    @Test func `agrees with botocore about any request`() async throws {
        var chance = SeededGenerator()
        let alphabet = Array("aZ09-._~ +=&?#%@:;,!$'()*[]{}|^`\\\"<>éß日🎬").map { String($0) }
        func text(_ most: Int) -> String {
            (0..<Int.random(in: 0...most, using: &chance)).map { _ in
                alphabet.randomElement(using: &chance) ?? ""
            }.joined()
        }
        var questions: [JSONValue] = []
        var ours: [String] = []
        for number in 0..<300 {
            let query = (0..<Int.random(in: 0...4, using: &chance)).map {
                (name: "q\($0)" + text(3), value: text(8))
            }
            let names = [
                "x-amz-meta-job", "x-amz-meta-job-id", "Content-Type", "x-amz-acl", "Range",
            ]
            let headers = names.filter { _ in Bool.random(using: &chance) }
                .map { Header($0, "v  \(number)   w") }
            let path = "/bucket/" + SigV4.canonicalQuery([("", text(12))]).dropFirst()
            let token = Bool.random(using: &chance) ? "token+\(number)==" : nil
            var signer = Self.signer
            signer.sessionToken = token
            let signed = signer.signedHeaders(
                .init(
                    method: "PUT", host: "127.0.0.1:9000", path: path, query: query,
                    headers: headers), payloadHash: SigV4.emptyHash, now: Self.now)
            ours.append(try #require(signed.first(named: "Authorization")))
            questions.append([
                "kind": "sigv4", "path": .string(path),
                "query": .array(query.map { [.string($0.name), .string($0.value)] }),
                "headers": .array(headers.map { [.string($0.name), .string($0.value)] }),
                "token": .optional(token), "time": .string("20130524T000000Z"),
                "access_key": .string(signer.accessKeyID),
                "secret_key": .string(signer.secretAccessKey),
            ])
        }
        let theirs = try await Peers.ask(questions)
        for (mine, other) in zip(ours, theirs) { #expect(mine == other.text, "\(chance)") }
        #expect(theirs.count == 300)
    }
}
