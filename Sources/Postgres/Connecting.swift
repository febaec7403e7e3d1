import CPostgreSQL
import Core
import Glibc

/// The way from a URL to an open handle.
///
/// Source: https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-PQCONNECTSTARTPARAMS
enum Connecting {
    struct Opened {
        var handle: OpaquePointer
        var place: String
    }

    static func open(
        url: String, timeout: Duration, applicationName: String
    ) throws(PostgresError) -> Opened {
        let options = try options(of: url)
        _ = wireFormat
        let hosts = HostList(options, timeout: timeout)
        var failures: [PostgresError] = []
        for attempt in hosts.attempts {
            do throws(PostgresError) {
                return try open(
                    url: url, attempt, timeout: hosts.timeout, applicationName: applicationName)
            } catch {
                // A server that answered has spoken for all, unless it is only starting or stopping.
                guard error.isConnectionLoss, hosts.attempts.count > 1 else { throw error }
                failures.append(error)
            }
        }
        throw failed(
            failures.map { "\($0.place) \($0.message)" }.joined(separator: "; "),
            place: "the hosts of the URL")
    }

    private static func open(
        url: String, _ attempt: HostList.Parameters, timeout: Duration, applicationName: String
    ) throws(PostgresError) -> Opened {
        let started = start(
            [
                ("dbname", url), ("fallback_application_name", applicationName),
                ("client_encoding", "UTF8"),
            ] + attempt)
        guard let handle = started else {
            throw failed("out of memory", place: "the database")
        }
        let place = place(of: handle)
        do throws(PostgresError) {
            // With this verbosity a refusal is `FATAL:  28P01`: the code, and no text to leak.
            PQsetErrorVerbosity(handle, PQERRORS_SQLSTATE)
            PQsetNoticeProcessor(handle, { _, _ in }, nil)
            try wait(handle, until: ContinuousClock.now + timeout, timeout, place)
            PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
            guard PQsetnonblocking(handle, 1) == 0 else {
                throw failed("the connection is gone", place: place)
            }
            return Opened(handle: handle, place: place)
        } catch {
            PQfinish(handle)
            throw error
        }
    }

    /// Dates and times cross the wire in one form, whatever server, role or host prefer.
    ///
    /// libpq sends both with its first packet, where poolers know them too.
    private static let wireFormat: Void = {
        setenv("PGDATESTYLE", "ISO, YMD", 1)
        setenv("PGTZ", "UTC", 1)
    }()

    /// What the URL says, by keyword.
    ///
    /// libpq's own error for a malformed URL quotes it, password and all; hence a check beforehand.
    private static func options(of url: String) throws(PostgresError) -> [String: String] {
        if let complaint = AddressCheck.complaint(url) { throw unreadable(complaint) }
        var complaint: UnsafeMutablePointer<CChar>?
        let parsed = url.contains("\0") || url.isEmpty ? nil : PQconninfoParse(url, &complaint)
        if let complaint { PQfreemem(complaint) }
        guard let parsed else { throw unreadable() }
        defer { PQconninfoFree(parsed) }
        var options: [String: String] = [:]
        var option = parsed
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                options[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        return options
    }

    private static func start(_ options: [(name: String, value: String)]) -> OpaquePointer? {
        let arena = TextArena(options.flatMap { [$0.name, $0.value] })
        return arena.withPointers { pointers in
            var names: [UnsafePointer<CChar>?] = []
            var values: [UnsafePointer<CChar>?] = []
            for index in stride(from: 0, to: pointers.count, by: 2) {
                names.append(pointers[index])
                values.append(pointers[index + 1])
            }
            return PQconnectStartParams(names + [nil], values + [nil], 1)
        }
    }

    private static func wait(
        _ handle: OpaquePointer, until deadline: ContinuousClock.Instant, _ timeout: Duration,
        _ place: String
    ) throws(PostgresError) {
        var state = PGRES_POLLING_WRITING
        if PQstatus(handle) == CONNECTION_BAD { state = PGRES_POLLING_FAILED }
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED else { throw refusal(handle, place) }
            let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard Wait.forEvents(events, on: PQsocket(handle), until: deadline) else {
                throw failed(
                    "no answer within \(DurationText.describe(timeout))", place: place)
            }
            state = PQconnectPoll(handle)
        }
    }

