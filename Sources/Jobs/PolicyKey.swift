package import Core

/// A policy that people can set: its name, what values it takes, and how far its scope can narrow.
package struct PolicyKey: Equatable, Sendable {
    package enum Value: Equatable, Sendable {
        case duration(mayBeZero: Bool)
        case integer(ClosedRange<Int64>)
        /// A number in a range, or `auto`: what else is known decides.
        case numberOrAuto(ClosedRange<Int64>)
        /// Bytes; `20GiB` is understood and kept as a number.
        case bytes
        case choice([String])
        /// Requests a second, or the burst of them.
        case rate(atLeast: Double)
        /// `account=50,provider=1000,total=5000`, `50` for each scope, or `off`.
        case brake
        /// Three capital letters, as in ISO 4217.
        case currency
        /// A name of the time zone database; whether the server knows it is asked when it is set.
        case zone
        /// `HH:MM`.
        case timeOfDay
        /// `5%` or `0.5%`, up to 100%.
        case percent
    }

    /// What a row of this key may name, because nothing narrower is ever looked up.
    package enum Reach: Equatable, Sendable {
        case anything, provider, installation
    }

    package var name: String
    package var value: Value
    package var reach: Reach
    package var meaning: String

    package static let all: [PolicyKey] = [
        .init(
            "stuck_after", .duration(mayBeZero: false), .anything, "silence before a job is stuck"),
        .init("deadline", .duration(mayBeZero: false), .anything, "then a job is timed_out"),
        .init(
            "watch_window", .duration(mayBeZero: true), .anything,
            "how long a timed-out job is asked about"),
        .init(
            "on_silence", .choice(["keep", "void"]), .anything,
            "at the end of the window without a healthy answer"),
        .init(
            "on_submission_unknown", .choice(["keep", "void"]), .anything,
            "at the end of the window of a job whose create call was lost"),
        .init(
            "unsubmitted_after", .duration(mayBeZero: false), .anything,
            "silence before a job without a task is looked after"),
        .init(
            "retrigger_attempts", .integer(0...100), .anything,
            "tries at the application's trigger"),
        .init(
            "capture_at", .choice(["delivered", "succeeded"]), .anything,
            "when the customer pays"),
        .init(
            "max_outputs", .numberOrAuto(1...1000), .anything,
            "files of one task that are stored; auto: four more than the larger of what was "
                + "promised and what the provider says that a task gives"),
        .init(
            "partial", .choice(["deliver", "fail"]), .anything, "fewer files than promised"),
        .init(
            "late_success", .choice(["charge", "waive"]), .anything,
            "a job that succeeds after its hold was voided"),
        .init(
            "cancel_after_success", .choice(["refuse", "void"]), .anything,
            "a job that is cancelled when the provider has succeeded"),
        .init(
            "show_source_urls", .choice(["off", "on"]), .anything,
            "the provider's addresses in job_status before the job is delivered"),
        .init(
            "url_life", .duration(mayBeZero: false), .provider,
            "how long a result's address is taken to live where the answer does not say"),
        .init("lease", .duration(mayBeZero: false), .installation, "how long a claim lasts"),
        .init(
            "request_timeout", .duration(mayBeZero: false), .installation,
            "one request to a provider"),
        .init(
            "poll_backoff_max", .duration(mayBeZero: false), .anything,
            "the longest wait after transient answers"),
        .init("rate", .rate(atLeast: 0.001), .provider, "requests a second, all hosts together"),
        .init("rate_burst", .rate(atLeast: 1), .provider, "requests at once, all hosts together"),
        .init(
            "breaker_failures", .integer(1...1_000_000), .provider,
            "transient failures in a row before a provider is left alone"),
        .init(
            "breaker_pause_max", .duration(mayBeZero: false), .provider,
            "how long a provider is left alone at most"),
        .init("brake_jobs", .brake, .anything, "automatic settlements within an hour"),
        .init("brake_credits", .brake, .anything, "credits settled automatically within an hour"),
        .init("max_runs", .integer(1...1000), .installation, "copies of one executable at a time"),
        .init(
            "claim_limit", .integer(1...1000), .installation,
            "claims in a row without a result before a job is set aside; three times as many "
                + "while other runs are cut short too"),
        .init(
            "transfer_limit", .duration(mayBeZero: false), .installation, "one file's transfer"),
        .init("max_file_bytes", .bytes, .installation, "one file"),
        .init("min_rate", .bytes, .installation, "bytes a second below which a source is slow"),
        .init(
            "slow_after", .duration(mayBeZero: false), .installation,
            "how long a source sends less than min_rate before it is slow"),
        .init(
            "verify_share", .percent, .installation,
            "the share of the files stored within 30 days that each night looks at"),
        .init(
            "verify_bytes", .bytes, .installation,
            "what a night reads of files whose checksum the store does not tell"),
        .init(
            "refused_after", .duration(mayBeZero: false), .anything,
            "how long a file may be refused as no media before a person is asked"),
        .init(
            "quarantine_max_bytes", .bytes, .installation, "what is read of a refused file"),
        .init(
            "keep_quarantine", .duration(mayBeZero: false), .installation,
            "how long a refused file is kept"),
        .init(
            "list_every", .duration(mayBeZero: false), .provider,
            "how often a provider's list of tasks is read"),
        .init(
            "strays", .choice(["report", "ours", "ignore"]), .provider,
            "tasks that no job knows; ours: those alone that bear our own id or tag; ignore where "
                + "others use the same account"),
        .init("notify", .choice(["off", "on"]), .anything, "NOTIFY holdfast_job on every move"),
        .init("currency", .currency, .installation, "the currency of all money in the books"),
        .init(
            "business_zone", .zone, .installation, "the time zone in which business days are cut"),
        .init("business_cutoff", .timeOfDay, .installation, "when a business day begins"),
        .init(
            "books_window", .duration(mayBeZero: false), .installation,
            "how far back the nightly run matches jobs and bills"),
        .init(
            "billing_grace", .duration(mayBeZero: true), .provider,
            "how long a provider may take to bill a task"),
        .init(
            "cost_tolerance", .percent, .anything,
            "the share by which a cost may differ from the one expected"),
    ]

    init(_ name: String, _ value: Value, _ reach: Reach, _ meaning: String) {
        self.name = name
        self.value = value
        self.reach = reach
        self.meaning = meaning
    }

    /// The key of that name.
    /// - Throws: `unknown_policy` (64) with the names that there are.
    package static func named(_ name: String) throws(Failure) -> PolicyKey {
        guard let key = all.first(where: { $0.name == name }) else {
            throw Failure(
                .wrongUsage, code: "unknown_policy",
                "there is no policy '\(name)'; there are "
                    + (all.map(\.name) + DatedKey.allCases.map(\.rawValue))
                    .joined(separator: ", "))
        }
        return key
    }
}

