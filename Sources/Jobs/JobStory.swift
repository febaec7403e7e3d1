package import Core
package import Postgres

/// One thing that happened to a job.
package struct StoryEvent: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case run, callback, mark, verdict, retrigger, task, file, transfer, waiver, state
    }

    package var at: Instant
    package var kind: Kind
    /// What is known about it, by the names of the columns it comes from; absent values are null.
    package var data: JSONObject

    package init(at: Instant, kind: Kind, data: JSONObject) {
        self.at = at
        self.kind = kind
        self.data = data
    }
}

/// A result file as it stands.
package struct StoryFile: Sendable {
    package var ordinal: Int
    package var state: String
    /// Without its query.
    package var sourceURL: String
    package var sourceExpiresAt: Instant?
    package var objectKey: String?
    package var publicURL: String?
    package var sha256: String?
    package var bytes: Int64?
    package var attempts: Int
    package var nextAttemptAt: Instant
    package var errorMessage: String?
    /// What its source sends instead of media; nil for a file that is not refused.
    package var refused: RefusedContent?
}

/// Everything that is known about one job, in the order in which it happened.
package struct JobStory: Sendable {
    package var job: JobStatus
    package var files: [StoryFile]
    package var events: [StoryEvent]
    /// Some kind had more events than `eventLimit`: its oldest are left out.
    package var isCut: Bool

    /// Events of one kind at most.
    package static let eventLimit = 2000
}

extension JobQueries {
    /// The job's whole story, or nil when there is no such job.
    package func story(
        _ connection: borrowing Connection, _ jobID: String
    ) throws -> JobStory? {
        guard let job = try job(connection, jobID) else { return nil }
        let rows = try connection.query(Self.events(jobID))
        var counts: [StoryEvent.Kind: Int] = [:]
        let events = try rows.map { row in
            let event = try Self.event(row)
            counts[event.kind, default: 0] += 1
            return event
        }
        return JobStory(
            job: job, files: try files(connection, jobID), events: events,
            isCut: counts.values.contains { $0 >= JobStory.eventLimit })
    }

    private func files(_ connection: borrowing Connection, _ jobID: String) throws -> [StoryFile] {
        try connection.query(
            """
            SELECT a.ordinal, a.state, a.source_url, a.object_key, a.public_url, a.sha256, a.bytes,
                a.attempts, a.error_message, \(sql: RefusedContent.columns),
                \(raw: JobStatus.microseconds("a.source_expires_at")) AS source_expires_us,
                \(raw: JobStatus.microseconds("a.next_attempt_at")) AS next_attempt_us
            FROM holdfast.asset a LEFT JOIN holdfast.refused_file k USING (job_id, ordinal)
            WHERE a.job_id = \(jobID) ORDER BY a.ordinal
            """
        ).map { row in
            StoryFile(
                ordinal: try row.int("ordinal"), state: try row.text("state"),
                sourceURL: URLText.withoutQuery(try row.text("source_url")),
                sourceExpiresAt: try row.optionalInstant("source_expires_us"),
                objectKey: try row.optionalText("object_key"),
                publicURL: try row.optionalText("public_url"),
                sha256: try row.optionalText("sha256"), bytes: try row.optionalInt64("bytes"),
                attempts: try row.int("attempts"),
                nextAttemptAt: try row.instant("next_attempt_us"),
                errorMessage: try row.optionalText("error_message"),
                refused: try RefusedContent(row))
        }
    }

    private static func event(_ row: Row) throws -> StoryEvent {
        let word = try row.text("kind")
        guard let kind = StoryEvent.Kind(rawValue: word),
            var data = try JSON.parse(Array(try row.text("data").utf8)).object
        else {
            throw Failure(.defect, code: "database_shape", "the story has an event \"\(word)\"")
        }
        if let url = data["source_url"]?.text {
            data["source_url"] = .string(URLText.withoutQuery(url))
        }
        return StoryEvent(at: try row.instant("at_us"), kind: kind, data: data)
    }

