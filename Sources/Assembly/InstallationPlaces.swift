package import Core
import HTTP
package import Jobs
import Logging
package import Postgres
package import Runner
import Storage

/// The stores and the state folder that a run's settings name, and whose they are.
package struct InstallationPlaces {
    /// One of them.
    package struct Place {
        package var kind: Installations.Kind
        /// What the database remembers it by.
        package var key: String
        /// What makes another of it, as the end of a sentence.
        package var another: String
        package var markers: any MarkerPlace
    }

    private let context: RunContext

    package init(_ context: RunContext) { self.context = context }

    /// Refuses places that are not this installation's, and marks those that nobody was in yet.
    ///
    /// Without the store it looks at the store all the same, but marks nothing there, and a store that
    /// is away is no concern of it; nor is ever a state folder that cannot be read or written.
    /// - Parameters:
    ///   - needsStore: Whether the run writes to the store.
    ///   - isDryRun: Nothing is marked and nothing remembered.
    /// - Throws: `installation_place` (78) with both sides and the ways out; what the store says where
    ///   it is needed.
    package func check(
        _ connection: borrowing Connection, needsStore: Bool, isDryRun: Bool = false
    ) throws {
        guard let installation = try Installations.load(connection) else { return }
        do {
            // Money is right without it: a folder that is full or broken stops nothing.
            if let folder = stateFolder() {
                try check(folder, installation, connection, mayWrite: !isDryRun)
            }
        } catch let failure as Failure where failure.code != Self.code {
            context.log.debug("whose the state folder is was not looked at: \(failure.message)")
        }
        do {
            guard let store = try store() else { return }
            try check(store, installation, connection, mayWrite: needsStore && !isDryRun)
        } catch let failure as Failure where !needsStore && failure.code != Self.code {
            context.log.debug("whose the store is was not looked at: \(failure.message)")
        }
    }

    package static let code = "installation_place"

    private func check(
        _ place: Place, _ installation: Installation, _ connection: borrowing Connection,
        mayWrite: Bool
    ) throws {
        let hasMet = try Installations.hasMet(connection, place.kind, place.key)
        let verdict = try verdict(of: place, installation, hasMet: hasMet)
        if let complaint = verdict.complaint(
            about: place.markers.words, installation.marker, another: place.another)
        {
            throw Failure(.configuration, code: Self.code, complaint)
        }
        guard mayWrite else { return }
        switch verdict {
        case .isFromBefore:
            try place.markers.overwrite(.installation, installation.marker.bytes)
        case .isNew:
            // Somebody else may have come first: then it is looked at once more, as what it is.
            if try !place.markers.writeIfAbsent(.installation, installation.marker.bytes) {
                let now = try self.verdict(of: place, installation, hasMet: true)
                if let complaint = now.complaint(
                    about: place.markers.words, installation.marker, another: place.another)
                {
                    throw Failure(.configuration, code: Self.code, complaint)
                }
            }
        default: break
        }
        if !hasMet { try Installations.meet(connection, place.kind, place.key) }
    }

    /// What is at a place.
    package func verdict(
        of place: Place, _ installation: Installation, hasMet: Bool
    ) throws(Failure) -> PlaceVerdict {
        .of(
            try place.markers.read(.installation), ours: installation.marker,
            former: installation.former, hasMet: hasMet)
    }

    /// The state folder of this host; nil where there is none.
    package func stateFolder() -> Place? {
        guard let folder = StateFolder(context.settings) else { return nil }
        return Place(
            kind: .stateFolder, key: "\(JobRun.hostName):\(folder.root)",
            another: "set \(StateFolder.variable) to a folder of its own", markers: folder)
    }

    /// The store for files; nil where the settings name none.
    package func store() throws -> Place? {
        let settings = context.settings
        guard let url = try settings.value("HOLDFAST_STORAGE_URL") else { return nil }
        let location = try StorageLocation.parse(url)
        let store = try location.store(clock: MachineClock.now) { name throws(Failure) in
            try settings.value(name)
        }
        return Place(
            kind: .store, key: location.key,
            another: "set HOLDFAST_STORAGE_URL to another prefix or folder",
            markers: StoreMarkers(
                store, at: location.key, try Session(), shouldStop: { StopSignal.isRaised }))
    }
}
