-- The files on their way into permanent storage.

-- Files that are known to be slow or refused: few beside all that wait.
CREATE INDEX asset_slow ON holdfast.asset (expires_by, job_id, ordinal)
    WHERE state = 'pending' AND slow_since IS NOT NULL;
CREATE INDEX asset_refused ON holdfast.asset (provider, refused_since)
    WHERE state = 'pending' AND refused_since IS NOT NULL;

-- What the source of a refused file sent, kept before its address ends: digest, type and the first
-- bytes.
CREATE TABLE holdfast.refused_file (
    job_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    found_at timestamptz NOT NULL,
    type text COLLATE "C" NOT NULL,
    -- Of all bytes, when is_whole; else of those that were read.
    sha256 text COLLATE "C" NOT NULL,
    bytes bigint NOT NULL,
    is_whole boolean NOT NULL,
    head bytea NOT NULL CHECK (length(head) <= 65536),
    -- More than quarantine_max_bytes: no more of it will be kept.
    is_too_large boolean NOT NULL,
    -- A browser may run it, so that nobody can accept it.
    is_runnable boolean NOT NULL,
    -- Where all of it is in the quarantine store.
    object_name text COLLATE "C" CHECK (is_whole OR object_name IS NULL),
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES holdfast.asset
);
CREATE INDEX refused_file_kept ON holdfast.refused_file (found_at);

-- Every object that was begun in the quarantine store, whatever became of it, until it is removed.
CREATE TABLE holdfast.quarantined (
    object_name text COLLATE "C" PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    begun_at timestamptz NOT NULL
);
CREATE INDEX quarantined_age ON holdfast.quarantined (begun_at);

-- Refused files that a person wants delivered all the same.
CREATE TABLE holdfast.acceptance (
    job_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    sha256 text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    person text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    accepted_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES holdfast.asset
);

-- What the mirrorer needs to know of a file.
CREATE TYPE holdfast.file_item AS (
    job_id text COLLATE "C", ordinal integer, token bigint, provider text, account_id text,
    kind text,
    model text, endpoint text, task_id text, source_url text, source_expires_us bigint,
    object_key text, upload_id text, sha256 text, bytes bigint,
    content_type text, attempts integer, now_us bigint, slow boolean);

CREATE FUNCTION holdfast.describe_files(jobs text[], ordinals integer[], now_ timestamptz)
RETURNS SETOF holdfast.file_item
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- In this language it is planned once in a run, which costs more than to carry it out.
    RETURN QUERY
    SELECT a.job_id, a.ordinal, a.lease_token, j.provider, j.account_id, j.kind, j.model,
        coalesce(t.endpoint, j.endpoint), j.task_id, a.source_url,
        (extract(epoch FROM a.source_expires_at) * 1000000)::bigint,
        a.object_key, a.upload_id, a.sha256, a.bytes,
        a.content_type, a.attempts, (extract(epoch FROM now_) * 1000000)::bigint,
        a.slow_since IS NOT NULL
    FROM unnest(jobs, ordinals) WITH ORDINALITY AS w (job_id, ordinal, rank)
    JOIN asset a ON a.job_id = w.job_id AND a.ordinal = w.ordinal
    JOIN job j ON j.job_id = a.job_id
    LEFT JOIN task t ON t.provider = j.provider AND t.task_id = j.task_id
    ORDER BY w.rank;
END $$;

-- Claims files to store, nearest expiry first: at most `most`, and beside them `most_slow` of those
-- whose sources are known to be slow, so that these never take the places of others. One whose claims have all but one ended without a
-- result is a suspect, and claimed alone, so that it takes no other with it: only for a run that says
-- that it holds nothing. When the last claim too ends so, and nothing else ends runs, its job is set
-- aside.
CREATE FUNCTION holdfast.claim_files(
    run uuid, most integer, most_slow integer, alone boolean, jobs text[], providers text[],
    clock_offset interval)
