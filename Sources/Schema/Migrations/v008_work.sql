-- What the executables call: runs and their places, claims and leases, the providers' limits, the
-- inbox and the files. Each reads the clock in its own statement, shifted by the run's offset.

-- Refuses a run whose clock offset is not that of a run that is at work, because the two would take
-- each other's leases. One whose connection is gone is not at work, whatever its lease says.
CREATE FUNCTION holdfast.refuse_other_offset(clock_offset interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    other run;
BEGIN
    -- A process that was killed a moment ago may still have its connection.
    FOR attempt IN 1..20 LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT r.* INTO other FROM run_slot s JOIN run r ON r.run_id = s.run_id
        WHERE r.clock_offset <> refuse_other_offset.clock_offset
            AND s.expires_at > clock_timestamp() + r.clock_offset
            AND r.backend_pid <> pg_backend_pid()
            AND EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.pid = r.backend_pid AND a.datname = current_database())
        LIMIT 1;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'the clock offset of this run is %, that of % on % (run %), which is at work, is %: give both the same HOLDFAST_CLOCK_OFFSET, or none, or wait until that run has ended',
        clock_offset, other.command, other.host, other.run_id, other.clock_offset
        USING ERRCODE = 'HF012';
END $$;

-- Starts a run: takes one of the places of its command, and says whether anything is to do, so
-- that an idle minute ends after two statements. `started` is false when all places are taken. A copy
-- of a database, and one that the settings do not mean, is refused before anything is written;
-- `installation` is the name that the settings give, `off` what a copy has off.
CREATE FUNCTION holdfast.begin_run(
    run uuid, command text, host text, pid integer, version text, clock_offset interval,
    installation text DEFAULT NULL,
    OUT started boolean, OUT work boolean, OUT callbacks boolean, OUT lease_us bigint,
    OUT request_timeout_us bigint, OUT transfer_limit_us bigint, OUT max_file_bytes bigint,
    OUT news jsonb, OUT off text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    places integer := policy_value('max_runs')::integer;
    lease interval := policy_interval('lease');
    taken integer;
    now_ timestamptz;
BEGIN
    PERFORM refuse_copy(begin_run.installation);
    PERFORM act_as(begin_run.command, run, clock_offset);
    PERFORM refuse_other_offset(clock_offset);
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
    SELECT i.off INTO off FROM installation i;
    IF NOT FOUND THEN
        PERFORM set_up_installation(begin_run.installation, begin_run.command);
        off := '{}';
    END IF;
    IF begin_run.command NOT LIKE 'holdfast %' THEN
        IF EXISTS (SELECT FROM condition) THEN
            PERFORM end_conditions(now_);
        END IF;
        IF EXISTS (SELECT FROM untold) THEN
            news := hand_over(run, now_, lease);
        END IF;
    END IF;
    callbacks := EXISTS (SELECT FROM callback WHERE drained_at IS NULL);
    work := CASE begin_run.command
        WHEN 'stuck-sweeper' THEN EXISTS (
            SELECT FROM provider p CROSS JOIN LATERAL (
                SELECT FROM sweepable_job j
                WHERE j.provider = p.provider AND j.next_poll_at <= now_ LIMIT 1) due)
            OR may_ask_again(command)
        WHEN 'orphan-recoverer' THEN EXISTS (
                SELECT FROM provider p CROSS JOIN LATERAL (
                    SELECT FROM recoverable_job j
                    WHERE j.provider = p.provider AND j.next_poll_at <= now_ LIMIT 1) due)
            OR EXISTS (SELECT FROM job WHERE pending_move IS NOT NULL AND blocked IS NULL)
            OR may_void_submissions() AND EXISTS (
                SELECT FROM job WHERE blocked = 'submission_unknown')
            OR may_ask_again(command)
        WHEN 'storage-mirrorer' THEN EXISTS (
                SELECT FROM asset a WHERE a.state = 'pending' AND a.next_attempt_at <= now_)
            OR EXISTS (SELECT FROM undelivered u JOIN job j USING (job_id) WHERE j.blocked IS NULL)
            -- What was kept of refused files for long enough is looked at four times a day.
            OR (EXISTS (SELECT FROM quarantined q
                        WHERE q.begun_at < now_ - policy_interval('keep_quarantine'))
                    OR EXISTS (SELECT FROM refused_file r
                        WHERE r.found_at < now_ - policy_interval('keep_quarantine')))
                AND NOT EXISTS (SELECT FROM upkeep u
                    WHERE u.name = 'leftovers' AND u.done_at > now_ - interval '6 hours')
        ELSE true END;
END $$;

-- Ends a run and gives its place back. Returns how much news it has that is still to be said.
CREATE FUNCTION holdfast.finish_run(
    run uuid, clock_offset interval, examined integer, outcomes jsonb, credits jsonb,
    exit_status integer)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    left_to_tell integer;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    UPDATE untold u SET due_at = clock() + interval '10 seconds' WHERE u.run_id = run;
    GET DIAGNOSTICS left_to_tell = ROW_COUNT;
    UPDATE run r SET finished_at = clock(), examined = finish_run.examined,
        outcomes = finish_run.outcomes, credits = finish_run.credits,
        exit_status = finish_run.exit_status
    WHERE r.run_id = run;
    UPDATE run_slot s SET run_id = NULL, expires_at = NULL WHERE s.run_id = run;
    RETURN left_to_tell;
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
    job_id text COLLATE "C", token bigint, revision integer, provider text, model text,
    kind text,
    state text, error_code text, endpoint text, task_id text, task_endpoint text,
    other_open_tasks integer, created_us bigint, submitting boolean, alive boolean,
    attempts integer, retriggers integer, silences integer, refusals integer,
    deadline_passed boolean, watch_ended boolean, expected_outputs integer, max_outputs integer,
    stuck_after_us bigint, backoff_max_us bigint, unsubmitted_after_us bigint,
    retrigger_attempts integer, on_silence text, unheard_us bigint, now_us bigint,
    rewind text, unlisted boolean);

