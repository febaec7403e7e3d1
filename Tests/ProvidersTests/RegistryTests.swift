import Core
import HTTP
import Providers
import Testing

@Suite("Registry")
struct RegistryTests {
    @Test("without variables every provider is off, and still reads")
    func off() throws {
        let registry = try ProviderRegistry { _ in nil }
        #expect(Set(ProviderRegistry.names).count == ProviderRegistry.names.count)
        for name in ProviderRegistry.names {
            #expect(!registry.isConfigured(name))
            let provider = try #require(registry.provider(name))
            #expect(provider.name == name)
            let endpoint = try #require(
                provider.endpoints(
                    for: TaskReference(taskID: "t", model: "m", kind: .video)
                ).first)
            let error = #expect(throws: Failure.self) {
                try provider.pollRequest(taskID: "t", endpoint: endpoint, now: testNow)
            }
            #expect(error?.status == .configuration)
            let part = name.uppercased().replacing("-", with: "_")
            #expect(error?.message.contains("HOLDFAST_\(part)_") == true)
            let variables = registry.missingVariables(name) + [type(of: provider).baseURLVariable]
            #expect(variables.count > 1)
            #expect(variables.allSatisfy { $0.hasPrefix("HOLDFAST_\(part)_") })
        }
        #expect(registry.provider("nobody") == nil)
        #expect(!registry.isConfigured("nobody"))
        #expect(registry.missingVariables("nobody").isEmpty)
        #expect(registry.missingVariables("kie") == ["HOLDFAST_KIE_API_KEY"])
    }

    @Test("half of a pair of keys is not enough")
    func half() throws {
        let registry = try ProviderRegistry {
            ["HOLDFAST_KLING_ACCESS_KEY": "ak", "HOLDFAST_KLING_SECRET_KEY": " "][$0]
        }
        #expect(!registry.isConfigured("kling"))
        #expect(registry.missingVariables("kling") == ["HOLDFAST_KLING_SECRET_KEY"])
    }

    @Test(
        "a malformed value names its variable and never itself",
        arguments: [
            ("HOLDFAST_KIE_API_KEY", "canary\n"), ("HOLDFAST_KIE_API_KEY", "can ary"),
            ("HOLDFAST_KIE_API_KEY", "canary\u{0}"), ("HOLDFAST_KIE_API_KEY", "canäry"),
            ("HOLDFAST_KLING_SECRET_KEY", "canary\r\nX: y"),
            ("HOLDFAST_KIE_BASE_URL", "canary"), ("HOLDFAST_KIE_BASE_URL", "ftp://canary"),
            ("HOLDFAST_KIE_BASE_URL", "https://"), ("HOLDFAST_KIE_BASE_URL", "https://canary/?a=1"),
            ("HOLDFAST_KIE_BASE_URL", "https://canary:pw@host"),
            ("HOLDFAST_KLING_BASE_URL", "https://canary\n"),
            ("HOLDFAST_KLING_BASE_URL", "https://canary#x"),
        ])
    func malformed(variable: String, value: String) {
        let error = #expect(throws: Failure.self) {
            try ProviderRegistry { $0 == variable ? value : nil }
        }
        #expect(error?.status == .configuration)
        #expect(error?.message.contains(variable) == true)
        #expect(error?.message.contains("can") == false)
    }

    @Test("a base address may have a port and a path")
    func base() throws {
        let registry = try ProviderRegistry {
            ["HOLDFAST_KIE_API_KEY": "k", "HOLDFAST_KIE_BASE_URL": "http://localhost:8080/kie//"][
                $0]
        }
        #expect(registry.isConfigured("kie"))
        let provider = try #require(registry.provider("kie"))
        let request = try provider.pollRequest(taskID: "t", endpoint: "market", now: testNow)
        #expect(request.url == "http://localhost:8080/kie/api/v1/jobs/recordInfo?taskId=t")
    }
}
