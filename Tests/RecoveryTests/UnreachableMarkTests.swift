import Core
import Recovery
import Synchronization
import TestSupport
import Testing

/// A place of marks that does not answer costs a run one time limit, and not one for each host.
@Suite struct UnreachableMarks {
    /// Answers nobody, and counts who asks.
    private final class Silent: MarkerPlace, Sendable {
        let words = "a bucket that is away"
        private let count = Mutex(0)
        var asked: Int { count.withLock { $0 } }

        private func fail() -> Failure {
            count.withLock { $0 += 1 }
            return Failure(.unavailable, code: "storage_unavailable", "no answer within 5s")
        }

        func read(_ name: MarkerName) throws(Failure) -> Marker { throw fail() }
        func writeIfAbsent(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) -> Bool {
            throw fail()
        }
        func overwrite(_ name: MarkerName, _ bytes: [UInt8]) throws(Failure) { throw fail() }
    }

    @Test(arguments: [1, 2, 33]) func `it is asked once`(_ hosts: Int) {
        let place = Silent()
        let run = Run(runID: RunID.make(), command: "stuck-sweeper", clockOffset: .zero)
        let watch = RewindWatch(run, host: "host-1") { [place] }
        let findings = watch.find((1...hosts).map { "host-\($0)" })
        #expect(place.asked == 1)
        #expect(findings.unread.count == 1)
        #expect(findings.problem(["host-1: \(place.words)"])?.code == "storage_unavailable")
    }
}
