/// The ledger as it is meant, in plain Swift: what each operation answers and what it leaves behind.
struct LedgerModel {
    /// How the database answers: done, or with one of its codes.
    enum Answer: Hashable {
        case done
        case refused(String)
    }

    struct Job: Equatable {
        var account: String
        var credits: Int
        var outputs: Int
        var state = "created"
        var errorCode = ""
        /// Files that the result named, and those of them that were stored.
        var files = 0
        var stored = 0
        var captured = 0
        var voided = 0
        var charged = 0
        var refunded = 0
        var waived = 0

        var isHeld: Bool { credits > 0 && captured + voided == 0 }
        var paid: Int { captured + charged - refunded }
        var isClosed: Bool { ["delivered", "failed", "abandoned", "dismissed"].contains(state) }
        var isWaiting: Bool { ["created", "submitted", "running", "timed_out"].contains(state) }

        /// `state/captured/voided/charged/refunded/waived`.
        var line: String {
            "\(state)/\(captured)/\(voided)/\(charged)/\(refunded)/\(waived)"
        }
    }

    enum Operation: Hashable, CustomStringConvertible {
        case grant(account: String, credits: Int, reference: String)
        case adjust(account: String, credits: Int, reference: String, reason: String)
        case open(job: String, account: String, credits: Int, outputs: Int)
        case submitting(job: String)
        case submitted(job: String)
        case timedOut(job: String)
        case succeeded(job: String, files: Int)
        case failed(job: String)
        case returned(job: String)
        case dismissed(job: String)
        case abandoned(job: String)
        /// All files come to their end, so many of them stored.
        case filesEnd(job: String, stored: Int)

        var description: String { Mirror(reflecting: self).children.first.map { "\($0)" } ?? "" }
    }

    private(set) var available: [String: Int] = [:]
    private(set) var jobs: [String: Job] = [:]
    private var grants: [String: [String]] = [:]
    private var adjustments: [String: [String]] = [:]

    /// `available/held/spent` of an account; nil while it does not exist.
    func balance(_ account: String) -> String? {
        guard let available = available[account] else { return nil }
        let own = jobs.values.filter { $0.account == account }
        let held = own.filter(\.isHeld).reduce(0) { $0 + $1.credits }
        return "\(available)/\(held)/\(own.reduce(0) { $0 + $1.paid })"
    }

    mutating func apply(_ operation: Operation) -> Answer {
        switch operation {
        case .grant(let account, let credits, let reference):
            return grant(account, credits, reference)
        case .adjust(let account, let credits, let reference, let reason):
            return adjust(account, credits, reference, reason)
        case .open(let id, let account, let credits, let outputs):
            return open(id, account, credits, outputs)
        case .submitting(let id): return jobs[id] == nil ? .refused("HF005") : .done
        case .submitted(let id):
            return change(id) { job in if job.state == "created" { job.state = "submitted" } }
        case .timedOut(let id):
            return change(id) { job in
                if ["created", "submitted", "running"].contains(job.state) {
                    job.state = "timed_out"
                }
            }
        case .succeeded(let id, let files): return succeed(id, files)
        case .failed(let id): return end(id, as: "failed") { $0.isWaiting }
        case .dismissed(let id):
            return end(id, as: "dismissed") { $0.isWaiting || $0.state == "succeeded" }
        case .abandoned(let id): return end(id, as: "abandoned") { $0.isWaiting }
        case .returned(let id): return giveBack(id)
        case .filesEnd(let id, let stored): return endFiles(id, stored)
        }
    }

    // MARK: Accounts

    private mutating func grant(_ account: String, _ credits: Int, _ reference: String) -> Answer {
        let wish = [account, "\(credits)"]
        if let earlier = grants[reference] {
            return earlier == wish ? .done : .refused("HF002")
        }
        grants[reference] = wish
        available[account, default: 0] += credits
        return .done
    }

    private mutating func adjust(
        _ account: String, _ credits: Int, _ reference: String, _ reason: String
    ) -> Answer {
        guard let purse = available[account] else { return .refused("HF005") }
        let wish = [account, "\(credits)", reason]
        if let earlier = adjustments[reference] {
            return earlier == wish ? .done : .refused("HF002")
        }
        guard purse + credits >= 0 else { return .refused("HF001") }
        adjustments[reference] = wish
        available[account] = purse + credits
        return .done
    }

    // MARK: Jobs

    private mutating func open(
        _ id: String, _ account: String, _ credits: Int, _ outputs: Int
    ) -> Answer {
        if let earlier = jobs[id] {
            if earlier.isClosed { return .refused("HF003") }
            let isSame =
                earlier.account == account && earlier.credits == credits
                && earlier.outputs == outputs
            return isSame ? .done : .refused("HF002")
        }
        guard let purse = available[account] ?? (credits == 0 ? 0 : nil), purse >= credits else {
            return .refused("HF001")
        }
        available[account] = purse - credits
        jobs[id] = Job(account: account, credits: credits, outputs: outputs)
        return .done
    }

    private mutating func change(_ id: String, _ body: (inout Job) -> Void) -> Answer {
        guard var job = jobs[id] else { return .refused("HF005") }
        body(&job)
        jobs[id] = job
        return .done
    }

    private mutating func succeed(_ id: String, _ files: Int) -> Answer {
        change(id) { job in
            let mayBeLate =
                job.state == "abandoned"
                || (job.state == "failed" && job.errorCode == "application")
            guard job.isWaiting || mayBeLate else { return }
            job.state = "succeeded"
            job.errorCode = ""
            job.files = files
        }
    }

    /// An end without a result: what is held is voided, what was paid is refunded.
    private mutating func end(
        _ id: String, as state: String, if isAllowed: (Job) -> Bool
    ) -> Answer {
        var back = 0
        let answer = change(id) { job in
            guard isAllowed(job) else { return }
            back = Self.release(&job)
            job.state = state
            job.errorCode = state == "failed" ? "application" : job.errorCode
        }
        credit(id, back)
        return answer
    }

    private mutating func giveBack(_ id: String) -> Answer {
        var back = 0
        let answer = change(id) { back = Self.release(&$0) }
        credit(id, back)
        return answer
    }

    private static func release(_ job: inout Job) -> Int {
        if job.isHeld {
            job.voided = job.credits
            return job.credits
        }
        let paid = job.paid
        job.refunded += paid
        return paid
    }

    private mutating func endFiles(_ id: String, _ stored: Int) -> Answer {
        guard var job = jobs[id], job.state == "succeeded" else { return .done }
        let stored = min(stored, job.files)
        job.stored = stored
        guard stored > 0 else {
            let back = Self.release(&job)
            job.state = "failed"
            job.errorCode = "result_lost"
            jobs[id] = job
            credit(id, back)
            return .done
        }
        let share = job.credits * min(stored, job.outputs) / job.outputs
        job.state = "delivered"
        if job.isHeld {
            job.captured = share
            job.voided = job.credits - share
            credit(id, job.voided)
        } else if job.credits > 0, job.voided == job.credits, job.charged + job.waived == 0,
            share > 0
        {
            // Late: all or nothing, and never below zero.
            if (available[job.account] ?? 0) >= share {
                job.charged = share
                credit(id, -share)
            } else {
                job.waived = share
            }
        }
        jobs[id] = job
        return .done
    }

    private mutating func credit(_ id: String, _ credits: Int) {
        guard let account = jobs[id]?.account else { return }
        available[account, default: 0] += credits
    }
}
