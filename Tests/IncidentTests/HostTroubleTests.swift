import Core
import Postgres
import TestSupport
import Testing

/// What only this host suffers from is no failure of a provider, and no other host hears of it.
@Suite struct HostTroubles {
    private func line() throws -> RescueLine {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...30 { try line.open("job-\(n)", taskID: "task-\(n)") }
        return line
    }

    private func checkNoBlame(_ line: RescueLine, _ message: String) throws {
        #expect(
            try line.value(
                "SELECT string_agg(DISTINCT failures || '/' || openings, ' ') FROM holdfast.provider"
            )
                == "0/0", "\(message)")
        #expect(
            try line.value(
                """
                SELECT count(*) FROM holdfast.job
                WHERE claims <> 0 OR lease_owner IS NOT NULL OR silences <> 0
                """) == "0", "\(message)")
    }

    @Test func `a host without descriptors ends with its own message and blames nobody`()
        async throws
    {
        let line = try line()
        let sweeper = try Executable.path("stuck-sweeper")
        var told: [String] = []
        for descriptors in 5...9 {
            let finished = try await Executable.run(
                "/bin/sh",
                arguments: ["-c", "ulimit -n \(descriptors); exec \(sweeper) --limit 5"],
                environment: line.environment(offset: "+6m"))
            if finished.stderr.contains("this host") {
                told.append(finished.stderr)
                #expect(finished.status == 69, "\(finished.stderr)")
                #expect(finished.stderr.contains("ulimit -n"), "\(finished.stderr)")
            }
            #expect(!finished.stderr.contains("left alone"), "\(finished.stderr)")
            try checkNoBlame(line, "\(descriptors): \(finished.stderr)")
        }
        #expect(!told.isEmpty)
        // A healthy host goes on at once.
        let next = try await line.report("stuck-sweeper", offset: "+6m")
        #expect(next["exit_status"]?.int == 0, "\(JSON.write(next))")
        #expect(
            try line.value("SELECT count(*) FROM holdfast.job WHERE state = 'succeeded'") == "30")
    }

    @Test func `a host on which no name resolves blames no provider`() async throws {
        let line = try line()
        for n in 1...30 {
            try line.open(
                "kling-\(n)", provider: "kling", endpoint: "image2video", taskID: "kling-\(n)")
        }
        let finished = try await line.run(
            "stuck-sweeper", offset: "+6m",
            [
                "HOLDFAST_KIE_BASE_URL": "http://kie.invalid",
                "HOLDFAST_KLING_BASE_URL": "http://kling.invalid",
            ])
        #expect(finished.status == 69, "\(finished.stderr)")
        #expect(finished.stderr.contains("name server"), "\(finished.stderr)")
        try checkNoBlame(line, finished.stderr)
    }
}
