-- What the executables call: runs and their places, claims and leases, the providers' limits, the
-- inbox and the files. Each reads the clock in its own statement, shifted by the run's offset.

-- Starts a run: takes one of the places of its command, and says whether anything is to do, so
-- that an idle minute ends after two statements. `started` is false when all places are taken.
CREATE FUNCTION holdfast.begin_run(
    run uuid, command text, host text, pid integer, version text, clock_offset interval,
    OUT started boolean, OUT work boolean, OUT callbacks boolean, OUT lease_us bigint,
    OUT request_timeout_us bigint, OUT transfer_limit_us bigint, OUT max_file_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    places integer := policy_value('max_runs')::integer;
    lease interval := policy_interval('lease');
    taken integer;
    now_ timestamptz;
BEGIN
    PERFORM act_as(begin_run.command, run, clock_offset);
    now_ := clock();
    lease_us := extract(epoch FROM lease) * 1000000;
    request_timeout_us := extract(epoch FROM policy_interval('request_timeout')) * 1000000;
    transfer_limit_us := extract(epoch FROM policy_interval('transfer_limit')) * 1000000;
    max_file_bytes := policy_value('max_file_bytes')::bigint;
    IF (SELECT count(*) FROM run_slot s
        WHERE s.command = begin_run.command AND s.slot <= places) < places THEN
        INSERT INTO run_slot (command, slot)
        SELECT begin_run.command, n FROM generate_series(1, places) n ON CONFLICT DO NOTHING;
    END IF;
    UPDATE run_slot s SET run_id = run, expires_at = now_ + lease
    WHERE s.command = begin_run.command AND s.slot = (
        SELECT f.slot FROM run_slot f
        WHERE f.command = begin_run.command AND f.slot <= places
            AND lease_is_over(f.expires_at, now_, lease)
        ORDER BY f.slot LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
    started := FOUND;
    IF NOT started THEN
        RETURN;
    END IF;
    INSERT INTO run (run_id, command, host, pid, version, started_at)
    VALUES (run, begin_run.command, begin_run.host, begin_run.pid, begin_run.version, now_);
    callbacks := EXISTS (SELECT FROM callback WHERE drained_at IS NULL);
    work := CASE begin_run.command
        WHEN 'stuck-sweeper' THEN EXISTS (
            SELECT FROM provider p CROSS JOIN LATERAL (
                SELECT FROM sweepable_job j
                WHERE j.provider = p.provider AND j.next_poll_at <= now_ LIMIT 1) due)
        WHEN 'orphan-recoverer' THEN EXISTS (
                SELECT FROM provider p CROSS JOIN LATERAL (
                    SELECT FROM recoverable_job j
                    WHERE j.provider = p.provider AND j.next_poll_at <= now_ LIMIT 1) due)
            OR EXISTS (SELECT FROM job WHERE pending_move IS NOT NULL AND blocked IS NULL)
            OR may_void_submissions() AND EXISTS (
                SELECT FROM job WHERE blocked = 'submission_unknown')
        WHEN 'storage-mirrorer' THEN EXISTS (
            SELECT FROM asset a WHERE a.state = 'pending' AND a.next_attempt_at <= now_)
        ELSE true END;
END $$;

CREATE FUNCTION holdfast.finish_run(
    run uuid, clock_offset interval, examined integer, outcomes jsonb, credits jsonb,
    exit_status integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM act_as('run', run, clock_offset);
    UPDATE run r SET finished_at = clock(), examined = finish_run.examined,
        outcomes = finish_run.outcomes, credits = finish_run.credits,
        exit_status = finish_run.exit_status
    WHERE r.run_id = run;
    UPDATE run_slot s SET run_id = NULL, expires_at = NULL WHERE s.run_id = run;
END $$;

-- Jobs that the sweeper looks after: in flight, not blocked, not waiting for a settlement.
CREATE VIEW holdfast.sweepable_job AS
SELECT * FROM holdfast.job
WHERE state IN ('created', 'submitted', 'running') AND blocked IS NULL AND pending_move IS NULL;

-- Jobs that the recoverer looks after: watched after their deadline or after their end, also for
-- the sake of a task that is left over.
CREATE VIEW holdfast.recoverable_job AS
SELECT * FROM holdfast.job
WHERE watch_until IS NOT NULL AND state NOT IN ('created', 'submitted', 'running')
    AND blocked IS NULL AND pending_move IS NULL;

-- What a run needs to know of a job to ask about it and to decide. The task is the open one that
-- has waited longest; an answer about another may come next time.
CREATE TYPE holdfast.work_item AS (
    job_id text, token bigint, revision integer, provider text, model text, kind text,
    state text, error_code text, endpoint text, task_id text, task_endpoint text,
    other_open_tasks integer, created_us bigint, submitting boolean, alive boolean,
    attempts integer, retriggers integer, silences integer, refusals integer,
    deadline_passed boolean, watch_ended boolean, expected_outputs integer,
    stuck_after_us bigint, backoff_max_us bigint, unsubmitted_after_us bigint,
    retrigger_attempts integer, on_silence text, now_us bigint);

CREATE FUNCTION holdfast.describe_work(wanted text[], now_ timestamptz)
RETURNS SETOF holdfast.work_item
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT j.job_id, j.lease_token, j.revision, j.provider, j.model, j.kind, j.state, j.error_code,
        j.endpoint, t.task_id, coalesce(t.endpoint, j.endpoint),
        (SELECT count(*)::integer FROM task o
            WHERE o.job_id = j.job_id AND o.finished_at IS NULL AND o.task_id <> t.task_id),
        (extract(epoch FROM j.created_at) * 1000000)::bigint,
        j.submitting_at IS NOT NULL, coalesce(j.last_heartbeat_at > j.created_at, false),
        j.attempts, j.retriggers, j.silences, j.refusals,
        coalesce(j.submitted_at, j.created_at)
            + policy_interval('deadline', j.provider, j.kind, j.model) <= now_,
        coalesce(j.watch_until <= now_, false),
        j.expected_outputs,
        (extract(epoch FROM policy_interval('stuck_after', j.provider, j.kind, j.model))
            * 1000000)::bigint,
        (extract(epoch FROM policy_interval('poll_backoff_max', j.provider, j.kind, j.model))
            * 1000000)::bigint,
        (extract(epoch FROM policy_interval('unsubmitted_after', j.provider, j.kind, j.model))
            * 1000000)::bigint,
        policy_value('retrigger_attempts', j.provider, j.kind, j.model)::integer,
        policy_value('on_silence', j.provider, j.kind, j.model),
        (extract(epoch FROM now_) * 1000000)::bigint
    FROM unnest(wanted) WITH ORDINALITY AS w (job_id, place)
    JOIN job j USING (job_id)
    LEFT JOIN LATERAL (
        SELECT o.task_id, o.endpoint FROM task o
        WHERE o.job_id = j.job_id AND o.provider = j.provider AND o.finished_at IS NULL
        ORDER BY o.polled_at NULLS FIRST, o.created_at, o.task_id LIMIT 1) t ON true
    ORDER BY w.place
$$;

-- Takes as many tokens of the provider's bucket as there are, at most `wanted`, and returns how
-- many; -1 when the provider is to be left alone, -2 when another run is at the bucket right now.
CREATE FUNCTION holdfast.take_tokens(for_provider text, wanted integer, now_ timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    p provider;
    rate double precision := policy_value('rate', for_provider)::double precision;
    burst double precision := policy_value('rate_burst', for_provider)::double precision;
    filled double precision;
    given integer;
BEGIN
    SELECT * INTO p FROM provider WHERE provider.provider = for_provider FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN -2;
    END IF;
    -- A pause further ahead than the longest one was set by a clock that is no longer used.
    IF p.paused_until > now_
        AND p.paused_until <= now_ + policy_interval('breaker_pause_max', for_provider) THEN
        RETURN -1;
    END IF;
    filled := CASE WHEN p.refilled_at IS NULL THEN burst
        ELSE least(burst, p.tokens
            + greatest(extract(epoch FROM now_ - p.refilled_at), 0) * rate) END;
    given := greatest(least(wanted, floor(filled)::integer), 0);
    -- A breaker that has just let go is tried with one request.
    IF p.failures >= policy_value('breaker_failures', for_provider)::integer THEN
        given := least(given, 1);
    END IF;
    UPDATE provider SET tokens = filled - given, refilled_at = now_
    WHERE provider.provider = for_provider;
    RETURN given;
END $$;

-- Claims due jobs for a run in one statement, within the providers' limits: of each provider at
-- most as many as `rooms` has for it, so that one that hangs leaves room for the others, and at most
-- `most` in all. `jobs` names jobs whose thresholds do not matter; leases always do, and so does
-- the patience with a task that outlived its job. A busy row says
-- that more is due than could be claimed. Jobs whose claims ended without a result too often are
-- set aside.
CREATE FUNCTION holdfast.claim_jobs(
    run uuid, command text, providers text[], rooms integer[], most integer, jobs text[],
    clock_offset interval)
RETURNS TABLE (item holdfast.work_item, set_aside text, busy boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
    cap integer := policy_value('claim_limit')::integer;
    source text := CASE command WHEN 'stuck-sweeper' THEN 'sweepable_job'
        ELSE 'recoverable_job' END;
    wish text := 'lease_is_over(lease_until, $2, $4) AND ' || CASE cardinality(jobs)
        WHEN 0 THEN 'next_poll_at <= $2'
        ELSE 'job_id = ANY ($3) AND (leased_at IS NULL OR lease_owner IS DISTINCT FROM $5)
            AND (next_poll_at <= $2 OR state NOT IN (''succeeded'', ''delivered'', ''dismissed''))'
        END;
    one text;
    room integer;
    is_full boolean;
    sought integer;
    given integer;
    due text[];
    claimed text[] := '{}';
BEGIN
    PERFORM act_as(claim_jobs.command, run, clock_offset);
    now_ := clock();
    FOR place IN 1..cardinality(providers) LOOP
        one := providers[place];
        room := least(rooms[place], most - cardinality(claimed), 500);
        CONTINUE WHEN room <= 0;
        -- Is anything due? The bucket is touched only then. The index is walked only as far as there
        -- is room; jobs whose claims have ended badly come last.
        EXECUTE format('SELECT array_agg(job_id) FROM (
                (SELECT job_id FROM %1$I WHERE provider = $1 AND %2$s AND claims < $6 - 1
                ORDER BY next_poll_at, job_id LIMIT %3$s)
                UNION ALL
                (SELECT job_id FROM %1$I WHERE provider = $1 AND %2$s AND claims >= $6 - 1
                ORDER BY next_poll_at, job_id LIMIT %3$s)
                LIMIT %3$s) c',
            source, wish, room) INTO due
        USING one, now_, jobs, lease, run, cap;
        CONTINUE WHEN due IS NULL;
        is_full := cardinality(due) >= room;

        -- A job that three claims in a row did not survive must not stop the rest.
        UPDATE job j SET blocked = 'crashed', lease_owner = NULL, lease_until = NULL,
            blocked_reason = format('%s claims in a row ended without a result', j.claims)
        FROM (SELECT c.job_id FROM job c WHERE c.job_id = ANY (due) AND c.claims >= cap
            ORDER BY c.job_id FOR NO KEY UPDATE SKIP LOCKED) c
        WHERE j.job_id = c.job_id AND j.claims >= cap;
        IF FOUND THEN
            RETURN QUERY SELECT NULL::work_item, j.job_id, NULL::boolean FROM job j
                WHERE j.job_id = ANY (due) AND j.blocked = 'crashed';
            SELECT array_agg(d) INTO due FROM unnest(due) d
                WHERE d NOT IN (SELECT j.job_id FROM job j WHERE j.blocked = 'crashed'
                    AND j.job_id = ANY (due));
            CONTINUE WHEN due IS NULL;
        END IF;
        -- One that two did not survive is claimed alone, so that it takes nobody with it.
        IF EXISTS (SELECT FROM job j WHERE j.job_id = due[1] AND j.claims >= cap - 1 AND cap > 1) THEN
            due := due[1:1];
        ELSE
            SELECT array_agg(d ORDER BY place) INTO due
            FROM unnest(due) WITH ORDINALITY AS u (d, place) JOIN job j ON j.job_id = d
            WHERE cap <= 1 OR j.claims < cap - 1;
        END IF;

        sought := cardinality(due);
        given := take_tokens(one, sought, now_);
        IF given <= 0 THEN
            IF given <> -1 THEN
                RETURN QUERY SELECT NULL::work_item, NULL::text, true;
            END IF;
            CONTINUE;
        END IF;
        EXECUTE format('WITH picked AS MATERIALIZED (
                SELECT job_id FROM %I
                WHERE job_id = ANY ($1) AND (next_poll_at <= $2 OR (cardinality($5) > 0
                        AND state NOT IN (''succeeded'', ''delivered'', ''dismissed'')))
                    AND lease_is_over(lease_until, $2, $3)
                ORDER BY job_id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            ), taken AS (
                UPDATE job j SET lease_owner = $4, lease_token = j.lease_token + 1,
                    lease_until = $2 + $3, leased_at = $2, claims = j.claims + 1
                FROM picked WHERE j.job_id = picked.job_id RETURNING j.job_id
            ) SELECT array_agg(job_id ORDER BY job_id) FROM taken',
            source, given) INTO due USING due[1:given], now_, lease, run, jobs;
        IF due IS NOT NULL THEN
            claimed := claimed || due;
        END IF;
        IF given < sought OR is_full THEN
            RETURN QUERY SELECT NULL::work_item, NULL::text, true;
        END IF;
    END LOOP;
    RETURN QUERY SELECT d, NULL::text, NULL::boolean FROM describe_work(claimed, now_) d;
END $$;

-- What a claim would bring, for a dry run: reads only.
CREATE FUNCTION holdfast.due_jobs(
    command text, providers text[], most integer, jobs text[], now_ timestamptz)
RETURNS SETOF holdfast.work_item
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    due text[];
BEGIN
    EXECUTE format('SELECT array_agg(job_id) FROM (
            SELECT job_id FROM %I
            WHERE provider = ANY ($1) AND (next_poll_at <= $2 OR (job_id = ANY ($3)
                    AND state NOT IN (''succeeded'', ''delivered'', ''dismissed'')))
                AND (cardinality($3) = 0 OR job_id = ANY ($3))
                AND lease_is_over(lease_until, $2, $4)
            ORDER BY next_poll_at, job_id LIMIT %s) c',
        CASE command WHEN 'stuck-sweeper' THEN 'sweepable_job' ELSE 'recoverable_job' END, most)
    INTO due USING providers, now_, jobs, policy_interval('lease');
    RETURN QUERY SELECT * FROM describe_work(coalesce(due, '{}'), now_);
END $$;

-- Renews the leases that a run still holds, and its place; returns how many jobs it still holds.
CREATE FUNCTION holdfast.renew_leases(run uuid, jobs text[], tokens bigint[], clock_offset interval)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kept integer;
    until timestamptz;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    until := clock() + policy_interval('lease');
    UPDATE run_slot s SET expires_at = until WHERE s.run_id = run;
    UPDATE job j SET lease_until = until
    FROM (SELECT l.job_id, h.token FROM job l JOIN unnest(jobs, tokens) h (job_id, token)
            ON h.job_id = l.job_id AND l.lease_token = h.token AND l.lease_owner = run
        ORDER BY l.job_id FOR NO KEY UPDATE OF l SKIP LOCKED) h
    WHERE j.job_id = h.job_id;
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END $$;

-- Gives leases back before their work was done, as on SIGTERM: the claim does not count.
CREATE FUNCTION holdfast.release_leases(run uuid, jobs text[], tokens bigint[], clock_offset interval)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM act_as('run', run, clock_offset);
    UPDATE job j SET lease_owner = NULL, lease_until = NULL, claims = greatest(j.claims - 1, 0)
    FROM (SELECT l.job_id FROM job l JOIN unnest(jobs, tokens) h (job_id, token)
            ON h.job_id = l.job_id AND l.lease_token = h.token AND l.lease_owner = run
        ORDER BY l.job_id FOR NO KEY UPDATE OF l) h
    WHERE j.job_id = h.job_id;
END $$;

-- Commits one more try at the application's trigger, before it is made. False when the application
-- was heard of since the claim, or the lease is gone.
CREATE FUNCTION holdfast.count_retrigger(
    run uuid, wanted text, with_token bigint, seen_revision integer, clock_offset interval)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    try integer;
BEGIN
    PERFORM act_as('stuck-sweeper', run, clock_offset);
    UPDATE job SET retriggers = retriggers + 1
    WHERE job_id = wanted AND lease_token = with_token AND lease_owner = run
        AND revision = seen_revision AND state = 'created'
    RETURNING retriggers INTO try;
    RETURN try;
END $$;

-- Applies what a run decided, as its own actor and clock.
CREATE FUNCTION holdfast.record_moves(
    run uuid, command text, clock_offset interval, moves jsonb)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM act_as(record_moves.command, run, clock_offset);
    RETURN QUERY SELECT a.* FROM apply_moves(
        ARRAY(SELECT m FROM jsonb_populate_recordset(NULL::move, record_moves.moves) m), true) a;
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
    SELECT array_agg(jsonb_populate_record(NULL::move, p.pending_move)) INTO moves
    FROM (SELECT j.pending_move FROM job j
        WHERE j.pending_move IS NOT NULL AND j.blocked IS NULL
            AND (cardinality(jobs) = 0 OR j.job_id = ANY (jobs))
            AND (j.lease_until IS NULL OR j.lease_until <= clock())
        ORDER BY j.job_id LIMIT most FOR NO KEY UPDATE SKIP LOCKED) p;
    RETURN QUERY SELECT a.*, m.new_state FROM apply_moves(moves, true) a
        JOIN unnest(moves) m ON m.job_id = a.job_id;
    -- A move that lost to something else meanwhile is over.
    UPDATE job j SET pending_move = NULL, brake_released = false
    FROM unnest(moves) m
    WHERE j.job_id = m.job_id AND j.pending_move IS NOT NULL AND j.blocked IS NULL;
END $$;

-- Notes how a provider answered: consecutive transient failures open its breaker, a healthy
-- answer closes it, Retry-After pauses it. Returns the pause that this call opened, else null.
CREATE FUNCTION holdfast.note_answers(
    run uuid, for_provider text, healthy boolean, trailing_failures integer,
    retry_after interval, clock_offset interval)
RETURNS interval
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    p provider;
    now_ timestamptz;
    most interval := policy_interval('breaker_pause_max', for_provider);
    threshold integer := policy_value('breaker_failures', for_provider)::integer;
    pause interval;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    now_ := clock();
    SELECT * INTO p FROM provider WHERE provider.provider = for_provider FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF healthy THEN
        p.failures := 0; p.openings := 0; p.paused_until := NULL; p.pause_reason := NULL;
    END IF;
    p.failures := p.failures + trailing_failures;
    IF trailing_failures > 0 AND p.failures >= threshold
        AND (p.paused_until IS NULL OR p.paused_until <= now_ OR p.paused_until > now_ + most) THEN
        pause := least(most, interval '15 seconds' * power(2, least(p.openings, 20)));
        p.openings := p.openings + 1;
        p.paused_until := now_ + pause;
        p.pause_reason := format('%s transient failures in a row', p.failures);
    ELSIF retry_after IS NOT NULL THEN
        p.paused_until := greatest(p.paused_until, now_ + least(retry_after, most));
        p.pause_reason := coalesce(p.pause_reason, 'the provider asked to be left alone');
    END IF;
    UPDATE provider SET failures = p.failures, openings = p.openings,
        paused_until = p.paused_until, pause_reason = p.pause_reason
    WHERE provider.provider = for_provider;
    RETURN pause;
END $$;
