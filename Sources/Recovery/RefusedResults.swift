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
