package import Core
package import Postgres

/// Which installation a database is of.
package struct Installation: Sendable {
    /// As it was written down.
    package var marker: InstallationMarker
    /// As the server tells now.
    package var server: DatabaseIdentity
    /// Databases that it has been in.
    package var former: [DatabaseIdentity]
    /// What a person has not yet set anew since it became a copy: `retrigger`, `notices`, `pings`.
    package var off: [String]
}

/// The rows that say which installation a database is of.
package enum Installations {
    package static let variable = "HOLDFAST_INSTALLATION"
    /// What a copy has off until a person sets it anew.
    package static let switches = ["retrigger", "notices", "pings"]
    /// Jobs that one transaction sets aside.
    private static let page = 1000

    /// A place that an installation marks.
    package enum Kind: String, Sendable {
        case store
        case stateFolder = "state folder"
    }

    /// The installation; nil before the first setup or run.
    package static func load(_ connection: borrowing Connection) throws -> Installation? {
        let rows = try connection.query(
            """
            SELECT i.installation_id, i.name, i.system_identifier, i.database_oid, i.database_name,
                i.off, s.system_identifier AS server_system, s.database_oid AS server_oid,
                s.database_name AS server_name
            FROM holdfast.installation i CROSS JOIN holdfast.server_identity() s
            """)
        guard !rows.isEmpty else { return nil }
        let row = try rows.single()
        let id = try row.text("installation_id")
        let former = try connection.query(
            """
            SELECT DISTINCT system_identifier, database_oid, database_name
            FROM holdfast.installation_event WHERE installation_id = \(id)::uuid
            """
        ).map { try identity($0, "system_identifier", "database_oid", "database_name") }
        return Installation(
            marker: InstallationMarker(
                installationID: id, name: try row.text("name"),
                database: try identity(row, "system_identifier", "database_oid", "database_name")),
            server: try identity(row, "server_system", "server_oid", "server_name"),
            former: former, off: try row.texts("off"))
    }

    private static func identity(
        _ row: Row, _ system: String, _ oid: String, _ name: String
    ) throws -> DatabaseIdentity {
        DatabaseIdentity(
            systemIdentifier: try row.optionalText(system), oid: try row.text(oid),
            name: try row.text(name))
    }

    /// Why runs with these settings do nothing here; nil when they may.
    package static func trouble(
        _ connection: borrowing Connection, named: String?
    ) throws -> String? {
        try connection.query("SELECT holdfast.installation_trouble(\(named)) AS trouble")
            .single().optionalText("trouble")
    }

    /// Refuses a database that is a copy, or that the settings do not mean.
    ///
    /// - Throws: `installation_copied` (78) with both sides and the ways out.
    package static func check(_ connection: borrowing Connection, named: String?) throws {
        guard let trouble = try trouble(connection, named: named) else { return }
        throw copied(trouble)
    }

    package static func copied(_ trouble: String) -> Failure {
        Failure(.configuration, code: "installation_copied", trouble)
    }

    /// Whether the database remembers a place.
    package static func hasMet(
        _ connection: borrowing Connection, _ kind: Kind, _ place: String
    ) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT FROM holdfast.met_place
                WHERE kind = \(kind.rawValue) AND place = \(place)) AS met
            """
        ).single().bool("met")
    }

    /// Remembers a place that bears our marker.
    package static func meet(
        _ connection: borrowing Connection, _ kind: Kind, _ place: String
    ) throws {
        try connection.execute("SELECT holdfast.meet_place(\(kind.rawValue), \(place))")
    }

    /// The places that bear our marker, the latest first; at most `limit`.
    package static func places(
        _ connection: borrowing Connection, limit: Int
    ) throws -> [(kind: String, place: String)] {
        try connection.query(
            """
            SELECT kind, place FROM holdfast.met_place ORDER BY met_at DESC, place
            LIMIT \(limit)::integer
            """
        ).map { (try $0.text("kind"), try $0.text("place")) }
    }

    // MARK: What a person says

    /// The original in a new place, or about to move.
    package static func moved(
        _ connection: borrowing Connection, named: String?, actor: String, reason: String?
    ) throws {
        try connection.execute(
            "SELECT holdfast.installation_moved(\(named), \(actor), \(reason))")
    }

    /// How many open jobs a copy would set aside.
    package static func openJobs(_ connection: borrowing Connection) throws -> Int {
        try connection.query("SELECT holdfast.count_copied() AS jobs").single().int("jobs")
    }

    /// Sets the open jobs aside and makes it another installation; returns how many jobs there were.
    ///
    /// Where it is stopped, the same again goes on.
    package static func copy(
        _ connection: borrowing Connection, name: String, actor: String, reason: String?
    ) throws -> Int {
        var jobs = 0
        while true {
            let done = try connection.query(
                "SELECT holdfast.set_copied_aside(\(actor), \(page)::integer) AS done"
            ).single().int("done")
            jobs += done
            if done == 0 { break }
        }
        try connection.execute(
            "SELECT holdfast.installation_copy(\(name), \(actor), \(reason))")
        return jobs
    }

    /// Sets anew what a copy has off; false when it was not off.
    package static func allow(
        _ connection: borrowing Connection, _ what: String, actor: String, reason: String?
    ) throws -> Bool {
        try connection.query(
            "SELECT holdfast.installation_allow(\(what), \(actor), \(reason)) AS changed"
        ).single().bool("changed")
    }
}
