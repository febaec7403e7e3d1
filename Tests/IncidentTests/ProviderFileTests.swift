import Core
import Postgres
import TestSupport
import Testing

/// The files of every provider: behind a key, moved elsewhere, expired.
@Suite(.serialized) struct ProviderFiles {
    @Test(arguments: PlayedProvider.named("google-veo", "openai-videos"))
    func `I-3c the key goes to the provider's own host and never along a redirect`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open(
            "job-1", at: provider, task: ["file_fault": "redirect_elsewhere"])
        try await line.minute(offset: "+6m")
        try line.checkDelivered("job-1", task: task)
        try line.checkKeys(of: provider)
        let seen = try line.requests()
        let shown = seen.filter { $0["status"]?.int == 302 }
        #expect(shown.count == 1 && shown.first?["authorization"]?.isNull == false)
        let moved = seen.filter { $0["path"]?.text?.hasPrefix("/moved/") == true }
        #expect(moved.count == 1 && moved.first?["authorization"]?.isNull == true)
        #expect(moved.first?["host"]?.text?.hasPrefix("127.0.0.2:") == true)
    }

    /// What the provider says to our key is no word about the file.
    @Test(arguments: PlayedProvider.named("google-veo", "openai-videos"))
    func `I-3d a file is not lost because our key is refused`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider)
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        // Another key at first, then none that works for files, then none at all.
        _ = try await line.run(
            "storage-mirrorer", offset: "+6m", [provider.keyVariable: "another-key"])
        try line.checkUndecided("job-1", "succeeded/held")
        try line.fault(provider, "unauthorized_rate", step: "content")
        for offset in ["+12m", "+18m"] {
            _ = try await line.run("storage-mirrorer", offset: offset)
            try line.checkUndecided("job-1", "succeeded/held")
        }
        _ = try await line.run("storage-mirrorer", offset: "+24m", [provider.keyVariable: nil])
        try line.checkUndecided("job-1", "succeeded/held")
        try line.heal(provider.name)
        _ = try await line.run("storage-mirrorer", offset: "+40m")
        try line.checkDelivered("job-1", task: task)
        #expect(try line.violations() == [])
    }

    /// Google's answer is a redirect, of which nothing can be cut off.
    @Test(arguments: [
        ("google-veo", "server_error_rate"), ("google-veo", "rate_limited_rate"),
        ("openai-videos", "server_error_rate"), ("openai-videos", "rate_limited_rate"),
        ("openai-videos", "cut_rate"),
    ])
    func `I-3c a download from the provider itself that fails is made again`(
        _ name: String, _ trouble: String
    ) async throws {
        let provider = try #require(PlayedProvider.named(name).first)
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["file_bytes": 100_000])
        // What broke off is fetched once more in the same run.
        try line.fault(provider, trouble, step: "content", count: trouble == "cut_rate" ? 2 : 1)
        try await line.minute(offset: "+6m")
        try line.checkUndecided("job-1", "succeeded/held")
        try await line.minute(offset: "+12m")
        try line.checkDelivered("job-1", task: task)
    }

    /// Where the provider gives addresses that end, it is asked for new ones.
    @Test(
        arguments: PlayedProvider.all(but: "kie", "replicate", "google-veo", "openai-videos"))
    func `I-3d an address that has expired is asked for again`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["url_life_seconds": 0])
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.checkUndecided("job-1", "succeeded/held")
        let polls = try line.polls(task, provider: provider.name)
        try line.change(task, ["url_life_seconds": 86_400])
        for offset in ["+6m", "+12m"] {
            _ = try await line.run("storage-mirrorer", offset: offset)
        }
        try line.checkDelivered("job-1", task: task)
        #expect(try line.polls(task, provider: provider.name) > polls)
        #expect(try line.violations() == [])
    }

    @Test(arguments: PlayedProvider.all)
    func `I-3d files that are gone for good cost the customer nothing`(
        _ provider: PlayedProvider
    ) async throws {
        let line = try RescueLine(providers: [provider])
        let task = try line.open("job-1", at: provider, task: ["refreshable": false])
        _ = try await line.run("stuck-sweeper", offset: "+6m")
        try line.checkUndecided("job-1", "succeeded/held")
        try line.change(task, ["files_expired": true, "file_fault": "expired"])
        for offset in ["+6m", "+12m", "+18m"] {
            _ = try await line.run("storage-mirrorer", offset: offset)
        }
        #expect(try line.outcome("job-1") == "failed/voided/result_lost")
        #expect(try line.balance("account-job-1") == "100/0/0")
        #expect(line.storedFiles() == [])
        #expect(
            try line.text("SELECT class FROM holdfast.finding") == "provider-billed-failed-job")
        #expect(try line.violations() == [])
    }
}
