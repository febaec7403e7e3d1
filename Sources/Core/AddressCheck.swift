/// Looks whether an address with a user and a password in it can be read in one way only.
///
/// Who takes an address apart at the wrong place takes a piece of the password for the host, and
/// says it. Hence every address is looked at here first, and none that could be read in two ways is
/// used.
package enum AddressCheck {
    /// The text between `//` and the last `@`, which nobody may say; nil where there is none.
    ///
    /// A path of this host has no user, whatever its folders are called.
    package static func userInfo(of address: String) -> Substring? {
        guard let start = address.firstRange(of: "://"),
            address[..<start.lowerBound].lowercased() != "file"
        else { return nil }
        let rest = address[start.upperBound...]
        return rest.lastIndex(of: "@").map { rest[..<$0] }
    }

    /// What is wrong and how to write it instead, without a letter of what is secret; nil where
    /// the address is clear.
    package static func complaint(_ address: String) -> String? {
        guard let userInfo = userInfo(of: address) else { return nil }
        let authority = userInfo.prefix { !"/?#".contains($0) }
        let isCut = authority.endIndex != userInfo.endIndex
        guard !isCut || isUserInfo(authority) else {
            return "it holds `@` behind the host: write it as %40 (or, where it ends a password, "
                + "write the `/`, `?` or `#` in front of it as %2F, %3F or %23)"
        }
        let found = odd(in: userInfo)
        guard !found.isEmpty else { return nil }
        let user = userInfo.prefix { $0 != ":" }
        let hasPassword = user.endIndex != userInfo.endIndex
        let place = hasPassword && odd(in: user).isEmpty ? "the password" : "user or password"
        let words = found.map { "\($0.words): write it as \($0.escape)" }.joined(separator: ", ")
        return "\(place) holds \(words)"
    }

    /// Whether what stands before the first slash can be a user and the start of a password, and not
    /// a host with its port.
    private static func isUserInfo(_ authority: Substring) -> Bool {
        if authority.contains("@") { return true }
        guard let colon = authority.lastIndex(of: ":") else { return false }
        return !authority[authority.index(after: colon)...].allSatisfy(\.isASCIIDigit)
    }

    private struct Odd: Equatable {
        var words: String
        var escape: String
    }

    /// What RFC 3986 allows in no user and no password, each once, in the order of its appearance.
    private static func odd(in text: Substring) -> [Odd] {
        var found: [Odd] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            let one: Odd? =
                switch scalar {
                case "@", "/", "?", "#", "[", "]":
                    Odd(words: "`\(scalar)`", escape: escape(scalar))
                case "%" where !rest.prefix(2).allSatisfy(isHex) || rest.prefix(2).count < 2:
                    Odd(words: "`%`", escape: "%25")
                case " ": Odd(words: "a blank", escape: "%20")
                case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                    Odd(words: "a control character", escape: escape(scalar))
                default: nil
                }
            if let one, !found.contains(one) { found.append(one) }
        }
        return found
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return digits.count == 1 ? "%0\(digits)" : "%\(digits)"
    }

    private static func isHex(_ scalar: Unicode.Scalar) -> Bool {
        ("0"..."9").contains(scalar) || ("a"..."f").contains(scalar)
            || ("A"..."F").contains(scalar)
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}
