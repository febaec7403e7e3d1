import Core
package import Postgres

/// Which reports of a sealed day were published, by which renderer, and what each consisted of.
package struct PublishedReports: Sendable {
    private let day: String

    package init(day: String) { self.day = day }

    /// SHA-256, in hex, by the file's name.
    package func digests(_ connection: borrowing Connection) throws -> [String: String] {
        var digests: [String: String] = [:]
        for row in try connection.query(
            "SELECT name, sha256 FROM holdfast.published_report WHERE day = \(day)::date")
        {
            digests[try row.text("name")] = try row.text("sha256")
        }
        return digests
    }

    /// Remembers files that were published; what is remembered of a name stays.
    package func note(
        _ connection: borrowing Connection, renderer: Int, _ files: [(name: String, sha256: String)]
    ) throws {
        guard !files.isEmpty else { return }
        let json = JSONValue.array(
            files.map { ["name": .string($0.name), "sha256": .string($0.sha256)] })
        try connection.execute(
            """
            SELECT holdfast.note_published(\(day)::date, \(renderer)::integer,
                \(JSON.write(json))::jsonb)
            """)
    }
}
