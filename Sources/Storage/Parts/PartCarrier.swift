import Core
import HTTP

/// How a kind of store takes a file in parts.
///
/// All that it sends but what `giveUp` sends belongs to the part of the session that the upload
/// cancels.
protocol PartCarrier: AnyObject {
    /// Bytes of each part but the last.
    var partBytes: Int { get }
    var sums: Part.Sums { get }
    /// Whether a key that is taken is refused by the server itself.
    var isCreateOnly: Bool { get }
    /// Whether the last part makes the object visible, and so goes with `publish`.
    var holdsLastBack: Bool { get }
    /// The store, for messages.
    var place: String { get }

    /// Sends a part of a file that has others; nil when the store has it.
    func carry(_ part: Part, then: @escaping (StoreProblem?) -> Void)

    /// Makes the object visible under `key`, unless one is there.
    ///
    /// `last` is the part that was held back, or the only one; nil where all were carried or the
    /// file is empty.
    func publish(
        _ last: Part?, as key: ObjectKey, _ digest: Digest,
        then: @escaping (StoreWire.Answer) -> Void)

    /// Reads an object back, all of it; nil when there is none.
    func find(_ key: ObjectKey, then: @escaping (Result<StoredObject?, Failure>) -> Void)

    /// What the store says of an object, without its bytes.
    func look(at key: ObjectKey, then: @escaping (StoreWire.Answer) -> Void)

    /// Whether the answer to `publish` proves that the store has the bytes that were sent.
    ///
    /// `only` is the part that is the whole file; nil of a file in parts.
    func isProved(by answer: Response, _ only: Part?) -> Bool

    /// Whether what the store says of an object contradicts the bytes of its only part.
    func isContradicted(by head: Response, _ only: Part) -> Bool

    /// Removes what the store has of the upload; called when nothing is on its way there any more.
    func giveUp()
}
