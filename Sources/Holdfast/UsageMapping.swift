import ArgumentParser
import Core
import Ledger
import Postgres
import Runner
import Bills

extension StatementMapping.Format: ExpressibleByArgument {}

/// Which column of a file means what, by flags, by a kept profile, or by both.
struct MappingOptions: ParsableArguments {
    @Option(help: "What the file is: comma-separated values, or JSON objects.")
    var format: StatementMapping.Format?

    @Option(
        help: ArgumentHelp("What stands between columns: , ; | or tab.", valueName: "character"))
    var delimiter: String?

    @Option(help: ArgumentHelp("The provider's id of the task.", valueName: "name"))
    var taskIDColumn: String?

    @Option(help: ArgumentHelp("What was charged.", valueName: "name"))
    var amountColumn: String?

    @Option(help: ArgumentHelp("What the amounts count, for all lines.", valueName: "name"))
    var unit: String?

    @Option(help: ArgumentHelp("What the amount of each line counts.", valueName: "name"))
    var unitColumn: String?

    @Option(help: ArgumentHelp("When it was charged.", valueName: "name"))
    var timeColumn: String?

    @Option(help: ArgumentHelp("The line's own id, where it has one.", valueName: "name"))
    var lineIDColumn: String?

    @Option(
        help: ArgumentHelp("Your own job id, where the provider repeats it.", valueName: "name"))
    var jobIDColumn: String?

    @Option(help: ArgumentHelp("The model.", valueName: "name"))
    var modelColumn: String?

    @Option(help: ArgumentHelp("What became of the task.", valueName: "name"))
    var statusColumn: String?

    @Option(
        help: ArgumentHelp("The zone of times that name none (default: UTC).", valueName: "name"))
    var timeZone: String?

    @Flag(help: "Take negative amounts, which give something back.")
    var allowCredits = false

    @Option(
        help: ArgumentHelp(
            "Take this unit beside others although it has no unit_value; repeatable.",
            valueName: "name"))
    var acceptUnit: [String] = []

    @Option(help: ArgumentHelp("Begin with the mapping kept under this name.", valueName: "name"))
    var profile: String?

    @Option(help: ArgumentHelp("Keep the mapping under this name.", valueName: "name"))
    var saveProfile: String?

    private static let nameLimit = 100

    mutating func validate() throws {
        if let delimiter, StatementMapping.delimiter(delimiter) == nil {
            throw ValidationError("--delimiter takes one of , ; | and tab, such as --delimiter ';'")
        }
        for name in [profile, saveProfile].compactMap({ $0 })
        where name.isEmpty || name.unicodeScalars.count > Self.nameLimit {
            throw ValidationError("a profile's name has 1 to \(Self.nameLimit) characters")
        }
    }

    /// The profile with the flags upon it.
    ///
    /// - Throws: `no_such_profile` (66); `usage_mapping` (64) for what is missing.
    func mapping(_ connection: borrowing Connection) throws -> StatementMapping {
        var mapping = try kept(connection)
        if let format { mapping.format = format }
        if let byte = delimiter.flatMap(StatementMapping.delimiter) { mapping.delimiter = byte }
        let columns: [(StatementMapping.Column, String?)] = [
            (.taskID, taskIDColumn), (.amount, amountColumn), (.unit, unitColumn),
            (.time, timeColumn), (.lineID, lineIDColumn), (.jobID, jobIDColumn),
            (.model, modelColumn), (.status, statusColumn),
        ]
        for (column, name) in columns {
            if let name { mapping.columns[column] = name }
        }
        if let unit {
            mapping.unit = unit
            if unitColumn == nil { mapping.columns[.unit] = nil }
        } else if unitColumn != nil {
            mapping.unit = nil
        }
        if let timeZone { mapping.timeZone = timeZone }
        if allowCredits { mapping.allowsCredits = true }
        mapping.acceptedUnits += acceptUnit.filter { !mapping.acceptedUnits.contains($0) }
        try mapping.check()
        guard try UsageBooks.knowsZone(connection, mapping.timeZone) else {
            throw Failure(
                .wrongUsage, code: "usage_mapping",
                "the database knows no time zone '\(mapping.timeZone)'; --time-zone takes a name "
                    + "such as UTC or Europe/Berlin")
        }
        return mapping
    }

    private func kept(_ connection: borrowing Connection) throws -> StatementMapping {
        guard let profile else { return StatementMapping() }
        guard let options = try UsageBooks.profile(connection, profile) else {
            let names = try UsageBooks.profiles(connection)
            throw Failure(
                .notFound, code: "no_such_profile",
                "there is no profile '\(profile)'; "
                    + (names.isEmpty
                        ? "none is kept yet: --save-profile NAME"
                        : "there are \(names.joined(separator: ", "))"))
        }
        guard let mapping = StatementMapping(json: options) else {
            throw Failure(
                .configuration, code: "profile",
                "profile '\(profile)' cannot be understood by this build; keep it again with "
                    + "--save-profile \(profile)")
        }
        return mapping
    }
}
