import ArgumentParser
import Core
import Jobs
import Postgres
import Reports
import Runner

/// What prices and values take besides their scope.
struct DatedOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "From when on it holds: a business day, a time, or 'beginning'. Left out, the first "
                + "one holds from the beginning and others from now.",
            valueName: "date"))
    var from: String?

    @Option(
        help: ArgumentHelp("The provider's unit that unit_value is about.", valueName: "name"))
    var unit: String?

    func date() throws(Failure) -> PolicyDate? {
        guard let from else { return nil }
        guard let date = PolicyDate(from) else {
            throw Failure(
                .wrongUsage, code: "wrong_date",
                "'\(from)' is no date for --from; write 2026-12-01, 2026-12-01T08:00:00Z or "
                    + "beginning")
        }
        return date
    }

    /// Refuses what a policy without dates does not have.
    func refuse(_ key: String) throws(Failure) {
        guard from == nil, unit == nil else {
            throw Failure(
                .wrongUsage, code: "policy_scope",
                "\(key) has no dates and no units; leave --from and --unit out")
        }
    }
}

extension PolicySet {
    func set(
        _ key: DatedKey, _ jobs: PolicyScope, _ context: RunContext,
        _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let scope = DatedScope(scope: jobs, unit: dated.unit)
        let (row, before) = try DatedPolicies.set(
            connection, key, try key.read(value), scope, from: try dated.date(), by: Person.actor)
        Say.answer(
            context, reporting,
            [
                ("key", .string(key.rawValue)), ("value", .string(row.value.text)),
                ("before", .optional(before?.text)), ("scope", .string(scope.words)),
                ("from", .optional(row.from?.description)),
            ],
            text: "\(key.rawValue) is \(row.value.text) for \(Plain.line(scope.words)) from "
                + (row.from.map { "\($0)" } ?? "the beginning") + " on"
                + (before == row.value
                    ? ", as before" : before.map { "; it was \($0.text)" } ?? ""))
        return .done
    }
}

extension PolicyUnset {
    func unset(
        _ key: DatedKey, _ jobs: PolicyScope, _ context: RunContext,
        _ connection: borrowing Connection
    ) throws -> ExitStatus {
        let scope = DatedScope(scope: jobs, unit: dated.unit)
        let gone = try DatedPolicies.unset(connection, key, scope, from: try dated.date())
        Say.answer(
            context, reporting,
            [
                ("key", .string(key.rawValue)), ("changed", .bool(gone != nil)),
                ("value", .optional(gone?.value.text)), ("scope", .string(scope.words)),
            ],
            text: gone.map {
                "\(key.rawValue) of \($0.value.text) for \(Plain.line(scope.words)) from "
                    + ($0.from.map { "\($0)" } ?? "the beginning") + " on is taken back"
            }
                ?? "\(key.rawValue) was not set for \(Plain.line(scope.words)) from then on; nothing "
                + "was changed; see what is set with: holdfast policy show")
        return .done
    }
}