RETURNS TABLE (item holdfast.file_item, suspect boolean, set_aside text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp
-- The files are walked in the order of their index, only as far as needed, each to its job.
SET enable_sort = off SET enable_material = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
    cap integer := policy_value('claim_limit')::integer;
    jobs_ text[];
    ordinals_ integer[];
    crashed text[];
    by_pace boolean;
    wish text;
    lane text;
    lanes text;
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    now_ := clock();
    FOREACH suspect IN ARRAY CASE WHEN alone AND cardinality(jobs) = 0
        THEN '{true,false}'::boolean[] ELSE '{false}' END
    LOOP
        wish := CASE WHEN cardinality(jobs) > 0 THEN 'a.job_id = ANY ($2)'
            WHEN suspect THEN 'a.next_attempt_at <= $1 AND a.claims >= greatest($6 - 1, 1)'
            ELSE 'a.next_attempt_at <= $1 AND a.claims < greatest($6 - 1, 1)' END;
        -- What a person names, and what comes alone, is claimed whatever its source's pace.
        by_pace := cardinality(jobs) = 0 AND NOT suspect;
        lane := 'SELECT * FROM (
            SELECT a.job_id, a.ordinal, a.claims, a.lease_until FROM asset a JOIN job j USING (job_id)
            WHERE a.state = ''pending'' AND %s AND %s
                AND (cardinality($3) = 0 OR a.provider = ANY ($3))
                AND lease_is_over(a.lease_until, $1, $4)
                AND j.blocked IS NULL AND j.pending_move IS NULL AND j.state = ''succeeded''
            ORDER BY a.expires_by, a.job_id, a.ordinal
            LIMIT %s FOR NO KEY UPDATE OF a, j SKIP LOCKED) f';
        lanes := format(lane, wish, CASE WHEN by_pace THEN 'a.slow_since IS NULL' ELSE 'true' END,
            CASE WHEN suspect THEN 1 ELSE least(most, 500) END);
        IF by_pace AND most_slow > 0 THEN
            lanes := lanes || ' UNION ALL '
                || format(lane, wish, 'a.slow_since IS NOT NULL', least(most_slow, 500));
        END IF;
        EXECUTE format('WITH picked AS MATERIALIZED (
                SELECT a.job_id, a.ordinal, a.claims, a.lease_until,
                    row_number() OVER () AS rank FROM (%s) a
            ), crashed AS (
                UPDATE job j SET blocked = ''crashed'', blocked_reason = format(
                    ''%%s claims of file %%s in a row ended without a result'', c.claims, c.ordinal)
                FROM (SELECT DISTINCT ON (p.job_id) p.* FROM picked p
                    WHERE is_to_blame(p.claims, $6, p.lease_until, $1)
                    ORDER BY p.job_id, p.ordinal) c
                WHERE j.job_id = c.job_id RETURNING j.job_id
            ), taken AS (
                UPDATE asset a SET lease_owner = $5, lease_token = a.lease_token + 1,
                    lease_until = $1 + $4, claims = a.claims + 1
                FROM picked p WHERE a.job_id = p.job_id AND a.ordinal = p.ordinal
                    AND a.job_id NOT IN (SELECT c.job_id FROM crashed c)
                RETURNING a.job_id, a.ordinal, p.rank
            ) SELECT array_agg(t.job_id ORDER BY t.rank), array_agg(t.ordinal ORDER BY t.rank),
                (SELECT array_agg(c.job_id) FROM crashed c) FROM taken t', lanes)
        INTO jobs_, ordinals_, crashed USING now_, jobs, providers, lease, run, cap;
        EXIT WHEN jobs_ IS NOT NULL OR crashed IS NOT NULL;
    END LOOP;
    RETURN QUERY SELECT NULL::file_item, suspect, c FROM unnest(crashed) c;
    RETURN QUERY SELECT d, suspect, NULL::text FROM describe_files(jobs_, ordinals_, now_) d;
END $$;

CREATE FUNCTION holdfast.due_files(
    most integer, jobs text[], providers text[], now_ timestamptz)
