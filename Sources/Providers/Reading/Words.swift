extension Unicode.Scalar {
    /// White space of any script; most text is ASCII, where no table has to be asked.
    var isBlank: Bool {
        isASCII ? value == 0x20 || (0x09...0x0D).contains(value) : properties.isWhitespace
    }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmed: String {
        let scalars = unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.isBlank }),
            let last = scalars.lastIndex(where: { !$0.isBlank })
        else { return "" }
        return String(String.UnicodeScalarView(scalars[first...last]))
    }

    /// The form in which words of a vocabulary are compared: trimmed, ASCII letters in lower case.
    ///
    /// Other letters stay, since their lower case may be an ASCII letter: the Kelvin sign's is k.
    var word: String { trimmed.asciiLowercased }

    var asciiLowercased: String {
        String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// The same bytes, where `==` would call two spellings of one character equal.
    func isSameText(as other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }

    /// The first `limit` scalars.
    func cut(to limit: Int) -> String {
        String(String.UnicodeScalarView(unicodeScalars.prefix(limit)))
    }

    /// The bytes that percent-encoding stands for; broken escapes stay as they are.
    var percentDecoded: String {
        let text = Array(utf8)
        var bytes: [UInt8] = []
        var at = 0
        while at < text.count {
            if text[at] == UInt8(ascii: "%"), at + 2 < text.count,
                let high = Character(Unicode.Scalar(text[at + 1])).hexDigitValue,
                let low = Character(Unicode.Scalar(text[at + 2])).hexDigitValue
            {
                bytes.append(UInt8(high << 4 | low))
                at += 3
            } else {
                bytes.append(text[at])
                at += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Percent-encoded but for the unreserved characters of RFC 3986.
    var percentEncoded: String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            default: bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
