import ArgumentParser
import Core
import Foundation

/// Reads flags, opens the port, and plays until it is stopped.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider-simulator",
        abstract: "Plays every provider, their result files and the application's trigger endpoint"
            + " on 127.0.0.1, and misbehaves on request.",
        discussion: """
            Base URLs: a slash and the provider's name, such as /kie, and /app/trigger; tests steer \
            it through /control. It is for tests and demonstrations and is never installed.
            """)

    @Option(help: "The port to listen on; 0 takes any free one.")
    var port: UInt16 = 0

    @Option(help: "A JSON file with tasks, faults, trigger and creations to begin with.")
    var scenario: String?

    @Option(help: "Where chance starts from; without it, a new one is taken and printed.")
    var seed: UInt64?

    @Option(
        name: .customLong("api-key"),
        help: "A provider's name and the key that it accepts, as in kie=secret; repeatable.")
    var apiKeys: [String] = []

    @Option(help: "The access key that Kling accepts as issuer of tokens.")
    var klingAccessKey = "simulator-kling-access-key"

    @Option(help: "The secret key that Kling's tokens are signed with.")
    var klingSecretKey = "simulator-kling-secret-key"

    @Option(help: "The secret that the application's trigger endpoint expects.")
    var triggerSecret = "simulator-trigger-secret"

    @Flag(help: "End when standard input reaches its end or the parent process dies.")
    var exitWithStdin = false

    static func main() {
        StandardStreams.fill()
        main(nil)
    }

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
        // Where redirects to another host lead.
        let store = try Listener(address: 0x7F00_0002, port: 0)
        let seed = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let address = "http://127.0.0.1:\(listener.port)"
        let world = World(
            credentials: Credentials(
                apiKeys: try keys(), klingAccessKey: klingAccessKey,
                klingSecretKey: klingSecretKey, triggerSecret: triggerSecret),
            seed: seed, base: address, elsewhere: "http://127.0.0.2:\(store.port)")
        if let scenario { try read(scenario, into: world) }
        let line = "provider-simulator listening on \(address) seed=\(seed)\n"
        // Straight to the descriptor: a test waits for this line, so it must not sit in a buffer.
        try FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
        let simulator = Simulator(world: world)
        guard WorkerThread.start({ store.serve(simulator) }) else {
            throw Failure(.unavailable, code: "no_thread", "cannot start a thread for the store")
        }
        listener.serve(simulator)
    }

    private func keys() throws -> [Provider: String] {
        var keys: [Provider: String] = [:]
        for entry in apiKeys {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let provider = Provider(rawValue: parts[0]) else {
                throw ValidationError(
                    "--api-key takes a provider's name, = and a key; names are "
                        + Provider.allCases.map(\.rawValue).joined(separator: ", "))
            }
            keys[provider] = parts[1]
        }
        return keys
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
