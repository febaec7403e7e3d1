import Synchronization

/// Pieces of work that several threads share: each is handed out once.
package final class Handout<Piece: Sendable>: Sendable {
    private let pieces: [Piece]
    private let next = Atomic<Int>(0)

    package init(_ pieces: [Piece]) { self.pieces = pieces }

    /// How many there were in the beginning.
    package var count: Int { pieces.count }

    /// The next piece that nobody has; nil when all are taken.
    package func take() -> Piece? {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return index < pieces.count ? pieces[index] : nil
    }
}
