/// An error that ends a command: one line that names the thing and the fix, and the exit status.
///
/// The message never carries a secret, a signed query, a prompt or a body.
package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    package var status: ExitStatus
    /// A short stable word for machines, such as `database_unavailable`.
    package var code: String
    package var message: String

    package init(_ status: ExitStatus, code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
