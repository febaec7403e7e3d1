import Core
import Foundation
import Glibc
import TestSupport
import Testing

/// The helpers that the incident tests rest on, tried on programs that every machine has.
@Suite(.timeLimit(.minutes(2)))
struct ExecutableTests {
    @Test func aProgramGetsExactlyWhatItIsGiven() async throws {
        let finished = try await Executable.run(
            "/bin/sh", arguments: ["-c", "env; cat; echo oops >&2; exit 7"],
            environment: ["A": "b c"], input: Array("words".utf8))
        #expect(finished.status == 7)
        #expect(finished.signal == nil)
        #expect(finished.stdout.hasSuffix("words"))
        #expect(finished.stdout.contains("A=b c\n"))
        #expect(!finished.stdout.contains("HOME="))
        #expect(finished.stderr == "oops\n")
    }

    @Test func fortyAtOnceWithMoreThanAPipeHolds() async throws {
        let input = [UInt8](repeating: UInt8(ascii: "x"), count: 300_000)
        try await withThrowingTaskGroup(of: Finished.self) { group in
            for _ in 0..<40 {
                group.addTask {
                    try await Executable.run(
                        "/bin/sh", arguments: ["-c", "cat | tee /dev/stderr"], input: input)
                }
            }
            for try await finished in group {
                #expect(finished.status == 0)
                #expect(finished.stdoutBytes.count == 300_000)
                #expect(finished.stderrBytes.count == 300_000)
            }
        }
    }

    @Test func aSignalIsSeen() async throws {
        let running = try Executable.start(
            "/bin/sh", arguments: ["-c", "trap 'exit 143' TERM; echo ready; read -r nothing"],
            keepsInputOpen: true)
        #expect(running.firstLineBlocking() == "ready")
        running.kill(SIGTERM)
        let finished = await running.wait()
        #expect(finished.status == 143)
        running.kill(SIGKILL)
        #expect(await running.wait().status == 143)
    }

    @Test func aProgramThatHangsIsKilled() async throws {
        let finished = try await Executable.run(
            "/bin/sh", arguments: ["-c", "exec cat /dev/zero >/dev/null"],
            timeout: .milliseconds(200))
        #expect(finished.isOverdue)
        #expect(finished.signal == SIGKILL)
        #expect(finished.status == 137)
    }

    @Test func aProgramNobodyHoldsEnds() async throws {
        var running: RunningProcess? = try Executable.start(
            "/bin/sh", arguments: ["-c", "echo ready; read -r nothing"], keepsInputOpen: true)
        let pid = try #require(running?.pid)
        #expect(running?.firstLineBlocking() == "ready")
        running = nil
        while kill(pid, 0) == 0 { await Task.yield() }
        #expect(errno == ESRCH)
    }

    @Test func aMissingProgramIsNamed() throws {
        let error = #expect(throws: TestSupportError.self) {
            try Executable.path("no-such-product")
        }
        #expect(error?.description.contains("swift build") == true)
    }

    @Test func chanceCanBeReplayed() {
        var one = SeededGenerator(seed: 7)
        var other = SeededGenerator(seed: 7)
        #expect((0..<10).map { _ in one.next() } == (0..<10).map { _ in other.next() })
        #expect("\(one)" == "HOLDFAST_TEST_SEED=7")
        var known = SeededGenerator(seed: 1_234_567)
        #expect(known.next() == 6_457_827_717_110_365_317)
    }
}
