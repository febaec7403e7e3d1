import ArgumentParser
import Core
import Foundation
import Glibc
import Logging
import TestSupport
import Testing

@testable import Runner

/// What the tests below run as a process of its own.
struct SampleJob: JobCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample-job", version: Version.current)
    @OptionGroup var common: CommonOptions
    @Option var fail = "no"

    struct Odd: Error {}

    mutating func perform(_ context: RunContext) throws -> Core.ExitStatus {
        context.log.debug("started")
        switch fail {
        case "defect": throw Odd()
        case "failure": throw Failure(.notFound, code: "no_job", "no such job \"j-1\"")
        case "secret":
            Redaction.register("entry-secret")
            throw Failure(.configuration, code: "bad", "it is entry-secret")
        case "late":
            Output.standard("{\"mine\":true}")
            throw Failure(.databaseUnavailable, code: "gone", "gone")
        case "signal":
            Self.signal(SIGTERM)
            return StopSignal.outranking(.defect)
        case "signal-and-failure":
            Self.signal(SIGINT)
            throw Failure(.databaseUnavailable, code: "gone", "gone")
        case "person":
            context.log.notice("look at this")
            return .needsPerson
        case "usage": throw ValidationError("that does not go together")
        default: return .done
        }
    }

    /// Delivered before this returns; the threads of the tests keep signals away from themselves.
    private static func signal(_ number: Int32) {
        var open = sigset_t()
        sigfillset(&open)
        pthread_sigmask(SIG_UNBLOCK, &open, nil)
        raise(number)
    }

    /// Ends the process the way an executable does.
    static func end(_ arguments: [String]) -> Never {
        StopSignal.install()
        Glibc.exit(Entry.run(SampleJob.self, arguments: arguments).rawValue)
    }
}

struct Parent: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parent", version: Version.current, subcommands: [SampleJob.self])
}

private func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }

