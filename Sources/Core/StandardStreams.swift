import Glibc

/// Descriptors 0, 1 and 2, which whoever starts a program may have closed.
package enum StandardStreams {
    /// Opens /dev/null in place of each that is closed.
    ///
    /// The next descriptor that is opened takes the lowest free number: without this a connection
    /// would become standard error, and everything said would be sent to the other side. To be called
    /// before anything else is opened.
    package static func fill() {
        while true {
            let descriptor = open("/dev/null", O_RDWR)
            guard descriptor >= 0 && descriptor <= STDERR_FILENO else {
                if descriptor > STDERR_FILENO { close(descriptor) }
                return
            }
        }
    }
}
