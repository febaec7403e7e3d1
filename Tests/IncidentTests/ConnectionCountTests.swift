import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// How many connections the programs of one minute have open together.
@Suite struct ConnectionCount {
    @Test func `all programs of a minute have four at most`() async throws {
        let line = try RescueLine()
        try line.open("stuck", taskID: "task-stuck")
        try line.callBack(#"{"data":{"taskId":"task-stuck"}}"#)
        try line.open("waited", taskID: "task-waited")
        try line.sql("SELECT holdfast.mark_timed_out('waited')")
        try line.open("finished", taskID: "task-finished")
        let urls = try line.simulator.get("/control/tasks/task-finished")["files"]?.array ?? []
        try line.sql(
            """
            SELECT holdfast.finish_job('finished', 'succeeded',
                \(urls.compactMap { $0["url"]?.text })::text[])
            """)
        // Everybody is in the middle of something.
        try line.fault(["provider": "all", "delay_ms": 3000])
        let names = ["stuck-sweeper", "orphan-recoverer", "storage-mirrorer"]
        let running = try names.map { try line.begin($0, offset: "+6m") }
        var most = 0
        var together: Set<String> = []
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end, together.count < 3 {
            let rows = try line.sql(
                """
                SELECT application_name AS name FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = ANY (\(names)::text[])
                """)
            most = max(most, rows.count)
            together = Set(try rows.map { try $0.text("name") })
        }
        #expect(together.count == 3, "they never ran together")
        for process in running {
            let finished = await process.wait()
            #expect(finished.status == 0, "\(finished.stderr)")
        }
        #expect(most <= 4, "\(most) connections")
    }
}