    private static func refusal(_ handle: OpaquePointer, _ place: String) -> PostgresError {
        let said = PQerrorMessage(handle).map { String(cString: $0) } ?? ""
        // A port can look like a code; only the last word is one.
        let code = said.split { $0 == " " || $0 == "\n" }.last.flatMap { word in
            word.utf8.count == 5
                && word.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
                ? String(word) : nil
        }
        if let code {
            return PostgresError(
                .statement, sqlState: code, operation: "connect",
                message: "the server refused the connection", place: place)
        }
        if PQconnectionNeedsPassword(handle) == 1 {
            return PostgresError(
                .statement, sqlState: "28P01", operation: "connect",
                message: "the server asks for a password", place: place)
        }
        // An option with an impossible value, which the check of the form lets through.
        if said.hasPrefix("invalid ") { return unreadable() }
        for word in ["does not support SSL", "certificate"] where said.contains(word) {
            return PostgresError(
                .tls, operation: "connect", message: "the server or its certificate does not suit",
                place: place)
        }
        let reasons = [
            ("refused", "connection refused"), ("translate host name", "no such host"),
            ("No such file", "no such socket"), ("timed out", "connection timed out"),
            ("No route", "no route to the host"), ("unreachable", "network unreachable"),
            ("Permission denied", "no permission for the socket"),
            ("read-only", "it accepts no writes now (target_session_attrs)"),
            ("standby", "it is a standby, or is none (target_session_attrs)"),
        ]
        let reason = reasons.first { said.contains($0.0) }?.1 ?? "it closed the connection"
        return failed(reason, place: place)
    }

    private static func unreadable(
        _ why: String = "the database URL cannot be read"
    ) -> PostgresError {
        PostgresError(.url, operation: "connect", message: why, place: "the database")
    }

    private static func failed(_ message: String, place: String) -> PostgresError {
        PostgresError(.connection, operation: "connect", message: message, place: place)
    }

    private static func place(of handle: OpaquePointer) -> String {
        func text(_ pointer: UnsafePointer<CChar>?, or missing: String) -> String {
            guard let pointer, pointer.pointee != 0 else { return missing }
            return String(cString: pointer)
        }
        return text(PQhost(handle), or: "localhost") + ":" + text(PQport(handle), or: "5432") + "/"
            + text(PQdb(handle), or: "?")
    }
}

/// Bounded waits on a descriptor.
enum Wait {
    /// True when one of `events` (or an error, which the next call on the descriptor will report)
    /// is there; false when `deadline` passed first.
    static func forEvents(
        _ events: Int32, on descriptor: Int32, until deadline: ContinuousClock.Instant
    ) -> Bool {
        while true {
            let rest = ContinuousClock.now.duration(to: deadline).milliseconds
            if rest <= 0 { return false }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            // Rounded up by one, lest the last millisecond be spent in a busy loop.
            let ready = poll(&entry, 1, Int32(clamping: rest + 1))
            if ready > 0 { return true }
            if ready < 0 && errno != EINTR { return true }
        }
    }
}

/// Texts for C, laid out one after the other in one buffer that outlives all of its pointers.
struct TextArena {
    private var bytes: [CChar] = []
    private var offsets: [Int?] = []

    init(_ texts: [String?]) {
        bytes.reserveCapacity(texts.reduce(0) { $0 + ($1?.utf8.count ?? 0) + 1 })
        for text in texts {
            guard let text else {
                offsets.append(nil)
                continue
            }
            offsets.append(bytes.count)
            bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
            bytes.append(0)
        }
    }

    func withPointers<R>(_ body: ([UnsafePointer<CChar>?]) -> R) -> R {
        bytes.withUnsafeBufferPointer { buffer in
            body(
                offsets.map { offset in
                    offset.flatMap { offset in buffer.baseAddress.map { $0 + offset } }
                })
        }
    }
}
