-- A database that has lost commits which it had acknowledged: after a failover to a standby that was
-- behind, or a restore to a point in time. Runs leave marks outside, and find them again.

-- The newest mark: raised by each run that writes, pruned by nothing. It says what the server told of
-- itself then; null where it may not.
CREATE TABLE holdfast.mark (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    counter bigint NOT NULL,
    value text COLLATE "C" NOT NULL,
    marked_at timestamptz NOT NULL,
    system text COLLATE "C",
    timeline text COLLATE "C",
    lsn bigint
);
INSERT INTO holdfast.mark (counter, value, marked_at) VALUES (0, '', clock_timestamp());

-- The marks so far, the newest 100,000 of them: what is found outside is looked for here.
CREATE TABLE holdfast.mark_made (
    counter bigint PRIMARY KEY,
    value text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    marked_at timestamptz NOT NULL
);
CREATE INDEX mark_made_host ON holdfast.mark_made (host, counter);

-- Places outside that marks were written to: one that was never met has none, whatever it answers.
CREATE TABLE holdfast.mark_place (
    place text COLLATE "C" PRIMARY KEY,
    met_at timestamptz NOT NULL
);

-- Commits that were lost, as far as runs have noticed. It is open as long as a job is held back.
CREATE TABLE holdfast.rewind (
    rewind_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    noticed_at timestamptz NOT NULL,
    run_id uuid,
    sign text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    -- The last mark that both sides know, and the start of the run that noticed.
    gap_from timestamptz NOT NULL,
    gap_until timestamptz NOT NULL,
    -- Marks that were lost: what bears one of these numbers outside is known.
    lost_from bigint NOT NULL,
    lost_to bigint NOT NULL,
    -- The last job that was looked at, and when all had been.
    filled_to text COLLATE "C" NOT NULL DEFAULT '',
    filled_at timestamptz,
    closed_at timestamptz,
    closed_by text COLLATE "C",
    close_reason text COLLATE "C"
);
CREATE INDEX rewind_open ON holdfast.rewind (rewind_id) WHERE closed_at IS NULL;

-- The jobs whose story may have changed in what was lost.
CREATE TABLE holdfast.rewind_job (
    rewind_id bigint NOT NULL REFERENCES holdfast.rewind,
    job_id text COLLATE "C" NOT NULL REFERENCES holdfast.job,
    held_at timestamptz NOT NULL,
    let_go_at timestamptz,
    -- looked_up, listed, told (a callback, the application or a person named its task), finished, or
    -- released (by a person).
    how text COLLATE "C" CHECK (how IN ('looked_up', 'listed', 'told', 'finished', 'released')),
    PRIMARY KEY (rewind_id, job_id),
    CONSTRAINT let_go_somehow CHECK ((let_go_at IS NULL) = (how IS NULL))
);
CREATE INDEX rewind_job_held ON holdfast.rewind_job (job_id) WHERE let_go_at IS NULL;