RETURNS SETOF holdfast.file_item
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT d.* FROM (
        SELECT array_agg(f.job_id) AS job_ids, array_agg(f.ordinal) AS ordinals FROM (
            SELECT a.job_id, a.ordinal FROM asset a JOIN job j USING (job_id)
            WHERE a.state = 'pending' AND (a.next_attempt_at <= now_ OR a.job_id = ANY (jobs))
                AND (cardinality(jobs) = 0 OR a.job_id = ANY (jobs))
                AND (cardinality(providers) = 0 OR a.provider = ANY (providers))
                AND lease_is_over(a.lease_until, now_, policy_interval('lease'))
                AND j.blocked IS NULL AND j.pending_move IS NULL AND j.state = 'succeeded'
            ORDER BY a.expires_by, a.job_id, a.ordinal LIMIT most) f) due
    CROSS JOIN LATERAL describe_files(due.job_ids, due.ordinals, now_) d
$$;

CREATE FUNCTION holdfast.renew_file_leases(
    run uuid, jobs text[], ordinals integer[], tokens bigint[], clock_offset interval)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kept integer;
    until timestamptz;
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    until := clock() + policy_interval('lease');
    UPDATE run_slot s SET expires_at = until WHERE s.run_id = run;
    UPDATE asset a SET lease_until = until
    FROM unnest(jobs, ordinals, tokens) h (job_id, ordinal, token)
    WHERE a.job_id = h.job_id AND a.ordinal = h.ordinal AND a.lease_token = h.token
        AND a.lease_owner = run AND a.state = 'pending';
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END $$;

-- Gives the run's place up, so that the next one can begin, while it keeps its leases: for a run that
-- claims nothing more and only ends what it has begun.
CREATE FUNCTION holdfast.leave_place(run uuid, clock_offset interval)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    UPDATE run_slot SET run_id = NULL, expires_at = NULL WHERE run_id = run;
END $$;

CREATE FUNCTION holdfast.release_files(
    run uuid, jobs text[], ordinals integer[], tokens bigint[], clock_offset interval)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    UPDATE asset a SET lease_owner = NULL, lease_until = NULL, claims = greatest(a.claims - 1, 0)
    FROM unnest(jobs, ordinals, tokens) h (job_id, ordinal, token)
    WHERE a.job_id = h.job_id AND a.ordinal = h.ordinal AND a.lease_token = h.token
        AND a.lease_owner = run;
END $$;

-- One step of one file.
CREATE TYPE holdfast.file_step AS (
    job_id text COLLATE "C", ordinal integer, token bigint,
    -- begun (key and upload committed before the first byte is written; left out for a file that is
    -- in memory whole before that), complete (the same, and the digest; nothing visible yet),
    -- stored, refreshed (another URL), slow (its source is, and the lease goes on), retry,
    -- refused (a retry of what was no media), lost.
    step text,
    object_key text, upload_id text, content_type text, sha256 text, bytes bigint,
    public_url text, source_url text, source_expires_at timestamptz,
    wait interval, error_message text, refused_as text);

