import Core
import Glibc

/// Waiting without work, where the run has nothing in flight that could wake it.
package enum Pause {
    package static func wait(_ duration: Duration) {
        _ = poll(nil, 0, Int32(clamping: duration.milliseconds))
    }
}