CREATE FUNCTION holdfast.describe_work(wanted text[], now_ timestamptz)
RETURNS SETOF holdfast.work_item
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
-- Each threshold once for all jobs of an offer: the look-ups cost more than everything else.
    WITH jobs AS MATERIALIZED (
        SELECT w.place, j AS job, j.provider, j.kind, j.model
        FROM unnest(wanted) WITH ORDINALITY AS w (job_id, place) JOIN job j USING (job_id)
    ), offers AS MATERIALIZED (
        SELECT o.provider, o.kind, o.model,
            policy_interval('deadline', o.provider, o.kind, o.model) AS deadline,
            policy_interval('watch_window', o.provider, o.kind, o.model) AS watch_window,
            policy_interval('stuck_after', o.provider, o.kind, o.model) AS stuck_after,
            policy_interval('poll_backoff_max', o.provider, o.kind, o.model) AS backoff_max,
            policy_interval('unsubmitted_after', o.provider, o.kind, o.model) AS unsubmitted_after,
            policy_value('retrigger_attempts', o.provider, o.kind, o.model)::integer
                AS retrigger_attempts,
            policy_value('on_silence', o.provider, o.kind, o.model) AS on_silence,
            nullif(policy_value('max_outputs', o.provider, o.kind, o.model), 'auto')::integer
                AS max_outputs
        FROM (SELECT DISTINCT provider, kind, model FROM jobs) o
    )
    SELECT j.job_id, j.lease_token, j.revision, j.provider, j.model, j.kind, j.state, j.error_code,
        j.endpoint, t.task_id, coalesce(t.endpoint, j.endpoint),
        (SELECT count(*)::integer FROM task o
            WHERE o.job_id = j.job_id AND o.finished_at IS NULL AND o.task_id <> t.task_id),
        (extract(epoch FROM j.created_at) * 1000000)::bigint,
        j.submitting_at IS NOT NULL, coalesce(j.last_heartbeat_at > j.created_at, false),
        j.attempts, j.retriggers, j.silences, j.refusals,
        coalesce(j.submitted_at, j.created_at) + o.deadline <= now_,
        CASE WHEN j.watch_until <= now_ THEN j.watch_until + lost_time(j.provider,
            coalesce(j.unheard_family, t.endpoint, j.endpoint, ''),
            j.watch_until - o.watch_window, now_) <= now_ ELSE false END,
        j.expected_outputs, o.max_outputs,
        (extract(epoch FROM o.stuck_after) * 1000000)::bigint,
        (extract(epoch FROM o.backoff_max) * 1000000)::bigint,
        (extract(epoch FROM o.unsubmitted_after) * 1000000)::bigint,
        o.retrigger_attempts, o.on_silence,
        (extract(epoch FROM now_ - j.unheard_since) * 1000000)::bigint,
        (extract(epoch FROM now_) * 1000000)::bigint,
        rewind_state(j.job_id, now_),
        -- The provider's lists have not been read since it may have been sent.
        j.task_id IS NULL AND NOT coalesce((SELECT bool_and(
                l.covered_until >= coalesce(j.retriggered_at, j.created_at))
            FROM task_list l WHERE l.provider = j.provider), false)
    FROM jobs
    JOIN offers o ON o.provider = jobs.provider AND o.kind = jobs.kind AND o.model = jobs.model
    CROSS JOIN LATERAL (SELECT (jobs.job).*) j
    LEFT JOIN LATERAL (
        SELECT o.task_id, o.endpoint FROM task o
        WHERE o.job_id = j.job_id AND o.provider = j.provider AND o.finished_at IS NULL
        ORDER BY o.polled_at NULLS FIRST, o.created_at, o.task_id LIMIT 1) t ON true
    ORDER BY jobs.place
