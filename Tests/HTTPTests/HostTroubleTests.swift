import Glibc
import HTTP
import Testing

/// Whose trouble it is that no answer came: what libcurl, the system and the certificate say.
@Suite struct HostTroubleTable {
    struct Row: Sendable, CustomTestStringConvertible {
        /// As https://curl.se/libcurl/c/libcurl-errors.html numbers it.
        var code: Int
        var number: Int32 = 0
        var detail = ""
        var trouble: HostTrouble?
        var testDescription: String { "\(code) \(number) \(detail)" }
    }

    static let rows: [Row] = [
        .init(code: 7, number: EMFILE, trouble: .resources),
        .init(code: 7, number: ENFILE, trouble: .resources),
        .init(code: 7, number: ENOMEM, trouble: .resources),
        .init(code: 7, number: ENOBUFS, trouble: .resources),
        .init(code: 27, trouble: .resources),
        .init(code: 2, trouble: .resources),
        .init(code: 7, number: ENETUNREACH, trouble: .route),
        .init(code: 7, number: EHOSTUNREACH, trouble: .route),
        .init(code: 7, number: ENETDOWN, trouble: .route),
        .init(code: 7, number: EADDRNOTAVAIL, trouble: .route),
        .init(
            code: 60, detail: "SSL certificate problem: certificate is not yet valid",
            trouble: .clock),
        // The peer's.
        .init(code: 7, number: ECONNREFUSED, trouble: nil),
        .init(code: 7, number: ETIMEDOUT, trouble: nil),
        .init(code: 7, trouble: nil),
        .init(code: 28, trouble: nil),
        .init(code: 56, number: ECONNRESET, trouble: nil),
        .init(code: 52, number: EMFILE, trouble: nil),
        .init(code: 60, detail: "SSL certificate problem: certificate has expired", trouble: nil),
        .init(code: 60, detail: "SSL certificate problem: self-signed certificate", trouble: nil),
        .init(code: 35, detail: "wrong version number", trouble: nil),
        // A name that does not resolve may be either's; the run decides by the others.
        .init(code: 6, trouble: nil),
    ]

    @Test(arguments: rows)
    func `what this host suffers from is told from what the peer does`(_ row: Row) {
        let trouble = HostTrouble.of(
            curlCode: row.code, errorNumber: Int(row.number), detail: row.detail)
        #expect(trouble == row.trouble)
    }
}
