import Core
import HTTP
import Jobs
import Postgres
import Providers

/// What is this host's own trouble: it counts for no provider, and no other host hears of it.
extension Polling {
    /// Takes an error that this host is or may be to blame for; false where it is the provider's.
    ///
    /// The job goes back as if it had never been claimed.
    mutating func isOfThisHost(_ error: HTTPError, _ question: Question) -> Bool {
        // The application's trigger has its own message and counts its tries.
        if case .retrigger = question.kind { return false }
        if error.hostTrouble == nil, error.code == .resolve {
            unresolved.append((question, error))
            return true
        }
        guard let trouble = error.hostTrouble else { return false }
        let place = trouble == .resources ? "" : question.item.provider
        if hostTroubles[place] == nil { hostTroubles[place] = error }
        unasked.append(question.item)
        return true
    }

    /// Decides about names that could not be resolved, when nothing is under way that could tell more:
    /// several of them while nobody answers are this host's trouble, one alone is the provider's.
    mutating func settleUnresolved() {
        guard asking.isEmpty, waiting.isEmpty, let first = unresolved.first else { return }
        let questions = unresolved
        unresolved = []
        if Set(questions.map(\.error.host)).count > 1, healthy.isEmpty {
            hostTroubles[""] = first.error
            unasked += questions.map(\.question.item)
            return
        }
        for (question, error) in questions {
            nameless.insert(question.item.provider)
            settle(question, .failed(error), status: nil, body: [], error: error)
        }
    }

    /// Whether this run asks a provider no more, because it cannot be reached from here.
    func isUnreachable(_ provider: String) -> Bool {
        hostTroubles[""] != nil || hostTroubles[provider] != nil || nameless.contains(provider)
            || unresolved.contains { $0.question.item.provider == provider }
    }

    /// Gives back what could not be asked, so that another host may.
    mutating func giveBackUnasked(_ connection: borrowing Connection) throws {
        guard !unasked.isEmpty else { return }
        let items = unasked
        try claims.release(connection, items)
        unasked = []
        report.examined -= items.count
    }

    /// Tells a person what is wrong with this host.
    mutating func noteHostTroubles() {
        for (place, error) in hostTroubles.sorted(by: { $0.key < $1.key }) {
            let what: String
            let advice: String
            switch error.hostTrouble {
            case .resources:
                what = "this host has no file descriptors or no memory left"
                advice = "look at ulimit -n and free -m for the user of the crontab"
            case .route:
                what = "this host has no way to \(place)"
                advice = "look at its network: ip route, and its firewall"
            case .clock:
                what =
                    "the clock of this host is behind: the certificate of \(place) is not yet valid"
                advice = "set it right with NTP: timedatectl"
            case nil:
                what = "this host can resolve no name"
                advice = "look at its name server: /etc/resolv.conf"
            }
            report.add(
                .init(
                    code: "host_trouble",
                    message:
                        "\(what) (\(error.message)); \(advice); no provider is blamed for it, and "
                        + "other hosts go on"),
                status: .unavailable)
        }
    }

    /// Tells a person which families nobody can read, as long as that lasts.
    mutating func noteUnreadable(_ connection: borrowing Connection) throws {
        guard selection.jobIDs.isEmpty else { return }
        for family in try UnreadableFamily.all(connection) where askable.contains(family.provider) {
            report.add(
                .init(
                    code: "unreadable",
                    message:
                        "what \(family.name) answers cannot be read since \(family.since), for "
                        + "\(family.jobs) jobs"
                        + (family.message.map { "; the last: \($0)" } ?? "")
                        + "; no job is set aside for it, and watches wait; look at the provider's status "
                        + "page and changelog, and at holdfast job show of one of them",
                    subject: family.name),
                status: .unavailable)
        }
    }
}
