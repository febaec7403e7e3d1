import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// What a run committed and a person has to know is said by that run, or by the next one: a
/// connection that breaks after the commit, a kill or a full disk loses no word of it.
@Suite struct ToldNews {
    enum News: String, CaseIterable {
        case lost, crashed, braked, stray, callback

        var command: String {
            switch self {
            case .lost: "storage-mirrorer"
            case .crashed, .braked, .callback: "stuck-sweeper"
            case .stray: "orphan-recoverer"
            }
        }

        /// What a line about it names.
        var name: String {
            switch self {
            case .stray: "stray-1"
            case .callback: "callback 1 "
            default: "job-news"
            }
        }
    }

    /// A place at which the connection breaks, each after the news was committed.
    enum Cut: String, CaseIterable {
        /// At the end of the run, where the answer would have said that it is written down.
        case end = "BEFORE UPDATE OF finished_at ON holdfast.run FOR EACH ROW"
        /// As soon as anything else is done after it: at the end of the run too, seen from the server.
        case place =
            "BEFORE UPDATE OF run_id ON holdfast.run_slot FOR EACH ROW WHEN (NEW.run_id IS NULL)"
    }

    private func scene(_ news: News) async throws -> RescueLine {
        let line = try RescueLine()
        switch news {
        case .lost:
            try line.open(
                "job-news", taskID: "task-1",
                task: .init([.init(key: "file_fault", value: "gone")]))
            try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
            _ = try await line.run("stuck-sweeper")
        case .crashed:
            try line.open("job-news", taskID: "task-1")
            try line.sql(
                "UPDATE holdfast.job SET claims = 3, next_poll_at = clock_timestamp() WHERE job_id = 'job-news'"
            )
        case .braked:
            try line.setPolicy("brake_jobs", "account=0,provider=0,total=0")
            try line.open(
                "job-news", taskID: "task-1",
                task: .init([.init(key: "outcome", value: "fail")]))
            try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        case .stray:
            try line.open(
                "job-other", provider: "kling", endpoint: "image2video", taskID: "task-1")
            try line.sql(
                """
                INSERT INTO holdfast.stray_task
                    (provider, task_id, endpoint, state, first_seen_at, last_seen_at)
                VALUES ('kling', 'stray-1', 'image2video', 'succeeded',
                    clock_timestamp() - interval '1 hour', clock_timestamp())
                """)
        case .callback:
            try line.open("job-news", taskID: "task-1")
            try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
            // What reads it in meets something that nobody thought of.
            try line.sql(
                """
                CREATE FUNCTION holdfast.poison() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'nobody thought of this'; END $$
                """)
            try line.sql(
                """
                CREATE TRIGGER poisoned BEFORE UPDATE ON holdfast.callback FOR EACH ROW
                WHEN (NEW.result = 'matched') EXECUTE FUNCTION holdfast.poison()
                """)
        }
        return line
    }

    /// Breaks a connection of ours at a place, each time it comes there.
    private func cut(_ line: RescueLine, _ cut: Cut) throws {
        try line.database.connect().script(
            """
            CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
            GRANT EXECUTE ON FUNCTION public.cut() TO PUBLIC;
            CREATE TRIGGER cut \(cut.rawValue) EXECUTE FUNCTION public.cut();
            """)
    }

    private func heal(_ line: RescueLine) throws {
        try line.sql("DROP FUNCTION public.cut() CASCADE")
    }

    /// How many lines name it.
    private func lines(_ finished: Finished, _ news: News) -> Int {
        finished.stderr.split(separator: "\n").filter { $0.contains(news.name) }.count
    }

    @Test(arguments: News.allCases)
    func `an undisturbed run says it once, and no other run does`(_ news: News) async throws {
        let line = try await scene(news)
        let finished = try await line.run(news.command)
        #expect(finished.status == 1, "\(finished.stderr)")
        #expect(lines(finished, news) == 1, "\(finished.stderr)")
        for offset in ["+1m", "+6m"] {
            for next in try await line.minute(offset: offset) {
                #expect(lines(next, news) == 0, "\(next.stderr)")
                #expect(next.status == 0, "\(next.stderr)")
            }
        }
    }

    @Test(arguments: News.allCases, Cut.allCases)
    func `a run that is cut off says it all the same, or the next one does`(
        _ news: News, _ place: Cut
    ) async throws {
        let line = try await scene(news)
        try cut(line, place)
        let finished = try await line.run(news.command)
        #expect(finished.status == 75, "\(finished.stderr)")
        try heal(line)
        let next = try await line.run(news.command, offset: "+5m")
        #expect(lines(finished, news) + lines(next, news) >= 1, "\(next.stderr)")
        if lines(next, news) > 0 { #expect(next.status == 1, "\(next.stderr)") }
        for last in try await line.minute(offset: "+10m") {
            #expect(lines(last, news) == 0, "\(last.stderr)")
        }
    }

    @Test func `a run that is cut off once finds its way back and says it itself`() async throws {
        let line = try await scene(.lost)
        try line.database.connect().script(
            """
            CREATE SEQUENCE public.cuts;
            CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                IF nextval('public.cuts') = 1 THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NEW;
            END $$;
            GRANT EXECUTE ON FUNCTION public.cut() TO PUBLIC;
            CREATE TRIGGER cut \(Cut.end.rawValue) EXECUTE FUNCTION public.cut();
            """)
        let finished = try await line.run("storage-mirrorer")
        #expect(finished.status == 75, "\(finished.stderr)")
        #expect(lines(finished, .lost) == 1, "\(finished.stderr)")
        #expect(
            try line.value("SELECT exit_status FROM holdfast.run ORDER BY started_at DESC") == "75")
        let next = try await line.run("storage-mirrorer")
        #expect(lines(next, .lost) == 0 && next.status == 0, "\(next.stderr)")
    }

    @Test(arguments: [News.lost, .callback])
    func `what could not be written to anybody is said by the next run`(
        _ news: News
    ) async throws {
        let line = try await scene(news)
        let mute = try await Executable.run(
            "/bin/sh",
            arguments: ["-c", "exec \"$0\" 2>/dev/full", Executable.path(news.command)],
            environment: line.environment())
        #expect(mute.status == 1)
        let next = try await line.run("orphan-recoverer")
        #expect(lines(next, news) == 1 && next.status == 1, "\(next.stderr)")
        let last = try await line.run(news.command)
        #expect(lines(last, news) == 0 && last.status == 0, "\(last.stderr)")
    }

    @Test func `two runs at once say it once, and many are folded`() async throws {
        let line = try RescueLine()
        for n in 1...25 {
            try line.open("job-news-\(n)", taskID: "task-\(n)")
        }
        try line.sql("UPDATE holdfast.job SET claims = 3, next_poll_at = clock_timestamp()")
        try cut(line, .end)
        let dead = try await line.run("stuck-sweeper")
        #expect(dead.status == 75, "\(dead.stderr)")
        try heal(line)
        try line.sql("UPDATE holdfast.run_slot SET run_id = NULL, expires_at = NULL")
        let both = try await line.atOnce(2, "orphan-recoverer", offset: "+5m")
        let said = both.flatMap { $0.stderr.split(separator: "\n") }
        #expect(said.filter { $0.contains("job-news-") }.count == 10, "\(said)")
        #expect(
            said.filter { $0.contains("15 more") && $0.contains("holdfast job list --blocked") }
                .count == 1, "\(said)")
        #expect(both.map(\.status).sorted() == [0, 1])
        let next = try await line.run("stuck-sweeper", offset: "+6m")
        #expect(next.stderr == "" && next.status == 0, "\(next.stderr)")
    }
}
