import Jobs
import Postgres
import Providers

/// Credentials that are exchanged while runs go on.
extension Polling {
    /// Takes up again what the breaker leaves alone for credentials that are no longer ours.
    mutating func closeBreakers(_ connection: borrowing Connection) throws {
        let names = askable.compactMap { name in
            wiring.providers.provider(name)?.settings.credentialName.map { (name, $0) }
        }
        for provider in try limits.closeBreakers(connection, of: names) {
            wiring.tell("\(provider): other credentials, its breaker is closed")
        }
    }

    /// Asks again where a provider refuses our credentials and its files, read once more in this run,
    /// hold others; false when it is to be believed.
    mutating func askWithRenewedCredentials(_ question: Question) -> Bool {
        let name = question.item.provider
        guard !question.hasRenewedCredentials else { return false }
        if areCredentialsNew[name] == nil {
            let fresh = wiring.providers.provider(name).flatMap { wiring.renewed($0) }
            areCredentialsNew[name] = fresh != nil
            if let fresh { wiring.providers.replace(with: fresh) }
        }
        guard areCredentialsNew[name] == true else { return false }
        var again = question
        again.hasRenewedCredentials = true
        waiting.append(again)
        return true
    }
}
