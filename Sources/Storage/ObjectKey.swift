package import Core
internal import Crypto

/// The name of an object: `<account>/<kind>/<job>_<ordinal>.<ext>`.
///
/// Account and job id may hold anything. A byte outside `A-Z a-z 0-9 . _ -` is written as `=` and
/// two hexadecimal digits; so is a dot in front, which would hide the file or lead out of its
/// folder. Nothing at all is written as a single `=`. The equals sign, unlike a percent sign, is
/// allowed in the keys of every store and means the same in a URL.
///
/// This can be undone (`origin`), with one exception: a part of more than 200 bytes is cut and gets
/// `=.` and half its SHA-256 at the end.
package struct ObjectKey: Hashable, Sendable, CustomStringConvertible {
    private let folder: String
    private let stem: String
    private let number: Int?
    private let fileExtension: String

    package static let partLimitBytes = 200

    package init(
        account: String, kind: JobKind, jobID: String, ordinal: Int, fileExtension: String
    ) {
        folder = Self.escape(account) + "/" + kind.rawValue
        stem = Self.escape(jobID) + "_\(ordinal)"
        number = nil
        // The last dot of a name must be the one in front of the extension.
        self.fileExtension = Self.escape(fileExtension, keepingDots: false)
    }

    /// The key of a document that belongs to no job and lies at the top: `holdfast-2026-11-20.html`.
    ///
    /// - Parameter document: Its name without the extension.
    package init(document: String, fileExtension: String) {
        folder = ""
        stem = Self.escape(document)
        number = nil
        self.fileExtension = Self.escape(fileExtension, keepingDots: false)
    }

    /// Reads a key that was kept as text; nil when it is none that this type writes.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, JobKind(rawValue: String(parts[1])) != nil,
            parts.allSatisfy(Self.isSafe), let dot = parts[2].lastIndex(of: "."),
            let line = parts[2][..<dot].lastIndex(of: "_")
        else { return nil }
        let name = parts[2]
        let numbers = name[name.index(after: line)..<dot]
            .split(separator: "-", omittingEmptySubsequences: false)
        guard numbers.count <= 2, let ordinal = Self.number(numbers[0]) else { return nil }
        number = numbers.count == 2 ? Self.number(numbers[1]) : nil
        guard numbers.count == 1 || number != nil else { return nil }
        folder = "\(parts[0])/\(parts[1])"
        stem = "\(name[..<line])_\(ordinal)"
        fileExtension = String(name[name.index(after: dot)...])
        guard !fileExtension.isEmpty, line != name.startIndex, description == text else {
            return nil
        }
    }

    /// The key to use when another object is at this one: `<job>_<ordinal>-<n>.<ext>`.
    package func alternative(_ n: Int) -> ObjectKey {
        ObjectKey(folder: folder, stem: stem, number: n, fileExtension: fileExtension)
    }

    private init(folder: String, stem: String, number: Int?, fileExtension: String) {
        self.folder = folder
        self.stem = stem
        self.number = number
        self.fileExtension = fileExtension
    }

    /// The number of an alternative; 0 for the first key that a file has.
    package var alternativeNumber: Int { number ?? 0 }

    /// What the key was made of; nil where account or job id had to be cut.
    package var origin: (account: String, kind: JobKind, jobID: String, ordinal: Int)? {
        let parts = folder.split(separator: "/")
        guard parts.count == 2, let line = stem.lastIndex(of: "_"),
            let account = Self.unescape(parts[0]), let kind = JobKind(rawValue: String(parts[1])),
            let jobID = Self.unescape(stem[..<line]),
            let ordinal = Int(stem[stem.index(after: line)...])
        else { return nil }
        return (account, kind, jobID, ordinal)
    }

    package var description: String { folder.isEmpty ? fileName : "\(folder)/\(fileName)" }

    /// The folders from the store's root down.
    var folders: [String] { folder.split(separator: "/").map(String.init) }
    var fileName: String { stem + (number.map { "-\($0)" } ?? "") + "." + fileExtension }

    /// What the names of all objects of the same file begin with, whatever type they are of.
    package var filePrefix: String { "\(folder)/\(stem)" }

    /// Whether both are keys of one file of one job.
    package func isOfSameFile(as other: ObjectKey) -> Bool {
        folder == other.folder && stem == other.stem
    }

    func isAlternative(of other: ObjectKey) -> Bool {
        folder == other.folder && stem == other.stem && fileExtension == other.fileExtension
    }

    // MARK: Escapes

    private static let mark = UInt8(ascii: "=")
    /// Never written by an escape, whose equals sign has a hexadecimal digit behind it.
    private static let cut = "=."
    private static let digestDigits = 32

    /// A part of a path that is safe as a file name, up to 200 bytes long.
    static func escape(_ text: String, keepingDots: Bool = true) -> String {
        guard !text.isEmpty else { return "=" }
        var pieces: [String] = []
        var bytes = 0
        var room: Int?
        for (index, byte) in text.utf8.enumerated() {
            let kept =
                byte == UInt8(ascii: ".")
                ? keepingDots && index > 0
                : Hex.isAlphanumeric(byte) || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: "-")
            let piece = kept ? String(Unicode.Scalar(byte)) : "=" + Hex.upper(byte)
            // Cutting between pieces keeps every escape whole.
            if room == nil, bytes + piece.utf8.count > partLimitBytes - digestDigits - 2 {
                room = pieces.count
            }
            bytes += piece.utf8.count
            pieces.append(piece)
        }
        guard bytes > partLimitBytes, let room else { return pieces.joined() }
        let digest = Hex.text(SHA256.hash(data: Array(text.utf8))).prefix(digestDigits)
        return pieces[..<room].joined() + cut + digest
    }

    /// What `escape` was given; nil for a part that was cut.
    static func unescape(_ part: some StringProtocol) -> String? {
        if part == "=" { return "" }
        var bytes: [UInt8] = []
        var rest = Array(part.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == mark else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Hex.value),
                let low = rest.popFirst().flatMap(Hex.value)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isSafe(_ part: Substring) -> Bool {
        !part.isEmpty && part.first != "."
            && part.utf8.count <= 255
            && part.utf8.allSatisfy { Hex.isAlphanumeric($0) || "._-=".utf8.contains($0) }
    }

    /// A number in the one way it is written.
    private static func number(_ digits: Substring) -> Int? {
        Int(digits).flatMap { String($0) == digits ? $0 : nil }
    }
}
