import Core
import Postgres
import TestSupport
import Testing

/// The way of a job at every provider, from the hold to the file or to the credits back.
@Suite(.serialized) struct ProviderDelivery {
    @Test(arguments: PlayedProvider.all)
    func `I-3a I-5a nobody calls back, and the customer pays once for a file that is there`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["polls_until_done": 1])
        #expect(try line.balance("account-job-1") == "0/100/0")
        try await line.minute(offset: "+6m")
        try line.checkUndecided("job-1", "running/held")
        // Finished by now: known one threshold later, and not yet the customer's.
        _ = try await line.run("stuck-sweeper", offset: "+12m")
        try line.checkUndecided("job-1", "succeeded/held")
        _ = try await line.run("storage-mirrorer", offset: "+12m")
        try line.checkDelivered("job-1", task: task)
        #expect(try line.balance("account-job-1") == "0/0/100")
        let events = try line.sql(
            "SELECT to_state FROM holdfast.job_event WHERE job_id = 'job-1' ORDER BY event_id"
        ).map { try $0.text("to_state") }
        #expect(events == ["created", "submitted", "running", "succeeded", "delivered"])
        // The file first, then the money, and both before anybody is told.
        #expect(
            try line.value(
                """
                SELECT a.stored_at <= t.created_at AND t.created_at <= e.happened_at
                FROM holdfast.asset a JOIN holdfast.transfer t USING (job_id)
                JOIN holdfast.job_event e USING (job_id)
                WHERE t.kind = 'capture' AND e.to_state = 'delivered'
                """) == "t")
        // Another minute has nothing to do and asks nobody.
        try await line.minute(offset: "+18m")
        #expect(try line.polls(task, provider: provider.name) == 2)
        #expect(try line.count("results", "\(provider):\(task)") == (provider.asksTwice ? 1 : 0))
        #expect(try line.count("files", "\(task)/0") == 1)
        try line.checkKeys(of: provider)
        #expect(try line.violations() == [])
    }

    @Test func `I-5a one run serves every provider, and shows each its own key`() async throws {
        let line = try RescueLine(providers: PlayedProvider.all)
        let tasks = try PlayedProvider.all.map { try line.open("at-\($0)", at: $0) }
        try await line.minute(offset: "+6m")
        for (provider, task) in zip(PlayedProvider.all, tasks) {
            try line.checkDelivered("at-\(provider)", task: task)
        }
        let seen = try line.simulator.get("/control/counts")["distinct_authorizations"]
        let names = seen?.object?.members.map(\.key) ?? []
        #expect(names == PlayedProvider.all.map(\.name).sorted())
        // Kling's proof is made anew for each request.
        #expect(names.allSatisfy { seen?[$0]?.int == 1 || $0 == "kling" })
        #expect(try line.violations() == [])
    }

    @Test(arguments: PlayedProvider.all)
    func `I-5b the provider failed, so the reason is kept and the credits are whole again`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open(
            "job-1", at: provider,
            task: [
                "outcome": "fail", "polls_until_done": 1, "message": "the colour blue is forbidden",
            ])
        try await line.minute(offset: "+6m")
        try line.checkUndecided("job-1", "running/held")
        try await line.minute(offset: "+12m")
        #expect(try line.outcome("job-1") == "failed/voided/provider_failed")
        let reason = try line.status("job-1").optionalText("error_message") ?? ""
        #expect(reason.contains("the colour blue is forbidden"), "\(reason)")
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.balance("account-job-1") == "100/0/0")
        // It stays so, and nobody asks again.
        try await line.minute(offset: "+18m")
        #expect(try line.polls(task, provider: provider.name) == 2)
        #expect(try line.transfers("job-1") == ["hold 100", "void 100"])
        #expect(try line.violations() == [])
    }

    @Test(arguments: PlayedProvider.all(but: "luma", "minimax", "seedance", "openai-videos"))
    func `I-5a several files of one task are all stored`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["outputs": 3])
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: task)
        #expect(try line.status("job-1").texts("asset_urls").count == 3)
    }

    @Test(arguments: [
        ("replicate", "cancel", "provider_cancelled"), ("runway", "cancel", "provider_cancelled"),
        ("seedance", "cancel", "provider_cancelled"), ("seedance", "expire", "provider_expired"),
    ])
    func `I-5b a task that was cancelled or ran out of time ends its job`(
        _ name: String, _ outcome: String, _ code: String
    ) async throws {
        let provider = try #require(PlayedProvider.named(name).first)
        let line = try RescueLine(providers: [provider])
        _ = try line.open("job-1", at: provider, task: ["outcome": .string(outcome)])
        try await line.minute(offset: "+6m")
        #expect(try line.outcome("job-1") == "failed/voided/\(code)")
        #expect(try line.balance("account-job-1") == "100/0/0")
    }
}

extension RescueLine {
    /// The provider has seen one key, at its own address, and nobody else has seen any.
    func checkKeys(
        of provider: PlayedProvider, _ place: SourceLocation = #_sourceLocation
    ) throws {
        let seen = try simulator.get("/control/counts")["distinct_authorizations"]?.object
        // Kling's proof is made anew for each request.
        let names = seen?.members.map(\.key) ?? []
        #expect(names == [provider.name], sourceLocation: place)
        if provider.name != "kling" {
            #expect(seen?[provider.name]?.int == 1, sourceLocation: place)
        }
        let own = simulator.baseURL.dropFirst("http://".count)
        for request in try requests() where request["authorization"]?.isNull == false {
            let path = request["path"]?.text ?? ""
            #expect(request["host"]?.text == String(own), "\(path)", sourceLocation: place)
            #expect(path.hasPrefix("/\(provider)/"), sourceLocation: place)
        }
    }
}