    /// One statement, each part along the job's own index and bounded.
    ///
    /// `rank` orders what one transaction wrote in one instant: what was learned, what moved, what
    /// the job became.
    private static func events(_ jobID: String) -> SQL {
        let limit: SQL = "LIMIT \(JobStory.eventLimit)::integer"
        return """
            SELECT \(raw: JobStatus.microseconds("e.at")) AS at_us, e.kind, e.data::text AS data
            FROM (
                (SELECT v.happened_at AS at, 'state' AS kind, 9 AS rank, v.event_id AS place,
                    jsonb_build_object('from_state', v.from_state, 'to_state', v.to_state,
                        'blocked', v.blocked, 'deed', v.deed, 'detail', v.detail,
                        'actor', v.actor, 'run_id', v.run_id) AS data
                FROM holdfast.job_event v WHERE v.job_id = \(jobID)
                ORDER BY v.event_id DESC \(sql: limit))
                UNION ALL
                (SELECT o.observed_at, CASE o.source WHEN 'retrigger' THEN 'retrigger'
                        ELSE 'verdict' END, 3, o.observation_id,
                    jsonb_build_object('source', o.source, 'task_id', o.task_id,
                        'http_status', o.http_status, 'state', o.state,
                        'error_class', o.error_class, 'error_message', o.error_message,
                        'progress', o.progress, 'evidence', o.evidence,
                        'body_sha256', o.body_sha256, 'body_bytes', o.body_bytes,
                        'run_id', o.run_id)
                FROM holdfast.observation o WHERE o.job_id = \(jobID)
                ORDER BY o.observation_id DESC \(sql: limit))
                UNION ALL
                (SELECT t.created_at, 'transfer', 7, t.sequence,
                    jsonb_build_object('transfer_id', t.transfer_id, 'kind', t.kind,
                        'amount', t.amount, 'debit', t.debit, 'credit', t.credit,
                        'reason', t.reason, 'actor', t.actor, 'run_id', t.run_id)
                FROM holdfast.transfer t WHERE t.job_id = \(jobID)
                ORDER BY t.sequence DESC \(sql: limit))
                UNION ALL
                (SELECT c.received_at, 'callback', 1, c.callback_id,
                    jsonb_build_object('callback_id', c.callback_id, 'result', c.result,
                        'secret_check', c.secret_check, 'task_ids', c.candidates,
                        'body_bytes', length(c.body), 'note', c.note,
                        'drained_at', \(raw: JobStatus.text("c.drained_at")))
                FROM holdfast.callback c WHERE c.job_id = \(jobID)
                ORDER BY c.callback_id DESC \(sql: limit))
                UNION ALL
                \(sql: tasks(jobID))
                UNION ALL
                \(sql: files(jobID))
                UNION ALL
                \(sql: marks(jobID))
                UNION ALL
                \(sql: runs(jobID))
            ) e
            WHERE e.at IS NOT NULL ORDER BY e.at, e.rank, e.place
            """
    }

    private static func tasks(_ jobID: String) -> SQL {
        """
        (SELECT m.at, 'task', m.rank, 0,
            jsonb_build_object('task_id', t.task_id, 'endpoint', t.endpoint, 'step', m.step)
                || CASE m.step WHEN 'ended' THEN jsonb_build_object('state', t.state,
                    'error_message', t.error_message, 'cost_amount', t.cost_amount,
                    'cost_unit', t.cost_unit) ELSE '{}' END
        FROM holdfast.task t CROSS JOIN LATERAL (VALUES
            (t.created_at, 'known', 2), (t.finished_at, 'ended', 4)) AS m (at, step, rank)
        WHERE t.job_id = \(jobID) ORDER BY t.created_at DESC LIMIT \(JobStory.eventLimit)::integer)
        """
    }

    /// A lost file has no instant of its own: the job ends with its last file.
    private static func files(_ jobID: String) -> SQL {
        """
        (SELECT m.at, 'file', m.rank, a.ordinal,
            jsonb_build_object('ordinal', a.ordinal, 'step', m.step)
                || CASE m.step
                    WHEN 'stored' THEN jsonb_build_object('object_key', a.object_key,
                        'public_url', a.public_url, 'sha256', a.sha256, 'bytes', a.bytes,
                        'content_type', a.content_type)
                    WHEN 'lost' THEN jsonb_build_object('error_message', a.error_message)
                    ELSE jsonb_build_object('source_url', a.source_url,
                        'source_expires_at', \(raw: JobStatus.text("a.source_expires_at"))) END
        FROM holdfast.asset a JOIN holdfast.job j USING (job_id) CROSS JOIN LATERAL (VALUES
            (a.created_at, 'named', 5), (a.refreshed_at, 'refreshed', 5),
            (a.stored_at, 'stored', 6),
            (CASE a.state WHEN 'lost'
                THEN coalesce(j.finished_at, a.refreshed_at, a.created_at) END, 'lost', 6)) AS m (at, step, rank)
        WHERE a.job_id = \(jobID) ORDER BY a.ordinal LIMIT \(JobStory.eventLimit)::integer)
        """
    }

    private static func marks(_ jobID: String) -> SQL {
        """
        (SELECT m.at, m.kind, m.rank, 0, m.data
        FROM holdfast.job j CROSS JOIN LATERAL (VALUES
            (j.submitting_at, 'mark', 2, '{"step": "submitting"}'::jsonb),
            (j.last_heartbeat_at, 'mark', 2,
                jsonb_build_object('step', 'heartbeat', 'last_step', j.last_step)),
            (CASE WHEN j.waived > 0 THEN j.settled_at END, 'waiver', 7,
                jsonb_build_object('amount', j.waived))) AS m (at, kind, rank, data)
        WHERE j.job_id = \(jobID))
        """
    }

    private static func runs(_ jobID: String) -> SQL {
        """
        (SELECT r.started_at, 'run', 0, 0,
            jsonb_build_object('run_id', r.run_id, 'command', r.command, 'host', r.host,
                'version', r.version, 'exit_status', r.exit_status,
                'finished_at', \(raw: JobStatus.text("r.finished_at")))
        FROM holdfast.run r WHERE r.run_id IN (
            SELECT v.run_id FROM holdfast.job_event v WHERE v.job_id = \(jobID)
            UNION SELECT o.run_id FROM holdfast.observation o WHERE o.job_id = \(jobID)
            UNION SELECT t.run_id FROM holdfast.transfer t WHERE t.job_id = \(jobID)
            UNION SELECT j.lease_owner FROM holdfast.job j WHERE j.job_id = \(jobID))
        ORDER BY r.started_at DESC LIMIT \(JobStory.eventLimit)::integer)
        """
    }
}
