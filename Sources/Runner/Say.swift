package import Core

/// What a command writes to standard output: text for people or one JSON object.
package enum Say {
    package typealias Members = [(key: String, value: JSONValue)]

    /// Writes the answer in the form that was asked for.
    package static func answer(
        _ context: RunContext, _ reporting: ReportingOptions, isDryRun: Bool = false,
        _ members: Members, errors: [Failure] = [], status: ExitStatus = .done,
        text: @autoclosure () -> String
    ) {
        switch reporting.output {
        case .json: Output.standard(json(context, isDryRun, members, errors, status))
        case .text: Output.standard(text())
        }
    }

    /// The frame that every command's object has; it is the one that a failure writes too.
    private static func json(
        _ context: RunContext, _ isDryRun: Bool, _ members: Members, _ errors: [Failure],
        _ status: ExitStatus
    ) -> String {
        var object = JSONObject([
            .init(key: "command", value: .string(context.command)),
            .init(key: "version", value: .string(Version.current)),
            .init(key: "run_id", value: .string(context.runID)),
            .init(key: "dry_run", value: .bool(isDryRun)),
            .init(key: "started_at", value: .string(context.startedAt.description)),
            .init(key: "finished_at", value: .string(MachineClock.now().description)),
        ])
        for (key, value) in members { object[key] = value }
        object["errors"] = .array(
            errors.map {
                [
                    "code": .string($0.code),
                    "message": .string(Redaction.apply($0.message)),
                ]
            })
        object["exit_status"] = .integer(status.rawValue)
        return JSON.write(.object(object))
    }
}
