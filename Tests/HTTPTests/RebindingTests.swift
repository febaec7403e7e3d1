import HTTP
import TestSupport
import Testing

/// Names whose answers change between the look and the leap, on the first hop and on later ones.
@Suite(.timeLimit(.minutes(2)))
struct RebindingTests {
    static let publicAddresses = [
        "198.41.0.4", "8.8.8.8", "1.1.1.1", "2001:503:ba3e::2:30", "2606:4700:4700::1111",
    ]
    static let deniedAddresses = [
        "10.9.9.9", "169.254.169.254", "127.0.0.1", "192.168.1.1", "172.17.0.1", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "0.0.0.0", "240.0.0.1",
        "fd00:ec2::254", "::1", "fe80::1",
        "::ffff:169.254.169.254", "::ffff:7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601", "2606:4700::5efe:a9fe:a9fe",
    ]

    /// What becomes of a name that is asked for twice, by clients that know nothing of each other.
    enum Fate { case reached, refused, each }

    /// How a name's answers change; see `Tests/Peers/closed_world.py`.
    static let manners: [(manner: String, fate: Fate)] = [
        ("public", .reached), ("denied", .refused), ("flip", .each), ("flop", .each),
        ("both", .reached), ("htob", .reached), ("split", .reached), ("tilps", .reached),
        ("chainpublic", .reached), ("chaindenied", .refused), ("chainflip", .each),
        ("chainflop", .each), ("chainboth", .reached), ("chainhtob", .reached),
    ]

    static let names = 0..<20

    static let world: ClosedWorld = {
        var world = ClosedWorld()
        world.publicAddresses = publicAddresses
        world.deniedAddresses = deniedAddresses
        return world
    }()

    @Test func `a name leads to public addresses only, each time it is asked for`() async throws {
        var chance = SeededGenerator()
        let seed = "\(chance)"
        var urls: [String] = []
        for (manner, _) in Self.manners {
            // The first hop is public; the second has a name of its own.
            for name in Self.names {
                let direct = "http://\(name)-\(manner).test/"
                let hop = "http://\(name)-public.test/go/http://\(name + 99)-\(manner).test:8080/"
                urls += [direct, direct, hop, hop]
            }
        }
        urls.shuffle(using: &chance)
        let report = try await Self.world.visit(urls)
        #expect(report.visits.count == urls.count && urls.count >= 1000, "\(seed)")
        #expect(report.connections(outside: Self.publicAddresses) == [:], "\(seed)")
        // The attack did take place.
        #expect(report.deniedAnswers >= 750, "\(seed)")
        expectFates(report.visits, seed)
    }

    private func expectFates(_ visits: [ClosedWorld.Visit], _ seed: String) {
        for (url, visits) in Dictionary(grouping: visits, by: \.url) {
            let manner = url.split(separator: "-").last?.prefix { $0 != "." } ?? ""
            let fate = Self.manners.first { $0.manner == manner }?.fate
            let reached = visits.count { $0.status == 200 }
            let refused = visits.count { $0.code == .blockedAddress }
            switch fate {
            case .reached: #expect(reached == 2, "\(visits) \(seed)")
            case .refused: #expect(refused == 2, "\(visits) \(seed)")
            case .each: #expect(reached == 1 && refused == 1, "\(visits) \(seed)")
            case nil: Issue.record("a name of an unknown manner: \(url) \(seed)")
            }
        }
    }

    /// Connections and looked-up names are shared here, as they are between the mirror's downloads.
    @Test func `downloads at the same time do not lead each other astray`() async throws {
        var chance = SeededGenerator()
        let seed = "\(chance)"
        var urls: [String] = []
        for number in 0..<1200 {
            let manners = Self.manners.map(\.manner) + ["random", "chainrandom"]
            guard let manner = manners.randomElement(using: &chance) else { continue }
            let name = "\(number / 3)-\(manner).test"
            switch Int.random(in: 0..<3, using: &chance) {
            case 0: urls.append("http://\(name)/")
            case 1: urls.append("http://\(name)/go/http://\(name):8080/")
            default: urls.append("http://\(number)-public.test/go/http://\(name):8080/")
            }
        }
        var world = Self.world
        world.flags = ["--together"]
        let report = try await world.visit(urls)
        #expect(report.visits.count == urls.count, "\(seed)")
        #expect(report.connections(outside: Self.publicAddresses) == [:], "\(seed)")
        #expect(report.deniedAnswers >= 300, "\(seed)")
        for visit in report.visits {
            #expect(visit.status == 200 || visit.code == .blockedAddress, "\(visit) \(seed)")
        }
    }

    @Test func `a public server cannot send us to an address of ours`() async throws {
        let hosts = EgressCorpusTests.hostile.filter { $0.utf8.allSatisfy { $0 < 0x7f } }
        // Escaped twice: once for the way to the server, which puts the rest into its answer.
        let urls = hosts.map { host in
            "http://198.41.0.4/go/http://\(host.replacing("%", with: "%25"))/latest/meta-data/"
        }
        let report = try await Self.world.visit(urls)
        #expect(report.visits.count == urls.count)
        for visit in report.visits {
            #expect(visit.code == .blockedAddress || visit.code == .badURL, "\(visit)")
        }
        #expect(report.accepted == ["198.41.0.4": urls.count])
    }

    /// Otherwise the tests above could pass because no denied address can be connected to.
    @Test func `without the policy the same names lead to our own addresses`() async throws {
        var world = Self.world
        world.flags = ["--anywhere"]
        let report = try await world.visit(
            Self.names.flatMap { name in
                Self.manners.flatMap { manner, _ in
                    let url = "http://\(name)-public.test/go/http://\(name)-\(manner).test:8080/"
                    return [url, url]
                }
            })
        let astray = report.connections(outside: Self.publicAddresses)
        #expect(astray.values.reduce(0, +) >= 100)
        #expect(astray.count >= 12)
    }
}
