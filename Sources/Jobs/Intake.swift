package import Core
package import Postgres

/// The way of callbacks into the inbox.
package enum Intake {
    /// What became of a callback from a spool folder.
    package enum Spooled: String, Sendable {
        case kept
        /// It is in the inbox already.
        case known
        /// Another run is at it.
        case busy
    }

    /// Keeps a callback as it came in; returns its id.
    package static func record(
        _ connection: borrowing Connection, _ callback: ReceivedCallback
    ) throws -> Int64 {
        let record: SQL = """
            SELECT holdfast.record_callback(\(callback.provider), \(json(callback.headers))::jsonb,
                \(callback.query), \(callback.body)::bytea) AS callback_id
            """
        guard let whole = callback.whole else {
            return try connection.query(record).single().int64("callback_id")
        }
        return try connection.transaction {
            // For this transaction only; an address on the network has no way to say it.
            try connection.execute(
                """
                SELECT set_config('holdfast.whole_body',
                    concat(\(whole.bytes)::text, ' ', encode(\(whole.sha256)::bytea, 'hex')), true)
                """)
            return try connection.query(record).single().int64("callback_id")
        }
    }

    /// Keeps a callback from a spool folder, once.
    package static func keep(
        _ connection: borrowing Connection, _ callback: SpooledCallback
    ) throws -> Spooled {
        let word = try connection.query(
            """
            SELECT holdfast.keep_spooled_callback(\(callback.spoolID), \(callback.provider),
                \(json(callback.headers))::jsonb, \(callback.query), \(callback.body)::bytea,
                \(callback.secretDigest), \(callback.headerSecretDigest),
                timestamptz 'epoch' + \(callback.receivedAt.microseconds)::bigint * interval '1 microsecond',
                \(callback.whole?.bytes)::bigint, \(callback.whole?.sha256)::bytea) AS word
            """
        ).single().text("word")
        guard let result = Spooled(rawValue: word) else {
            throw Failure(.defect, code: "database_shape", "a spooled callback is \"\(word)\"")
        }
        return result
    }

    private static func json(_ headers: JSONObject) -> String { JSON.write(.object(headers)) }
}
