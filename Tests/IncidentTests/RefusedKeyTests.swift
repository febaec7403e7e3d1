import Core
import Postgres
import TestSupport
import Testing

/// A key that the provider refuses is called that, wherever a person may look.
@Suite struct RefusedKeys {
    @Test func `a refused key is called that in run, doctor, status and provider list`()
        async throws
    {
        let line = try RescueLine()
        try line.liftRates()
        for n in 1...8 { try line.open("job-\(n)", taskID: "task-\(n)") }
        let bad = ["HOLDFAST_KIE_API_KEY": "canary-revoked-key" as String?]
        let run = try await line.run("stuck-sweeper", offset: "+6m", bad)
        #expect(run.status == 78, "\(run.stderr)")
        #expect(run.stderr.contains("never accepted them"), "\(run.stderr)")
        let doctor = try await line.run("holdfast", ["doctor"], offset: "+6m", bad)
        #expect(
            doctor.stdout.contains("fail  provider kie: the key is refused (401)")
                || doctor.stdout.split(separator: "\n").contains {
                    $0.contains("fail") && $0.contains("provider kie")
                        && $0.contains("the key is refused (401)")
                        && $0.contains("HOLDFAST_KIE_API_KEY")
                }, "\(doctor.stdout)")
        #expect(!doctor.stdout.contains("look at the provider's own status page"))
        let status = try await line.run("holdfast", ["status"], offset: "+6m", bad)
        #expect(status.stdout.contains("key is refused (401)"), "\(status.stdout)")
        // Trouble that lasts is listed by both, with how often it was met.
        for shown in [doctor.stdout, status.stdout] {
            #expect(shown.contains("lasting trouble"), "\(shown)")
        }
        for text in [run.stderr, doctor.stdout, status.stdout] {
            #expect(!text.contains("canary-revoked-key"))
        }
        // Another key, and nothing is left of it.
        try await line.minute(offset: "+20m")
        try await line.minute(offset: "+21m")
        let healed = try await line.run("holdfast", ["doctor"], offset: "+21m")
        #expect(!healed.stdout.contains("key is refused"), "\(healed.stdout)")
    }
}
