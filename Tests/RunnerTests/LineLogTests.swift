import Core
import Foundation
import Logging
import Synchronization
import Testing

@testable import Runner

struct LineLogTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
        func log(_ format: LogFormat, _ level: Logger.Level = .debug) -> Logger {
            var log = Logger(label: "t") { _ in
                LineLog(format: format, level: level) { line in
                    self.all.withLock { $0.append(line) }
                }
            }
            log[metadataKey: "run_id"] = "r-1"
            return log
        }
        var last: String { all.withLock { $0.last ?? "" } }
    }

    @Test func textIsForPeople() {
        let lines = Lines()
        lines.log(.text).notice(
            "job set aside", metadata: ["job_id": "j 1", "count": "3", "empty": ""])
        #expect(lines.last == "NOTICE job set aside count=3 empty=\"\" job_id=\"j 1\" run_id=r-1")
    }

    @Test func aLineStaysOneLine() {
        let lines = Lines()
        for format in LogFormat.allCases {
            lines.log(format).error("one\ntwo\r\nthree", metadata: ["k": "a\nb"])
            #expect(!lines.last.contains { $0.isNewline })
        }
    }

    @Test func logfmtQuotesWhatNeedsIt() {
        let lines = Lines()
        lines.log(.logfmt).warning("a \"b\"", metadata: ["url": "http://h/p?q=1", "n": "2"])
        let tail = lines.last.drop { $0 != " " }
        #expect(
            tail == " level=warning message=\"a \\\"b\\\"\" n=2 url=\"http://h/p?q=1\" run_id=r-1")
        #expect(lines.last.hasPrefix("time=2"))
    }

    @Test func jsonIsJSON() throws {
        let lines = Lines()
        lines.log(.json).error("a \"b\"\n\u{1}", metadata: ["k": "é\\"])
        let value = try JSON.parse(Array(lines.last.utf8))
        #expect(value["level"]?.text == "error")
        #expect(value["message"]?.text == "a \"b\"\n\u{1}")
        #expect(value["k"]?.text == "é\\")
        #expect(value["run_id"]?.text == "r-1")
        #expect(value["time"]?.text?.hasSuffix("Z") == true)
    }

    @Test(arguments: LogFormat.allCases)
    func noSecretIsLogged(format: LogFormat) {
        // A quote would be escaped in the line, and the secret no longer be found in it.
        Redaction.register("log\"secret\\1")
        let lines = Lines()
        lines.log(format).error("got log\"secret\\1", metadata: ["k": "log\"secret\\1"])
        #expect(!lines.last.contains("secret"))
        #expect(lines.last.contains("[redacted]"))
    }

    @Test(arguments: [
        (Logger.Level.notice, 3), (.debug, 5), (.error, 1),
    ])
    func theLevelDecides(level: Logger.Level, count: Int) {
        let lines = Lines()
        let log = lines.log(.text, level)
        log.trace("t")
        log.debug("d")
        log.info("i")
        log.notice("n")
        log.warning("w")
        log.error("e")
        #expect(lines.all.withLock { $0.count } == count)
    }

    @Test func runsHaveNamesOfTheirOwn() throws {
        let names = Set((0..<1000).map { _ in RunID.make() })
        #expect(names.count == 1000)
        for name in names {
            let uuid = try #require(UUID(uuidString: name))
            #expect(uuid.uuid.6 >> 4 == 4)
            #expect(uuid.uuid.8 >> 6 == 2)
            #expect(name == name.lowercased())
        }
    }
}
