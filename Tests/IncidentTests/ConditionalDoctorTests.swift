import Core
import TestSupport
import Testing

/// What `holdfast doctor` says of a bucket whose vendor nobody knows.
@Suite struct ConditionalDoctors {
    struct Row: Sendable, CustomTestStringConvertible {
        var vendor: S3Peer.Vendor
        var more: String
        /// How the line about taken keys begins, and what else it says.
        var line: String
        var words: String
        var testDescription: String { "\(vendor) \(more)" }
    }

    static let rows = [
        Row(
            vendor: .aws, more: "", line: "warn  storage, taken keys: ",
            words: "add &conditional=yes to HOLDFAST_STORAGE_URL"),
        Row(
            vendor: .aws, more: "&conditional=yes", line: "ok    storage, taken keys: ",
            words: "the server refuses them"),
        Row(
            vendor: .plain, more: "", line: "ok    storage, taken keys: ",
            words: "the server overwrites them; Holdfast looks first"),
        Row(
            vendor: .plain, more: "&conditional=yes", line: "fail  storage, taken keys: ",
            words: "put &conditional=no into HOLDFAST_STORAGE_URL"),
        Row(
            vendor: .b2, more: "", line: "ok    storage, taken keys: ",
            words: "HTTP 501 NotImplemented; Holdfast looks first"),
    ]

    @Test(arguments: rows)
    func `doctor tries what the server does, and names the setting`(_ row: Row) async throws {
        let peer = try S3Peer(.stub(row.vendor))
        let line = try RescueLine(bucket: peer)
        let url =
            "s3://\(peer.bucket)/made/here?endpoint=\(peer.endpoint)&region=\(peer.region)"
            + "&style=path" + (row.vendor == .b2 ? "&profile=b2" : "") + row.more
        let doctor = try await line.run(
            "holdfast", ["doctor"], offset: nil, ["HOLDFAST_STORAGE_URL": url])
        let found = doctor.stdout.split(separator: "\n").filter {
            $0.contains("storage, taken keys")
        }
        #expect(found.count == 1, "\(doctor.stdout)")
        #expect(found.first?.hasPrefix(row.line) == true, "\(doctor.stdout)")
        #expect(found.first?.contains(row.words) == true, "\(doctor.stdout)")
        #expect(doctor.status == (row.line.hasPrefix("fail") ? 78 : 1))
        #expect(try peer.objects() == [])
    }
}
