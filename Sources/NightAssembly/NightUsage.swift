package import Core
import Logging
package import Postgres
import Assembly
import Closing
import Recovery
package import Runner

/// What the providers say they charged and what is left there, asked for before the books are matched.
package enum NightUsage {
    /// Nothing more is asked after this long: the books are closed also when a provider is away.
    private static let timeBudget = Duration.seconds(30)

    /// A provider that does not answer, or whose settings are wrong, is a warning: its bill comes with a
    /// later night.
    package static func fetch(
        _ context: RunContext, _ connection: borrowing Connection, _ run: Run
    ) throws {
        let wiring: Wiring
        do {
            wiring = try Wiring(context, run)
        } catch let failure as Failure {
            context.log.warning("the providers' bills are not asked for: \(failure.message)")
            return
        }
        for one in try UsageFetch.run(connection, wiring, timeBudget: timeBudget) {
            if let problem = one.problem {
                context.log.warning("the bill of \(one.provider) was not read: \(problem)")
            }
        }
    }
}