$$;

-- The ids of due jobs, for `claim_jobs`: at most `most`, of those that have been due for longest ten
-- times as many, and of these in turn one of each account.
CREATE FUNCTION holdfast.due_ids(
    source text, which text, for_provider text, now_ timestamptz, jobs text[], run uuid, most integer)
RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = holdfast, pg_temp AS $$
DECLARE
    due text[];
BEGIN
    IF most <= 0 THEN
        RETURN '{}';
    END IF;
    EXECUTE format('SELECT array_agg(job_id ORDER BY turn, next_poll_at, job_id) FROM (
            SELECT job_id, next_poll_at,
                row_number() OVER (PARTITION BY account_id ORDER BY next_poll_at, job_id) AS turn
            FROM (SELECT job_id, account_id, next_poll_at FROM %I
                WHERE provider = $1 AND lease_is_over(lease_until, $2, $4) AND %s AND %s
                ORDER BY next_poll_at, job_id LIMIT %s) w
            ORDER BY turn, next_poll_at, job_id LIMIT %s) c',
        source, which, CASE cardinality(jobs) WHEN 0 THEN 'next_poll_at <= $2'
            ELSE 'job_id = ANY ($3) AND (leased_at IS NULL OR lease_owner IS DISTINCT FROM $5)
                AND (next_poll_at <= $2 OR state NOT IN (''succeeded'', ''delivered'', ''dismissed''))'
            END, least(most * 10, 5000), most)
    INTO due USING for_provider, now_, jobs, policy_interval('lease'), run;
    RETURN coalesce(due, '{}');
END $$;

-- The jobs of a provider that are due and whose claims have all but one ended without a result, those
-- with the fewest claims first. None while another run has one of them in hand, so that at most one
-- run at a time can die of them. Those that are to blame are set aside: they must not stop the rest.
CREATE FUNCTION holdfast.judge_suspects(
    source text, for_provider text, now_ timestamptz, jobs text[], run uuid, most integer,
    restarted_at timestamptz, OUT crashed text[], OUT suspects text[])
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    cap integer := policy_value('claim_limit')::integer;
    limit_ integer := greatest(cap - 1, 1);
