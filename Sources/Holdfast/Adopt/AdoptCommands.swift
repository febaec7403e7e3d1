import Adoption
import ArgumentParser
import Assembly
import Core
import Glibc
import Postgres
import Providers
import Runner

struct AdoptCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Takes over the jobs of an application whose tables exist already.",
        subcommands: [AdoptCheck.self])
}

struct AdoptCheck: ExecutableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Holds a mapping against the database, and writes nothing.",
        discussion: """
            Every place of the mapping is evaluated over a sample of rows, which are counted and \
            never shown. Schema holdfast need not be there, and a login that may only read is \
            enough. Exits with 0 when all is well, 1 when a person should look, 78 when something \
            is wrong with the mapping.
            """)

    @OptionGroup(title: "Reporting") var reporting: ReportingOptions

    @Option(help: ArgumentHelp("The mapping, one JSON file.", valueName: "file"))
    var mapping: String

    mutating func perform(_ context: RunContext) throws -> ExitStatus {
        let text = try MappingFile.read(mapping)
        let reading = try Mapping.read(text)
        guard let described = reading.mapping else {
            return answer(context, MappingCheckText(file: mapping, problems: reading.problems))
        }
        let connection = try Connection(context)
        let report = try MappingCheck.run(
            connection, described, text: text, providers: Set(ProviderRegistry.names))
        return answer(
            context,
            MappingCheckText(
                file: mapping, problems: reading.problems + report.problems, report: report,
                mapping: described))
    }

    private func answer(_ context: RunContext, _ found: MappingCheckText) -> ExitStatus {
        let status = found.status
        Say.answer(context, reporting, found.members, status: status, text: found.text)
        return status
    }
}

/// A mapping as it stands in a file.
enum MappingFile {
    /// - Throws: `Failure` (78, `mapping`) where it cannot be read.
    static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= Mapping.byteLimit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, errno) }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func failure(_ path: String, _ code: Int32) -> Failure {
        Failure(
            .configuration, code: "mapping",
            "the mapping \(path) cannot be read: \(String(cString: strerror(code))); name the file "
                + "with --mapping")
    }
}