@Suite(.timeLimit(.minutes(2)))
struct EntryTests {
    @Test func anIdleRunSaysNothing() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(0),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { SampleJob.end([]) }
        #expect(!text(ended.standardErrorContent).contains("sample-job"))
        #expect(!text(ended.standardErrorContent).contains("started"))
    }

    @Test func verboseSaysMore() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardErrorContent]
        ) { SampleJob.end(["--verbose", "--log-format", "logfmt"]) }
        #expect(text(ended.standardErrorContent).contains("level=debug message=started run_id="))
    }

    @Test func somethingForAPersonIsOne() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
        ) { SampleJob.end(["--fail", "person"]) }
        #expect(text(ended.standardErrorContent).contains("NOTICE look at this run_id="))
    }

    @Test func wrongUsageIsSixtyFourAndJSONAllTheSame() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(64),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { SampleJob.end(["--time-budget", "50", "--output", "json"]) }
        #expect(text(ended.standardErrorContent).contains("\"50\" is not a duration"))
        let object = try object(in: ended.standardOutputContent)
        #expect(object["exit_status"]?.int == 64)
        #expect(object["command"]?.text == "sample-job")
        #expect(object["errors"]?.array?.first?["code"]?.text == "wrong_usage")
    }

    @Test func aUsageErrorFoundLaterIsSixtyFourToo() async {
        await #expect(processExitsWith: .exitCode(64)) { SampleJob.end(["--fail", "usage"]) }
    }

    @Test func helpAndVersionAreNoErrors() async throws {
        let version = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent]
        ) { SampleJob.end(["--version"]) }
        #expect(text(version.standardOutputContent).contains("\(Version.current)\n"))
        let help = try await #require(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent]
        ) { SampleJob.end(["--help"]) }
        #expect(text(help.standardOutputContent).contains("USAGE: sample-job"))
    }

    @Test func aFailureIsOneLineAndOneObject() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(66),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { SampleJob.end(["--fail", "failure", "--output=json", "--dry-run"]) }
        #expect(
            text(ended.standardErrorContent).contains("sample-job: no such job \"j-1\"\n"))
        let object = try object(in: ended.standardOutputContent)
        #expect(
            object.object?.keys == [
                "command", "version", "run_id", "dry_run", "started_at", "finished_at",
                "examined", "outcomes", "credits", "errors", "exit_status",
            ])
        #expect(object["dry_run"]?.bool == true)
        #expect(object["version"]?.text == Version.current)
        #expect(object["exit_status"]?.int == 66)
        #expect(object["errors"]?.array?.first?["code"]?.text == "no_job")
        #expect(object["errors"]?.array?.first?["message"]?.text == "no such job \"j-1\"")
    }

    @Test func whatTheCommandWroteItselfIsNotFollowedByASecondObject() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(75), observing: [\.standardOutputContent]
        ) { SampleJob.end(["--fail", "late", "--output", "json"]) }
        #expect(text(ended.standardOutputContent).contains("{\"mine\":true}\n"))
        #expect(!text(ended.standardOutputContent).contains("exit_status"))
    }

    @Test func anUnknownErrorIsADefectWithTheNameOfTheRun() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(70),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { SampleJob.end(["--fail", "defect", "--output", "json"]) }
        let runID = try #require(try object(in: ended.standardOutputContent)["run_id"]?.text)
        #expect(text(ended.standardErrorContent).contains("(run \(runID))"))
    }

    @Test func noSecretLeavesTheProcess() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(78),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) { SampleJob.end(["--fail", "secret", "--output", "json"]) }
        #expect(text(ended.standardErrorContent).contains("it is [redacted]"))
        #expect(!text(ended.standardErrorContent).contains("entry-secret"))
        #expect(!text(ended.standardOutputContent).contains("entry-secret"))
    }

    @Test func aMissingEnvFileIsConfiguration() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(78), observing: [\.standardErrorContent]
        ) { SampleJob.end(["--env-file", "/nowhere/holdfast.env"]) }
        #expect(text(ended.standardErrorContent).contains("/nowhere/holdfast.env"))
    }

    @Test func aSignalOutranksEverything() async {
        await #expect(processExitsWith: .exitCode(143)) { SampleJob.end(["--fail", "signal"]) }
        await #expect(processExitsWith: .exitCode(130)) {
            SampleJob.end(["--fail", "signal-and-failure"])
        }
    }

    @Test func aFullDiskUnderStandardOutputIsReported() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(69), observing: [\.standardErrorContent]
        ) {
            dup2(open("/dev/full", O_WRONLY), 1)
            SampleJob.end(["--help"])
        }
        #expect(text(ended.standardErrorContent).contains("standard output cannot be written"))
    }

    @Test func aReaderThatWentAwayIsNoError() async {
        await #expect(processExitsWith: .exitCode(0)) {
            var ends: [Int32] = [0, 0]
            pipe(&ends)
            dup2(ends[1], 1)
            close(ends[0])
            close(ends[1])
            SampleJob.end(["--help"])
        }
    }

    @Test func aSubcommandIsNamedInFull() async throws {
        let ended = try await #require(
            processExitsWith: .exitCode(66),
            observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            exit(
                Entry.run(
                    Parent.self, arguments: ["sample-job", "--fail", "failure", "--output", "json"]
                ).rawValue)
        }
        #expect(text(ended.standardErrorContent).contains("parent sample-job: no such job"))
        #expect(
            try object(in: ended.standardOutputContent)["command"]?.text == "parent sample-job")
    }

    @Test func aParentAloneShowsItsHelp() async {
        await #expect(processExitsWith: .exitCode(0)) {
            exit(Entry.run(Parent.self, arguments: []).rawValue)
        }
        await #expect(processExitsWith: .exitCode(64)) {
            exit(Entry.run(Parent.self, arguments: ["no-such-command"]).rawValue)
        }
    }

    @Test(
        arguments: [
            ([], 0), ([.done, .needsPerson], 1), ([.needsPerson, .unavailable], 69),
            ([.unavailable, .databaseUnavailable, .needsPerson], 75),
            ([.databaseUnavailable, .configuration], 78),
            ([.configuration, .defect, .databaseUnavailable], 70),
            ([.defect, .terminated], 143), ([.interrupted, .defect], 130),
        ] as [([Core.ExitStatus], Int32)])
    func theWorstStatusWins(several: [Core.ExitStatus], status: Int32) {
        #expect(several.reduce(.done, ExitStatus.worst).rawValue == status)
        #expect(several.reversed().reduce(.done, ExitStatus.worst).rawValue == status)
    }

    /// The one JSON object that stands on a line of its own among what the test library prints.
    private func object(in bytes: [UInt8]?) throws -> JSONValue {
        let lines = text(bytes).split(separator: "\n").filter { $0.hasPrefix("{\"command\"") }
        #expect(lines.count == 1)
        return try JSON.parse(Array(try #require(lines.first).utf8))
    }
}
