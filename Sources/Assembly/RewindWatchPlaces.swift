package import Core
import HTTP
import Postgres
package import Recovery
package import Runner
import Storage

extension RewindWatch {
    /// Looks for the marks of this host and others where the settings say that they are.
    package init(_ context: RunContext, _ run: Run) {
        let settings = context.settings
        self.init(run, host: JobRun.hostName) { try Self.places(settings) }
    }

    /// The state folder and the store, as far as the settings name them.
    package static func places(_ settings: Settings) throws -> [any MarkerPlace] {
        var places: [any MarkerPlace] = []
        if let folder = StateFolder(settings) { places.append(folder) }
        if let url = try settings.value("HOLDFAST_STORAGE_URL") {
            let location = try StorageLocation.parse(url)
            let store = try location.store(clock: MachineClock.now) { name throws(Failure) in
                try settings.value(name)
            }
            places.append(
                StoreMarkers(
                    store, at: location.words, try Session(),
                    shouldStop: { StopSignal.isRaised }))
        }
        return places
    }
}

extension RunReport {
    /// Whether the run has done anything that the database keeps.
    var hasWritten: Bool { examined > 0 || outcomes.values.contains { $0 > 0 } }
}