-- What the server says of itself. The timeline stands in the name of the file that it writes its log
-- to; the checkpoint's would be the old one for a while after a promotion.
CREATE FUNCTION holdfast.server_now(OUT system text, OUT timeline text, OUT lsn bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_catalog, pg_temp AS $$
BEGIN
    BEGIN
        timeline := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
        lsn := (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint;
    EXCEPTION WHEN OTHERS THEN
        timeline := NULL; lsn := NULL;
    END;
    BEGIN
        system := (SELECT s.system_identifier::text FROM pg_control_system() s);
    EXCEPTION WHEN OTHERS THEN
        system := NULL;
    END;
END $$;

-- What the database knows of marks: the newest, the oldest that is kept, those of the given numbers, the
-- hosts that raised any within 30 days, what was lost before, and the server then and now.
CREATE FUNCTION holdfast.marks(counters bigint[], clock_offset interval) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT jsonb_build_object(
        'counter', m.counter, 'value', m.value,
        'marked_us', (extract(epoch FROM m.marked_at) * 1000000)::bigint,
        'oldest', coalesce((SELECT min(o.counter) FROM mark_made o), m.counter),
        'known', (SELECT coalesce(jsonb_agg(jsonb_build_array(k.counter, k.value,
                (extract(epoch FROM k.marked_at) * 1000000)::bigint)), '[]')
            FROM mark_made k WHERE k.counter = ANY (counters)),
        'lost', (SELECT coalesce(jsonb_agg(jsonb_build_array(r.lost_from, r.lost_to)), '[]')
            FROM rewind r WHERE r.lost_to >= r.lost_from),
        'places', (SELECT coalesce(jsonb_agg(p.place), '[]') FROM mark_place p),
        'system', m.system, 'timeline', m.timeline, 'lsn', m.lsn,
        'system_now', s.system, 'timeline_now', s.timeline, 'lsn_now', s.lsn,
        'is_open', EXISTS (SELECT FROM rewind r WHERE r.closed_at IS NULL))
    FROM mark m, server_now() s
$$;

-- The hosts whose marks are looked for in the store: those that raised one within 30 days, the newest
-- first.
CREATE FUNCTION holdfast.marking_hosts(most integer, clock_offset interval) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    -- From host to host along the index, so that it does not read every mark.
    WITH RECURSIVE hosts AS (
        (SELECT m.host FROM mark_made m ORDER BY m.host LIMIT 1)
        UNION ALL
        SELECT (SELECT m.host FROM mark_made m WHERE m.host > h.host ORDER BY m.host LIMIT 1)
        FROM hosts h WHERE h.host IS NOT NULL
    )
    SELECT h.host FROM hosts h CROSS JOIN LATERAL (SELECT m.marked_at FROM mark_made m
        WHERE m.host = h.host ORDER BY m.counter DESC LIMIT 1) l
    WHERE h.host IS NOT NULL AND l.marked_at > clock_timestamp() + clock_offset - interval '30 days'
    ORDER BY l.marked_at DESC LIMIT most
$$;

-- Raises the mark, and returns what is to be written outside once that is committed: the newest marks,
-- so that the other side can be asked for the last that it knows.
CREATE FUNCTION holdfast.raise_mark(run uuid, host text, clock_offset interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    m mark;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    UPDATE mark SET counter = mark.counter + 1, marked_at = clock(),
        value = left(replace(gen_random_uuid()::text, '-', ''), 16),
        system = s.system, timeline = s.timeline, lsn = s.lsn
    FROM server_now() s RETURNING mark.* INTO m;
    INSERT INTO mark_made (counter, value, host, marked_at)
    VALUES (m.counter, m.value, raise_mark.host, m.marked_at);
    DELETE FROM mark_made o WHERE o.counter <= m.counter - 100000;
    RETURN jsonb_build_object('host', raise_mark.host, 'database', current_database(),
        'server', coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a socket'),
        'timeline', m.timeline, 'lsn', m.lsn,
        'marks', (SELECT jsonb_agg(jsonb_build_array(o.counter, o.value,
                (extract(epoch FROM o.marked_at) * 1000000)::bigint) ORDER BY o.counter DESC)
            FROM (SELECT * FROM mark_made o ORDER BY o.counter DESC LIMIT 40) o));
END $$;

-- Remembers that marks were written to a place.
CREATE FUNCTION holdfast.note_mark_place(run uuid, clock_offset interval, named text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('run', run, clock_offset);
    INSERT INTO mark_place (place, met_at) VALUES (left(named, 1000), clock())
    ON CONFLICT (place) DO NOTHING;
END $$;

-- The server's own words are another server's from now on, because a person moved the database: what
-- was written down of the one before is no sign any more.
CREATE FUNCTION holdfast.forget_server() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    UPDATE mark SET system = NULL, timeline = NULL, lsn = NULL
$$;

-- Keeps that commits were lost, and begins to hold back the jobs that it may be about. One that is open
-- grows. The numbers that were lost are never used again.
CREATE FUNCTION holdfast.notice_rewind(
    run uuid, clock_offset interval, sign text, message text, since_us bigint, lost_from bigint,
    lost_to bigint)
RETURNS TABLE (rewind_id bigint, is_news boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    since timestamptz := 'epoch'::timestamptz + since_us * interval '1 microsecond';
    until timestamptz;
    m mark;
    s record;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    now_ := clock();
    -- Runs that notice the same are one after the other here.
    SELECT * INTO m FROM mark FOR UPDATE;
    SELECT * INTO s FROM server_now();
    until := coalesce((SELECT r.started_at FROM run r WHERE r.run_id = run), now_);
    -- A mark of a clock that was ahead tells no time.
    IF since > until THEN
        since := until - interval '1 day';
    END IF;
    IF EXISTS (SELECT FROM rewind r WHERE r.lost_from <= notice_rewind.lost_from
            AND r.lost_to >= notice_rewind.lost_to AND r.gap_from <= since)
        AND (m.system, m.timeline) IS NOT DISTINCT FROM (s.system, s.timeline) THEN
        -- Another run has noticed it meanwhile.
        RETURN QUERY SELECT max(r.rewind_id), false FROM rewind r;
        RETURN;
    END IF;
    SELECT r.rewind_id INTO rewind_id FROM rewind r WHERE r.closed_at IS NULL
    ORDER BY r.rewind_id DESC LIMIT 1;
    IF FOUND THEN
        UPDATE rewind r SET noticed_at = now_, run_id = run, sign = notice_rewind.sign,
            message = left(notice_rewind.message, 1000), gap_from = least(r.gap_from, since),
            gap_until = greatest(r.gap_until, until),
            lost_from = least(r.lost_from, notice_rewind.lost_from),
            lost_to = greatest(r.lost_to, notice_rewind.lost_to), filled_to = '', filled_at = NULL
        WHERE r.rewind_id = notice_rewind.rewind_id;
    ELSE
        INSERT INTO rewind AS r (noticed_at, run_id, sign, message, gap_from, gap_until, lost_from,
            lost_to)
        VALUES (now_, run, notice_rewind.sign, left(notice_rewind.message, 1000),
            since, until, notice_rewind.lost_from, notice_rewind.lost_to)
        RETURNING r.rewind_id INTO rewind_id;
    END IF;
    UPDATE mark SET counter = greatest(m.counter, notice_rewind.lost_to) + 1, marked_at = now_,
        value = left(replace(gen_random_uuid()::text, '-', ''), 16),
        system = s.system, timeline = s.timeline, lsn = s.lsn
    RETURNING mark.* INTO m;
    INSERT INTO mark_made (counter, value, host, marked_at)
    SELECT m.counter, m.value, r.host, now_ FROM run r WHERE r.run_id = run;
    PERFORM tell_later('rewind', NULL, notice_rewind.message);
    is_news := true;
    RETURN NEXT;
END $$;

-- Whether any of these times lies in a gap.
CREATE FUNCTION holdfast.is_between(since timestamptz, until timestamptz, VARIADIC times timestamptz[])
RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_or(t >= since AND t < until), false) FROM unnest(times) t
$$;

-- Holds back a page of the open jobs that were made or changed in a gap, or were to be looked at in it.
-- True when there is another page.
CREATE FUNCTION holdfast.fill_rewind(run uuid, clock_offset interval, wanted bigint, most integer)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    r rewind;
    since timestamptz;
    page text[];
BEGIN
    PERFORM act_as('run', run, clock_offset);
    SELECT * INTO r FROM rewind w WHERE w.rewind_id = wanted AND w.filled_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    since := r.gap_from - interval '10 minutes';
    SELECT array_agg(p.job_id ORDER BY p.job_id) INTO page FROM (
        SELECT j.job_id FROM job j
        WHERE j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
            AND j.job_id > r.filled_to
        ORDER BY j.job_id LIMIT most) p;
    -- One that has succeeded is named too, and goes on.
    INSERT INTO rewind_job AS g (rewind_id, job_id, held_at, let_go_at, how)
    SELECT r.rewind_id, j.job_id, clock(), CASE j.state WHEN 'succeeded' THEN clock() END,
        CASE j.state WHEN 'succeeded' THEN 'finished' END
    FROM job j
    WHERE j.job_id = ANY (page) AND j.created_at < r.gap_until
        AND (is_between(since, r.gap_until, j.created_at, j.submitting_at, j.submitted_at,
                j.timed_out_at, j.last_heartbeat_at, j.last_healthy_at, j.woken_at, j.next_poll_at,
                -- The runs that claim it now do so after what was lost.
                CASE WHEN j.lease_owner IS DISTINCT FROM run THEN j.leased_at END)
            OR EXISTS (SELECT FROM job_event e WHERE e.job_id = j.job_id
                AND e.happened_at >= since AND e.happened_at < r.gap_until))
    ON CONFLICT (rewind_id, job_id) DO UPDATE SET let_go_at = excluded.let_go_at,
        how = excluded.how;
    IF coalesce(cardinality(page), 0) < most THEN
        UPDATE rewind w SET filled_at = clock() WHERE w.rewind_id = wanted;
        PERFORM close_rewinds();
        RETURN false;
    END IF;
    UPDATE rewind w SET filled_to = page[cardinality(page)] WHERE w.rewind_id = wanted;
    RETURN true;
END $$;

-- Closes what holds nothing back any more.
CREATE FUNCTION holdfast.close_rewinds() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    UPDATE rewind r SET closed_at = clock()
    WHERE r.closed_at IS NULL AND r.filled_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM rewind_job g WHERE g.rewind_id = r.rewind_id AND g.let_go_at IS NULL)
$$;

-- Lets jobs go: what may have happened to them in the gap is known now. True when any was held.
CREATE FUNCTION holdfast.let_go(jobs text[], by_what text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE rewind_job g SET let_go_at = clock(), how = by_what
    WHERE g.job_id = ANY (jobs) AND g.let_go_at IS NULL;
    IF FOUND THEN
        PERFORM close_rewinds();
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Lets a job go of which the provider has said, asked by our own id after the sign, that it has no task.
CREATE FUNCTION holdfast.let_go_looked_up(run uuid, clock_offset interval, wanted text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('stuck-sweeper', run, clock_offset);
    RETURN let_go(ARRAY[wanted], 'looked_up');
END $$;

-- Lets the jobs of a provider go whose lists have all been read since the sign. Nothing happens where
-- nothing is held.
CREATE FUNCTION holdfast.let_go_listed(for_provider text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    covered timestamptz;
    listed text[];
BEGIN
    IF NOT EXISTS (SELECT FROM rewind r WHERE r.closed_at IS NULL) THEN
        RETURN;
    END IF;
    SELECT min(l.covered_until) INTO covered FROM task_list l WHERE l.provider = for_provider;
    SELECT array_agg(j.job_id) INTO listed FROM rewind r
    JOIN rewind_job g ON g.rewind_id = r.rewind_id AND g.let_go_at IS NULL
    JOIN job j ON j.job_id = g.job_id AND j.provider = for_provider
    WHERE r.closed_at IS NULL AND r.filled_at IS NOT NULL AND r.noticed_at <= covered;
    PERFORM let_go(coalesce(listed, '{}'), 'listed');
END $$;

-- A job that came to an end has nothing left to be held back from, and one whose task is told is known.
CREATE FUNCTION holdfast.let_go_by_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM rewind r WHERE r.closed_at IS NULL) THEN
        PERFORM let_go(ARRAY[NEW.job_id], TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_ends_rewind AFTER UPDATE OF state ON holdfast.job
    FOR EACH ROW WHEN (NEW.state <> OLD.state
        AND NEW.state IN ('succeeded', 'delivered', 'failed', 'abandoned', 'dismissed'))
    EXECUTE FUNCTION holdfast.let_go_by_row('finished');
CREATE TRIGGER task_ends_rewind AFTER INSERT ON holdfast.task
    FOR EACH ROW EXECUTE FUNCTION holdfast.let_go_by_row('told');

-- A person lets jobs go, the named ones or a page of all. One that waits for a person because of it is
-- asked about again.
CREATE FUNCTION holdfast.release_rewind(jobs text[], most integer, reason text, person text)
RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    wanted text[];
BEGIN
    PERFORM require(btrim(reason) <> '', 'release: a reason is needed');
    PERFORM act_as(person, NULL, '0');
    SELECT array_agg(l.job_id) INTO wanted FROM (
        SELECT j.job_id FROM job j WHERE j.job_id IN (SELECT g.job_id FROM rewind_job g
            WHERE g.let_go_at IS NULL AND (cardinality(jobs) = 0 OR g.job_id = ANY (jobs)))
        ORDER BY j.job_id LIMIT most FOR NO KEY UPDATE) l;
    UPDATE job j SET blocked = NULL, blocked_reason = NULL, blocked_cause = NULL, claims = 0,
        refusals = 0, silences = 0, retriggers = 0, next_poll_at = clock(), revision = j.revision + 1
    WHERE j.job_id = ANY (wanted) AND j.blocked = 'submission_unknown'
        AND j.blocked_reason LIKE 'rewind:%';
    UPDATE rewind_job g SET let_go_at = clock(), how = 'released'
    WHERE g.job_id = ANY (wanted) AND g.let_go_at IS NULL;
    INSERT INTO job_event (job_id, happened_at, actor, from_state, to_state, blocked, detail, deed)
    SELECT j.job_id, clock(), person, j.state, j.state, j.blocked,
        left('let go after a rewind: ' || reason, 1000), 'rewind-release'
    FROM job j WHERE j.job_id = ANY (wanted);
    IF cardinality(jobs) = 0 THEN
        UPDATE rewind r SET closed_by = person, close_reason = left(reason, 1000)
        WHERE r.closed_at IS NULL;
    END IF;
    PERFORM close_rewinds();
    RETURN QUERY SELECT unnest(wanted);
END $$;

-- Objects in the store that no row knows, with the job and the file that their names are of.
CREATE FUNCTION holdfast.unknown_objects(names text[], jobs text[], ordinals integer[])
RETURNS TABLE (name text, job_id text, job_state text, file_state text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT u.name, j.job_id, j.state, f.state
    FROM unnest(names, jobs, ordinals) u (name, job, ordinal)
    LEFT JOIN job j ON j.job_id = u.job
    LEFT JOIN asset f ON f.job_id = u.job AND f.ordinal = u.ordinal
    WHERE NOT EXISTS (SELECT FROM asset a WHERE a.object_key = u.name)
        AND NOT EXISTS (SELECT FROM refetch r WHERE r.object_key = u.name)
    ORDER BY u.name
$$;

-- Whether an object may become a file's: no row knows it, or the file's own does and not with another
-- digest.
CREATE FUNCTION holdfast.may_adopt(named text, job text, file integer, digest text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM asset a WHERE a.object_key = named
        AND ((a.job_id, a.ordinal) <> (job, file) OR a.sha256 <> digest))
$$;

-- Objects that nights have found in the store and no row knows, and how far the last look came.
CREATE TABLE holdfast.orphan_object (
    name text COLLATE "C" PRIMARY KEY,
    bytes bigint NOT NULL,
    job_id text COLLATE "C",
    ordinal integer,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL
);
CREATE TABLE holdfast.orphan_walk (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    place text COLLATE "C",
    begun_at timestamptz NOT NULL
);

-- Keeps what a page of the list had, and where the next page begins; without one the list is at its end,
-- and what was not seen since its beginning is not there any more.
CREATE FUNCTION holdfast.note_orphans(
    run uuid, clock_offset interval, names text[], bytes bigint[], jobs text[], ordinals integer[],
    next_place text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    now_ := clock();
    INSERT INTO orphan_walk (place, begun_at) VALUES (NULL, now_) ON CONFLICT DO NOTHING;
    INSERT INTO orphan_object AS o (name, bytes, job_id, ordinal, first_seen_at, last_seen_at)
    SELECT u.name, g.bytes, u.job_id, g.ordinal, now_, now_
    FROM unknown_objects(names, jobs, ordinals) u
    JOIN unnest(note_orphans.names, note_orphans.bytes, ordinals) g (name, bytes, ordinal)
        ON g.name = u.name
    ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, job_id = excluded.job_id,
        last_seen_at = now_;
    IF next_place IS NULL THEN
        DELETE FROM orphan_object o USING orphan_walk w WHERE o.last_seen_at < w.begun_at;
    END IF;
    UPDATE orphan_walk w SET place = next_place,
        begun_at = CASE WHEN next_place IS NULL THEN now_ ELSE w.begun_at END;
END $$;

-- Objects that no row knows, that no open job will take and that no stored file left behind, 1,000 at
-- most.
CREATE FUNCTION holdfast.match_orphans() RETURNS SETOF holdfast.found_break
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT 'asset-orphan', o.name, j.job_id, j.account_id, j.provider, j.model, NULL::text,
        '{}'::text[], NULL::bigint, NULL::numeric, NULL::text,
        format('%s bytes are in the store, and no row knows them%s', o.bytes,
            CASE WHEN a.state IS NOT NULL THEN format('; file %s of the job is %s', o.ordinal, a.state)
                WHEN j.job_id IS NULL THEN '; no job bears the name' ELSE '' END),
        CASE WHEN a.state = 'lost' THEN format('holdfast asset refetch --job %s --ordinal %s',
                shell_word(j.job_id), o.ordinal)
            ELSE 'holdfast asset verify --orphans' END,
        jsonb_build_object('object_key', o.name, 'bytes', o.bytes), NULL::text, NULL::bigint
    FROM orphan_object o
    LEFT JOIN job j ON j.job_id = o.job_id
    LEFT JOIN asset a ON a.job_id = o.job_id AND a.ordinal = o.ordinal
    WHERE NOT EXISTS (SELECT FROM asset k WHERE k.object_key = o.name)
        AND NOT EXISTS (SELECT FROM refetch r WHERE r.object_key = o.name)
        -- What was found at a file's key and not touched stays beside it.
        AND a.state IS DISTINCT FROM 'stored'
        AND coalesce(j.state NOT IN ('created', 'submitted', 'running', 'timed_out', 'succeeded'), true)
    ORDER BY o.name LIMIT 1000
$$;
