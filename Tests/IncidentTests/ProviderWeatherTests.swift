import Core
import Postgres
import TestSupport
import Testing

/// Providers that misbehave for a while: nothing is lost, nothing is decided, and it goes on.
@Suite(.serialized) struct ProviderWeather {
    /// Rounds of the minutely jobs until bad weather must be over, however the dice fall.
    private static let mostRounds = 15

    @Test(arguments: PlayedProvider.all)
    func `I-1b half of all answers refuse the key, others are errors, cut off or a web page`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        try line.liftRates()
        try line.setPolicy("deadline", "24h")
        var tasks: [String: String] = [:]
        for n in 1...3 { tasks["job-\(n)"] = try line.open("job-\(n)", at: provider) }
        tasks["page"] = try line.open(
            "page", at: provider, task: ["shape": "html", "shape_polls": 2])
        for trouble in ["server_error_rate", "rate_limited_rate", "cut_rate"] {
            let task = try line.open(trouble, at: provider)
            tasks[trouble] = task
            try line.fault(provider, trouble, taskID: task, count: 2)
        }
        try line.fault(provider, "unauthorized_rate", rate: "0.5")
        var round = 0
        while try line.text("SELECT count(*) FROM holdfast.job WHERE state <> 'delivered'") != "0" {
            round += 1
            let states = try Self.states(line)
            try #require(round <= Self.mostRounds, "\(states)")
            try await line.minute(offset: "+\(round * 6)m")
            #expect(try Self.states(line).allSatisfy { !$0.contains("failed") })
            #expect(
                try line.text("SELECT count(*) FROM holdfast.transfer WHERE kind = 'void'") == "0")
        }
        for (id, task) in tasks { try line.checkDelivered(id, task: task) }
        let counts = try line.simulator.get("/control/counts")
        #expect(counts["unauthorized"]?[provider.name]?.int ?? 0 > 0)
        for trouble in ["server_error", "rate_limited", "cut"] {
            #expect(counts["faults"]?["\(provider):\(trouble)"]?.int == 2, "\(trouble)")
        }
        #expect(try line.violations() == [])
    }

    private static func states(_ line: RescueLine) throws -> [String] {
        try line.sql(
            "SELECT job_id || ' ' || state || coalesce(' ' || blocked, '') AS line FROM holdfast.job"
        ).map { try $0.text("line") }
    }

    /// What the answers about a task can be without saying anything about it.
    private static let silentShapes = [
        "html", "empty", "cut_json", "duplicate_keys", "other_task", "unknown_state",
    ]

    @Test(arguments: PlayedProvider.all(but: "kie", "kling"))
    func `I-1c an answer that says nothing changes nothing`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        try line.liftRates()
        let tasks = try Self.silentShapes.map { shape in
            try line.open(shape, at: provider, task: ["shape": .string(shape)])
        }
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        for (shape, task) in zip(Self.silentShapes, tasks) {
            try line.checkUndecided(shape, "submitted/held")
            try line.change(task, ["shape": "normal"])
        }
        try await line.minute(offset: "+12m")
        for (shape, task) in zip(Self.silentShapes, tasks) {
            try line.checkDelivered(shape, task: task)
        }
    }

    /// OpenAI's answers have no address that could be missing.
    @Test(arguments: PlayedProvider.all(but: "kie", "kling", "openai-videos"))
    func `I-1c a success without a file is neither a success nor a failure`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["shape": "no_urls"])
        try await line.minute(offset: "+6m")
        #expect(try line.transfers("job-1") == ["hold 100"])
        #expect(["submitted/held", "running/held"].contains(try line.outcome("job-1")))
        try line.change(task, ["shape": "normal"])
        try await line.minute(offset: "+12m")
        try line.checkDelivered("job-1", task: task)
    }

    @Test(
        arguments: PlayedProvider.named("fal", "minimax"),
        ["server_error_rate", "unauthorized_rate", "rate_limited_rate", "cut_rate"])
    func `I-3b the second request fails at first, and is made again`(
        _ provider: PlayedProvider, _ trouble: String
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider)
        try line.fault(provider, trouble, step: "result")
        for offset in ["+6m", "+12m"] {
            try await line.minute(offset: offset)
            #expect(try line.transfers("job-1") == ["hold 100"])
            #expect(["submitted/held", "running/held"].contains(try line.outcome("job-1")))
        }
        #expect(try line.count("results", "\(provider):\(task)") >= 2)
        try line.heal(provider.name)
        try await line.minute(offset: "+18m")
        try line.checkDelivered("job-1", task: task)
        try line.checkKeys(of: provider)
        #expect(try line.violations() == [])
    }

    /// The status says that it is over, and the failure is in the second answer only.
    @Test func `I-5b fal's failure is believed when its second answer says so`() async throws {
        let fal = try #require(PlayedProvider.named("fal").first)
        let line = try RescueLine(providers: [fal])
        let task = try line.open(
            "job-1", at: fal, task: ["outcome": "fail", "message": "too long"])
        try line.fault(fal, "server_error_rate", step: "result")
        try await line.minute(offset: "+6m")
        #expect(try line.transfers("job-1") == ["hold 100"])
        try line.heal("fal")
        try await line.minute(offset: "+12m")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        #expect(try line.count("results", "fal:\(task)") >= 2)
    }
}
