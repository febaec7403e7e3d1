import Core

/// Takes secrets, signed queries and prompts out of text that somebody else wrote.
enum PrivateText {
    static let mark = "[redacted]"
    static let messageLimit = 500
    /// Bytes of a word that may be a token because of how it begins.
    private static let shortestToken = 12

    /// Whether a field of this name holds an input of ours or a secret.
    static func isPrivate(key: some StringProtocol) -> Bool {
        let name = plain(key)
        return isSecret(plain: name) || inputs.contains(name) || name.contains("prompt")
            || name.hasPrefix("param") || name.hasPrefix("input")
    }

    private static func isSecret(key: some StringProtocol) -> Bool { isSecret(plain: plain(key)) }

    private static func isSecret(plain name: String) -> Bool {
        secrets.contains(name) || secretFragments.contains { name.contains($0) }
            || name.hasSuffix("key") || (name.contains("token") && !name.hasSuffix("tokens"))
    }

    private static func plain(_ key: some StringProtocol) -> String {
        String(
            decoding: key.asciiLowercased.utf8.filter { !"_- ".utf8.contains($0) }, as: UTF8.self)
    }

    private static let inputs: Set<String> = [
        "request", "text", "texts", "title", "tags", "style", "lyric", "lyrics", "script",
        "caption",
        "description", "content", "contents", "messages", "query", "generateparam",
    ]
    private static let secrets: Set<String> = ["auth", "sign", "sig", "jwt", "cookie", "setcookie"]
    private static let secretFragments = [
        "secret", "password", "passwd", "authorization", "signature", "credential",
    ]

    /// A provider's message as it may be logged and stored: one line, bounded.
    static func message(_ text: String) -> String {
        var redaction = Redaction(budgetBytes: messageLimit)
        let text = redaction.text(text, level: 0).cut(to: messageLimit)
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }

    /// Everything before the first `"name":` (or, when `isLoose`, `"name"`, `name:` and `name=`)
    /// whose name is private; nil when there is none.
    ///
    /// What cannot be parsed cannot be taken apart safely, so all that follows goes.
    static func beforePrivateField(_ text: String, isLoose: Bool) -> String? {
        let bytes = Array(text.utf8)
        var start = 0
        for at in 0...bytes.count {
            if at < bytes.count, isNameByte(bytes[at]) { continue }
            if at > start, at < bytes.count, introducesValue(bytes[at...], isLoose: isLoose),
                isPrivate(key: String(decoding: bytes[start..<at], as: UTF8.self))
            {
                return String(decoding: bytes[..<start], as: UTF8.self)
            }
            start = at + 1
        }
        return nil
    }

    private static func introducesValue(_ rest: ArraySlice<UInt8>, isLoose: Bool) -> Bool {
        let quotes = rest.prefix { "\\\"'".utf8.contains($0) }
        switch (quotes.isEmpty, isLoose) {
        case (false, true): return true
        case (true, false): return false
        case (true, true), (false, false): break
        }
        let sign = rest.dropFirst(quotes.count).first { $0 > 0x20 }
        return sign == UInt8(ascii: ":") || sign == UInt8(ascii: "=")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isTokenByte(byte) && !"+/=".utf8.contains(byte)
    }

    /// Words without queries, user names and tokens.
    ///
    /// - Parameter masksTokens: Whether every long word with digits counts as a token. In a field
    ///   that is one word it may be an id, which is worth keeping.
    static func words(_ text: String, masksTokens: Bool) -> String {
        var result = ""
        var announcesSecret = false
        for piece in pieces(text) {
            guard let first = piece.utf8.first, !isBreak(first) else {
                result += piece
                continue
            }
            result += announcesSecret ? mark : word(piece, masksTokens: masksTokens)
            let sign = piece.unicodeScalars.last
            announcesSecret =
                ["bearer", "basic"].contains(piece.word)
                || ((sign == ":" || sign == "=") && isSecret(key: piece.dropLast()))
        }
        return result
    }

