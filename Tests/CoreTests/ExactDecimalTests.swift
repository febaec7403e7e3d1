import Core
import Testing

@Suite("Exact decimals")
struct ExactDecimalTests {
    @Test(
        "every spelling of a number comes to one text",
        arguments: [
            ("0", "0"), ("-0", "0"), ("-0.000", "0"), ("007", "7"), ("12.50", "12.5"),
            ("+3", "3"), ("-12.5", "-12.5"), ("0.0030", "0.003"), ("1e3", "1000"),
            ("1.5E-3", "0.0015"), ("1.5e+2", "150"), ("1500000e-9", "0.0015"),
            ("0e99", "0"), ("999999999999999", "999999999999999"),
            ("0.12345678901234567890", "0.1234567890123456789"),
            ("9007199254740993.5e-1", "900719925474099.35"),
        ])
    func spelling(text: String, written: String) {
        #expect(ExactDecimal(text)?.text == written)
    }

    @Test(
        "what is no plain decimal, or takes too many digits, is none",
        arguments: [
            "", " ", "-", "+", ".", ".5", "5.", "1 000", "1,000", "1,5", "$5", "5 USD", "0x10",
            "1e", "1e1.5", "e5", "--1", "1.2.3", "NaN", "Infinity", "١", "½", "1e16",
            "1000000000000000", "1e-21", "1e9999", String(repeating: "0", count: 61), "1e999",
        ])
    func refused(text: String) {
        #expect(ExactDecimal(text) == nil)
    }

    @Test(
        "numbers are ordered by their value",
        arguments: [
            ["-1000", "-2.5", "-2.05", "-0.1", "0", "0.09", "0.1", "0.11", "2", "10", "10.01"]
        ])
    func order(texts: [String]) {
        let numbers = texts.compactMap { ExactDecimal($0) }
        #expect(numbers.count == texts.count)
        for (index, number) in numbers.enumerated() {
            for (other, larger) in numbers.enumerated() {
                #expect((number < larger) == (index < other), "\(number.text) \(larger.text)")
            }
        }
    }

    @Test(
        "the point moves without a digit lost",
        arguments: [
            ("1500000", 9, "0.0015"), ("1234", 2, "12.34"), ("5", 2, "0.05"), ("0", 9, "0"),
            ("-1234", 2, "-12.34"), ("12.5", -1, "125"), ("0.5", -3, "500"),
        ])
    func shift(text: String, places: Int, moved: String) {
        #expect(ExactDecimal(text)?.shifted(by: places)?.text == moved)
    }

    @Test("a number that cannot be kept whole is not moved")
    func tooFar() {
        #expect(ExactDecimal("0.00000000000000000001")?.shifted(by: 1) == nil)
        #expect(ExactDecimal("100000000000000")?.shifted(by: -1) == nil)
    }

    @Test(
        "units are words, currencies three capitals",
        arguments: [
            ("credits", true, false), ("USD", true, true), ("usd", true, false),
            ("GPU-seconds/h", true, false), ("", false, false), ("12", false, false),
            ("a b", false, false), ("€", false, false), ("US\u{0}", false, false),
            (String(repeating: "a", count: 41), false, false),
        ])
    func names(text: String, isUnit: Bool, isCurrency: Bool) {
        #expect(UnitName.isValid(text) == isUnit)
        #expect(Currency.isCode(text) == isCurrency)
    }
}
