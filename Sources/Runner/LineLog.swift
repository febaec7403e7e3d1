package import Logging
import Core

/// Log lines on standard error: one call, one line, one `write`, no secret.
package struct LineLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level
    let format: LogFormat
    let write: @Sendable (String) -> Void

    package init(
        format: LogFormat, level: Logger.Level,
        write: @escaping @Sendable (String) -> Void = { Output.error($0) }
    ) {
        self.format = format
        self.logLevel = level
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        // The name of the run is on every line and interests last.
        let fields = all.sorted {
            ($0.key == "run_id" ? 1 : 0, $0.key) < ($1.key == "run_id" ? 1 : 0, $1.key)
        }
        .map { ($0.key, Redaction.apply("\($0.value)")) }
        write(line(event.level, Redaction.apply(event.message.description), fields))
    }

    private func line(
        _ level: Logger.Level, _ message: String, _ fields: [(String, String)]
    ) -> String {
        let time = MachineClock.now().description
        switch format {
        case .text:
            let tail = fields.map { " \($0)=\(Self.quotedWhereNeeded($1))" }.joined()
            return level.rawValue.uppercased() + " " + Self.oneLine(message) + tail
        case .logfmt:
            let head = [("time", time), ("level", level.rawValue), ("message", message)]
            return (head + fields).map { "\($0)=\(Self.quotedWhereNeeded($1))" }
                .joined(separator: " ")
        case .json:
            let head = [("time", time), ("level", level.rawValue), ("message", message)]
            return JSON.write(
                .object(
                    JSONObject(
                        (head + fields).map { JSONObject.Member(key: $0, value: .string($1)) })))
        }
    }

    private static func oneLine(_ text: String) -> String {
        text.contains { $0.isNewline }
            ? text.split { $0.isNewline }.joined(separator: " ") : text
    }

    private static func quotedWhereNeeded(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy { scalar in
            scalar > " " && scalar != "\"" && scalar != "=" && scalar != "\u{7f}"
        }
        return isPlain && !text.isEmpty ? text : JSON.quoted(text)
    }
}
