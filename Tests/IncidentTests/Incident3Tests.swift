import Core
import Postgres
import TestSupport
import Testing

/// KIE: finished, paid for, not in the library.
@Suite struct Incident3 {
    @Test func `I-3a without a callback it is delivered within two runs`() async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "delivered/captured")
        #expect(try line.balance("account-job-1") == "0/0/100")
        #expect(try line.transfers("job-1") == ["hold 100", "capture 100"])
        #expect(try line.polls("task-1") == 1)
        #expect(try line.violations() == [])
    }
}
