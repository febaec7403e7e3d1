/// A database as its server tells of it.
package struct DatabaseIdentity: Equatable, Sendable {
    /// Nil where the schema's owner may not read it.
    package var systemIdentifier: String?
    package var oid: String
    package var name: String

    package init(systemIdentifier: String?, oid: String, name: String) {
        self.systemIdentifier = systemIdentifier
        self.oid = oid
        self.name = name
    }

    package var words: String {
        "database \(name) (oid \(oid)" + (systemIdentifier.map { ", system \($0)" } ?? "") + ")"
    }

    package var json: JSONValue {
        [
            "name": .string(name), "oid": .string(oid),
            "system_identifier": .optional(systemIdentifier),
        ]
    }
}

/// Who a place belongs to: an installation, and the database that it had when it wrote so.
package struct InstallationMarker: Equatable, Sendable {
    package var installationID: String
    package var name: String
    package var database: DatabaseIdentity

    package init(installationID: String, name: String, database: DatabaseIdentity) {
        self.installationID = installationID
        self.name = name
        self.database = database
    }

    package var words: String { "installation \(name) (\(installationID)), \(database.words)" }

    /// One line of JSON, for a person who looks at the file.
    package var bytes: [UInt8] {
        let object: JSONValue = [
            "holdfast": "installation", "installation_id": .string(installationID),
            "name": .string(name), "database": database.json,
        ]
        return Array((JSON.write(object) + "\n").utf8)
    }

    /// What a file says; nil for what we never wrote.
    package init?(_ bytes: [UInt8]) {
        guard let json = try? JSON.parse(bytes), json["holdfast"]?.text == "installation",
            let id = json["installation_id"]?.text, (1...100).contains(id.utf8.count),
            let name = json["name"]?.text, (1...400).contains(name.utf8.count),
            let oid = json["database"]?["oid"]?.text, oid.utf8.count <= 20,
            let database = json["database"]?["name"]?.text, database.utf8.count <= 400
        else { return nil }
        self.init(
            installationID: Self.line(id), name: Self.line(name),
            database: DatabaseIdentity(
                systemIdentifier: json["database"]?["system_identifier"]?.text.map(Self.line),
                oid: Self.line(oid), name: Self.line(database)))
    }

    /// What somebody else may have written, without what would change a line of a log.
    private static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
    }
}

/// What a run that comes to a place may do there.
package enum PlaceVerdict: Equatable, Sendable {
    /// It bears our marker.
    case ours
    /// Nobody was here: our marker is to be written.
    case isNew
    /// It bears our marker from a database that we have been in: it is to be written anew.
    case isFromBefore
    /// Another installation's.
    case isTaken(InstallationMarker)
    /// Ours by its id, and another database says so: two databases take themselves for one.
    case isShared(InstallationMarker)
    /// We have been here, and our marker is gone.
    case isLost
    /// Something that no installation wrote; why, for people.
    case isUnreadable(String)

    /// - Parameters:
    ///   - ours: Who we are.
    ///   - former: Databases that this installation has been in.
    ///   - hasMet: Whether our database remembers the place.
    package static func of(
        _ marker: Marker, ours: InstallationMarker, former: [DatabaseIdentity], hasMet: Bool
    ) -> PlaceVerdict {
        switch marker {
        case .absent: return hasMet ? .isLost : .isNew
        case .tooLarge: return .isUnreadable("more than \(Marker.limitBytes) bytes")
        case .bytes(let bytes):
            guard let found = InstallationMarker(bytes) else {
                return .isUnreadable(
                    bytes.isEmpty ? "nothing" : "\(bytes.count) bytes that no installation wrote")
            }
            guard found.installationID == ours.installationID else { return .isTaken(found) }
            // Another name of the same installation is of no account.
            if found.database == ours.database { return .ours }
            return former.contains(found.database) ? .isFromBefore : .isShared(found)
        }
    }

    /// What is wrong, with both sides and the ways out; nil when nothing is.
    ///
    /// - Parameters:
    ///   - place: The place, for people.
    ///   - another: How to name another place of its kind, as the end of a sentence.
    package func complaint(
        about place: String, _ ours: InstallationMarker, another: String
    ) -> String? {
        let file = MarkerName.installation.path
        let ways =
            "if \(ours.name) is the original, and nothing else runs on this place: "
            + "holdfast installation moved; if it is to be another installation: holdfast "
            + "installation copy NAME, and \(another)"
        switch self {
        case .ours, .isNew, .isFromBefore: return nil
        case .isTaken(let other):
            return "\(place) belongs to \(other.words), and this is \(ours.words): \(another) "
                + "(its \(file) says whose it is); if this database is a copy: holdfast "
                + "installation copy NAME; if it is the original, give it back the place that it had "
                + "and then: holdfast installation moved"
        case .isShared(let other):
            return
                "\(place) was marked by \(other.words), and this is \(ours.words): two databases "
                + "take themselves for one installation; \(ways)"
        case .isLost:
            return "\(place) has lost its \(file), which \(ours.words) wrote there: is the right "
                + "volume mounted, or the right bucket named? If so, and \(ways)"
        case .isUnreadable(let what):
            return
                "\(place) has \(what) in its \(file), and \(ours.words) does not know whose it is; "
                + ways
        }
    }
}
