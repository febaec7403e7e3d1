package import Core
package import Jobs
package import Recovery

/// Files for people and for machines.
package enum AssetText {
    /// - Parameter links: Addresses to read stored objects by, at the files' places; nil to leave the
    ///   column out.
    package static func table(_ files: [AssetSummary], links: [String?]? = nil) -> String {
        guard !files.isEmpty else { return "no file is like that" }
        let titles = ["job", "file", "state", "type", "size", "key or source", "expires", "tries"]
        var table = TextTable(titles + (links == nil ? [] : ["link"]) + [""], numbers: [1, 4, 7])
        for (place, file) in files.enumerated() {
            let cells = [
                file.jobID, String(file.ordinal), file.state.rawValue, file.contentType ?? "-",
                file.bytes.map(Plain.bytes) ?? "-", Self.place(file), expiry(file),
                String(file.attempts),
            ]
            let link = links.map { [$0[place] ?? "-"] } ?? []
            table.add(cells + link + [note(file)])
        }
        return table.text
    }

    /// - Parameter link: As for `table`; nil to leave the member out.
    package static func object(_ file: AssetSummary, link: JSONValue? = nil) -> JSONValue {
        var object = JSONObject([
            .init(key: "job_id", value: .string(file.jobID)),
            .init(key: "ordinal", value: .integer(file.ordinal)),
            .init(key: "account_id", value: .string(file.accountID)),
            .init(key: "provider", value: .string(file.provider)),
            .init(key: "state", value: .string(file.state.rawValue)),
            .init(key: "content_type", value: .optional(file.contentType)),
            .init(key: "bytes", value: .whole(file.bytes)),
            .init(key: "sha256", value: .optional(file.sha256)),
            .init(key: "object_key", value: .optional(file.objectKey)),
            .init(key: "public_url", value: .optional(file.publicURL)),
            .init(key: "source_host", value: .string(host(file.sourceURL))),
            .init(key: "source_expires_at", value: .instant(file.sourceExpiresAt)),
            .init(
                key: "expires_in_seconds",
                value: .seconds(file.sourceExpiresAt.map { $0 - file.now })),
            .init(key: "attempts", value: .integer(file.attempts)),
            .init(key: "error_message", value: .optional(file.errorMessage)),
            .init(key: "stored_at", value: .instant(file.storedAt)),
            .init(key: "refused", value: file.refused.map(object) ?? .null),
        ])
        if let link { object["link"] = link }
        return .object(object)
    }

    /// What went wrong, and what there is of a refused file.
    private static func note(_ file: AssetSummary) -> String {
        let error = file.errorMessage ?? ""
        return file.refused.map { "\(error); \(words($0))" } ?? error
    }

    /// Digest and size of a refused file, where it is, and what delivers it all the same.
    package static func words(_ file: RefusedContent) -> String {
        guard let sha256 = file.sha256 else {
            return "refused as \(file.type); only its beginning is kept"
        }
        let size = file.bytes.map { "\($0) bytes, " } ?? ""
        return "refused as \(file.type), \(size)sha256 \(sha256)"
            + (file.isQuarantined ? ", in the quarantine store" : "")
            + (file.acceptCommand.map { "; to deliver it all the same: \($0)" } ?? "")
    }

    package static func object(_ file: RefusedContent) -> JSONValue {
        [
            "type": .string(file.type), "since": .instant(file.since),
            "sha256": .optional(file.sha256), "bytes": .whole(file.bytes),
            "is_quarantined": .bool(file.isQuarantined), "accept": .optional(file.acceptCommand),
        ]
    }

    /// The key of an object that is there, else the host that the file comes from.
    private static func place(_ file: AssetSummary) -> String {
        guard file.state == .stored, let key = file.objectKey else { return host(file.sourceURL) }
        return key
    }

    /// Time that is left before the source's address ends.
    private static func expiry(_ file: AssetSummary) -> String {
        file.sourceExpiresAt.map { Plain.distance($0, from: file.now) } ?? "-"
    }

    /// Host and port of an address, and nothing else of it.
    static func host(_ url: String) -> String {
        let bare = URLText.withoutQuery(url)
        guard let scheme = bare.firstRange(of: "://") else { return "-" }
        return String(bare[scheme.upperBound...].prefix { $0 != "/" })
    }
}

// MARK: Verification

extension AssetText {
    /// What a verification came to.
    package struct Tally: Sendable {
        package var counts: [String: Int] = [:]
        /// Bytes read.
        package var bytes: Int64 = 0
        /// All files that could have been looked at.
        package var all: Int64
        package var isEstimated: Bool

        package init(all: Int64, isEstimated: Bool) {
            self.all = all
            self.isEstimated = isEstimated
        }

        package var verified: Int { counts.values.reduce(0, +) }
        package var bad: Int { verified - counts["ok", default: 0] }
    }

