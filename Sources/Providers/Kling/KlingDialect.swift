import Core

/// Kling's task record, which polls, lists and callbacks share.
///
/// Source: Kling portal, the query page of each model and "Callback Schema".
struct KlingDialect: TaskDialect {
    static let costUnit = "units"

    let shape = RecordShape(idKeys: ["task_id"], requiresID: true)

    private static let states: [String: TaskState] = [
        "submitted": .pending, "processing": .running, "succeed": .succeeded, "failed": .failed,
    ]

    /// Codes about our own request: asking the same again changes nothing.
    private static let requestCodes: Set<Int64> = [1200, 1201, 1202, 1203, 1300, 1301]
    private static let noSuchResource = Int64(1203)
    /// A new token may cure these at once.
    private static let tokenCodes: ClosedRange<Int64> = 1000...1004

    func state(of record: JSONObject, now: Instant) -> TaskState? {
        record.state(at: "task_status", in: Self.states)
    }

    /// The files of a record in body order; inputs, covers and watermarked twins are none.
    func files(of record: JSONObject) -> [String] {
        guard let result = record["task_result"]?.opened.object else { return [] }
        let isSeries = result["result_type"]?.nonBlankText?.word == "series"
        var urls: [String] = []
        for member in result.members {
            switch member.key {
            case "videos", "audios": urls += Self.files(in: member.value)
            case "images" where !isSeries || !Self.hasFiles(result["series_images"]),
                "series_images" where isSeries || !Self.hasFiles(result["images"]):
                urls += Self.files(in: member.value)
            default: break
            }
        }
        return urls
    }

    func failureText(of record: JSONObject) -> String? {
        record["task_status_msg"]?.nonBlankText
    }

    func cost(of record: JSONObject) -> Cost? {
        record["final_unit_deduction"]?.decimal.map { Cost(amount: $0, unit: Self.costUnit) }
    }

    func expiry(of record: JSONObject, now: Instant) -> Instant? {
        record.end(of: KlingProvider.urlLife, from: "updated_at", now: now)
    }

    func ownID(of record: JSONObject) -> String? {
        GivenID(record.value(at: ["task_info", "external_task_id"]))
            .joined(GivenID(record["external_task_id"])).text
    }

    /// Other codes say nothing that the HTTP status does not say better.
    func meaning(ofCode code: Int64) -> Refusal? {
        guard (1000..<6000).contains(code) else { return nil }
        return Refusal(
            errorClass: Self.requestCodes.contains(code) ? .final : .transient,
            taskIsUnknownHere: code == Self.noSuchResource,
            credentialsRefused: Self.tokenCodes.contains(code))
    }

    private static func hasFiles(_ list: JSONValue?) -> Bool {
        list.map { !files(in: $0).isEmpty } ?? false
    }

    private static func files(in list: JSONValue) -> [String] {
        let list = list.opened
        return (list.array ?? [list]).compactMap { file($0.opened) }
    }

    // The first of these fields that is filled names the file, and the ones after it are twins.
    private static func file(_ element: JSONValue) -> String? {
        for field in ["url", "url_mp3", "url_wav", "watermark_url"] {
            if let text = element[field]?.nonBlankText { return UsableURL.check(text) }
        }
        return nil
    }
}
