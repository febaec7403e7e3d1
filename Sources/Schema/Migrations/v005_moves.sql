-- Moves that nobody is waiting for, and what holds them up.

-- Jobs whose files have all come to an end while somebody else held the job or its account.
CREATE TABLE holdfast.undelivered (
    job_id text COLLATE "C" PRIMARY KEY REFERENCES holdfast.job,
    held_up_since timestamptz NOT NULL,
    reported_at timestamptz
);

-- Locks for these moves the accounts whose credits they move, and then the jobs, and says which are
-- ours now. Nothing waits for a row that somebody else holds; only for accounts, and only when
-- `patient` is set, half a second while nothing else is held.
CREATE FUNCTION holdfast.lock_free(moves holdfast.move[], patient boolean) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
DECLARE
    wanted text[];
    held text[];
    ours text[];
BEGIN
    SELECT array_agg(DISTINCT j.account_id) INTO wanted
    FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id
    CROSS JOIN LATERAL credit_action(j, m.new_state, m.files) c
    WHERE m.new_state IS NOT NULL AND c.action IS NOT NULL;
    IF patient THEN
        BEGIN
            SELECT array_agg(l.account_id) INTO held FROM (
                SELECT a.account_id FROM account a WHERE a.account_id = ANY (wanted)
                ORDER BY a.account_id FOR NO KEY UPDATE) l;
        EXCEPTION WHEN lock_not_available THEN
            held := NULL;
        END;
    ELSE
        SELECT array_agg(l.account_id) INTO held FROM (
            SELECT a.account_id FROM account a WHERE a.account_id = ANY (wanted)
            ORDER BY a.account_id FOR NO KEY UPDATE SKIP LOCKED) l;
    END IF;
    SELECT array_agg(l.job_id) INTO ours FROM (
        SELECT j.job_id FROM job j WHERE j.job_id IN (SELECT m.job_id FROM unnest(moves) m)
        ORDER BY j.job_id FOR NO KEY UPDATE SKIP LOCKED) l;
    -- One that came to move credits only now, since something else happened to its job, is not ours.
    RETURN ARRAY(SELECT m.job_id FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id
        LEFT JOIN LATERAL credit_action(j, m.new_state, m.files) c ON m.new_state IS NOT NULL
        WHERE m.job_id = ANY (ours)
            AND (c.action IS NULL OR coalesce(j.account_id = ANY (held), false)));
END $$;

-- Waits for the brakes when one of these moves will ask for them.
CREATE FUNCTION holdfast.await_brakes(moves holdfast.move[], most text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id
            CROSS JOIN LATERAL credit_action(j, m.new_state, m.files) c
            WHERE m.new_state IS NOT NULL AND NOT j.brake_released
                AND braked_amount(j, c.action, c.amount) IS NOT NULL) THEN
        PERFORM take_brakes(most);
    END IF;
END $$;

-- Applies moves that nobody is waiting for. What the application or a person holds comes back as
-- 'locked', with the account in `detail`, and keeps its lease: nothing waits for it here, and nothing
-- is held while something else is waited for. A move that the database refuses is 'refused', the job
-- waits for a person with the reason, and the others go on.
CREATE FUNCTION holdfast.apply_automatic(moves holdfast.move[], patient boolean DEFAULT false)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
DECLARE
    ours text[] := lock_free(moves, patient);
    going move[];
    one move;
    is_whole boolean := true;
    complaint text;
BEGIN
    -- Whoever waited for its account waits a moment for the brakes; others have them already, if any.
    IF patient THEN
        PERFORM await_brakes(moves, '30ms');
    END IF;
    RETURN QUERY SELECT m.job_id, 'locked', NULL::text, NULL::bigint, j.account_id
        FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id WHERE m.job_id <> ALL (ours);
    SELECT array_agg(m) INTO going FROM unnest(moves) m WHERE m.job_id = ANY (ours);
    IF going IS NULL THEN
        -- Nothing to do is a way to have it planned, before anything is locked.
        IF cardinality(moves) = 0 THEN
            PERFORM FROM apply_moves(moves, true);
        END IF;
        RETURN;
    END IF;
    BEGIN
        RETURN QUERY SELECT a.* FROM apply_moves(going, true) a;
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_trouble(SQLSTATE) AND SQLSTATE <> '55P03' THEN
            RAISE;
        END IF;
        is_whole := false;
    END;
    IF is_whole THEN
        RETURN;
    END IF;
    FOREACH one IN ARRAY going LOOP
        BEGIN
            RETURN QUERY SELECT a.* FROM apply_moves(ARRAY[one], true) a;
        EXCEPTION WHEN OTHERS THEN
            IF SQLSTATE = '55P03' THEN
                RETURN QUERY SELECT one.job_id, 'locked', NULL::text, NULL::bigint, NULL::text;
            ELSIF is_row_trouble(SQLSTATE) THEN
                complaint := format('%s (%s)', left(SQLERRM, 300), SQLSTATE);
                PERFORM refuse_move(one, complaint);
                RETURN QUERY SELECT one.job_id, 'refused', NULL::text, NULL::bigint, complaint;
            ELSE
                RAISE;
            END IF;
        END;
    END LOOP;
END $$;