BEGIN
    suspects := due_ids(source, CASE WHEN limit_ > 1
        THEN format('claims > 1 AND claims >= %s', limit_) ELSE 'claims >= 1' END,
        for_provider, now_, jobs, run, most);
    IF cardinality(suspects) = 0 THEN
        RETURN;
    END IF;
    WITH over AS (
        SELECT c.job_id FROM job c WHERE c.job_id = ANY (suspects)
            AND is_to_blame(c.claims, cap, c.lease_until, now_)
            AND NOT coalesce(c.leased_at < restarted_at, false)
        ORDER BY c.job_id FOR NO KEY UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE job j SET blocked = 'crashed', lease_owner = NULL, lease_until = NULL,
            blocked_reason = format('%s claims in a row ended without a result', j.claims)
        FROM over WHERE j.job_id = over.job_id RETURNING j.job_id
    ) SELECT array_agg(job_id) INTO crashed FROM ended;
    suspects := ARRAY(SELECT j.job_id FROM unnest(suspects) WITH ORDINALITY AS u (job_id, place)
        JOIN job j USING (job_id) WHERE j.job_id <> ALL (coalesce(crashed, '{}'))
        ORDER BY j.claims, u.place);
    IF EXISTS (SELECT FROM job h WHERE h.provider = for_provider AND h.claims > 1
            AND h.claims > limit_ AND h.blocked IS NULL AND h.pending_move IS NULL
            AND h.lease_owner <> run AND NOT lease_is_over(
                h.lease_until, now_, policy_interval('lease'))) THEN
        suspects := '{}';
    END IF;
END $$;

-- Leases those of the wanted jobs that are still due and free, for `claim_jobs`.
CREATE FUNCTION holdfast.take_jobs(
    source text, wanted text[], jobs text[], run uuid, now_ timestamptz, restarted_at timestamptz)
RETURNS text[]
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
DECLARE
    taken text[];
BEGIN
    EXECUTE format('WITH picked AS MATERIALIZED (
            SELECT job_id FROM %I
            WHERE job_id = ANY ($1) AND (next_poll_at <= $2 OR (cardinality($5) > 0
                    AND state NOT IN (''succeeded'', ''delivered'', ''dismissed'')))
                AND lease_is_over(lease_until, $2, $3)
            ORDER BY job_id FOR NO KEY UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE job j SET lease_owner = $4, lease_token = j.lease_token + 1,
                lease_until = $2 + $3, leased_at = $2,
                claims = CASE WHEN j.leased_at < $6 THEN 1 ELSE j.claims + 1 END
            FROM picked WHERE j.job_id = picked.job_id RETURNING j.job_id
        ) SELECT array_agg(job_id ORDER BY job_id) FROM taken', source)
    INTO taken USING wanted, now_, policy_interval('lease'), run, jobs, restarted_at;
    RETURN coalesce(taken, '{}');
END $$;

-- Claims due jobs for a run in one statement, within the providers' limits: of each provider at
-- most as many as `rooms` has for it, so that one that hangs leaves room for the others, and at most
-- `most` in all. `jobs` names jobs whose thresholds do not matter; leases always do, and so does
-- the patience with a task that outlived its job. Jobs that a callback has woken come first, in up to
-- three quarters of the room. A busy row says that more is due than could be claimed.
--
-- A job whose claims have all but one ended without a result is a suspect, and claimed alone, so that it
-- takes no other with it and no other takes it: for a run that says that it holds nothing
-- (`may_suspect`). When the last claim too ends so, and nothing else ends runs, the job is set aside. A
-- claim that the database's own restart cut off is no crash of a job.
CREATE FUNCTION holdfast.claim_jobs(
    run uuid, command text, providers text[], rooms integer[], most integer, jobs text[],
    clock_offset interval, may_suspect boolean DEFAULT true)
