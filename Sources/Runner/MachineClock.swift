package import Core
import Glibc

/// The machine's own clock: for tokens, signatures and log lines, never for decisions about jobs.
package enum MachineClock {
    package static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(
            microseconds: Int64(time.tv_sec) &* 1_000_000 &+ Int64(time.tv_nsec) / 1000)
    }
}