    private static func word(_ word: Substring, masksTokens: Bool) -> String {
        // Most words are too short for a token and have no sign that an address or a pair needs.
        if word.utf8.count < shortestToken, !word.utf8.contains(where: { "=:?".utf8.contains($0) })
        {
            return String(word)
        }
        if let scheme = word.utf8.firstRange(of: Array("://".utf8)) {
            return url(word, afterScheme: scheme.upperBound)
        }
        let scalars = word.unicodeScalars
        if let query = scalars.firstIndex(of: "?"), scalars[query...].contains("=") {
            return word[..<query] + "?" + mark
        }
        var result = ""
        var start = word.startIndex
        while start < word.endIndex {
            let end = scalars[start...].firstIndex { "&,;".unicodeScalars.contains($0) }
            result += pair(word[start..<(end ?? word.endIndex)], masksTokens: masksTokens)
            guard let end else { break }
            start = scalars.index(after: end)
            result += word[end..<start]
        }
        return result
    }

    private static func pair(_ pair: Substring, masksTokens: Bool) -> String {
        let scalars = pair.unicodeScalars
        if let sign = scalars.firstIndex(where: { $0 == "=" || $0 == ":" }),
            scalars.index(after: sign) < pair.endIndex, isSecret(key: pair[..<sign])
        {
            return pair[...sign] + mark
        }
        return tokens(pair, masksAll: masksTokens)
    }

    // Keeps scheme, host, port and path.
    private static func url(_ word: Substring, afterScheme start: String.Index) -> String {
        let rest = word[start...]
        let end = rest.unicodeScalars.firstIndex { "/?#".unicodeScalars.contains($0) }
        let authority = rest[..<(end ?? rest.endIndex)]
        let user = authority.unicodeScalars.lastIndex(of: "@")
        let host = user.map { mark + authority[$0...] } ?? String(authority)
        let tail = rest[(end ?? rest.endIndex)...]
        let query = tail.unicodeScalars.firstIndex { $0 == "?" || $0 == "#" }
        let path = tail[..<(query ?? tail.endIndex)]
        return word[..<start] + host + path
            + (query.map { "\(tail.unicodeScalars[$0])" + mark } ?? "")
    }

    private static func tokens(_ word: Substring, masksAll: Bool) -> String {
        var result = ""
        var run = ""
        for scalar in word.unicodeScalars {
            if scalar.isASCII, isTokenByte(UInt8(scalar.value)) || scalar == "." {
                run.unicodeScalars.append(scalar)
                continue
            }
            result += token(run, masksAll: masksAll)
            result.unicodeScalars.append(scalar)
            run = ""
        }
        return result + token(run, masksAll: masksAll)
    }

    private static func token(_ run: String, masksAll: Bool) -> String {
        // A JSON Web Token has dots, and every part of it counts.
        if run.utf8.count >= shortestToken, run.hasPrefix("eyJ") || run.hasPrefix("sk-") {
            return mark
        }
        guard masksAll else { return run }
        return run.split(separator: ".", omittingEmptySubsequences: false).map { part in
            let isLong = part.utf8.count >= 24 && part.utf8.contains { (0x30...0x39).contains($0) }
            return isLong ? mark : String(part)
        }.joined(separator: ".")
    }

    // The alphabets of base64, base64url and hexadecimal.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
            || "+/=_-".utf8.contains(byte)
    }

    private static func isBreak(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == 0x7F || "\"'<>`\\".utf8.contains(byte)
    }

    // The text in order, cut into words and what stands between them.
    private static func pieces(_ text: String) -> [Substring] {
        var pieces: [Substring] = []
        var start = text.startIndex
        var wasBreak: Bool?
        for index in text.utf8.indices {
            let isBreak = isBreak(text.utf8[index])
            if let before = wasBreak, before != isBreak {
                pieces.append(text[start..<index])
                start = index
            }
            wasBreak = isBreak
        }
        pieces.append(text[start...])
        return pieces
    }
}
