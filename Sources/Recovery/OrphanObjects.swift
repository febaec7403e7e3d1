package import Core
package import HTTP
package import Jobs
package import Postgres
package import Storage

/// Goes through the list of a store for objects that no row knows, page by page.
///
/// What is hidden, such as markers and probes, and what lies at the top, such as reports, is left out;
/// names that are no keys of ours are counted and belong to somebody else.
package struct OrphanObjects {
    package private(set) var listed = 0
    package private(set) var foreign = 0
    /// What the next page is asked for by; nil before the first and after the last.
    package private(set) var place: String?
    /// The list came to its end.
    package private(set) var isOver = false

    private var latest: [UnknownObjects.Named] = []
    private let store: any ObjectStore
    private let session: Session

    package init(_ store: any ObjectStore, _ session: Session, after place: String?) {
        self.store = store
        self.session = session
        self.place = place
    }

    /// Looks at the next page.
    ///
    /// - Throws: What the store says (69, 78).
    package mutating func next(
        _ connection: borrowing Connection, shouldStop: () -> Bool
    ) throws -> [UnknownObject] {
        var answer: Result<ObjectPage, Failure>?
        let part = session.part()
        defer { part.cancel() }
        store.list(below: "", after: place, part) { answer = $0 }
        while answer == nil, !shouldStop() { _ = session.step(wait: .milliseconds(250)) }
        guard let page = try answer?.get() else { return [] }
        place = page.next
        isOver = page.next == nil
        var ours: [UnknownObjects.Named] = []
        for object in page.objects where !Self.isBeside(object.name) {
            listed += 1
            guard let key = ObjectKey(object.name) else {
                foreign += 1
                continue
            }
            let origin = key.origin
            ours.append(
                .init(
                    name: object.name, bytes: object.bytes, jobID: origin?.jobID,
                    ordinal: origin?.ordinal))
        }
        // Asked after the list was read: a key is committed before anything is at it.
        latest = ours
        return ours.isEmpty ? [] : try UnknownObjects.among(connection, ours)
    }

    /// Pages of one night.
    package static let nightly = 20

    /// The nightly part of the list: goes on where the last night ended, and keeps what no row knows.
    ///
    /// - Throws: What the store says (69, 78).
    package static func watch(
        _ connection: borrowing Connection, _ run: Run, _ store: any ObjectStore,
        shouldStop: () -> Bool
    ) throws {
        var search = OrphanObjects(
            store, try Session(), after: try UnknownObjects.place(connection))
        for _ in 0..<nightly where !search.isOver && !shouldStop() {
            _ = try search.next(connection, shouldStop: shouldStop)
            guard !shouldStop() else { return }
            try UnknownObjects.note(connection, run, search.latest, next: search.place)
        }
    }

    private static func isBeside(_ name: String) -> Bool {
        !name.contains("/") || name.split(separator: "/").contains { $0.hasPrefix(".") }
    }
}
