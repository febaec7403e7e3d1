import Core
import Foundation
import HTTP
import Testing

@Suite(.timeLimit(.minutes(1)))
struct EgressTests {
    static let refused = """
        0.0.0.0 0.0.0.1 0.1.2.3 0.255.255.255 10.0.0.0 10.0.0.1 10.1.2.3 10.255.255.255
        100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.0.0.53
        127.1.1.1 127.255.255.255 169.254.0.0 169.254.0.1 169.254.169.254 169.254.170.2
        169.254.255.255 172.16.0.0 172.16.0.1 172.17.0.1 172.20.10.1 172.31.255.255 192.0.0.0
        192.0.0.8 192.0.0.170 192.0.0.255 192.0.2.0 192.0.2.55 192.0.2.255 192.88.99.0
        192.88.99.1 192.88.99.255 192.168.0.0 192.168.0.1 192.168.1.254 192.168.255.255
        198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.7 198.51.100.255
        203.0.113.0 203.0.113.9 203.0.113.255 224.0.0.0 224.0.0.1 232.1.1.1 239.255.255.255
        240.0.0.0 240.0.0.1 250.1.1.1 255.255.255.254 255.255.255.255
        :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:10.0.0.1
        ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:192.168.1.1 ::ffff:172.16.5.5
        ::ffff:100.64.1.1 ::ffff:224.0.0.1 ::ffff:255.255.255.255 ::ffff:7f00:1
        ::ffff:0:0:0 ::ffff:0:7f00:1 ::ffff:0:808:808 ::ffff:0:169.254.169.254
        64:ff9b::7f00:1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b::192.168.0.1
        64:ff9b::0.0.0.0 64:ff9b::100.64.0.1 64:ff9b:1:: 64:ff9b:1::1 64:ff9b:1::8.8.8.8
        64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b:0:0:1:: 64:ff9c:: 100:: 100::1
        100::ffff:ffff:ffff:ffff 100:0:0:1:: 2001:: 2001::1 2001:0:ffff:ffff:ffff:ffff:ffff:ffff
        2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:1f:: 2001:20::1 2001:1ff:ffff::1 2001:db8::
        2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:7f00:1:: 2002:7f00:1::1
        2002:a9fe:a9fe::1 2002:808:808::1 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff::1
        3fff:fff:ffff::1 fc00:: fc00::1 fcff:ffff::1 fd00::1 fd12:3456:789a:1::1 fd00:ec2::254
        fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80:: fe80::1 fe80::a9fe:a9fe
        febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0:: fec0::1 feff:ffff::1 ff00:: ff01::1
        ff02::1 ff02::fb ff05::2 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        2a00:1450::5efe:7f00:1 2a00:1450::5efe:10.0.0.1 2a00:1450::200:5efe:8.8.8.8
        2a00:1450::300:5efe:1.2.3.4 2a00:1450::100:5efe:1.2.3.4 4000:: 5f00::1 8000::1 e000::1
        1::1 200::1 1fff:ffff::1 100.127.0.1 172.24.0.1 198.19.0.1 fe80:1::1 fc12::34 ff3e::1
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    static let reachable = """
        1.0.0.1 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0
        126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
        191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255
        192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255
        203.0.114.0 223.255.255.255 104.16.1.1 142.250.1.1 2000:: 2001:200::1 2001:4860:4860::8888
        2001:db7:ffff::1 2001:db9::1 2003::1 2400:cb00::1 2606:4700:4700::1111 2a00:1450:4001::1
        2a00:1450::5eff:1:1 2a00:1450::400:5efe:1:1 3ffe:ffff::1 3fff:1000::1
        3eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::ffff:8.8.8.8 ::ffff:1.1.1.1 64:ff9b::8.8.8.8
        64:ff9b::1.1.1.1 64:ff9b::198.20.0.0
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    @Test func theTablesAreLong() {
        #expect(Self.refused.count >= 150)
        #expect(Self.reachable.count >= 45)
    }

    @Test(arguments: refused)
    func isRefused(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(EgressPolicy.publicOnly(allowing: []).refusal(of: address) != nil)
        #expect(EgressPolicy.anywhere.refusal(of: address) == nil)
        // Allowing exactly this address is enough, its neighbours are not.
        let width = text.contains(":") ? 128 : 32
        let own = try #require(CIDR("\(text)/\(width)"))
        #expect(EgressPolicy.publicOnly(allowing: [own]).refusal(of: address) == nil)
        let other = try #require(CIDR(width == 32 ? "203.0.112.0/32" : "2a00::/128"))
        #expect(EgressPolicy.publicOnly(allowing: [other]).refusal(of: address) != nil)
    }

