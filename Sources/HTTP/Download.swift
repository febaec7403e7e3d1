/// Where the bytes of a download go.
package protocol DownloadSink: AnyObject {
    /// The final hop's headers are complete; called once, before any byte of the body.
    ///
    /// Answering false ends the transfer without its body, which is no error: the completion is a
    /// success with this status.
    func began(status: Int, headers: [Header]) -> Bool

    /// The next bytes of the body, valid during the call only.
    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkAnswer
}

/// What a sink made of the bytes it was given.
package enum SinkAnswer: Sendable {
    case taken
    /// None was taken: the same bytes come again after `resume(tag:)`, perhaps cut differently.
    case pause
    /// None was taken and no more are wanted: the transfer ends with the error `stopped`.
    case stop
}

/// A transfer that ended.
package struct Completion: Sendable {
    package var tag: Int
    /// Any HTTP status is a success here; for downloads the body is empty.
    package var result: Result<Response, HTTPError>

    package init(tag: Int, result: Result<Response, HTTPError>) {
        self.tag = tag
        self.result = result
    }
}
