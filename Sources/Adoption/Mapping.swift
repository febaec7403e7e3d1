package import Core

/// How an application's own tables hold what Holdfast calls jobs and credits.
///
/// It is one JSON file, which a person has corrected; docs/mapping.md says what each key means.
package struct Mapping: Sendable {
    /// What may be done with the application.
    package enum Verdict: String, CaseIterable, Sendable {
        case adopt
        /// Nothing is written to its tables.
        case readOnly = "adopt read-only"
        /// Nothing can be asked of a provider.
        case followOnly = "follow only"
        case refuse
    }

    package var verdict: Verdict
    /// Why it is not `adopt`.
    package var reason: String?
    package var jobs: [JobTable]
    /// Tables that look like job tables and are none.
    package var notJobs: [TableName]
    package var credits: CreditsMapping?
    /// As the file says; `Grade.of` says what follows from it.
    package var grade: Grade
    package var searchPath: [String]
    /// JSON Web Token claims that are set while we write.
    package var claims: JSONObject?
}

/// How safely an adoption may move money.
package enum Grade: String, CaseIterable, Sendable {
    /// The application does not settle.
    case exclusive
    /// Each of its settlements changes the job's row, or leaves a movement with a unique key, in the
    /// transaction that changes the balance.
    case guarded
    case raced

    /// The grade that follows from how the application settles, and the first handler that decides it.
    package static func of(_ settles: [Settling]) -> (grade: Grade, because: Settling?) {
        guard !settles.isEmpty else { return (.exclusive, nil) }
        let raced = settles.first { $0.leaves == .nothing || $0.commits == nil }
        return raced.map { (.raced, $0) } ?? (.guarded, settles.first)
    }
}

/// A table's name with its schema.
package struct TableName: Hashable, Sendable, CustomStringConvertible {
    package var schema: String
    package var table: String

    package init(schema: String, table: String) {
        self.schema = schema
        self.table = table
    }

    /// `public.jobs`; nil without a schema.
    package init?(_ text: String) {
        guard let dot = text.firstIndex(of: "."), dot != text.startIndex,
            text.index(after: dot) != text.endIndex
        else { return nil }
        schema = String(text[..<dot])
        table = String(text[text.index(after: dot)...])
    }

    package var description: String { "\(schema).\(table)" }
    /// For a statement.
    package var quoted: String { SQLText.name(schema) + "." + SQLText.name(table) }
}

/// What a word of theirs means to us.
package enum Meaning: String, CaseIterable, Sendable {
    case created, submitted, running, succeeded, delivered, failed, cancelled
    case timedOut = "timed_out"
    case notAJob = "not_a_job"

    /// A job that nobody has finished.
    package var isOpen: Bool { [.created, .submitted, .running].contains(self) }

    /// Whether a word that reads as `self` may be written for `other`.
    package func mayStandFor(_ other: Meaning) -> Bool {
        if self == other { return true }
        switch other {
        case .delivered: return self == .succeeded
        case .cancelled, .timedOut: return self == .failed
        default: return false
        }
    }
}

/// One of the application's job tables.
package struct JobTable: Sendable {
    package var table: TableName
    package var id: Place
    package var idType: String
    /// Columns that find the row again, where the id is a rule.
    package var idParts: [String]
    /// Every other place, by its key in the file.
    package var places: [(key: PlaceKey, place: Place)]
    package var status: StatusMapping
    /// Written in the same UPDATE as a status of that meaning: column to expression.
    package var companions: [(meaning: Meaning, columns: [(column: String, sql: String)])]
    package var refunded: Mark?
    package var charged: Mark?
    package var settleWhen: String?
    package var reopen: [String]
    /// Columns that are filled although there is no result yet, and when.
    package var placeholders: [(column: String, sql: String)]
    package var onlyTypes: (column: String, words: [String])?
    package var kindWords: [(word: String, kind: JobKind)]
    package var timeUnit: TimeUnit?
    package var hashesAccount: Bool

    package subscript(key: PlaceKey) -> Place? { places.first { $0.key == key }?.place }
}

/// Integers that are times, since 1970.
package enum TimeUnit: String, CaseIterable, Sendable {
    case seconds, milliseconds
}

/// Keys of a job table that hold a place.
package enum PlaceKey: String, CaseIterable, Sendable {
    case account, kind, provider
    case createdAt = "created_at"
    case taskID = "task_id"
    case resultURLs = "result_urls"
    case permanentURL = "permanent_url"
    case error
    case errorCode = "error_code"
    case model, credits
    case updatedAt = "updated_at"
    case startedAt = "started_at"
    case finishedAt = "finished_at"
    case heartbeat
    case lastStep = "last_step"
    case expectedOutputs = "expected_outputs"
    case deadline
    case pollURL = "poll_url"
    case providerStatus = "provider_status"
    case previousTasks = "previous_tasks"
    case creditsAccount = "credits_account"
    case softDelete = "soft_delete"
    case submitting

    package static let required: [PlaceKey] = [.account, .kind, .provider, .createdAt]
    /// Those that hold times.
    package static let times: Set<PlaceKey> = [
        .createdAt, .updatedAt, .startedAt, .finishedAt, .deadline,
    ]
    /// Those that may hold several values.
    package static let several: Set<PlaceKey> = [.resultURLs, .permanentURL, .previousTasks]
}

/// The words of a job's state.
package struct StatusMapping: Sendable {
    package enum Source: Sendable {
        case column(String)
        case rule(String, columns: [String])
    }

    package var source: Source
    package var type: String
    package var words: [(word: String, meaning: Meaning)]
    /// What is written; a null word leaves the writing to the companions.
    package var write: [(meaning: Meaning, word: String?)]

    package func meaning(of word: String) -> Meaning? {
        words.first { $0.word == word }?.meaning
    }
}

/// A column that is set in the transaction that moves the money.
package struct Mark: Sendable {
    package var column: String
    package var isSet: String
    package var set: String
}