extension PolicyKey {
    /// The longest duration that is taken: ten years.
    private static let longest = Duration.seconds(3650 * 86_400)
    private static let creditLimit: Int64 = 1_000_000_000_000_000

    /// `text` as it is kept.
    /// - Throws: `policy_value` (64) with what the key takes.
    package func normalised(_ text: String) throws(Failure) -> String {
        guard let value = read(text) else {
            throw Failure(
                .wrongUsage, code: "policy_value",
                "'\(text)' is no value for \(name) (\(meaning)); it takes \(takes)")
        }
        return value
    }

    /// What the key takes, with an example.
    package var takes: String {
        switch value {
        case .duration(let mayBeZero):
            "a duration such as 90s, 5m or 1h30m"
                + (mayBeZero ? ", or 0s" : ", longer than nothing")
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .numberOrAuto(let range):
            "a whole number from \(range.lowerBound) to \(range.upperBound), or auto"
        case .bytes: "a number of bytes, or one with KiB, MiB, GiB or TiB, such as 20GiB"
        case .choice(let words): words.joined(separator: " or ")
        case .rate(let least):
            least < 1 ? "a number above 0, such as 10 or 0.5" : "a number from 1, such as 10"
        case .brake:
            "off, a number for each of account, provider and total, such as 50, or a list such as "
                + "account=50,provider=1000,total=off"
        case .currency: "three capital letters, such as USD or EUR"
        case .zone: "a time zone by its name, such as UTC or Europe/Berlin"
        case .timeOfDay: "a time of the day from 00:00 to 23:59, such as 04:00"
        case .percent: "a share from 0% to 100%, such as 5% or 0.5%"
        }
    }

