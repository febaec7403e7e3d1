package import Core
import Glibc
import Synchronization

/// SIGTERM and SIGINT as a flag that loops look at between two steps.
package enum StopSignal {
    private static let raised = Atomic<Int32>(0)

    /// Starts to listen, and ignores SIGPIPE: a reader that went away is an error of `write`.
    package static func install() {
        // The flag is made at its first use, and a signal must not be the one to make it.
        _ = raised.load(ordering: .relaxed)
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGTERM, SIGINT] {
            signal(number) { number in
                let (isFirst, _) = StopSignal.raised.compareExchange(
                    expected: 0, desired: number, ordering: .relaxed)
                // Somebody at a keyboard who presses twice does not want to wait for the leases.
                if !isFirst && number == SIGINT { _exit(ExitStatus.interrupted.rawValue) }
            }
        }
    }

    package static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }

    /// 143 or 130 once a signal came, else nil.
    package static var status: ExitStatus? {
        switch raised.load(ordering: .relaxed) {
        case 0: nil
        case SIGINT: .interrupted
        default: .terminated
        }
    }

    /// The status that a run ends with when its work alone would end with `status`.
    package static func outranking(_ status: ExitStatus) -> ExitStatus {
        ExitStatus.worst(status, Self.status ?? .done)
    }
}
