import Core
import Foundation
import TestSupport
import Testing

@testable import Runner

struct SettingsTests {
    /// A folder of one test's own.
    private final class Folder {
        let path = NSTemporaryDirectory() + "/holdfast-settings-" + RunID.make()

        init() throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ text: String, to name: String) throws -> String {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
            return path + "/" + name
        }
    }

    private static func settings(
        _ variables: [String: String], envFile: String? = nil
    ) throws(Failure) -> Settings {
        try Settings(envFile: envFile, environment: { variables[$0] })
    }

    @Test func theEnvironmentWinsOverTheFile() throws {
        let folder = try Folder()
        let file = try folder.write("A=file\nB=file\nC=file\nD=\n", to: "env")
        let settings = try Self.settings(["A": "real", "C": ""], envFile: file)
        #expect(try settings.value("A") == "real")
        #expect(try settings.value("B") == "file")
        #expect(try settings.value("C") == nil)
        #expect(try settings.value("D") == nil)
        #expect(try settings.value("E") == nil)
    }

    @Test func theFlagWinsOverTheVariable() throws {
        let folder = try Folder()
        let first = try folder.write("A=flag", to: "first")
        let second = try folder.write("A=variable", to: "second")
        let named = ["HOLDFAST_ENV_FILE": second]
        #expect(try Self.settings(named).value("A") == "variable")
        #expect(try Self.settings(named, envFile: first).value("A") == "flag")
    }

    @Test(
        arguments: [
            ("value", "value"), ("value\n", "value"), ("value\r\n", "value"),
            ("a\nb\n\n", "a\nb\n"),
            (" value ", " value "), ("", nil), ("\n", nil),
        ] as [(String, String?)])
    func aValueMayStandInAFileOfItsOwn(text: String, value: String?) throws {
        let folder = try Folder()
        let path = try folder.write(text, to: "value")
        #expect(try Self.settings(["A_FILE": path]).value("A") == value)
        let file = try folder.write("A_FILE='\(path)'", to: "env")
        #expect(try Self.settings([:], envFile: file).value("A") == value)
        #expect(try Self.settings(["A": "real"], envFile: file).value("A") == "real")
    }

    @Test func aFileThatCannotBeReadIsNamedWithItsVariable() throws {
        let folder = try Folder()
        for path in [folder.path + "/absent", folder.path] {
            let failure = #expect(throws: Failure.self) {
                try Self.settings(["A_SECRET_FILE": path]).value("A_SECRET")
            }
            #expect(failure?.status == .configuration)
            #expect(failure?.message.contains("A_SECRET_FILE") == true)
            #expect(failure?.message.contains(path) == true)
            let other = #expect(throws: Failure.self) { try Self.settings([:], envFile: path) }
            #expect(other?.status == .configuration)
            #expect(other?.message.contains(path) == true)
            #expect(other?.message.contains("--env-file") == true)
        }
        let large = try folder.write(String(repeating: "x", count: 70_000), to: "large")
        let failure = #expect(throws: Failure.self) {
            try Self.settings(["A_FILE": large]).value("A")
        }
        #expect(failure?.message.contains("65536") == true)
    }

    @Test func twoAnswersAreNoAnswer() throws {
        let folder = try Folder()
        let path = try folder.write("one", to: "value")
        let failure = #expect(throws: Failure.self) {
            try Self.settings(["A": "two", "A_FILE": path]).value("A")
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.message == "both A and A_FILE are set; unset one of them")
    }

    @Test func aMalformedFileIsNamedByLine() throws {
        let folder = try Folder()
        let path = try folder.write("A=1\nhunter2 hunter2\n", to: "env")
        let failure = #expect(throws: Failure.self) {
            try Self.settings(["HOLDFAST_ENV_FILE": path])
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.hasPrefix("line 2 of \(path) (HOLDFAST_ENV_FILE)") == true)
        #expect(failure?.message.contains("hunter2") == false)
    }

    @Test func theDatabaseHasTwoNames() throws {
        let both = [
            "HOLDFAST_DATABASE_URL": "postgres://one/x", "DATABASE_URL": "postgres://two/x",
        ]
        #expect(try Self.settings(both).databaseURL() == "postgres://one/x")
        let second = ["DATABASE_URL": "postgres://two/x", "HOLDFAST_DATABASE_URL": ""]
        #expect(try Self.settings(second).databaseURL() == "postgres://two/x")
        let failure = #expect(throws: Failure.self) { try Self.settings([:]).databaseURL() }
        #expect(failure?.status == .configuration)
        #expect(failure?.code == "variable_missing")
        #expect(failure?.message.contains("HOLDFAST_DATABASE_URL is not set; set it to") == true)
    }

    @Test(
        arguments: [
            (nil, nil, Duration.zero), ("", nil, .zero), ("+90m", "1", .seconds(5400)),
            ("-2h", "1", .seconds(-7200)), ("+26h", "1", .seconds(93_600)), ("+0s", "1", .zero),
        ] as [(String?, String?, Duration)])
    func theClockIsShifted(offset: String?, allow: String?, expected: Duration) throws {
        var variables: [String: String] = [:]
        variables["HOLDFAST_CLOCK_OFFSET"] = offset
        variables["HOLDFAST_ALLOW_CLOCK_OFFSET"] = allow
        #expect(try Self.settings(variables).clockOffset() == expected)
    }

    @Test(
        arguments: [
            ("+90m", nil), ("+90m", "0"), ("+90m", "yes"), ("+90m", ""), ("+0s", nil), ("90", "1"),
            ("+", "1"), ("++1h", "1"), ("soon", "1"), ("soon", nil),
        ] as [(String, String?)])
    func theClockIsNotShiftedByAccident(offset: String, allow: String?) {
        var variables = ["HOLDFAST_CLOCK_OFFSET": offset]
        variables["HOLDFAST_ALLOW_CLOCK_OFFSET"] = allow
        let failure = #expect(throws: Failure.self) {
            try Self.settings(variables).clockOffset()
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.message.contains("HOLDFAST_CLOCK_OFFSET") == true)
    }

    @Test func durationsAndRangesAreRead() throws {
        let settings = try Self.settings([
            "A": "1h30m", "B": "90",
            "HOLDFAST_EGRESS_ALLOW": "10.0.0.0/8, fd00::/8\n192.168.1.0/24",
        ])
        #expect(try settings.duration("A") == .seconds(5400))
        #expect(try settings.duration("C") == nil)
        let failure = #expect(throws: Failure.self) { try settings.duration("B") }
        #expect(
            failure?.message
                == "B is \"90\", which is not a duration; write it like 90s, 2m or 1h30m")
        #expect(try settings.egressAllow() == ["10.0.0.0/8", "fd00::/8", "192.168.1.0/24"])
        #expect(try Self.settings([:]).egressAllow() == [])
    }

    @Test func whatIsReadAsASecretIsNeverSaid() throws {
        let settings = try Self.settings([
            "HOLDFAST_KIE_API_KEY": "sk-settings-1", "X_SECRET": "sk-settings-2",
            "X_TOKEN": "sk-settings-3", "X_PASSWORD": "sk-settings-4", "X_NAME": "not-a-secret",
            "HOLDFAST_NOTIFY_URL": "https://hooks.example/sk-settings-5",
            "HOLDFAST_DATABASE_URL": "postgres://u:sk-settings-6@h/d",
            "DATABASE_URL": "postgres://u@h/d?password=sk%2Dsettings%2D7&x=1",
        ])
        for name in [
            "HOLDFAST_KIE_API_KEY", "X_SECRET", "X_TOKEN", "X_PASSWORD", "X_NAME",
            "HOLDFAST_NOTIFY_URL", "HOLDFAST_DATABASE_URL", "DATABASE_URL",
        ] {
            _ = try settings.value(name)
        }
        let words = (1...7).map {
            $0 == 5 ? "https://hooks.example/sk-settings-5" : "sk-settings-\($0)"
        }
        for word in words {
            #expect(Redaction.apply("before \(word) after") == "before [redacted] after")
        }
        #expect(Redaction.apply("not-a-secret") == "not-a-secret")
        #expect(Redaction.apply("sk%2Dsettings%2D7") == "[redacted]")
    }
}