-- Sets a job aside whose move the database refuses: it waits for a person, who is told why.
CREATE FUNCTION holdfast.refuse_move(m holdfast.move, complaint text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE job j SET blocked = 'person', blocked_cause = NULL, pending_move = NULL,
        brake_released = false,
        blocked_reason = format('what was decided (%s) could not be written: %s',
            coalesce(m.new_state, 'to ask again later'), complaint),
        lease_owner = NULL, lease_until = NULL, claims = 0
    WHERE j.job_id = m.job_id
        AND judge_move(j, m) NOT IN ('finished_meanwhile', 'lease_lost');
EXCEPTION WHEN OTHERS THEN
    -- Not even that can be written: it is told all the same, and the lease runs out.
    IF NOT is_row_trouble(SQLSTATE) THEN
        RAISE;
    END IF;
END $$;

-- Sets the job of a file aside whose step the database refuses: 'unwritable' for the file, which is due
-- again when a person frees the job, and 'refused' for the job, with what was wrong.
CREATE FUNCTION holdfast.refuse_file(
    run uuid, clock_offset interval, wanted text, file integer, with_token bigint, complaint text)
RETURNS TABLE (job_id text, ordinal integer, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    reason text := format('what became of file %s could not be written: %s', file, left(complaint, 500));
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    BEGIN
        UPDATE asset a SET lease_owner = NULL, lease_until = NULL, claims = 0, error_message = reason
        WHERE a.job_id = wanted AND a.ordinal = file AND a.state = 'pending'
            AND a.lease_token = with_token AND a.lease_owner = run;
        UPDATE job j SET blocked = 'person', blocked_cause = NULL, blocked_reason = reason
        WHERE j.job_id = wanted AND j.state = 'succeeded' AND j.blocked IS NULL;
    EXCEPTION WHEN OTHERS THEN
        -- Not even that can be written: it is told all the same, and the lease runs out.
        IF NOT is_row_trouble(SQLSTATE) THEN
            RAISE;
        END IF;
    END;
    RETURN QUERY VALUES (wanted, file, 'unwritable', NULL::text, NULL::bigint, NULL::text),
        (wanted, NULL, 'refused', NULL, NULL, reason);
END $$;

-- Gives leases back of jobs whose accounts or rows somebody else still holds: the claim does not count,
-- and the job is looked at again soon. Names those that have been held up for five minutes, once an
-- hour.
CREATE FUNCTION holdfast.postpone_jobs(
    run uuid, jobs text[], tokens bigint[], clock_offset interval)
RETURNS TABLE (job_id text, account_id text, held_up_us bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    now_ := clock();
    RETURN QUERY WITH given_back AS (
        UPDATE job j SET lease_owner = NULL, lease_until = NULL, claims = greatest(j.claims - 1, 0),
            next_poll_at = now_ + interval '20 seconds',
            held_up_since = coalesce(j.held_up_since, now_),
            held_up_told_at = CASE WHEN h.is_news THEN now_ ELSE j.held_up_told_at END
        FROM (SELECT l.job_id, l.held_up_since <= now_ - interval '5 minutes'
                AND coalesce(l.held_up_told_at <= now_ - interval '1 hour', true) AS is_news
            FROM job l JOIN unnest(jobs, tokens) h (job_id, token)
                ON h.job_id = l.job_id AND l.lease_token = h.token AND l.lease_owner = run
            ORDER BY l.job_id FOR NO KEY UPDATE OF l SKIP LOCKED) h
        WHERE j.job_id = h.job_id RETURNING j.*, h.is_news)
    SELECT g.job_id, g.account_id, (extract(epoch FROM now_ - g.held_up_since) * 1000000)::bigint
    FROM given_back g WHERE g.is_news ORDER BY g.job_id;
END $$;

-- Applies what a run decided, as its own actor and clock. `patient` is for moves of one account that
-- was held by somebody else again and again, in a transaction of their own.
CREATE FUNCTION holdfast.record_moves(
    run uuid, command text, clock_offset interval, moves jsonb, patient boolean DEFAULT false)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    given move[] := ARRAY(SELECT m FROM jsonb_populate_recordset(NULL::move, record_moves.moves) m);
BEGIN
    PERFORM act_as(record_moves.command, run, clock_offset);
    -- Runs wait for each other here, while they hold nothing that an application may want.
    IF NOT patient THEN
        PERFORM await_brakes(given, '100ms');
    END IF;
    RETURN QUERY SELECT a.* FROM apply_automatic(given, patient) a;
END $$;

-- Moves that a brake had stopped and a person released.
CREATE FUNCTION holdfast.apply_released(
    run uuid, command text, clock_offset interval, most integer, jobs text[])
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text, new_state text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moves move[];
BEGIN
    PERFORM act_as(apply_released.command, run, clock_offset);
    -- What somebody else holds, the job or its account, is left for later.
    SELECT array_agg(jsonb_populate_record(NULL::move, p.pending_move)) INTO moves
    FROM (SELECT j.pending_move FROM job j JOIN account a ON a.account_id = j.account_id
        WHERE j.pending_move IS NOT NULL AND j.blocked IS NULL
            AND (cardinality(jobs) = 0 OR j.job_id = ANY (jobs))
            AND (j.lease_until IS NULL OR j.lease_until <= clock())
        ORDER BY j.job_id LIMIT most FOR NO KEY UPDATE OF a, j SKIP LOCKED) p;
    FOR job_id, outcome, action, amount, detail, new_state IN
        SELECT a.*, m.new_state FROM apply_automatic(moves) a
        JOIN unnest(moves) m ON m.job_id = a.job_id
    LOOP
        -- A move that lost to something else meanwhile is over.
        UPDATE job j SET pending_move = NULL, brake_released = false
        WHERE j.job_id = apply_released.job_id AND apply_released.outcome <> 'locked'
            AND j.pending_move IS NOT NULL AND j.blocked IS NULL;
        RETURN NEXT;
    END LOOP;
END $$;
