import Core
import Providers
import Testing

@Suite("Evidence")
struct EvidenceTests {
    @Test(
        "inputs, secrets and signed queries never stay",
        arguments: [
            #"{"data":{"prompt":"CANARY","negative_prompt":"CANARY","lyrics":"CANARY"}}"#,
            #"{"param":"{\"prompt\":\"CANARY\"}","paramJson":{"a":"CANARY"},"generateParam":["CANARY"]}"#,
            #"{"input":{"x":"CANARY"},"inputImage":"CANARY","request":"CANARY","text":"CANARY"}"#,
            #"{"token":"CANARY","access_token":"CANARY","apiKey":"CANARY","Authorization":"CANARY"}"#,
            #"{"clientSecret":1234567,"password":["CANARY"],"X-Signature":"CANARY","jwt":"CANARY"}"#,
            #"{"pro\u006dpt":"CANARY","PROMPT":"CANARY","image_prompt_url":"CANARY"}"#,
            #"{"url":"https://u:CANARY@a.example/x.mp4?sig=CANARY#CANARY"}"#,
            #"{"url":"https:\/\/a.example\/x.mp4?sig=CANARY&u=https:\/\/b.example\/?CANARY"}"#,
            #"{"text_of":"see https://a.example/x?k=CANARY, and //b.example/y?k=CANARY"}"#,
            #"{"resultJson":"{\"resultUrls\":[\"https://a.example/x?s=CANARY\"],\"prompt\":\"CANARY\"}"}"#,
            #"{"a":"{\"b\":\"{\\\"prompt\\\":\\\"CANARY\\\",\\\"u\\\":\\\"https://a/?CANARY\\\"}\"}"}"#,
            #"{"https://a.example/?k=CANARY":1,"msg":"token: CANARY and Bearer CANARY"}"#,
            #"{"msg":"bad key 0123456789abcdef0123CANARY99 given","m2":"api_key=CANARY;x"}"#,
            #"{"msg":"eyJCANARY.eyJCANARYCANARY.sigCANARY0123456789012"}"#,
            // Cut, glued, conflicting, or not JSON at all.
            #"{"code":200,"data":{"prompt":"CANARY"#,
            #"{"code":200,"data":{"param":"{\"prompt\":\"CANARY"#,
            #"{"a":1,"a":2,"prompt":"CANARY"}"#, #"{"a":1}{"input":{"x":"CANARY"}}"#,
            #"{"resultJson":"{\"prompt\":\"CANARY"}"#, "{'prompt': 'CANARY'}",
            "prompt: CANARY\nCANARY",
            "taskId=1&prompt=CANARY+CANARY&x=1", "callback?secret=CANARY",
            "<a href='https://a.example/?CANARY'>",
            "<html>0123456789abcdef0123CANARY99</html>", "Authorization: Bearer CANARY",
            "\u{FEFF}{\"prompt\":\"CANARY\"} trailing",
        ])
    func canaries(body: String) {
        let text = Evidence.redact(Array(body.utf8))
        #expect(!text.contains("CANARY"), "\(text)")
        #expect(!text.contains("1234567"), "\(text)")
        #expect(text.contains("[redacted]"))
    }

    @Test("what tells the story stays")
    func kept() {
        let body = #"""
            {"code":200,"msg":"success","request_id":"b1d0a4ce-9a5f-4f43-8a0e-5a3b6f1a0c11",
             "data":{"taskId":"901122334455667788","id2":901122334455667788,"state":"fail","failMsg":"too \"dark\"",
             "completion_tokens":12,"resultJson":"{\"resultUrls\":[\"https://a.example/out/boat-1.mp4\"]}","prompt":null}}
            """#
        #expect(
            Evidence.redact(Array(body.utf8))
                == #"{"code":200,"msg":"success","request_id":"b1d0a4ce-9a5f-4f43-8a0e-5a3b6f1a0c11","#
                + #""data":{"taskId":"901122334455667788","id2":901122334455667788,"state":"fail","failMsg":"too \"dark\"","#
                + #""completion_tokens":12,"resultJson":"{\"resultUrls\":[\"https://a.example/out/boat-1.mp4\"]}","prompt":null}}"#
        )
        #expect(Evidence.redact(Array("error code: 1010".utf8)) == "error code: 1010")
        #expect(Evidence.redact([]) == "")
    }

    @Test("the limit holds on both sides of a character", arguments: 0...14)
    func limit(limitBytes: Int) {
        for body in ["[\"éé😀😀\"]", "éé😀 😀é"] {
            let text = Evidence.redact(Array(body.utf8), limitBytes: limitBytes)
            #expect(text.utf8.count <= limitBytes)
            #expect(!text.unicodeScalars.contains("\u{FFFD}"))
            #expect(body.hasPrefix(text))
        }
    }

    @Test("bytes that are no text become text without NUL")
    func notText() {
        for body in [[0xFF, 0x00, 0xC3], Array("{\"a\":\"\\u0000\"}".utf8)] as [[UInt8]] {
            let text = Evidence.redact(body)
            #expect(!text.utf8.contains(0))
            #expect(!text.contains("\\u0000"))
            #expect(text.contains("\u{FFFD}"))
        }
    }

    @Test("a canary in any sample survives no mutation")
    func mutations() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var chance = Seeded(seed: seed)
        let body = Array(
            #"{"code":200,"data":{"taskId":"t1","param":"{\"prompt\": \"CANARY words\"}","state":"success","resultJson":"{\"resultUrls\":[\"https://a.example/x?s=CANARY\"]}"}}"#
                .utf8)
        for _ in 0..<3000 {
            let mutated = Mutation.structural(body, using: &chance)
            let text = Evidence.redact(mutated)
            #expect(
                !text.contains("CANARY"),
                "seed \(seed): \(String(decoding: mutated, as: UTF8.self))")
        }
    }

    @Test("of a query only ids stay")
    func query() {
        #expect(
            Evidence.redact(query: "job=1&tag=CANARY&taskId=t&secret=CANARY&x")
                == "job=1&tag=[redacted]&taskId=t&secret=[redacted]&x=[redacted]")
    }
}
