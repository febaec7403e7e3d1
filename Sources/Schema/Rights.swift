package import Postgres

/// Owners, rights and sequences, which a dump, a replica or a restore elsewhere does not carry over.
///
/// A dump has no roles, and where one is missing at the restore, each list of rights that names it
/// fails whole: functions are then everybody's, as PostgreSQL makes them. Logical replication leaves
/// sequences where they were.
package enum Rights {
    /// Gives the schema and all that is in it to one owner.
    ///
    /// That is the owner role, where the login may act as it, else whoever owns the schema. What the
    /// login may not change, `disorder` names.
    static let takeOver = """
        DO $$
        DECLARE
            wanted name := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace
                WHERE nspname = 'holdfast');
            one text;
        BEGIN
            IF wanted <> 'holdfast_owner'
                AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_owner') THEN
                ALTER SCHEMA holdfast OWNER TO holdfast_owner;
                wanted := 'holdfast_owner';
            END IF;
            FOR one IN
                SELECT format('ALTER %s %s OWNER TO %I', o.kind, o.name, wanted) FROM (
                    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE'
                            WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner
                    FROM pg_class c WHERE c.relnamespace = 'holdfast'::regnamespace
                        AND c.relkind IN ('r', 'p', 'v', 'c', 'S')
                        -- The sequence of an identity column goes with its table.
                        AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.objid = c.oid AND d.deptype = 'i' AND c.relkind = 'S')
                    UNION ALL SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner
                    FROM pg_proc p WHERE p.pronamespace = 'holdfast'::regnamespace
                    UNION ALL SELECT 'TYPE', t.oid::regtype::text, t.typowner
                    FROM pg_type t WHERE t.typnamespace = 'holdfast'::regnamespace
                        AND t.typtype IN ('d', 'e')
                ) o (kind, name, owner)
                WHERE pg_get_userbyid(o.owner) <> wanted
            LOOP
                EXECUTE one;
            END LOOP;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END $$;
        """

    /// Moves every sequence on that is behind the rows of its table, and none back.
    static let moveSequences = """
        DO $$
        DECLARE
            one record;
            highest bigint;
        BEGIN
            FOR one IN \(identities) LOOP
                EXECUTE one.highest INTO highest;
                IF highest > coalesce(pg_sequence_last_value(one.sequence), 0) THEN
                    PERFORM setval(one.sequence, highest);
                END IF;
            END LOOP;
        END $$;
        """

    /// Each identity column, its sequence, and the statement that finds its highest value by an index.
    ///
    /// No index leads by the sequence of transfers alone; the latest ones have the highest.
    private static let identities = """
        SELECT format('%s.%s', c.relname, a.attname) AS name,
            pg_get_serial_sequence(c.oid::regclass::text, a.attname)::regclass AS sequence,
            CASE c.relname WHEN 'transfer' THEN
                'SELECT coalesce(max(t.sequence), 0) FROM (SELECT sequence FROM holdfast.transfer '
                    || 'ORDER BY created_at DESC, sequence DESC LIMIT 1000) t'
            ELSE format('SELECT coalesce(max(%I), 0) FROM %s', a.attname, c.oid::regclass)
            END AS highest
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'holdfast'::regnamespace AND a.attidentity <> ''
        ORDER BY 1
        """

    /// What is out of order with owners and rights, in words; empty when all is as setup leaves it.
    package static func disorder(_ connection: borrowing Connection) throws -> [String] {
        let row = try connection.query(
            """
            SELECT (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = n.oid AND EXISTS (
                    SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
                    WHERE x.grantee = 0)) AS open,
                (SELECT count(*) FROM (
                    SELECT relowner FROM pg_class WHERE relnamespace = n.oid
                    UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = n.oid) o (owner)
                    WHERE o.owner <> n.nspowner) AS foreign,
                (SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}')
                    FROM pg_roles r WHERE r.rolname IN ('holdfast_app', 'holdfast_jobs', 'holdfast_report')
                        AND NOT (has_schema_privilege(r.oid, n.oid, 'USAGE')
                            AND CASE r.rolname WHEN 'holdfast_app'
                            THEN (SELECT bool_and(has_function_privilege(r.oid, p.oid, 'EXECUTE'))
                                FROM pg_proc p WHERE p.pronamespace = n.oid
                                    AND p.proname IN ('open_job', 'record_callback'))
                            ELSE (SELECT bool_and(has_table_privilege(r.oid, c.oid, 'SELECT'))
                                FROM pg_class c WHERE c.relnamespace = n.oid
                                    AND c.relkind IN ('r', 'v')) END)) AS without
            FROM pg_namespace n WHERE n.nspname = 'holdfast'
            """
        ).single()
        var words: [String] = []
        let open = try row.int("open")
        if open > 0 { words.append("everybody who can log in may run \(open) of its functions") }
        let foreign = try row.int("foreign")
        if foreign > 0 { words.append("\(foreign) objects do not belong to the schema's owner") }
        let without = try row.texts("without")
        if !without.isEmpty {
            words.append("\(without.joined(separator: ", ")) lacks rights that it needs")
        }
        return words
    }

    /// Identity columns whose sequence is behind their rows, as in `transfer.sequence`: the next
    /// insert would use a number that is taken.
    package static func lateSequences(_ connection: borrowing Connection) throws -> [String] {
        var late: [String] = []
        for row in try connection.query(
            "SELECT i.name, i.sequence::text, i.highest FROM (\(raw: identities)) i")
        {
            let highest = try row.text("highest")
            let sequence = try row.text("sequence")
            let isLate = try connection.query(
                """
                SELECT (\(raw: highest)) > coalesce(pg_sequence_last_value(\(sequence)::regclass), 0)
                    AS late
                """
            ).single().bool("late")
            if isLate { late.append(try row.text("name")) }
        }
        return late
    }
}