    @Test(arguments: reachable)
    func isReachable(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(EgressPolicy.publicOnly(allowing: []).refusal(of: address) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("10.0.0.0/8", "64:ff9b::10.1.1.1", true),
        ("10.0.0.0/8", "::10.1.1.1", false), ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fc12::1", false), ("0.0.0.0/0", "127.0.0.1", true),
        ("0.0.0.0/0", "::1", false), ("::/0", "fe80::1", true), ("::/0", "127.0.0.1", false),
    ])
    func aRangeThatIsAllowed(_ range: String, _ text: String, _ expected: Bool) throws {
        let policy = EgressPolicy.publicOnly(allowing: [try #require(CIDR(range))])
        let address = try #require(IPAddress(text))
        // What is public anyway says nothing about the range.
        if EgressPolicy.publicOnly(allowing: []).refusal(of: address) == nil { return }
        #expect((policy.refusal(of: address) == nil) == expected)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8",
        "10.0.0.1/8", "10.0.0/8", "010.0.0.0/8", "0x0a.0.0.0/8", "167772160/8", "::/129",
        "fd00::1/8",
        "[::1]", "fe80::1%eth0", "example.com", "10.0.0.0 /8", "10.0.0.0/ 8", "10.0.0.0/٨",
        "10.0.0.0/99999999999999999999",
    ])
    func isNoRange(_ text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test func readsTheListOfTheEnvironment() throws {
        let ranges = try CIDR.list(" 10.0.0.0/8, 192.0.2.7\n fd00::/8 ")
        #expect(ranges.map(\.description) == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"])
        #expect(ranges[1].contains("192.0.2.7"))
        #expect(!ranges[1].contains("192.0.2.8"))
        #expect(!ranges[1].contains("nonsense"))
        #expect(try CIDR.list("").isEmpty)
        let failure = #expect(throws: Failure.self) { try CIDR.list("10.0.0.0/8 10.0.0.7/8") }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("\"10.0.0.7/8\"") == true)
        #expect(failure?.message.contains("HOLDFAST_EGRESS_ALLOW") == true)
    }

    @Test(arguments: [
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1", "0", "localhost",
        "LOCALHOST", "a.localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00::1]",
        "169.254.169.254", "10.0.0.1", "%31%32%37.0.0.1",
    ])
    func noSpellingOfAPrivateAddressConnects(_ host: String) throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        var client = try Client()
        let request = Request(
            url: server.url("/x?sig=abc", host: host), egress: .publicOnly(allowing: []))
        for result in [client.ask(request), client.fetch(request, into: Collector())] {
            #expect(result.code == .blockedAddress, "\(result)")
            #expect(result.message.contains("HOLDFAST_EGRESS_ALLOW"))
            #expect(!result.message.contains("abc"))
        }
        #expect(server.asked.isEmpty)
    }

    @Test func anAllowedRangeConnects() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        let allowed = try #require(CIDR("127.0.0.0/8"))
        var client = try Client()
        let request = Request(url: server.url("/"), egress: .publicOnly(allowing: [allowed]))
        #expect(client.ask(request).status == 200)
        #expect(client.fetch(request, into: Collector()).status == 200)
    }

    @Test func aKeptConnectionIsJudgedAgain() throws {
        let server = try LoopbackServer { _, peer in peer.answer(200) }
        let allowed = try #require(CIDR("127.0.0.0/8"))
        var client = try Client()
        var request = Request(url: server.url("/"))
        #expect(client.ask(request).status == 200)
        request.egress = .publicOnly(allowing: [])
        #expect(client.fetch(request, into: Collector()).code == .blockedAddress)
        #expect(client.ask(request).code == .blockedAddress)
        request.egress = .publicOnly(allowing: [allowed])
        #expect(client.fetch(request, into: Collector()).status == 200)
        #expect(server.asked.count == 2)
    }

    @Test(arguments: [
        "http://user@127.0.0.1/", "http://user:w0rd@127.0.0.1/", "http://:w@127.0.0.1/",
    ])
    func downloadsRefuseUserInfo(_ url: String) throws {
        var client = try Client()
        let result = client.fetch(Request(url: url), into: Collector())
        #expect(result.code == .badURL)
        #expect(!result.message.contains("w0rd"))
    }

    @Test func theEnvironmentsProxiesAndPasswordsAreNotUsed() async {
        await #expect(processExitsWith: .success) {
            let home = FileManager.default.temporaryDirectory
                .appendingPathComponent("netrc-\(getpid())")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: home) }
            try "machine 127.0.0.1 login u password p\n".write(
                to: home.appendingPathComponent(".netrc"), atomically: true, encoding: .utf8)
            try "proxy = http://127.0.0.1:1\n".write(
                to: home.appendingPathComponent(".curlrc"), atomically: true, encoding: .utf8)
            setenv("HOME", home.path, 1)
            for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
                setenv(name, "http://127.0.0.1:1", 1)
            }
            unsetenv("no_proxy")
            unsetenv("NO_PROXY")
            let server = try LoopbackServer { _, peer in peer.answer(200) }
            var client = try Client()
            let request = Request(url: server.url("/"))
            guard client.ask(request).status == 200,
                client.fetch(request, into: Collector()).status == 200,
                server.asked.allSatisfy({ $0.headers.first(named: "authorization") == nil })
            else { throw POSIXError(.EPROTO) }
        }
    }
}