RETURNS TABLE (item holdfast.work_item, set_aside text, busy boolean, suspect boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    limit_ integer := greatest(policy_value('claim_limit')::integer - 1, 1);
    source text := CASE command WHEN 'stuck-sweeper' THEN 'sweepable_job'
        ELSE 'recoverable_job' END;
    -- Only then do leases tell of the server's own time.
    restarted_at timestamptz := CASE clock_offset WHEN '0' THEN pg_postmaster_start_time()
        ELSE '-infinity' END;
    one text;
    room integer;
    is_short boolean := false;
    sought integer;
    given integer;
    crashed text[];
    suspects text[];
    first text[];
    due text[];
    claimed text[] := '{}';
BEGIN
    PERFORM act_as(claim_jobs.command, run, clock_offset);
    now_ := clock();
    FOR place IN 1..cardinality(providers) LOOP
        one := providers[place];
        room := least(rooms[place], most, 500);
        CONTINUE WHEN room <= 0;
        SELECT s.crashed, s.suspects INTO crashed, suspects
        FROM judge_suspects(source, one, now_, jobs, run, room + 1, restarted_at) s;
        RETURN QUERY SELECT NULL::work_item, c, NULL::boolean, NULL::boolean FROM unnest(crashed) c;
        CONTINUE WHEN cardinality(suspects) = 0;
        IF NOT may_suspect OR cardinality(claimed) > 0 THEN
            is_short := true;
            CONTINUE;
        END IF;
        -- A breaker that has just let go is tried with a task that has not failed before.
        CONTINUE WHEN EXISTS (SELECT FROM provider p WHERE p.provider = one
                AND p.failures >= policy_value('breaker_failures', one)::integer)
            AND cardinality(due_ids(
                source, format('claims < %s', limit_), one, now_, jobs, run, 1)) > 0;
        given := take_tokens(one, 1, now_, true);
        IF given > 0 THEN
            claimed := take_jobs(source, suspects[1:1], jobs, run, now_, restarted_at);
        END IF;
        is_short := is_short OR given = 0 OR cardinality(suspects) > 1;
    END LOOP;
    IF is_short THEN
        RETURN QUERY SELECT NULL::work_item, NULL::text, true, NULL::boolean;
    END IF;
    IF cardinality(claimed) > 0 THEN
        RETURN QUERY SELECT d, NULL::text, NULL::boolean, true FROM describe_work(claimed, now_) d;
        RETURN;
    END IF;

    FOR place IN 1..cardinality(providers) LOOP
        one := providers[place];
        room := least(rooms[place], most - cardinality(claimed), 500);
        CONTINUE WHEN room <= 0;
        -- Is anything due? The bucket is touched only then, and each index is walked only as far as there
        -- is room.
        first := due_ids(source, format('claims < %s AND woken_at IS NOT NULL', limit_),
            one, now_, jobs, run, room - room / 4);
        due := due_ids(source, format('claims < %s AND woken_at IS NULL', limit_), one, now_, jobs, run,
            room - cardinality(first));
        -- A breaker that has just let go is tried with a task that has not failed before.
        IF cardinality(first || due) > 0 AND EXISTS (SELECT FROM provider p WHERE p.provider = one
            AND p.failures >= policy_value('breaker_failures', one)::integer) THEN
            first := '{}';
            due := (SELECT array_agg(d.job_id ORDER BY d.silences > 0, d.place) FROM (
                SELECT j.job_id, j.silences, u.place
                FROM unnest(due_ids(source, format('claims < %s', limit_), one, now_, jobs, run, 2000))
                    WITH ORDINALITY AS u (job_id, place) JOIN job j USING (job_id)) d);
            due := coalesce(due[1:room], '{}');
        END IF;
        sought := cardinality(first) + cardinality(due);
        CONTINUE WHEN sought = 0;

        given := 0;
        IF cardinality(first) > 0 THEN
            given := take_tokens(one, cardinality(first), now_, true);
            first := first[1:greatest(given, 0)];
        END IF;
        IF given >= 0 AND cardinality(due) > 0 THEN
            given := take_tokens(one, cardinality(due), now_);
            due := due[1:greatest(given, 0)];
        ELSE
            due := '{}';
        END IF;
        CONTINUE WHEN given = -1;
        due := first || due;
        is_short := sought >= room OR cardinality(due) < sought;
        claimed := claimed || take_jobs(source, due, jobs, run, now_, restarted_at);
        IF is_short THEN
            RETURN QUERY SELECT NULL::work_item, NULL::text, true, NULL::boolean;
        END IF;
    END LOOP;
    RETURN QUERY SELECT d, NULL::text, NULL::boolean, false FROM describe_work(claimed, now_) d;
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

-- When something that all hosts share was last looked after.
CREATE TABLE holdfast.upkeep (
    name text COLLATE "C" PRIMARY KEY,
    done_at timestamptz NOT NULL
);

-- Whether it is time for a piece of upkeep; whoever is told yes does it, and nobody else for a while.
CREATE FUNCTION holdfast.take_turn(wanted text, every interval, run uuid, clock_offset interval)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    INSERT INTO upkeep AS u (name, done_at) VALUES (wanted, clock())
    ON CONFLICT (name) DO UPDATE SET done_at = excluded.done_at
        -- A turn in the future was taken under a false clock.
        WHERE u.done_at <= excluded.done_at - every OR u.done_at > excluded.done_at + every;
    RETURN FOUND;
END $$;
