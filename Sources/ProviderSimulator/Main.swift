import ArgumentParser
import Core
import Foundation

/// Reads flags, opens the port, and plays until it is stopped.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider-simulator",
        abstract: "Plays KIE, Kling, their result files and the application's trigger endpoint"
            + " on 127.0.0.1, and misbehaves on request.",
        discussion: """
            Base URLs: /kie, /kling, /app/trigger; tests steer it through /control. It is for \
            tests and demonstrations and is never installed.
            """)

    @Option(help: "The port to listen on; 0 takes any free one.")
    var port: UInt16 = 0

    @Option(help: "A JSON file with tasks, faults, trigger and creations to begin with.")
    var scenario: String?

    @Option(help: "Where chance starts from; without it, a new one is taken and printed.")
    var seed: UInt64?

    @Option(name: .customLong("kie-api-key"), help: "The bearer key that KIE accepts.")
    var kieAPIKey = "simulator-kie-api-key"

    @Option(help: "The access key that Kling accepts as issuer of tokens.")
    var klingAccessKey = "simulator-kling-access-key"

    @Option(help: "The secret key that Kling's tokens are signed with.")
    var klingSecretKey = "simulator-kling-secret-key"

    @Option(help: "The secret that the application's trigger endpoint expects.")
    var triggerSecret = "simulator-trigger-secret"

    @Flag(help: "End when standard input reaches its end or the parent process dies.")
    var exitWithStdin = false

    func run() throws {
        do {
            try serve()
        } catch let failure as Failure {
            FileHandle.standardError.write(Data("provider-simulator: \(failure)\n".utf8))
            throw ExitCode(failure.status.rawValue)
        }
    }

    private func serve() throws {
        Lifeline.endOnSignals()
        Lifeline.raiseDescriptorLimit()
        if exitWithStdin { Lifeline.endWithParent() }
        let listener = try Listener(port: port)
        let seed = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let address = "http://127.0.0.1:\(listener.port)"
        let world = World(
            credentials: Credentials(
                kieAPIKey: kieAPIKey, klingAccessKey: klingAccessKey,
                klingSecretKey: klingSecretKey, triggerSecret: triggerSecret),
            seed: seed, base: address)
        if let scenario { try read(scenario, into: world) }
        let line = "provider-simulator listening on \(address) seed=\(seed)\n"
        // Straight to the descriptor: a test waits for this line, so it must not sit in a buffer.
        try FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
        listener.serve(Simulator(world: world))
    }

    private func read(_ path: String, into world: World) throws {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw Failure(
                .notFound, code: "scenario_unreadable", "cannot read the scenario \(path)")
        }
        do {
            try Control(world: world).carryOut(scenario: data)
        } catch let error as ControlError {
            throw Failure(
                .wrongUsage, code: "scenario_invalid", "scenario \(path): \(error)")
        } catch {
            throw Failure(
                .wrongUsage, code: "scenario_invalid", "scenario \(path) is not valid JSON")
        }
    }
}
