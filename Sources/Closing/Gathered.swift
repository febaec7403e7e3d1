import Core
import Ledger

/// What one connection gathers while it matches.
struct Gathered: Sendable {
    var jobs = 0
    var opened = 0
    var standing = 0
    var violations = 0
    /// The first findings, for people.
    var findings = FirstBreaks(limit: BooksReport.shown)
    /// What may be mended without judgement.
    var fixes = FirstBreaks(limit: FixPlan.limit)
    /// Accounts whose books contradict themselves, and in how many places books do.
    var broken: Set<String> = []
    var contradictions = 0
    /// What could not be matched or kept, in words.
    var refused: [String] = []

    mutating func take(_ found: [FoundBreak]) {
        standing += found.count
        violations += found.count { $0.isInvariant }
        findings.add(found)
        fixes.add(found.filter { $0.action != nil })
        for one in found where one.isIntegrity {
            contradictions += 1
            if let account = one.accountID { broken.insert(account) }
        }
    }

    mutating func merge(_ other: Gathered) {
        jobs += other.jobs
        opened += other.opened
        standing += other.standing
        violations += other.violations
        findings.add(other.findings.sorted)
        fixes.add(other.fixes.sorted)
        broken.formUnion(other.broken)
        contradictions += other.contradictions
        refused += other.refused
    }
}

/// The first of many breaks by class and subject: the same ones in whatever order they come, so that
/// two runs over the same books plan the same.
struct FirstBreaks {
    private let limit: Int
    private var kept: [FoundBreak] = []

    init(limit: Int) { self.limit = limit }

    var sorted: [FoundBreak] {
        Array(kept.sorted { ($0.kind, $0.subject) < ($1.kind, $1.subject) }.prefix(limit))
    }

    mutating func add(_ found: [FoundBreak]) {
        kept += found
        if kept.count > 2 * limit { kept = sorted }
    }
}

extension BooksReport {
    mutating func take(_ gathered: Gathered) {
        run.examined = gathered.jobs
        run.count("breaks_found", gathered.opened)
        isWhole = gathered.refused.isEmpty
        for words in gathered.refused {
            run.add(.init(code: "break_refused", message: words), status: .needsPerson)
        }
        standing = gathered.standing
        violations = gathered.violations
        findings = gathered.findings.sorted
        plan = FixPlan(gathered)
    }
}

extension FixPlan {
    /// Leaves out what must not be mended: accounts whose books contradict themselves, and everything
    /// when that is so in more than one place.
    init(_ gathered: Gathered) {
        let sorted = gathered.fixes.sorted
        fixes =
            gathered.contradictions > 1
            ? []
            : sorted.filter { one in !(one.accountID.map(gathered.broken.contains) ?? false) }
        let left = sorted.count - fixes.count
        guard left > 0 else { return }
        heldBack.append(
            gathered.contradictions > 1
                ? "the books contradict themselves in \(gathered.contradictions) places; nothing is "
                    + "mended"
                : "\(left) breaks of an account whose books contradict themselves")
    }
}
