import Core
@preconcurrency import Glibc
import Reception
import Runner

/// The way through a web server: the answer is 200 whatever came and whatever became of it.
enum Gateway {
    static func main() -> Never {
        StandardStreams.fill()
        StopSignal.install()
        // Without the clean-up of libraries, in which the thread that still waits for the database
        // might be busy.
        _exit(answer().rawValue)
    }

    /// - Returns: the exit status, for the server's log; the client never sees it.
    private static func answer() -> ExitStatus {
        let variables = environment()
        let query = CGIRequest(variables)
        let arguments = query.argumentsAreOurs ? Array(CommandLine.arguments.dropFirst()) : []
        let request = CGIRequest(variables, provider: option("--provider", in: arguments))
        let body = BodyReader.gateway.read(STDIN_FILENO, announced: request.expectedBytes)
        var status = ExitStatus.done
        if !request.isProbe(body.bytes) {
            let callback = ReceivedCallback(
                provider: request.provider, headers: request.headers, query: request.query,
                body: body.bytes, whole: body.whole, receivedAt: MachineClock.now())
            switch Keeping.keep(callback, settings(option("--env-file", in: arguments))) {
            case .inbox: break
            case .spool(let name, let why):
                Output.error("callback-receiver: \(why.message); spooled as \(name)")
            case .nowhere(let failure):
                Output.error("callback-receiver: \(failure.message)")
                status = failure.status
            }
        }
        // Only now: what was answered is on a disk.
        Output.standard(request.answer)
        return status
    }

    /// Settings without their file when it cannot be read: the folder may be named in the environment.
    private static func settings(_ envFile: String?) -> Settings {
        do throws(Failure) {
            return try Settings(envFile: envFile)
        } catch {
            Output.error("callback-receiver: \(error.message)")
            return Settings(environment: Settings.processEnvironment)
        }
    }

    private static func option(_ name: String, in arguments: [String]) -> String? {
        for (at, argument) in arguments.enumerated() {
            if argument == name { return arguments.dropFirst(at + 1).first }
            if argument.hasPrefix(name + "=") { return String(argument.dropFirst(name.count + 1)) }
        }
        return nil
    }

    /// All variables; bytes that are no text are replaced.
    private static func environment() -> [(name: String, value: String)] {
        var variables: [(name: String, value: String)] = []
        var entry = environ
        while let text = entry.pointee {
            let variable = String(cString: text)
            let name = variable.prefix { $0 != "=" }
            variables.append((String(name), String(variable.dropFirst(name.count + 1))))
            entry += 1
        }
        return variables
    }
}