    /// One line for people about one file: what was found, and what repairs it.
    package static func line(_ verified: VerifiedFile) -> String {
        let file = verified.file
        let name = "\(verified.finding.word)  \(Plain.line(file.objectKey))"
        let expected = "\(file.bytes) bytes, sha256 \(file.sha256)"
        switch verified.finding {
        case .ok: return "\(name)  \(Plain.bytes(file.bytes))"
        case .missing: return "\(name)\n  expected \(expected)\n  repair: \(repair(file))"
        case .differs(let bytes, let sha256):
            return "\(name)\n  expected \(expected)\n  found    \(bytes) bytes, sha256 \(sha256)"
                + "\n  repair: \(repair(file))"
        case .unreadable(let problem): return "\(name)\n  \(Plain.line(problem))"
        }
    }

    package static func summary(_ tally: Tally, wasStopped: Bool) -> String {
        let of = "\(tally.isEstimated ? "about " : "")\(tally.all)"
        let words = tally.counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return "verified \(tally.verified) of \(of) stored files, \(Plain.bytes(tally.bytes)) read"
            + (words.isEmpty ? "" : ": " + words.joined(separator: ", "))
            + (wasStopped ? "; it was not finished" : "")
    }

    package static func object(_ verified: VerifiedFile) -> JSONValue {
        let file = verified.file
        var object = JSONObject([
            .init(key: "job_id", value: .string(file.jobID)),
            .init(key: "ordinal", value: .integer(file.ordinal)),
            .init(key: "object_key", value: .string(file.objectKey)),
            .init(key: "finding", value: .string(verified.finding.word)),
            .init(
                key: "expected",
                value: ["bytes": .integer(file.bytes), "sha256": .string(file.sha256)]),
        ])
        switch verified.finding {
        case .ok: return .object(object)
        case .differs(let bytes, let sha256):
            object["found"] = ["bytes": .integer(bytes), "sha256": .string(sha256)]
        case .missing: object["found"] = .null
        case .unreadable(let problem):
            object["found"] = .null
            object["problem"] = .string(problem)
        }
        object["repair"] = .string(repair(file))
        return .object(object)
    }

    /// A word as a shell takes it.
    package static func word(_ text: String) -> String { ShellText.quoted(text) }

    private static func repair(_ file: StoredFile) -> String {
        // An id with a hyphen in front would be taken for a flag.
        let sign = file.jobID.hasPrefix("-") ? "=" : " "
        return "holdfast asset refetch --job\(sign)\(ShellText.quoted(file.jobID)) "
            + "--ordinal \(file.ordinal)"
    }
}

// MARK: Refetching

extension AssetText {
    /// One line for people about one file: what was found, what was done, and how it is now.
    package static func line(_ file: RefetchedFile) -> String {
        let name = "file \(file.before.ordinal)"
        let was =
            file.finding.map { ": its object was \($0.word)" }
            ?? ": it was \(file.before.state.rawValue)"
        let reason = file.reason.map { ": " + Plain.line($0) } ?? ""
        switch file.outcome {
        case .fine: return "\(name): its object is as it should be"
        case .stored: return "\(name)\(was); \(stored(file))"
        case .gone: return "\(name)\(was), and the source has it no more\(reason)"
        case .putOff:
            return "\(name)\(was); it could not be fetched now\(reason); the same command tries "
                + "again"
        case .changed: return "\(name) was changed by somebody else meanwhile; look again"
        case .busy:
            let until = file.after.unfinished?.leasedUntil.map { " until \($0)" } ?? ""
            return "\(name) is leased to another run\(until), which is at it; nothing was done"
        case .blocked: return "\(name): its job is blocked, so nothing was done"
        case .never: return "\(name) was never stored, and its job is over; nothing was done"
        }
    }

    private static func stored(_ file: RefetchedFile) -> String {
        let after = file.after
        var words = "stored as \(after.objectKey ?? "?")"
        if file.before.sha256 == after.sha256 {
            words += ", the same \(after.bytes ?? 0) bytes"
        } else {
            words += ", \(after.bytes ?? 0) bytes, sha256 \(after.sha256 ?? "?")"
        }
        if let before = file.before.objectKey, before != after.objectKey, file.finding != nil {
            words +=
                "; what is at \(before) was not touched; the address is now "
                + (after.publicURL ?? "?")
        }
        return Plain.line(words)
    }

    package static func object(_ file: RefetchedFile) -> JSONValue {
        guard case .object(var object) = object(file.after) else { return .null }
        object["found"] = .optional(file.finding?.word)
        object["outcome"] = .string(file.outcome.rawValue)
        object["reason"] = .optional(file.reason)
        object["state_before"] = .string(file.before.state.rawValue)
        object["object_key_before"] = .optional(file.before.objectKey)
        object["sha256_before"] = .optional(file.before.sha256)
        return .object(object)
    }
}

/// Values as a shell takes them.
enum ShellText {
    /// The text itself where a shell sees one word in it, else between single quotes.
    static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x61...0x7a).contains(byte) || "-_.:/@+,".utf8.contains(byte)
        }
        if isPlain, !text.isEmpty { return text }
        return "'"
            + text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
}
