package import Core

/// A mail as it is given to `sendmail -t`: MIME, ASCII only, every line short.
///
/// Sources: RFC 5322, RFC 2045, RFC 2047, RFC 2183
package struct Letter: Sendable {
    package struct Attachment: Sendable {
        package var name: String
        package var contentType: String
        package var bytes: [UInt8]

        package init(name: String, contentType: String, bytes: [UInt8]) {
            self.name = name
            self.contentType = contentType
            self.bytes = bytes
        }
    }

    package var to: [String]
    /// nil leaves it to the mail program.
    package var from: String?
    package var subject: String
    package var body: String
    package var attachments: [Attachment]

    package init(
        to: [String], from: String?, subject: String, body: String, attachments: [Attachment] = []
    ) {
        self.to = to
        self.from = from
        self.subject = subject
        self.body = body
        self.attachments = attachments
    }

    /// Reads a list of addresses, with commas or blanks between them: `books@example.com, root`.
    ///
    /// - Throws: `mail_address` (78) for what could be anything but an address, such as a line end,
    ///   a name beside it or an option of the mail program.
    package static func addresses(_ text: String, variable: String) throws(Failure) -> [String] {
        let parts = text.split { $0 == "," || $0 == " " }.map(String.init)
        guard !parts.isEmpty, parts.count <= addressLimit, parts.allSatisfy(isAddress) else {
            throw Failure(
                .configuration, code: "mail_address",
                "\(variable) is not a list of at most \(addressLimit) plain mail addresses; write it "
                    + "like books@example.com,anna@example.com")
        }
        return parts
    }

    private static let addressLimit = 50

    private static func isAddress(_ text: String) -> Bool {
        let allowed = Set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~@-"
                .utf8)
        return text.utf8.count <= 254 && text.utf8.first != UInt8(ascii: "-")
            && text.utf8.first != UInt8(ascii: "|") && text.utf8.first != UInt8(ascii: "/")
            && text.utf8.allSatisfy(allowed.contains)
            && text.split(separator: "@", omittingEmptySubsequences: false).count <= 2
            && !text.hasPrefix("@") && !text.hasSuffix("@")
    }

    /// Everything, with the line ends that mail programs on this system expect.
    package func message() -> [UInt8] {
        var text = ""
        if let from { text += "From: \(from)\n" }
        text += "To: \(to.joined(separator: ",\n "))\n"
        text += "Subject: \(Self.encoded(Inert.line(subject)))\n"
        text += "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
        guard !attachments.isEmpty else {
            return Array((text + Self.part("text/plain; charset=utf-8", Array(body.utf8))).utf8)
        }
        let boundary = "=_holdfast_night"
        // Base64 has no such line: neither an equals sign in front nor an underscore anywhere.
        text += "Content-Type: multipart/mixed; boundary=\"\(boundary)\"\n\n"
        text += "--\(boundary)\n\(Self.part("text/plain; charset=utf-8", Array(body.utf8)))"
        for attachment in attachments {
            text += "--\(boundary)\n"
            text +=
                "Content-Disposition: attachment; filename=\"\(Self.fileName(attachment.name))\"\n"
            text += Self.part(attachment.contentType, attachment.bytes)
        }
        return Array((text + "--\(boundary)--\n").utf8)
    }

    private static let lineBytes = 57

    private static func part(_ type: String, _ bytes: [UInt8]) -> String {
        var text = "Content-Type: \(type)\nContent-Transfer-Encoding: base64\n\n"
        for start in stride(from: 0, to: bytes.count, by: lineBytes) {
            text += Base64.text(Array(bytes[start..<min(start + lineBytes, bytes.count)])) + "\n"
        }
        return text
    }

    private static func fileName(_ name: String) -> String {
        String(decoding: name.utf8.map { (0x2d...0x7a).contains($0) ? $0 : 0x5f }, as: UTF8.self)
    }

    /// A text for a header: as it is, or in encoded words that each hold whole characters.
    static func encoded(_ text: String) -> String {
        guard
            !text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) || text.utf8.count > 900
                || text.contains("=?")
        else { return text }
        var (words, word) = ([String](), [UInt8]())
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if word.count + bytes.count > 42 {
                words.append("=?UTF-8?B?\(Base64.text(word))?=")
                word = []
            }
            word += bytes
        }
        words.append("=?UTF-8?B?\(Base64.text(word))?=")
        return words.joined(separator: "\n ")
    }
}
