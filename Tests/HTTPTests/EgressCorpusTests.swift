import Testing

@testable import HTTP

/// Every hostile address against the classifier, and against sockets that would really connect.
@Suite(.timeLimit(.minutes(2)))
struct EgressCorpusTests {
    private static let policy = EgressPolicy.publicOnly(allowing: [])

    /// Hosts of URLs that must not be reached.
    static let hostile: [String] =
        AddressCorpus.spellings.flatMap(\.hosts) + EgressTests.refused.map(host)
        + edges.flatMap { [host($0.first.description), host($0.last.description)] }

    /// Addresses that must be reached, the closest neighbours of what is refused among them.
    static let reachable: [String] = Array(
        Set(
            EgressTests.reachable
                + AddressCorpus.ranges.flatMap { [$0.before, $0.after] }
                .compactMap(\.self))
    ).sorted()

    static let edges: [(first: IPAddress, last: IPAddress)] = AddressCorpus.ranges.compactMap {
        CIDR($0.range).map { ($0.network, last($0)) }
    }

    @Test func `the corpus is long and its ranges are ranges`() {
        #expect(Set(Self.hostile).count >= 440)
        #expect(Self.reachable.count >= 60)
        #expect(Self.edges.count == AddressCorpus.ranges.count)
    }

    @Test(arguments: AddressCorpus.ranges.map(\.range))
    func `a range is refused from its first address to its last`(_ text: String) throws {
        let range = try #require(CIDR(text))
        for address in [range.network, Self.last(range)] {
            #expect(Self.policy.refusal(of: address) != nil, "\(address)")
        }
    }

    @Test(arguments: reachable)
    func `what lies beside a range is allowed`(_ text: String) throws {
        #expect(Self.policy.refusal(of: try #require(IPAddress(text))) == nil)
    }

    @Test(arguments: AddressCorpus.spellings.flatMap(\.hosts))
    func `a spelling that is an address is refused as one`(_ host: String) {
        var text = host[...]
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        guard let address = IPAddress(String(text)) else { return }
        #expect(Self.policy.refusal(of: address) != nil)
    }

    /// The environment offers a proxy at a public address besides, which would hide the real one.
    @Test func `no spelling leads to a connection`() async throws {
        var world = ClosedWorld()
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            world.environment[name] = "http://198.41.0.4:80"
        }
        let urls = Self.hostile.map { "http://\($0)/x?sig=abc" } + AddressCorpus.urls
        let report = try await world.visit(urls)
        #expect(report.visits.map(\.url) == urls)
        for visit in report.visits {
            #expect(visit.code == .blockedAddress || visit.code == .badURL, "\(visit)")
            #expect(!visit.message.contains("abc"), "\(visit)")
        }
        #expect(report.accepted == [:])
    }

    @Test func `what cannot be read leads nowhere`() async throws {
        let report = try await ClosedWorld().visit(
            AddressCorpus.unreadable.map { "http://\($0)/" })
        #expect(report.visits.count == AddressCorpus.unreadable.count)
        for visit in report.visits { #expect(visit.status == nil, "\(visit)") }
        #expect(report.accepted == [:])
    }

    /// Otherwise the test above could pass because nothing connects at all.
    @Test func `without the policy many of them lead to one`() async throws {
        var world = ClosedWorld()
        world.flags = ["--anywhere"]
        let report = try await world.visit(Self.hostile.map { "http://\($0)/" })
        #expect(report.visits.count { $0.status == 200 } >= 250)
        let places = [
            "127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "168.63.129.16", "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "192.31.196.0", "240.0.0.1",
        ]
        for place in places { #expect(report.accepted[place, default: 0] > 0, "\(place)") }
    }

    @Test func `every public address is connected to`() async throws {
        let report = try await ClosedWorld().visit(
            Self.reachable.map { "http://\(Self.host($0))/" })
        for visit in report.visits { #expect(visit.status == 200, "\(visit)") }
        #expect(report.visits.count == Self.reachable.count)
        #expect(report.accepted.values.reduce(0, +) == Self.reachable.count)
    }

    private static func host(_ address: String) -> String {
        address.contains(":") ? "[\(address)]" : address
    }

    private static func last(_ range: CIDR) -> IPAddress {
        switch range.network {
        case .v4(let number): .v4(number | ~(UInt32.max << (32 - range.prefixBits)))
        case .v6(let number): .v6(number | ~(UInt128.max << (128 - range.prefixBits)))
        }
    }
}
