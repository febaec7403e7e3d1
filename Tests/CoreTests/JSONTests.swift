import Core
import Testing

@Suite("JSON reader")
struct JSONReaderTests {
    @Test(
        "keeps what was written",
        arguments: [
            ("null", .null),
            (" true ", true),
            ("\u{FEFF}[]", []),
            ("901122334455667788", .number("901122334455667788")),
            ("-0.50e+3", .number("-0.50e+3")),
            (#""a\u00e9\ud83d\ude00\/\n""#, "aé😀/\n"),
            (#"{"b":1,"a":[null,{}]}"#, ["b": 1, "a": [nil, [:]]]),
            (#"{"a":{"x":1},"a":{"x":1}}"#, ["a": ["x": 1]]),
        ] as [(String, JSONValue)])
    func reads(text: String, expected: JSONValue) throws {
        #expect(try JSON.parse(text) == expected)
    }

    @Test(
        "refuses what cannot be trusted",
        arguments: [
            ("", .empty),
            ("  \n", .empty),
            (#"{"a":1}{"a":1}"#, .trailing),
            ("1 2", .trailing),
            ("[1,]", .unexpected),
            ("{\"a\":1,}", .unexpected),
            ("{a:1}", .unexpected),
            ("01", .trailing),
            ("1.", .endedEarly),
            ("-", .endedEarly),
            ("+1", .unexpected),
            ("NaN", .unexpected),
            ("tru", .endedEarly),
            ("trux", .unexpected),
            ("\"a", .endedEarly),
            ("\"a\nb\"", .unexpected),
            (#""\x""#, .unexpected),
            (#""\u12g4""#, .unexpected),
            (#""\ud83d""#, .loneSurrogate),
            (#""\ud83d\u0041""#, .loneSurrogate),
            (#""\ude00""#, .loneSurrogate),
            ("{\"a\":[1,2", .endedEarly),
            (#"{"a":1,"b":2,"a":2}"#, .conflictingKey("a")),
            (#"{"a":1,"a":1.0}"#, .conflictingKey("a")),
            (#"{"a":1,"\u0061":2}"#, .conflictingKey("a")),
            (#"{"a":{"x":1,"y":2},"a":{"y":2,"x":1}}"#, .conflictingKey("a")),
        ] as [(String, JSONError.Reason)])
    func refuses(text: String, reason: JSONError.Reason) {
        let error = #expect(throws: JSONError.self) { try JSON.parse(text) }
        #expect(error?.reason == reason)
    }

    @Test("bytes that are not UTF-8 are refused", arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80]])
    func invalidText(bytes: [UInt8]) {
        let error = #expect(throws: JSONError.self) {
            try JSON.parse([0x22] + bytes + [0x22])
        }
        #expect(error?.reason == .invalidText)
    }

    @Test("two spellings of one accent are two keys")
    func keysAreBytes() throws {
        let value = try JSON.parse("{\"\u{E9}\":1,\"e\u{301}\":2,\"\u{212A}\":3}")
        #expect(value["\u{E9}"] == 1)
        #expect(value["e\u{301}"] == 2)
        #expect(value["K"] == nil)
    }

    @Test("nesting is bounded on both sides of the edge, and hostile depth does not overflow")
    func depth() throws {
        let nested = { (depth: Int) in
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try JSON.parse(nested(64)) }
        let error = #expect(throws: JSONError.self) { try JSON.parse(nested(65)) }
        #expect(error?.reason == .tooDeep(limit: 64))
        for hostile in [nested(1_000_000), String(repeating: "{\"a\":", count: 1_000_000)] {
            let limits = JSONLimits(depth: .max, bytes: .max)
            #expect(throws: JSONError.self) { try JSON.parse(hostile, limits: limits) }
        }
    }

    @Test("size is bounded on both sides of the edge")
    func size() throws {
        let limits = JSONLimits(bytes: 4)
        #expect(try JSON.parse("1234", limits: limits) == 1234)
        let error = #expect(throws: JSONError.self) { try JSON.parse("12345", limits: limits) }
        #expect(error?.reason == .tooLarge(limitBytes: 4))
    }

    @Test("a large object with many keys is read in one pass")
    func manyKeys() throws {
        let members = (0..<200_000).map { "\"key\($0)\":\($0)" }
        let value = try JSON.parse("{" + members.joined(separator: ",") + "}")
        #expect(value.object?.members.count == 200_000)
    }

    @Test(
        "whole numbers are exact or absent",
        arguments: [
            ("9007199254740993", 9_007_199_254_740_993), ("1.0", 1), ("-3.00", -3), ("1.5", nil),
            ("1e3", nil), ("9223372036854775808", nil), ("0.0", 0),
        ] as [(String, Int64?)])
    func integers(text: String, expected: Int64?) throws {
        #expect(try JSON.parse(text).int == expected)
    }

    @Test("random bytes never trap, and what is read can be written and read again")
    func fuzz() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var chance = Seeded(seed: seed)
        let alphabet = Array(#"{}[]",:\u0d8eE+-.1t \"nullé"#.utf8) + [0x00, 0xFF, 0xC3]
        for round in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &chance)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &chance)]
            }
            guard let value = try? JSON.parse(bytes) else { continue }
            #expect(
                try JSON.parse(JSON.write(value)) == value, "seed \(seed), round \(round)")
        }
    }
}

@Suite("JSON writer")
struct JSONWriterTests {
    @Test("writes one compact line with every escape that is needed")
    func writes() {
        let value: JSONValue = [
            "a": [1, .number("2.50"), true, nil],
            "quote\"": .string("\\ \n\r\t\u{1}\u{7F}é/"),
            "o": [:],
        ]
        #expect(
            JSON.write(value)
                == "{\"a\":[1,2.50,true,null],\"quote\\\"\":\"\\\\ \\n\\r\\t\\u0001\u{7F}é/\",\"o\":{}}"
        )
    }

    @Test("setting a member replaces it in its place, and nil removes it")
    func members() {
        var object = JSONObject([.init(key: "a", value: 1), .init(key: "b", value: 2)])
        object["a"] = 3
        object["c"] = 4
        object["b"] = nil
        #expect(JSON.write(.object(object)) == #"{"a":3,"c":4}"#)
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
