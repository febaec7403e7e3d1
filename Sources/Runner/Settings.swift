package import Core
import Glibc

/// What the environment says, with the `.env` file for those who have no environment to speak of.
///
/// The environment wins over the file. Any variable `X` may be given as `X_FILE`, a path to read its
/// value from. A variable that is set to nothing counts as not set.
package struct Settings: Sendable {
    private let environment: @Sendable (String) -> String?
    private let file: [String: String]

    /// A value from a file of its own is a token or a URL; a key pair is the largest there is.
    private static let valueLimitBytes = 65_536
    private static let fileLimitBytes = 1_048_576

    /// Reads the file that `envFile` or `HOLDFAST_ENV_FILE` names, if either does.
    /// - Parameters:
    ///   - envFile: The value of `--env-file`.
    ///   - environment: Looks a variable up; the process's own environment unless a test says else.
    /// - Throws: A configuration failure with file and line, never with what the line holds.
    package init(
        envFile: String? = nil,
        environment: @escaping @Sendable (String) -> String? = Settings.processEnvironment
    ) throws(Failure) {
        self.environment = environment
        let named = environment("HOLDFAST_ENV_FILE").flatMap { $0.isEmpty ? nil : $0 }
        guard let path = envFile ?? named else {
            file = [:]
            return
        }
        let source = envFile == nil ? "HOLDFAST_ENV_FILE" : "--env-file"
        do {
            file = try EnvironmentFile.parse(
                try TextFile.read(path, limitBytes: Self.fileLimitBytes))
        } catch let malformed as EnvironmentFile.Malformed {
            throw Failure(
                .configuration, code: "env_file",
                "line \(malformed.line) of \(path) (\(source)) \(malformed.problem); "
                    + "write each line as NAME=value, with quotes around a value that has blanks")
        } catch let problem as TextFile.Problem {
            throw Failure(
                .configuration, code: "env_file",
                "\(path) (\(source)) \(problem.words); correct the path or the file's permissions")
        } catch {
            throw Failure(.defect, code: "env_file", "\(path) (\(source)) cannot be read")
        }
    }

    /// The environment alone, for somebody who has to go on without the file.
    package init(environment: @escaping @Sendable (String) -> String?) {
        self.environment = environment
        file = [:]
    }

    /// The process's own environment.
    package static let processEnvironment: @Sendable (String) -> String? = { name in
        getenv(name).map { String(cString: $0) }
    }

    /// The value of `name`, or nil when it is not set or empty.
    ///
    /// A value whose name says that it is a secret is kept out of every later log line and message.
    /// - Throws: A configuration failure that names the variable and the path when `X_FILE` cannot be
    ///   read, when both `X` and `X_FILE` are given in the same place, or when an address can be taken
    ///   apart in more than one way.
    package func value(_ name: String) throws(Failure) -> String? {
        guard let value = try lookUp(name) else { return nil }
        if Self.isSecret(name) {
            Redaction.register(value)
            for part in SecretValues.parts(of: value) { Redaction.register(part) }
        }
        if name.hasSuffix("URL") {
            Redaction.registerPassword(in: value)
            if let complaint = AddressCheck.complaint(value) {
                throw Failure(
                    .configuration, code: "variable_invalid",
                    "\(name) cannot be read as an address: \(complaint)")
            }
        }
        return value
    }

    /// The value of `name`.
    /// - Parameters:
    ///   - name: The variable.
    ///   - fix: What to do about it, as the end of a sentence: `set it to …`.
    /// - Throws: A configuration failure when it is not set.
    package func require(_ name: String, fix: String) throws(Failure) -> String {
        guard let value = try value(name) else {
            throw Failure(
                .configuration, code: "variable_missing",
                "\(name) is not set; \(fix) (in the environment, or in the file that --env-file or "
                    + "HOLDFAST_ENV_FILE names)")
        }
        return value
    }

    /// A duration such as `90s`, or nil when it is not set.
    package func duration(_ name: String) throws(Failure) -> Duration? {
        guard let text = try value(name) else { return nil }
        guard let duration = DurationText.parse(text) else {
            throw invalid(name, text, "a duration", "90s, 2m or 1h30m")
        }
        return duration
    }

    /// Where the database is: `HOLDFAST_DATABASE_URL`, else `DATABASE_URL`.
    package func databaseURL() throws(Failure) -> String {
        if let url = try value("HOLDFAST_DATABASE_URL") { return url }
        if let url = try value("DATABASE_URL") { return url }
        return try require(
            "HOLDFAST_DATABASE_URL", fix: "set it to postgres://user:password@host:5432/database")
    }

    /// How far decisions are shifted from the database's clock; zero when nothing says otherwise.
    package func clockOffset() throws(Failure) -> Duration {
        let name = "HOLDFAST_CLOCK_OFFSET"
        guard let text = try value(name) else { return .zero }
        guard let offset = DurationText.parseSigned(text) else {
            throw invalid(name, text, "a shift in time", "+90m, -2h or +26h")
        }
        guard try value("HOLDFAST_ALLOW_CLOCK_OFFSET") == "1" else {
            throw Failure(
                .configuration, code: "clock_offset_refused",
                "\(name) is set, and it decides about real jobs at a false time; unset it, or set "
                    + "HOLDFAST_ALLOW_CLOCK_OFFSET=1 where this is a demo, a rehearsal or a test")
        }
        return offset
    }

    /// The private ranges that downloads may reach, as they were written; empty when there are none.
    package func egressAllow() throws(Failure) -> [String] {
        (try value("HOLDFAST_EGRESS_ALLOW") ?? "")
            .split { $0 == "," || $0.isWhitespace }.map(String.init)
    }

    private func lookUp(_ name: String) throws(Failure) -> String? {
        for source in [environment, { file[$0] }] {
            let direct = source(name)
            let path = source(name + "_FILE").flatMap { $0.isEmpty ? nil : $0 }
            if let direct, !direct.isEmpty {
                guard path == nil else {
                    throw Failure(
                        .configuration, code: "variable_twice",
                        "both \(name) and \(name)_FILE are set; unset one of them")
                }
                return direct
            }
            if let path { return try read(name, path) }
            // Set to nothing in the environment takes back what the file says.
            if direct != nil { return nil }
        }
        return nil
    }

    private func read(_ name: String, _ path: String) throws(Failure) -> String? {
        do {
            var text = try TextFile.read(path, limitBytes: Self.valueLimitBytes)
            // Editors and `echo` end a file with a line end that belongs to no secret.
            if text.unicodeScalars.last == "\n" { text.unicodeScalars.removeLast() }
            if text.unicodeScalars.last == "\r" { text.unicodeScalars.removeLast() }
            return text.isEmpty ? nil : text
        } catch {
            throw Failure(
                .configuration, code: "variable_file",
                "\(path) (\(name)_FILE) \(error.words); correct the path or the file's permissions")
        }
    }

    private func invalid(
        _ name: String, _ text: String, _ kind: String, _ examples: String
    ) -> Failure {
        Failure(
            .configuration, code: "variable_invalid",
            "\(name) is \"\(text)\", which is not \(kind); write it like \(examples)")
    }

    static func isSecret(_ name: String) -> Bool {
        // The address that a ping or a message goes to is its own password.
        ["KEY", "SECRET", "TOKEN", "PASSWORD", "PING_URL", "NOTIFY_URL"].contains {
            name.hasSuffix($0)
        }
    }
}
