import Core

/// Task ids on their way into a URL.
enum TaskIDText {
    /// The id percent-encoded.
    ///
    /// - Throws: When it is empty, very long, or nothing but dots, which a path would swallow.
    static func forURL(_ id: String) throws(Failure) -> String {
        guard !id.utf8.allSatisfy({ $0 == UInt8(ascii: ".") }), id.utf8.count <= TaskID.limitBytes
        else {
            throw Failure(
                .needsPerson, code: "bad_task_id",
                "the task id is empty, only dots, or longer than \(TaskID.limitBytes) bytes: "
                    + "mark the job with the id that the provider gave")
        }
        return id.percentEncoded
    }
}
