import Assembly
import Core
import Jobs
import Postgres
import Providers
import Reports
import Runner

extension Checkup {
    /// Secrets that hold two values on this host, and whether the old one is still needed.
    mutating func exchangedSecrets(
        _ connection: borrowing Connection, _ settings: Settings
    ) throws {
        let proof = try CallbackProof(
            secret: try settings.value(CallbackProof.secretVariable), ProviderRegistry(settings)
        ) { try settings.value($0) }
        let now = try Health.clock(connection)
        for old in proof.exchanged {
            let needed = try OldSecrets.lastNeeded(
                connection, variable: old.variable, name: old.name)
            ok(
                "secret \(old.variable)",
                needed.map {
                    "holds two values; the old one was last needed \(Plain.distance($0, from: now)): "
                        + "take it out when that is longer than any task takes"
                }
                    ?? "holds two values; the old one has not been needed since callbacks of it were "
                    + "noted: take it out when all addresses are made with the new one")
        }
    }
}