    /// Refuses a scope that nothing would ever look at.
    package func check(_ scope: PolicyScope) throws(Failure) {
        let isFine =
            switch reach {
            case .anything: true
            case .provider: scope.kind.isEmpty && scope.model.isEmpty
            case .installation: scope == PolicyScope()
            }
        guard isFine else {
            throw Failure(
                .wrongUsage, code: "policy_scope",
                reach == .provider
                    ? "\(name) can differ by provider only; leave --kind and --model out"
                    : "\(name) holds for the whole installation; leave --provider, --kind and "
                        + "--model out")
        }
    }

    private func read(_ text: String) -> String? {
        switch value {
        case .duration(let mayBeZero):
            guard let duration = DurationText.parse(text), duration <= Self.longest,
                mayBeZero || duration > .zero
            else { return nil }
            return Self.spelled(duration)
        case .integer(let range):
            return Self.whole(text).flatMap { range.contains($0) ? String($0) : nil }
        case .numberOrAuto(let range):
            if text == "auto" { return text }
            return Self.whole(text).flatMap { range.contains($0) ? String($0) : nil }
        case .bytes:
            return Self.bytes(text).map { String($0) }
        case .choice(let words):
            return words.contains(text) ? text : nil
        case .rate(let least):
            let isPlain = text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (48...57).contains($0) }
            guard isPlain, let number = Double(text), (least...1_000_000).contains(number) else {
                return nil
            }
            return text
        case .brake: return Self.brake(text)
        case .currency: return Currency.isCode(text) ? text : nil
        case .zone: return Self.isZoneName(text) ? text : nil
        case .timeOfDay: return Self.timeOfDay(text)
        case .percent: return Self.percent(text)
        }
    }

    private static func isZoneName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "_+-/".utf8.contains(byte)
                }
            }
    }

    private static func timeOfDay(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }),
            let hour = whole(parts[0]), let minute = whole(parts[1]), hour < 24, minute < 60
        else { return nil }
        return text
    }

    private static func percent(_ text: String) -> String? {
        guard text.hasSuffix("%"), let share = ExactDecimal(text.dropLast()), !share.isNegative,
            share <= ExactDecimal(100)
        else { return nil }
        return share.text + "%"
    }

    /// Without days, whose length depends on the time zone of whoever adds them to a time.
    private static func spelled(_ duration: Duration) -> String {
        let total = duration.milliseconds
        guard total % 1000 == 0 else { return "\(total)ms" }
        var seconds = total / 1000
        var text = ""
        for (unit, length) in [("h", Int64(3600)), ("m", 60), ("s", 1)] where seconds >= length {
            text += "\(seconds / length)\(unit)"
            seconds %= length
        }
        return text.isEmpty ? "0s" : text
    }

    private static func whole(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(text)
    }

    private static func bytes(_ text: String) -> Int64? {
        let units: [(String, Int64)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("", 1),
        ]
        for (unit, scale) in units where text.hasSuffix(unit) {
            guard let count = whole(text.dropLast(unit.count)), count > 0 else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: scale)
            return overflow ? nil : product
        }
        return nil
    }

    private static func brake(_ text: String) -> String? {
        if text == "off" { return text }
        if let limit = whole(text) { return limit <= creditLimit ? String(limit) : nil }
        let scopes = ["account", "provider", "total"]
        var limits: [String: String] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, scopes.contains(String(sides[0])),
                limits[String(sides[0])] == nil
            else { return nil }
            if sides[1] == "off" {
                limits[String(sides[0])] = "off"
            } else {
                guard let limit = whole(sides[1]), limit <= creditLimit else { return nil }
                limits[String(sides[0])] = String(limit)
            }
        }
        return scopes.compactMap { scope in limits[scope].map { "\(scope)=\($0)" } }
            .joined(separator: ",")
    }
}
