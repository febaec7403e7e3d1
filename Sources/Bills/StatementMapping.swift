package import Core

/// How the columns of a provider's file are to be understood.
package struct StatementMapping: Equatable, Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case csv, json
    }

    /// What a column can be, by the flag that names it.
    package enum Column: String, Sendable, CaseIterable {
        case taskID = "task-id-column"
        case amount = "amount-column"
        case unit = "unit-column"
        case time = "time-column"
        case lineID = "line-id-column"
        case jobID = "job-id-column"
        case model = "model-column"
        case status = "status-column"

        var flag: String { "--" + rawValue }
    }

    package var format = Format.csv
    /// `,`, `;`, `|` or a tab.
    package var delimiter = UInt8(ascii: ",")
    package var columns: [Column: String] = [:]
    /// The unit of all lines; nil where a column names it.
    package var unit: String?
    /// In which zone times stand that name none.
    package var timeZone = "UTC"
    /// Whether negative amounts, which give money back, are taken.
    package var allowsCredits = false
    /// Units that are taken although nobody has said what they are worth.
    package var acceptedUnits: [String] = []

    package init() {}

    /// `,`, `;`, `|` or `tab` as a byte.
    package static func delimiter(_ word: String) -> UInt8? {
        switch word {
        case ",", ";", "|": word.utf8.first
        case "tab", "\t": 0x09
        default: nil
        }
    }

    package var delimiterWord: String {
        delimiter == 0x09 ? "tab" : String(Unicode.Scalar(delimiter))
    }

    /// Refuses a mapping that no line could be read by.
    /// - Throws: `usage_mapping` (64) with the flag that is missing.
    package func check() throws(Failure) {
        func refuse(_ words: String) -> Failure {
            Failure(.wrongUsage, code: "usage_mapping", words)
        }
        let noun = format == .csv ? "column" : "member"
        for (column, meaning) in [(Column.amount, "what was charged"), (.time, "when")]
        where columns[column] == nil {
            throw refuse("say which \(noun) tells \(meaning): \(column.flag) NAME")
        }
        if columns[.taskID] == nil, columns[.jobID] == nil {
            throw refuse(
                "say which \(noun) names the provider's task: --task-id-column NAME; or your own "
                    + "job: --job-id-column NAME")
        }
        switch (unit, columns[.unit]) {
        case (nil, nil):
            throw refuse(
                "say what the amounts count: --unit credits or --unit USD, or --unit-column NAME "
                    + "where a \(noun) tells")
        case (_?, _?): throw refuse("--unit and --unit-column exclude each other; leave one out")
        case (let unit?, nil) where !UnitName.isValid(unit):
            throw refuse(
                "'\(unit)' is no name of a unit; it has 1 to \(UnitName.limit) letters, digits "
                    + "and _ - . /, such as credits or USD")
        default: break
        }
    }
}

extension StatementMapping {
    /// As a profile keeps it.
    package var json: JSONValue {
        var members: [JSONObject.Member] = [
            .init(key: "format", value: .string(format.rawValue)),
            .init(key: "delimiter", value: .string(delimiterWord)),
            .init(key: "time-zone", value: .string(timeZone)),
            .init(key: "allow-credits", value: .bool(allowsCredits)),
            .init(key: "accept-unit", value: .array(acceptedUnits.map { .string($0) })),
        ]
        if let unit { members.append(.init(key: "unit", value: .string(unit))) }
        for column in Column.allCases {
            guard let name = columns[column] else { continue }
            members.append(.init(key: column.rawValue, value: .string(name)))
        }
        return .object(JSONObject(members))
    }

    /// A kept profile; what it does not say stays as it is.
    package init?(json: JSONValue) {
        guard let object = json.object else { return nil }
        self.init()
        if let word = object["format"]?.text {
            guard let format = Format(rawValue: word) else { return nil }
            self.format = format
        }
        if let word = object["delimiter"]?.text {
            guard let delimiter = Self.delimiter(word) else { return nil }
            self.delimiter = delimiter
        }
        unit = object["unit"]?.text
        timeZone = object["time-zone"]?.text ?? timeZone
        allowsCredits = object["allow-credits"]?.bool ?? false
        acceptedUnits = (object["accept-unit"]?.array ?? []).compactMap(\.text)
        for column in Column.allCases { columns[column] = object[column.rawValue]?.text }
    }
}
