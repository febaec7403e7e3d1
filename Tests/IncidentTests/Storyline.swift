import Core
import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

/// What the replays of I-3 and I-5 have in common: the steps of a story, and what a delivery has to
/// prove.
extension RescueLine {
    // MARK: The story

    /// Two copies of an executable, started together.
    func twoHosts(_ name: String, offset: String) async throws -> [Finished] {
        async let one = run(name, offset: offset)
        async let other = run(name, offset: offset)
        return try await [one, other]
    }

    /// The three minutely jobs, each on two hosts at once.
    func twoHostsMinute(offset: String) async throws {
        for name in ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"] {
            for finished in try await twoHosts(name, offset: offset) {
                #expect([0, 1].contains(finished.status), "\(name): \(finished.stderr)")
            }
        }
    }

    /// A provider's callback, as the receiver would have kept it.
    func callBack(_ body: String, provider: String = "kie", query: String = "") throws {
        try sql(
            """
            SELECT holdfast.record_callback(\(provider), '{}', \(query),
                \(Array(body.utf8))::bytea)
            """)
    }

    /// Looks again and again until something is so; every look is a question to somebody else.
    ///
    /// It holds on to its thread: what happens next must not wait for a hundred other tests.
    func until(_ what: String, _ isSo: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try !isSo() {
            guard ContinuousClock.now < end else { throw TestSupportError("never: \(what)") }
        }
    }

    /// Starts an executable and kills it once `isSo`, as a crash would end it.
    func crash(
        _ name: String, offset: String, when what: String, _ isSo: () throws -> Bool
    ) async throws {
        let victim = try Executable.start(name, environment: environment(offset: offset))
        try until(what, isSo)
        victim.kill(SIGKILL)
        let finished = await victim.wait()
        #expect(finished.signal == SIGKILL, "it had ended before: \(finished.stderr)")
        try cut(name)
    }

    /// A moment at which runs can be stopped.
    enum Gate: String {
        /// What a provider said is written down, in the transaction that settles it.
        case answer = "BEFORE INSERT ON holdfast.observation FOR EACH ROW"
        /// A file that is at its key is recorded as stored.
        case stored =
            "BEFORE UPDATE ON holdfast.asset FOR EACH ROW WHEN (NEW.state = 'stored')"
    }

    /// Stops every run at a moment, until the returned connection is let go of.
    func close(_ gate: Gate) throws -> Connection {
        try database.connect().script(
            """
            CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
            GRANT EXECUTE ON FUNCTION public.wait_at_gate() TO PUBLIC;
            CREATE TRIGGER gate \(gate.rawValue) EXECUTE FUNCTION public.wait_at_gate();
            """)
        let holder = try database.connect()
        try holder.execute("SELECT pg_advisory_lock(4711)")
        return holder
    }

    /// Whether an executable's connection waits for a lock.
    func waits(_ name: String) throws -> Bool {
        try value(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = \(name)
                AND wait_event_type = 'Lock'
            """) != "0"
    }

    /// Ends an executable's connections: the server must not finish what a dead host had begun.
    func cut(_ name: String) throws {
        try sql(
            """
            SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = \(name)
            """)
    }

    /// A count of the simulator's, such as `files` `task-1/0`.
    func asked(_ area: String, _ name: String) throws -> Int {
        Int(try simulator.get("/control/counts")[area]?[name]?.int ?? 0)
    }

    // MARK: What is checked

    /// Any one value, as text; `(none)` without a row.
    func value(_ statement: SQL) throws -> String {
        let rows = try sql(statement)
        guard let row = rows.first, let column = rows.columns.first else { return "(none)" }
        return try row.optionalText(column) ?? "null"
    }

    /// SHA-256 by the database's own implementation, in hex.
    func sha256(_ bytes: [UInt8]) throws -> String {
        try value("SELECT encode(sha256(\(bytes)::bytea), 'hex')")
    }

    /// Everything below the storage folder that is not a folder, hidden or not.
    func storedFiles() -> [String] {
        let all = FileManager.default.enumerator(atPath: assets)?.compactMap { $0 as? String } ?? []
        // Marks and markers are no files of jobs.
        return all.filter { !$0.hasPrefix(".holdfast") }.filter { path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: assets + "/" + path)
            return attributes?[.type] as? FileAttributeType != .typeDirectory
        }.sorted()
    }

    func storedBytes(_ key: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: assets + "/" + key)))
    }

    /// The customer's files are there, permanent, and byte for byte what the provider made.
    func checkFiles(
        _ id: String, task taskID: String, _ place: SourceLocation = #_sourceLocation
    ) throws {
        let made = try simulator.task(taskID)["files"]?.array ?? []
        let rows = try sql("SELECT * FROM holdfast.asset WHERE job_id = \(id) ORDER BY ordinal")
        #expect(rows.count == made.count, "\(id)", sourceLocation: place)
        var urls: [String] = []
        for (row, file) in zip(rows, made) {
            let key = try row.text("object_key")
            let bytes = try storedBytes(key)
            #expect(try row.text("state") == "stored", "\(key)", sourceLocation: place)
            #expect(bytes.count == file["bytes"]?.int.map { Int($0) }, sourceLocation: place)
            #expect(try sha256(bytes) == file["sha256"]?.text, "\(key)", sourceLocation: place)
            #expect(try row.int("bytes") == bytes.count, "\(key)", sourceLocation: place)
            #expect(
                try row.text("sha256") == file["sha256"]?.text, "\(key)", sourceLocation: place)
            #expect(
                try row.text("content_type") == file["content_type"]?.text, "\(key)",
                sourceLocation: place)
            urls.append("https://cdn.example.com/" + key)
        }
        #expect(try status(id).texts("asset_urls") == urls, "\(id)", sourceLocation: place)
    }

    /// Delivered, paid once, and the books are right.
    func checkDelivered(
        _ id: String, task taskID: String, credits: Int = 100,
        _ place: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try outcome(id) == "delivered/captured", "\(id)", sourceLocation: place)
        #expect(
            try transfers(id) == ["hold \(credits)", "capture \(credits)"], "\(id)",
            sourceLocation: place)
        try checkFiles(id, task: taskID, place)
    }

    /// Nothing was decided: the hold stands, nothing is paid, and the customer sees no file.
    func checkUndecided(
        _ id: String, _ state: String, _ place: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try outcome(id) == state, "\(id)", sourceLocation: place)
        #expect(try transfers(id) == ["hold 100"], "\(id)", sourceLocation: place)
        #expect(try status(id).texts("asset_urls") == [], "\(id)", sourceLocation: place)
        #expect(try violations() == [], sourceLocation: place)
    }
}