struct RedactionTests {
    @Test(arguments: [
        ("postgres://u:pw-red-1@h:1/d", "pw-red-1"), ("postgresql://u:pw:red-2@h/d", "pw:red-2"),
        ("postgres://u:pw/red-3@h/d", "pw/red-3"), ("https://u:pw%40red-4@h", "pw@red-4"),
        ("host=h password=pw-red-5 user=u", "pw-red-5"), ("password='pw red-6' host=h", "pw red-6"),
        ("postgres:///d?host=/tmp&password=pw-red-7", "pw-red-7"),
        ("postgres://u:pw@red-8@h/d", "pw@red-8"),
    ])
    func thePasswordOfAnAddressIsFound(address: String, password: String) {
        Redaction.registerPassword(in: address)
        let said = Redaction.apply("<\(password)> and \(address)")
        #expect(!said.contains(password))
        #expect(said.hasPrefix("<[redacted]>"))
    }

    @Test func theLongestSecretGoesFirstAndShortOnesAreLeft() {
        Redaction.register("red-part")
        Redaction.register("red-part-and-more")
        Redaction.register("abc")
        #expect(Redaction.apply("red-part-and-more") == "[redacted]")
        #expect(Redaction.apply("red-part!") == "[redacted]!")
        #expect(Redaction.apply("abc") == "abc")
    }

    @Test func anAddressWithoutAPasswordRegistersNothing() {
        for address in ["postgres://user@hostname/database", "https://hostname:8443/some@path"] {
            Redaction.registerPassword(in: address)
            #expect(Redaction.apply(address) == address)
        }
    }
}