-- Writes the steps of files, each only while its lease stands, and delivers or fails the jobs
-- whose last file has come to its end, with their credits, in the same transaction.
CREATE FUNCTION holdfast.record_files(run uuid, clock_offset interval, steps jsonb)
RETURNS TABLE (job_id text, ordinal integer, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    given file_step[] := ARRAY(SELECT s FROM jsonb_populate_recordset(NULL::file_step, steps) s);
    ended text[];
    moves move[];
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    now_ := clock();
    RETURN QUERY
    WITH written AS (
        UPDATE asset a SET
            state = CASE s.step WHEN 'stored' THEN 'stored' WHEN 'lost' THEN 'lost' ELSE a.state END,
            object_key = coalesce(s.object_key, a.object_key),
            upload_id = CASE WHEN s.step IN ('stored', 'lost') THEN NULL
                ELSE coalesce(s.upload_id, a.upload_id) END,
            content_type = coalesce(s.content_type, a.content_type),
            -- A new upload forgets what the one before it had come to.
            sha256 = CASE s.step WHEN 'begun' THEN NULL ELSE coalesce(s.sha256, a.sha256) END,
            bytes = CASE s.step WHEN 'begun' THEN NULL ELSE coalesce(s.bytes, a.bytes) END,
            public_url = coalesce(s.public_url, a.public_url),
            source_url = coalesce(s.source_url, a.source_url),
            source_expires_at = CASE s.step WHEN 'refreshed' THEN s.source_expires_at
                ELSE a.source_expires_at END,
            expires_by = CASE s.step
                WHEN 'refreshed' THEN coalesce(s.source_expires_at,
                    now_ + policy_interval('url_life', a.provider)) ELSE a.expires_by END,
            refreshed_at = CASE s.step WHEN 'refreshed' THEN now_ ELSE a.refreshed_at END,
            error_message = CASE WHEN s.step IN ('retry', 'refused', 'lost') THEN left(s.error_message, 1000)
                WHEN s.step = 'stored' THEN NULL ELSE a.error_message END,
            attempts = a.attempts + CASE WHEN s.step IN ('retry', 'refused', 'stored', 'lost') THEN 1 ELSE 0 END,
            next_attempt_at = CASE WHEN s.step IN ('retry', 'refused') THEN now_ + s.wait
                ELSE a.next_attempt_at END,
            stored_at = CASE s.step WHEN 'stored' THEN now_ ELSE a.stored_at END,
            slow_since = CASE WHEN s.step = 'slow' THEN coalesce(a.slow_since, now_)
                WHEN s.step IN ('stored', 'lost') THEN NULL ELSE a.slow_since END,
            refused_since = CASE WHEN s.step = 'refused' THEN coalesce(a.refused_since, now_)
                WHEN s.step IN ('stored', 'lost') THEN NULL ELSE a.refused_since END,
            refused_as = CASE WHEN s.step = 'refused' THEN left(s.refused_as, 500)
                WHEN s.step IN ('stored', 'lost') THEN NULL ELSE a.refused_as END,
            claims = CASE WHEN s.step IN ('retry', 'refused', 'stored', 'lost') THEN 0 ELSE a.claims END,
            lease_owner = CASE WHEN s.step IN ('retry', 'refused', 'stored', 'lost') THEN NULL
                ELSE a.lease_owner END,
            lease_until = CASE WHEN s.step IN ('retry', 'refused', 'stored', 'lost') THEN NULL
                ELSE a.lease_until END
        FROM unnest(given) s
        WHERE a.job_id = s.job_id AND a.ordinal = s.ordinal AND a.state = 'pending'
            AND a.lease_token = s.token AND a.lease_owner = run
        RETURNING a.job_id, a.ordinal, s.step
    )
    SELECT s.job_id, s.ordinal, coalesce(w.step, 'lease_lost'), NULL::text, NULL::bigint, NULL::text
    FROM unnest(given) s LEFT JOIN written w ON w.job_id = s.job_id AND w.ordinal = s.ordinal;

    SELECT array_agg(DISTINCT s.job_id) INTO ended
    FROM unnest(given) s WHERE s.step IN ('stored', 'lost');
    IF ended IS NOT NULL THEN
        RETURN QUERY SELECT d.job_id, NULL::integer, d.outcome, d.action, d.amount, d.detail
            FROM deliver_jobs(ended) d WHERE d.outcome <> 'locked';
    END IF;
    IF EXISTS (SELECT FROM unnest(given) s WHERE s.step = 'refused') THEN
        RETURN QUERY SELECT r.job_id, NULL::integer, r.outcome, NULL::text, r.amount, r.detail
            FROM set_refused_aside(ARRAY(SELECT DISTINCT s.job_id FROM unnest(given) s
                WHERE s.step = 'refused'), now_) r;
    END IF;
END $$;

-- Jobs a file of which has been refused for longer than refused_after wait for a person ('set_aside',
-- with the reason). Where three tasks are refused and no file was accepted within that time, it is the
-- provider's trouble, or the host's when that is so of all: no job is set aside ('refused_everywhere',
-- with how many tasks).
CREATE FUNCTION holdfast.set_refused_aside(wanted text[], now_ timestamptz)
RETURNS TABLE (job_id text, outcome text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    one record;
    reason text;
    theirs bigint;
    everybodys bigint;
BEGIN
    FOR one IN SELECT DISTINCT ON (a.job_id) a.job_id, a.ordinal, a.provider, a.refused_since,
            a.refused_as, now_ - policy_interval('refused_after', j.provider, j.kind, j.model)
                AS since
        FROM asset a JOIN job j USING (job_id)
        WHERE a.job_id = ANY (wanted) AND a.state = 'pending' AND a.refused_since IS NOT NULL
            AND j.state = 'succeeded' AND j.blocked IS NULL AND j.pending_move IS NULL
        ORDER BY a.job_id, a.refused_since, a.ordinal
    LOOP
        CONTINUE WHEN one.refused_since > one.since;
        -- Whoever holds the job is not waited for: the next refusal comes back to it.
        PERFORM 1 FROM job j WHERE j.job_id = one.job_id AND j.blocked IS NULL
        FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT count(DISTINCT coalesce(j.task_id, j.job_id)) FILTER (WHERE a.provider = one.provider),
            count(DISTINCT coalesce(j.task_id, j.job_id)) INTO theirs, everybodys
        FROM asset a JOIN job j USING (job_id)
        WHERE a.state = 'pending' AND a.refused_since IS NOT NULL AND j.blocked IS NULL;
        IF theirs >= 3 AND NOT EXISTS (SELECT FROM asset a WHERE a.state = 'stored'
                AND a.stored_at > one.since AND a.provider = one.provider)
            OR everybodys >= 3 AND NOT EXISTS (SELECT FROM asset a WHERE a.state = 'stored'
                AND a.stored_at > one.since) THEN
            RETURN QUERY SELECT one.job_id, 'refused_everywhere', everybodys, one.provider;
            CONTINUE;
        END IF;
        reason := format('file %s has been refused since %s: %s', one.ordinal,
            to_char(one.refused_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            one.refused_as);
        UPDATE job j SET blocked = 'person', blocked_reason = reason WHERE j.job_id = one.job_id;
        RETURN QUERY SELECT one.job_id, 'set_aside', NULL::bigint,
            reason || '; next: ' || refused_advice(one.job_id)
                || coalesce('; to deliver it all the same: '
                    || accept_command(one.job_id, one.ordinal), '');
    END LOOP;
END $$;

-- Writes the name of an object down before it is begun in the quarantine store, so that it is removed
-- in time whatever becomes of the run. False when the file's lease is lost.
CREATE FUNCTION holdfast.begin_quarantine(
    run uuid, wanted text, file integer, with_token bigint, clock_offset interval, name text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    INSERT INTO quarantined (object_name, job_id, ordinal, begun_at)
    SELECT name, wanted, file, clock()
    FROM asset a WHERE a.job_id = wanted AND a.ordinal = file AND a.lease_token = with_token
        AND a.lease_owner = run AND a.state = 'pending'
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Keeps what is known of a refused file, while its lease stands.
CREATE FUNCTION holdfast.keep_refused(
    run uuid, wanted text, file integer, with_token bigint, clock_offset interval, type text,
    sha256 text, bytes bigint, is_whole boolean, head bytea, is_too_large boolean,
    is_runnable boolean, object_name text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    INSERT INTO refused_file (job_id, ordinal, found_at, type, sha256, bytes, is_whole, head,
        is_too_large, is_runnable, object_name)
    SELECT wanted, file, clock(), left(type, 500), sha256, bytes, is_whole, head, is_too_large,
        is_runnable, object_name
    FROM asset a WHERE a.job_id = wanted AND a.ordinal = file AND a.lease_token = with_token
        AND a.lease_owner = run AND a.state = 'pending'
    ON CONFLICT ON CONSTRAINT refused_file_pkey DO UPDATE SET found_at = excluded.found_at,
        type = excluded.type, sha256 = excluded.sha256, bytes = excluded.bytes,
        is_whole = excluded.is_whole, head = excluded.head, is_too_large = excluded.is_too_large,
        is_runnable = excluded.is_runnable, object_name = excluded.object_name;
    RETURN FOUND;
END $$;

-- Forgets what was kept of refused files for longer than keep_quarantine, and names the objects in the
-- quarantine store that are as old, oldest first.
CREATE FUNCTION holdfast.forget_refused(run uuid, clock_offset interval) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    DELETE FROM refused_file r WHERE (r.job_id, r.ordinal) IN (
        SELECT o.job_id, o.ordinal FROM refused_file o
        WHERE o.found_at < clock() - policy_interval('keep_quarantine')
        ORDER BY o.found_at LIMIT 1000);
    RETURN QUERY SELECT q.object_name FROM quarantined q
        WHERE q.begun_at < clock() - policy_interval('keep_quarantine')
        ORDER BY q.begun_at LIMIT 1000;
END $$;

-- Objects that are in the quarantine store no more.
CREATE FUNCTION holdfast.forget_quarantined(names text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE refused_file r SET object_name = NULL WHERE r.object_name = ANY (names);
    DELETE FROM quarantined q WHERE q.object_name = ANY (names);
END $$;

-- Moves on the jobs whose files have all come to an end: delivered with the customer's share, or
-- failed as result_lost. One that somebody else holds, or whose account somebody holds, is 'locked',
-- and is kept to be delivered later: nothing waits for it here. The brakes are waited for at most so long.
CREATE FUNCTION holdfast.deliver_jobs(wanted text[], brakes_wait text DEFAULT '100ms')
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moves move[];
    ours text[];
    locked text[];
BEGIN
    -- A file that is lost, or was never made, brings credits back: the brakes are waited for while
    -- nothing else is held.
    IF EXISTS (SELECT FROM job j WHERE j.job_id = ANY (wanted) AND j.state = 'succeeded'
            AND j.expected_outputs > (SELECT count(*) FROM asset a
                WHERE a.job_id = j.job_id AND a.state <> 'lost')) THEN
        PERFORM take_brakes(brakes_wait);
    END IF;
    -- Of two runs that store the last two files of a job, one has its row and sees both, or leaves it.
    SELECT array_agg(l.job_id) INTO ours FROM (
        SELECT j.job_id FROM job j JOIN account a ON a.account_id = j.account_id
        WHERE j.job_id = ANY (wanted)
        ORDER BY j.job_id FOR NO KEY UPDATE OF a, j SKIP LOCKED) l;
    SELECT array_agg(jsonb_populate_record(NULL::move, CASE
            WHEN f.stored > 0 AND (f.stored >= j.expected_outputs
                OR policy_value('partial', j.provider, j.kind, j.model) = 'deliver')
            THEN jsonb_build_object('job_id', j.job_id, 'new_state', 'delivered', 'files', f.stored)
            ELSE jsonb_build_object('job_id', j.job_id, 'new_state', 'failed',
                'error_code', 'result_lost', 'files', f.stored, 'error_message',
                format('%s of %s promised files could be stored%s', f.stored, j.expected_outputs,
                    coalesce('; ' || f.why, ''))) END)) INTO moves
    FROM job j CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE a.state = 'stored')::integer AS stored,
            count(*) FILTER (WHERE a.state = 'pending') AS pending,
            min(a.error_message) FILTER (WHERE a.state = 'lost') AS why
        FROM asset a WHERE a.job_id = j.job_id) f
    WHERE j.job_id = ANY (ours) AND j.state = 'succeeded' AND f.pending = 0
        AND j.pending_move IS NULL;
    locked := ARRAY(SELECT j.job_id FROM job j
        WHERE j.job_id = ANY (wanted) AND j.job_id <> ALL (coalesce(ours, '{}')));
    FOR job_id, outcome, action, amount, detail IN
        SELECT a.job_id, CASE a.outcome WHEN 'go' THEN m.new_state ELSE a.outcome END,
            a.action, a.amount, a.detail
        FROM apply_automatic(moves) a JOIN unnest(moves) m ON m.job_id = a.job_id
    LOOP
        IF outcome IN ('locked', 'refused') THEN
            locked := locked || job_id;
        END IF;
        RETURN NEXT;
    END LOOP;
    RETURN QUERY SELECT l, 'locked', NULL::text, NULL::bigint, NULL::text FROM unnest(locked) l
        WHERE l <> ALL (coalesce(ours, '{}'));
    -- What could not be delivered is remembered, also for after a person has freed it.
    INSERT INTO undelivered AS u (job_id, held_up_since)
    SELECT DISTINCT l, clock() FROM unnest(locked) l ON CONFLICT DO NOTHING;
    DELETE FROM undelivered u WHERE u.job_id = ANY (ours) AND u.job_id <> ALL (locked);
END $$;
