import Core
import Glibc
import Postgres
import TestSupport
import Testing

/// Several hosts in one URL: the next is tried when one refuses and when one hangs.
@Suite struct HostLists {
    /// A port whose connections are taken by the kernel and never answered, as by a server that was
    /// stopped.
    private final class SilentPort {
        let port: Int
        private let listener: Int32

        init() throws {
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let listener = listener
            let taken = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(listener, pointer, length) == 0 && listen(listener, 8) == 0
                        && getsockname(listener, pointer, &length) == 0
                }
            }
            try #require(taken)
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        deinit { close(listener) }
    }

    private func url(_ hosts: String, _ rest: String = "") throws -> String {
        let own = try TestCluster.shared().url
        let at = try #require(own.lastIndex(of: "@") ?? own.firstIndex(of: "/"))
        let user = own[own.startIndex...at].hasSuffix("@") ? own[...at] : "postgres://"
        return "\(user)\(hosts)/postgres\(rest)"
    }

    private func server() throws -> String {
        let connection = try TestCluster.shared().connect()
        return String(connection.place.prefix { $0 != "/" })
    }

    @Test(arguments: ["", "?target_session_attrs=read-write", "?connect_timeout=2"])
    func `a host that hangs is left for the next one`(rest: String) throws {
        let silent = try SilentPort()
        let clock = ContinuousClock.now
        let connection = try Connection(
            url: url("127.0.0.1:\(silent.port),\(server())", rest), connectTimeout: .seconds(4))
        #expect(try connection.query("SELECT 1 AS one").single().int("one") == 1)
        #expect(ContinuousClock.now - clock < .seconds(4))
    }

    @Test func `a host that refuses is left for the next one`() throws {
        let connection = try Connection(url: url("127.0.0.1:1,\(server())"))
        #expect(try connection.query("SELECT 1 AS one").single().int("one") == 1)
    }

    @Test func `when none answers, each is named with its own reason, within the time of all`()
        throws
    {
        let silent = try SilentPort()
        let clock = ContinuousClock.now
        let wanted = try url("127.0.0.1:\(silent.port),127.0.0.1:1")
        let error = #expect(throws: PostgresError.self) {
            _ = try Connection(url: wanted, connectTimeout: .seconds(2)).isAlive
        }
        #expect(ContinuousClock.now - clock < .seconds(4))
        let failure = try #require(error?.failure)
        #expect(failure.status == .databaseUnavailable)
        #expect(failure.message.contains("127.0.0.1:\(silent.port)/postgres no answer within 1s"))
        #expect(failure.message.contains("127.0.0.1:1/postgres connection refused"))
    }

    @Test func `a server that refuses the login is believed, and no other is asked`() throws {
        let silent = try SilentPort()
        let wanted = try url("\(server()),127.0.0.1:\(silent.port)")
            .replacing("/postgres", with: "/no_such_database_here")
        let error = #expect(throws: PostgresError.self) {
            _ = try Connection(url: wanted, connectTimeout: .seconds(4)).isAlive
        }
        #expect(error?.sqlState == "3D000")
    }
}
