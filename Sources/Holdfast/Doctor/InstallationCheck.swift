import Assembly
import Core
import Jobs
import Postgres
import Runner
import Schema

/// Which installation the database is of, and whether the store and the state folder are its own.
extension Checkup {
    private static let installation = "installation"

    mutating func installation(_ context: RunContext, _ connection: borrowing Connection) {
        look(Self.installation) { checks in
            guard (try? Installer.check(connection)) != nil else { return }
            guard let installation = try Installations.load(connection) else {
                return checks.warn(
                    Self.installation, "the database does not say yet which one it is of",
                    "run: holdfast setup")
            }
            let named = try context.settings.value(Installations.variable)
            if let trouble = try Installations.trouble(connection, named: named) {
                checks.fail(Self.installation, trouble, nil)
            } else {
                checks.ok(
                    Self.installation,
                    installation.marker.words
                        + (named == nil ? "; \(Installations.variable) is not set" : ""))
            }
            if !installation.off.isEmpty {
                checks.warn(
                    Self.installation,
                    "it was made from a copy, and \(installation.off.joined(separator: ", ")) "
                        + "wait to be set anew",
                    "see that the settings name its own addresses, and then: "
                        + installation.off.map { "holdfast installation allow \($0)" }
                        .joined(separator: "; "))
            }
            let places = InstallationPlaces(context)
            checks.place("marker of the state folder", places.stateFolder(), places, installation)
            let count = try Installations.places(connection, limit: 1000).count
            checks.ok("met places", "\(count) stores and state folders bear its marker")
        }
        look("marker of the store") { checks in
            guard (try? Installer.check(connection)) != nil,
                let installation = try Installations.load(connection)
            else { return }
            let places = InstallationPlaces(context)
            let store = try places.store()
            let hasMet = try store.map {
                try Installations.hasMet(connection, $0.kind, $0.key)
            }
            checks.place(
                "marker of the store", store, places, installation, hasMet: hasMet ?? false)
        }
    }

    private mutating func place(
        _ what: String, _ place: InstallationPlaces.Place?, _ places: InstallationPlaces,
        _ installation: Installation, hasMet: Bool = false
    ) {
        guard let place else { return }
        look(what) { checks in
            let verdict = try places.verdict(of: place, installation, hasMet: hasMet)
            if let complaint = verdict.complaint(
                about: place.markers.words, installation.marker, another: place.another)
            {
                return checks.fail(what, complaint, nil)
            }
            checks.ok(what, "\(place.markers.words): \(InstallationText.state(verdict))")
        }
    }
}
