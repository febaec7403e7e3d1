import Core
import HTTP
import Jobs
import Postgres
import Storage

extension Landing {
    private static let shownBytes = 24

    /// The first bytes of what is no media, so that a person sees what it is: nothing in them can act
    /// on a terminal or a mail.
    static func beginning(_ head: [UInt8]) -> String {
        guard !head.isEmpty else { return "" }
        let shown = head.prefix(shownBytes).map { byte in
            (0x20..<0x7f).contains(byte) ? String(Unicode.Scalar(byte)) : "."
        }
        return ", beginning \(shown.joined())"
    }
}

/// Results that are no media: what came is kept before its address ends, and told in time.
extension StorageMirror {
    /// Reads what the source sends once more, to keep it; false where that was done before.
    mutating func beginKeeping(
        _ landing: Landing, _ message: String, _ connection: borrowing Connection
    ) throws -> Bool {
        guard files.purpose == .delivery, landing.kept == nil,
            try !files.isKept(connection, landing.item)
        else { return false }
        let sink = EvidenceSink(
            limitBytes: try files.quarantineLimit(connection), headBytes: KeptFile.headBytes)
        landing.reset()
        landing.phase = .keeping
        landing.kept = (sink, message)
        let tag = session.download(
            Request(
                url: landing.item.sourceURL, headers: sourceHeaders(landing.item),
                timeout: wiring.run.transferLimit, bodyLimitBytes: .max,
                egress: .publicOnly(allowing: target.egressAllow)),
            sink: sink)
        landing.tag = tag
        transfers[tag] = landing
        return true
    }

    /// What came is kept, all of it or its beginning, and the file is put off as it was to be.
    mutating func tookKept(
        _ landing: Landing, _ kept: (sink: EvidenceSink, message: String),
        _ result: Result<Response, HTTPError>, _ connection: borrowing Connection
    ) throws {
        let isWhole =
            if case .success(let response) = result { response.status == 200 } else { false }
        let digest = kept.sink.digest
        try files.keep(
            connection, landing.item,
            KeptFile(
                type: landing.refusedAs ?? "", sha256: digest.sha256, bytes: Int64(digest.bytes),
                isWhole: isWhole, head: kept.sink.head))
        try putOff(landing, kept.message, connection)
    }

    /// Tells a person of a job that was set aside; of the trouble of all, once in a run.
    mutating func tell(refused result: FileResult) {
        guard result.outcome == "refused_everywhere" else {
            report.count("set_aside")
            return report.add(
                .init(
                    jobID: result.jobID, code: "result_refused",
                    message: "set aside: \(result.detail ?? "a file is refused")"),
                status: .needsPerson)
        }
        guard !saidRefusedEverywhere else { return }
        saidRefusedEverywhere = true
        report.add(
            .init(
                code: "results_refused",
                message: "the files of \(result.amount ?? 0) tasks are no media and none was "
                    + "accepted, \(result.detail ?? "a provider") among them; no job was set aside; "
                    + "look at what arrives with holdfast asset list --state pending, at a proxy of "
                    + "this host, and at the provider's own status page"),
            status: .needsPerson)
    }
}
