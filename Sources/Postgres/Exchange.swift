import CPostgreSQL
import Core
import Glibc

/// What one round trip brought.
struct Answer {
    var rows: Rows
    var affected: Int
    /// The command tag: `COMMIT`, `INSERT 0 1`.
    var tag: String
}

/// One round trip to the server with an end: send, wait, cancel if it takes too long.
///
/// Source: https://www.postgresql.org/docs/15/libpq-async.html
struct Exchange {
    let handle: OpaquePointer
    let place: String
    let operation: String
    /// Looked at only to keep them out of messages.
    let values: [String?]
    let timeout: Duration
    let cancelGrace: Duration
    private let deadline: ContinuousClock.Instant

    /// The protocol counts parameters in sixteen bits.
    private static let valueLimit = 65_535

    init(
        handle: OpaquePointer, place: String, operation: String, values: [String?],
        timeout: Duration, cancelGrace: Duration
    ) {
        self.handle = handle
        self.place = place
        self.operation = operation
        self.values = values
        self.timeout = timeout
        self.cancelGrace = cancelGrace
        deadline = ContinuousClock.now + timeout
    }

    func send(_ text: String, _ values: [String?]) throws(PostgresError) {
        guard values.count <= Self.valueLimit else {
            throw refused("54000", "more than \(Self.valueLimit) values in one statement")
        }
        // C texts end at the first NUL; what follows it would be lost without a word.
        guard !text.utf8.contains(0), !values.contains(where: { $0?.utf8.contains(0) == true })
        else { throw refused("22021", "a text holds a NUL character, which cannot be stored") }
        let sent = TextArena([text] + values).withPointers { pointers in
            PQsendQueryParams(
                handle, pointers[0], Int32(values.count), nil, Array(pointers.dropFirst()), nil,
                nil, 0)
        }
        guard sent == 1 else { throw gone() }
    }

    func sendScript(_ text: String) throws(PostgresError) {
        guard !text.utf8.contains(0) else { throw refused("22021", "the script holds a NUL") }
        guard PQsendQuery(handle, text) == 1 else { throw gone() }
    }

    /// Waits for every result and returns the last one.
    /// - Throws: the first error among them, after the connection is ready for the next statement.
    func receive() throws(PostgresError) -> Answer {
        var answer = Answer(rows: Rows(columns: [], cells: [], count: 0), affected: 0, tag: "")
        var first: PostgresError?
        var limit = deadline
        var isCancelled = false
        while true {
            if !flushAndRead(until: limit) {
                if isCancelled {
                    // It does not even confirm the cancellation.
                    giveUp()
                    throw PostgresError(
                        .connection, operation: operation,
                        message: "no answer within \(DurationText.describe(timeout)), nor to "
                            + "the request to cancel", place: place)
                }
                cancel()
                isCancelled = true
                limit = ContinuousClock.now + cancelGrace
                continue
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                answer = read(result)
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                first = first ?? refused("0A000", "COPY cannot be used through this connection")
                giveUp()
            default:
                first = first ?? error(from: result)
            }
        }
        if isCancelled, first == nil || first?.sqlState == "57014" {
            throw PostgresError(
                .statement, sqlState: "57014", operation: operation,
                message: "no answer within \(DurationText.describe(timeout))", place: place)
        }
        if let first { throw first }
        return answer
    }

    /// Moves bytes both ways until a result can be taken without waiting; false when time is up.
    private func flushAndRead(until limit: ContinuousClock.Instant) -> Bool {
        while true {
            let flushed = PQflush(handle)
            // Trouble with the connection is reported by the result that comes next.
            guard flushed >= 0, PQstatus(handle) == CONNECTION_OK else { return true }
            if flushed == 0 && PQisBusy(handle) == 0 { return true }
            let events = flushed == 1 ? POLLIN | POLLOUT : POLLIN
            guard Wait.forEvents(events, on: PQsocket(handle), until: limit) else { return false }
            if PQconsumeInput(handle) == 0 { return true }
        }
    }

    /// Asks the server to stop, on a thread of its own: libpq's call opens a second connection and
    /// waits for it as long as the network likes.
    private func cancel() {
        guard let request = PQgetCancel(handle) else { return }
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { request in
                var complaint = [CChar](repeating: 0, count: 256)
                PQcancel(OpaquePointer(request), &complaint, 256)
                PQfreeCancel(OpaquePointer(request))
                return nil
            }, UnsafeMutableRawPointer(request))
        if failed == 0 { pthread_detach(thread) } else { PQfreeCancel(request) }
    }

    /// Cuts the connection, so that libpq finds it broken and every later statement says so.
    private func giveUp() {
        shutdown(PQsocket(handle), Int32(SHUT_RDWR))
        while PQstatus(handle) == CONNECTION_OK, PQconsumeInput(handle) == 1 {}
        while let result = PQgetResult(handle) { PQclear(result) }
    }

    private func read(_ result: OpaquePointer) -> Answer {
        let width = PQnfields(result)
        let height = PQntuples(result)
        var cells: [String?] = []
        cells.reserveCapacity(Int(width) * Int(height))
        for row in 0..<height {
            for column in 0..<width {
                guard PQgetisnull(result, row, column) == 0,
                    let start = PQgetvalue(result, row, column)
                else {
                    cells.append(nil)
                    continue
                }
                let bytes = UnsafeRawBufferPointer(
                    start: start, count: Int(PQgetlength(result, row, column)))
                let cell = String(decoding: bytes, as: UTF8.self)
                cells.append(PQftype(result, column) == Hex.type ? Hex.write(cell) : cell)
            }
        }
        let columns = (0..<width).map { text(PQfname(result, $0)) }
        return Answer(
            rows: Rows(columns: columns, cells: cells, count: Int(height)),
            affected: Int(text(PQcmdTuples(result))) ?? 0, tag: text(PQcmdStatus(result)))
    }

    private func error(from result: OpaquePointer) -> PostgresError {
        let state = text(PQresultErrorField(result, HF_DIAG_SQLSTATE))
        // A result without a code is libpq's own: the connection broke.
        guard !state.isEmpty else { return gone() }
        let message = SafeMessage.choose(
            primary: text(PQresultErrorField(result, HF_DIAG_MESSAGE_PRIMARY)), sqlState: state,
            raisedByFunction: text(PQresultErrorField(result, HF_DIAG_SOURCE_FUNCTION))
                == "exec_stmt_raise",
            values: values)
        let constraint = text(PQresultErrorField(result, HF_DIAG_CONSTRAINT_NAME))
        return PostgresError(
            .statement, sqlState: state, operation: operation, message: message,
            constraint: constraint.isEmpty ? nil : constraint, place: place)
    }

    private func gone() -> PostgresError {
        guard PQstatus(handle) != CONNECTION_OK else {
            return refused("XX000", "libpq refused to send the statement")
        }
        return PostgresError(
            .connection, operation: operation, message: "the connection was lost", place: place)
    }

    private func refused(_ sqlState: String, _ message: String) -> PostgresError {
        PostgresError(
            .statement, sqlState: sqlState, operation: operation, message: message, place: place)
    }

    private func text(_ pointer: UnsafePointer<CChar>?) -> String {
        pointer.map { String(cString: $0) } ?? ""
    }
}
