-- What providers tell: their lists of tasks, which find what nobody recorded, and what answers say
-- of whoever gave them.

-- Providers whose lists are due: something was bought there within the last week, and no walk is
-- planned for later.
CREATE FUNCTION holdfast.lists_due(clock_offset interval) RETURNS SETOF text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT DISTINCT o.provider FROM offer o
    WHERE o.last_used_at > clock_timestamp() + clock_offset - interval '7 days'
        AND NOT EXISTS (SELECT FROM task_list l WHERE l.provider = o.provider
            AND l.next_walk_at > clock_timestamp() + clock_offset)
$$;

-- Takes the lease of one list that is due, and says where its walk goes on and how far back it
-- goes. No row when the list is not due, or somebody else reads it.
CREATE FUNCTION holdfast.begin_walk(
    run uuid, for_provider text, for_endpoint text, clock_offset interval)
RETURNS TABLE (next_page text, back_to_us bigint, is_first boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    -- Nothing that is older than our first job there can be ours.
    INSERT INTO task_list (provider, endpoint, covered_until, next_walk_at)
    SELECT for_provider, for_endpoint, min(o.first_used_at), now_
    FROM offer o WHERE o.provider = for_provider HAVING count(*) > 0
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    UPDATE task_list l SET lease_owner = run, lease_until = now_ + lease,
        walk_started_at = coalesce(l.walk_started_at, now_)
    FROM (SELECT f.provider, f.endpoint FROM task_list f
        WHERE f.provider = for_provider AND f.endpoint = for_endpoint AND f.next_walk_at <= now_
            AND lease_is_over(f.lease_until, now_, lease)
        FOR NO KEY UPDATE SKIP LOCKED) f
    WHERE l.provider = f.provider AND l.endpoint = f.endpoint
    RETURNING l.next_page,
        -- Their clock may be behind ours, and a list may lag: half an hour is read twice.
        (extract(epoch FROM l.covered_until - interval '30 minutes') * 1000000)::bigint,
        l.walks = 0;
END $$;

-- Takes in the tasks of one page. A known task only learns its cost, and its job is woken when the
-- list says that it has ended; a task that names a job of ours becomes a task of that job; any
-- other is kept as a stray. `job_id` has been checked: the provider's field for our own id, or our
-- own tagged callback address. Nothing here waits for a lock: what is locked comes again.
CREATE FUNCTION holdfast.record_listed(
    run uuid, for_provider text, for_endpoint text, clock_offset interval, listed jsonb)
RETURNS TABLE (task_id text, job_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one record;
    list task_list;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    SELECT * INTO list FROM task_list l
    WHERE l.provider = for_provider AND l.endpoint = for_endpoint AND l.lease_owner = run;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('holdfast.usage_source', 'list', true);
    UPDATE task t SET cost_amount = g.cost_amount, cost_unit = g.cost_unit
    FROM jsonb_to_recordset(listed) AS g (task_id text, cost_amount text, cost_unit text)
    WHERE t.provider = for_provider AND t.task_id = g.task_id AND t.cost_amount IS NULL
        AND g.cost_amount IS NOT NULL;
    FOR one IN
        SELECT g.*, t.job_id AS known_job, j.job_id AS named,
            to_timestamp(g.created_us / 1000000.0) AS created_at
        FROM jsonb_to_recordset(listed) AS g (task_id text, job_id text, state text,
            cost_amount text, cost_unit text, created_us bigint)
        LEFT JOIN task t ON t.provider = for_provider AND t.task_id = g.task_id
        LEFT JOIN job j ON j.job_id = g.job_id AND j.provider = for_provider
        WHERE (t.job_id IS NULL
                OR (t.finished_at IS NULL
                    AND g.state IN ('succeeded', 'failed', 'cancelled', 'expired')))
            AND is_task_id(g.task_id)
    LOOP
        IF one.known_job IS NULL AND one.named IS NULL THEN
            -- On the first walk a task without a date may be older than we are.
            CONTINUE WHEN coalesce(one.created_at < (SELECT min(o.first_used_at) FROM offer o
                WHERE o.provider = for_provider) - interval '1 second', list.walks = 0);
            INSERT INTO stray_task AS s (provider, task_id, endpoint, state, cost_amount, cost_unit,
                created_at, first_seen_at, last_seen_at)
            VALUES (for_provider, one.task_id, for_endpoint, one.state, one.cost_amount,
                one.cost_unit, one.created_at, now_, now_)
            ON CONFLICT (provider, task_id) DO UPDATE SET state = excluded.state,
                cost_amount = coalesce(excluded.cost_amount, s.cost_amount),
                cost_unit = coalesce(excluded.cost_unit, s.cost_unit), last_seen_at = now_;
            CONTINUE;
        END IF;
        -- The application may be marking this very task right now.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(callback_lock(for_provider, one.task_id));
        PERFORM 1 FROM job j WHERE j.job_id = coalesce(one.known_job, one.named)
        FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        IF one.known_job IS NOT NULL THEN
            PERFORM wake_job(one.known_job, NULL);
            CONTINUE;
        END IF;
        PERFORM wake_job(one.named, one.task_id);
        UPDATE task t SET endpoint = coalesce(nullif(for_endpoint, ''), t.endpoint),
            cost_amount = one.cost_amount, cost_unit = one.cost_unit
        WHERE t.provider = for_provider AND t.task_id = one.task_id AND t.job_id = one.named;
        DELETE FROM stray_task s WHERE s.provider = for_provider AND s.task_id = one.task_id;
        RETURN QUERY SELECT one.task_id, one.named;
    END LOOP;
END $$;

-- Writes how far a walk came: on to `page`, or, without one, to its end. A walk that met a problem
-- goes on from the same page next time.
CREATE FUNCTION holdfast.record_walk(
    run uuid, for_provider text, for_endpoint text, clock_offset interval, page text,
    is_over boolean, with_problem text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    is_complete boolean := is_over AND with_problem IS NULL AND page IS NULL;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    UPDATE task_list l SET
        covered_until = CASE WHEN is_complete THEN l.walk_started_at ELSE l.covered_until END,
        walks = l.walks + CASE WHEN is_complete THEN 1 ELSE 0 END,
        walk_started_at = CASE WHEN is_complete THEN NULL ELSE l.walk_started_at END,
        next_page = page,
        last_walk_at = CASE WHEN is_complete THEN now_ ELSE l.last_walk_at END,
        problem = left(with_problem, 500),
        next_walk_at = CASE WHEN is_complete OR with_problem IS NOT NULL
            THEN now_ + policy_interval('list_every', for_provider) ELSE l.next_walk_at END,
        lease_owner = CASE WHEN is_over THEN NULL ELSE run END,
        lease_until = CASE WHEN is_over THEN NULL ELSE now_ + policy_interval('lease') END
    WHERE l.provider = for_provider AND l.endpoint = for_endpoint AND l.lease_owner = run;
END $$;

-- Strays that have been strays for long enough to be told, each told once.
CREATE FUNCTION holdfast.report_strays(run uuid, clock_offset interval)
RETURNS TABLE (provider text, task_id text, state text, cost text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    DELETE FROM stray_task s USING task t
    WHERE t.provider = s.provider AND t.task_id = s.task_id;
    RETURN QUERY
    UPDATE stray_task s SET reported_at = now_
    FROM (SELECT f.provider, f.task_id FROM stray_task f
        WHERE f.reported_at IS NULL AND f.first_seen_at <= now_ - interval '15 minutes'
            AND policy_value('strays', f.provider) = 'report'
        LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED) f
    WHERE s.provider = f.provider AND s.task_id = f.task_id
    RETURNING s.provider, s.task_id, s.state,
        CASE WHEN s.cost_amount IS NULL THEN NULL ELSE s.cost_amount || ' ' || s.cost_unit END;
END $$;

-- Notes what a batch of answers tells of the families that were asked. Nothing waits: whoever holds a
-- family's row notes the same of it.
CREATE FUNCTION holdfast.note_readings(moves holdfast.move[], now_ timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
DECLARE
    one record;
    f family;
BEGIN
    UPDATE job j SET unheard_since = coalesce(j.unheard_since, now_), unheard_as = 'unreadable',
        unheard_family = coalesce(m.family, '')
    FROM unnest(moves) m
    WHERE j.job_id = m.job_id AND m.reading = 'unreadable'
        AND (j.unheard_as, j.unheard_family) IS DISTINCT FROM ('unreadable', coalesce(m.family, ''));
    FOR one IN
        SELECT j.provider, coalesce(m.family, '') AS endpoint, bool_or(m.reading = 'readable') AS is_readable,
            left(max(m.observation ->> 'error_message') FILTER (WHERE m.reading = 'unreadable'), 300)
                AS message
        FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id
        WHERE m.reading IN ('readable', 'unreadable') GROUP BY 1, 2 ORDER BY 1, 2
    LOOP
        SELECT * INTO f FROM family WHERE family.provider = one.provider
            AND family.endpoint = one.endpoint FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            INSERT INTO family (provider, endpoint) VALUES (one.provider, one.endpoint)
            ON CONFLICT DO NOTHING RETURNING * INTO f;
            CONTINUE WHEN NOT FOUND;
        END IF;
        IF NOT one.is_readable THEN
            IF f.unreadable_since IS NULL AND is_unreadable(one.provider, one.endpoint) THEN
                UPDATE family SET unreadable_since = now_, last_error = one.message
                WHERE provider = one.provider AND endpoint = one.endpoint;
            END IF;
        ELSIF f.unreadable_since IS NOT NULL OR f.readable_at IS NULL
            OR f.readable_at NOT BETWEEN now_ - interval '1 minute' AND now_
            OR EXISTS (SELECT FROM unheard_job u
                WHERE u.provider = one.provider AND u.unheard_family = one.endpoint) THEN
            IF f.unreadable_since < now_ THEN
                INSERT INTO outage VALUES (one.provider, one.endpoint, f.unreadable_since, now_)
                ON CONFLICT DO NOTHING;
            END IF;
            UPDATE family SET readable_at = now_, unreadable_since = NULL, last_error = NULL
            WHERE provider = one.provider AND endpoint = one.endpoint;
        END IF;
    END LOOP;
END $$;

-- Takes as many tokens of the provider's bucket as there are, at most `wanted`, and returns how
-- many; -1 when the provider is to be left alone, -2 when another run is at the bucket right now. A
-- quarter of the bucket, and of what comes in while that is not full, is kept for what is urgent.
CREATE FUNCTION holdfast.take_tokens(
    for_provider text, wanted integer, now_ timestamptz, urgent boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    p provider;
    rate double precision := policy_value('rate', for_provider)::double precision;
    burst double precision := policy_value('rate_burst', for_provider)::double precision;
    -- Whole tokens: of a bucket too small for a quarter nothing is kept.
    reserve double precision := floor(burst / 4);
    came double precision;
    kept double precision;
    rest double precision;
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
    IF p.refilled_at IS NULL THEN
        kept := reserve;
        rest := burst - reserve;
    ELSE
        came := least(greatest(extract(epoch FROM now_ - p.refilled_at), 0) * rate, burst);
        kept := least(coalesce(p.reserved, 0), reserve);
        kept := kept + least(came / 4, reserve - kept);
        rest := least(p.tokens + came - (kept - least(coalesce(p.reserved, 0), reserve)),
            burst - kept);
    END IF;
    given := greatest(least(wanted,
        CASE WHEN urgent THEN floor(kept) + floor(rest) ELSE floor(rest) END::integer), 0);
    -- A breaker that has just let go is tried with one request.
    IF p.failures >= policy_value('breaker_failures', for_provider)::integer THEN
        given := least(given, 1);
    END IF;
    UPDATE provider SET refilled_at = now_,
        reserved = kept - CASE WHEN urgent THEN least(given, floor(kept)) ELSE 0 END,
        tokens = rest - CASE WHEN urgent THEN greatest(given - floor(kept), 0) ELSE given END
    WHERE provider.provider = for_provider;
    RETURN given;
END $$;

-- Notes how a provider answered: failures without an answer between them open its breaker, an answer
-- closes it, Retry-After pauses it. A failure that may be the task's own counts once for each task
-- (`failed_tasks`), one that is not counts each time. An answer that cannot be read tells that the
-- provider is there, and no more. Returns the pause that this call opened, else null.
CREATE FUNCTION holdfast.note_answers(
    run uuid, for_provider text, healthy boolean, trailing_failures integer,
    retry_after interval, clock_offset interval, failed_tasks text[] DEFAULT '{}',
    unreadable boolean DEFAULT false, status integer DEFAULT NULL, message text DEFAULT NULL,
    key_refused boolean DEFAULT false)
RETURNS interval
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    p provider;
    now_ timestamptz;
    most interval := policy_interval('breaker_pause_max', for_provider);
    threshold integer := policy_value('breaker_failures', for_provider)::integer;
    -- More digests than these are not kept; each task counts as another one then.
    kept CONSTANT integer := 1000;
    tasks text[];
    has_failed boolean := trailing_failures > 0 OR cardinality(failed_tasks) > 0;
    pause interval;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    now_ := clock();
    SELECT * INTO p FROM provider WHERE provider.provider = for_provider FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF healthy OR (unreadable AND p.failures >= threshold) THEN
        IF p.silent_since < now_ THEN
            INSERT INTO outage VALUES (for_provider, '', p.silent_since, now_) ON CONFLICT DO NOTHING;
        END IF;
        p.failures := 0; p.openings := 0; p.paused_until := NULL; p.pause_reason := NULL;
        p.failed_tasks := '{}'; p.silent_since := NULL;
        p.last_error := NULL; p.last_status := NULL; p.last_error_at := NULL;
        p.is_key_refused := false;
    END IF;
    tasks := ARRAY(SELECT DISTINCT left(md5(t), 12) FROM unnest(failed_tasks) t
        WHERE left(md5(t), 12) <> ALL (p.failed_tasks));
    p.failures := p.failures + trailing_failures + cardinality(tasks);
    p.failed_tasks := (p.failed_tasks || tasks)[1:kept];
    IF has_failed THEN
        p.last_error := left(message, 300); p.last_status := status; p.last_error_at := now_;
        p.is_key_refused := key_refused;
    END IF;
    IF has_failed AND p.failures >= threshold THEN
        p.silent_since := coalesce(p.silent_since, now_);
    END IF;
    IF has_failed AND p.failures >= threshold
        AND (p.paused_until IS NULL OR p.paused_until <= now_ OR p.paused_until > now_ + most) THEN
        pause := least(most, interval '15 seconds' * power(2, least(p.openings, 20)));
        p.openings := p.openings + 1;
        p.paused_until := now_ + pause;
        p.pause_reason := CASE WHEN p.is_key_refused
            THEN format('the key is refused (%s)', coalesce(p.last_status::text, 'no status'))
            ELSE format('%s transient failures in a row', p.failures) END;
    ELSIF retry_after IS NOT NULL THEN
        p.paused_until := greatest(p.paused_until, now_ + least(retry_after, most));
        p.pause_reason := coalesce(p.pause_reason, 'the provider asked to be left alone');
    END IF;
    UPDATE provider SET failures = p.failures, openings = p.openings,
        paused_until = p.paused_until, pause_reason = p.pause_reason, failed_tasks = p.failed_tasks,
        silent_since = p.silent_since, last_error = p.last_error, last_status = p.last_status,
        last_error_at = p.last_error_at, is_key_refused = p.is_key_refused
    WHERE provider.provider = for_provider;
    RETURN pause;
END $$;

-- Asks again, by itself, about jobs without an answer: those that rest because nobody can read their
-- family, and those that were set aside for want of an answer, when the family can be read again or
-- another version of the program asks. One is asked about for all, at most once a minute; when it can
-- be read, all are due. Returns how many jobs became due, at most `most`.
CREATE FUNCTION holdfast.ask_again(
    run uuid, command text, version text, clock_offset interval, most integer)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one record;
    f family;
    probed job;
    is_readable boolean;
    wanted text[];
    due text[];
    freed integer := 0;
BEGIN
    PERFORM act_as(ask_again.command, run, clock_offset);
    now_ := clock();
    FOR one IN
        SELECT f.provider, f.endpoint FROM family f WHERE EXISTS (SELECT FROM unheard_job u
            WHERE u.provider = f.provider AND u.unheard_family = f.endpoint)
        ORDER BY f.provider, f.endpoint
    LOOP
        SELECT * INTO f FROM family WHERE family.provider = one.provider
            AND family.endpoint = one.endpoint FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        -- What rests goes on when the family can be read.
        is_readable := f.unreadable_since IS NULL;
        wanted := ARRAY(SELECT u.job_id FROM unheard_job u
            WHERE u.provider = f.provider AND u.unheard_family = f.endpoint AND u.is_resting
                AND u.blocked IS NULL
                AND (u.state = 'timed_out') = (ask_again.command = 'orphan-recoverer')
            ORDER BY u.next_poll_at, u.job_id LIMIT most - freed);
        -- What was set aside goes on when one of them, asked about now, can be read.
        IF is_readable AND cardinality(wanted) = 0 THEN
            wanted := ARRAY(SELECT u.job_id FROM unheard_job u
                WHERE u.provider = f.provider AND u.unheard_family = f.endpoint
                    AND u.blocked = 'person' AND u.blocked_cause IS NOT NULL
                    AND (u.state = 'timed_out') = (ask_again.command = 'orphan-recoverer')
                    AND (ask_again.version <> ALL (u.blocked_versions)
                        OR (u.awaits_readable AND f.readable_at > u.unheard_since))
                ORDER BY u.next_poll_at, u.job_id LIMIT most - freed);
            SELECT * INTO probed FROM job WHERE job_id = f.probe_job;
            is_readable := FOUND AND probed.unheard_since IS NULL;
        END IF;
        CONTINUE WHEN cardinality(wanted) = 0;
        IF NOT is_readable THEN
            CONTINUE WHEN f.probed_at > now_ - interval '50 seconds' AND f.probed_at <= now_;
            wanted := wanted[1:1];
            UPDATE family SET probe_job = wanted[1], probed_at = now_
            WHERE provider = f.provider AND endpoint = f.endpoint;
        ELSIF cardinality(wanted) < most - freed THEN
            UPDATE family SET probe_job = NULL
            WHERE provider = f.provider AND endpoint = f.endpoint;
        END IF;
        WITH picked AS (
            SELECT j.job_id FROM job j WHERE j.job_id = ANY (wanted)
            ORDER BY j.job_id FOR NO KEY UPDATE SKIP LOCKED
        ), freed_jobs AS (
            UPDATE job j SET blocked = NULL, blocked_reason = NULL, blocked_cause = NULL,
                is_resting = false, claims = 0, next_poll_at = now_,
                revision = j.revision + (j.blocked IS NOT NULL)::integer
            FROM picked WHERE j.job_id = picked.job_id RETURNING j.job_id
        ) SELECT array_agg(job_id) INTO due FROM freed_jobs;
        freed := freed + coalesce(cardinality(due), 0);
        EXIT WHEN freed >= most;
    END LOOP;
    RETURN freed;
END $$;

-- Whether any row of the policy lets holds of lost submissions go, so that nothing is looked for where
-- none does.
CREATE FUNCTION holdfast.may_void_submissions() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT EXISTS (SELECT FROM policy p
        WHERE p.key = 'on_submission_unknown' AND p.value = 'void')
$$;

-- When the watch of a job ends whose create call was lost: it has no task to be asked about, and
-- gets the deadline and the window that it would have had with one.
CREATE FUNCTION holdfast.submission_watch_end(j holdfast.job) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(j.watch_until, coalesce(j.submitting_at, j.created_at)
        + policy_interval('deadline', j.provider, j.kind, j.model)
        + policy_interval('watch_window', j.provider, j.kind, j.model))
$$;

-- Whether the provider's list of tasks has been read past the end of a job's watch, every list of it
-- where nobody knows in which one the task would be.
CREATE FUNCTION holdfast.list_covers(j holdfast.job) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(bool_and(l.covered_until >= submission_watch_end(j)), false)
    FROM task_list l WHERE l.provider = j.provider
$$;

-- Jobs whose create call was lost and of which nobody has told anything by the end of their watch,
-- where the policy is `void`: `void`, or `look` where the provider can be asked by our own id and has
-- not been since. Left out, and so kept, is a job whose provider has a list that has not been read
-- that far, can be asked and is not on here, or has called back and nobody has read it yet.
CREATE FUNCTION holdfast.unknown_submissions(
    listing text[], looking_up text[], askable text[], most integer, jobs text[],
    providers text[], now_ timestamptz)
RETURNS TABLE (job_id text, next text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT d.job_id, d.next FROM (
        SELECT j.job_id, CASE
            WHEN j.provider = ANY (looking_up) AND NOT EXISTS (SELECT FROM observation o
                WHERE o.job_id = j.job_id AND o.source = 'lookup' AND o.error_class = 'final'
                    AND o.observed_at >= submission_watch_end(j))
                THEN CASE WHEN j.provider = ANY (askable) THEN 'look' END
            WHEN j.provider = ANY (listing) AND NOT list_covers(j) THEN NULL
            ELSE 'void' END AS next
        FROM job j
        WHERE may_void_submissions() AND j.blocked = 'submission_unknown'
            AND (cardinality(jobs) = 0 OR j.job_id = ANY (jobs))
            AND (cardinality(providers) = 0 OR j.provider = ANY (providers))
            AND policy_value('on_submission_unknown', j.provider, j.kind, j.model) = 'void'
            AND submission_watch_end(j) <= now_
            AND NOT EXISTS (SELECT FROM task t WHERE t.job_id = j.job_id)
            AND NOT EXISTS (SELECT FROM callback c
                WHERE c.drained_at IS NULL AND c.provider = j.provider)) d
    WHERE d.next IS NOT NULL
    ORDER BY d.job_id LIMIT most
$$;

-- Does what unknown_submissions says, each job by itself, so that one that fails stops no other. A
-- job that is to be looked up is the sweeper's again; the others are abandoned under the brakes,
-- and what may come of them later is waived. Rows that somebody else holds are left for later.
CREATE FUNCTION holdfast.void_submissions(
    run uuid, command text, clock_offset interval, listing text[], looking_up text[],
    askable text[], most integer, jobs text[], providers text[])
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one record;
    done record;
    m move;
BEGIN
    PERFORM act_as(void_submissions.command, run, clock_offset);
    now_ := clock();
    FOR one IN SELECT j.job_id, u.next, j.state
        FROM unknown_submissions(listing, looking_up, askable, most, jobs, providers,
            now_) u
        JOIN job j ON j.job_id = u.job_id
        WHERE j.blocked = 'submission_unknown'
        ORDER BY j.job_id FOR NO KEY UPDATE OF j SKIP LOCKED
    LOOP
        BEGIN
            IF one.next = 'look' THEN
                UPDATE job j SET blocked = NULL, blocked_reason = NULL, blocked_cause = NULL,
                    claims = 0, refusals = 0, silences = 0, next_poll_at = now_
                WHERE j.job_id = one.job_id;
                RETURN QUERY SELECT one.job_id, 'looked_up', NULL::text, NULL::bigint, NULL::text;
                CONTINUE;
            END IF;
            UPDATE job j SET waives_late = true WHERE j.job_id = one.job_id;
            m := NULL;
            m.job_id := one.job_id; m.wait := '0';
            m.error_message := 'the task id was never told by the end of the watch window, and on_submission_unknown is void';
            IF one.state <> 'timed_out' THEN
                m.new_state := 'timed_out';
                PERFORM move_one(m);
            END IF;
            m.new_state := 'abandoned'; m.wait := NULL;
            FOR done IN SELECT a.* FROM apply_moves(ARRAY[m], true) a LOOP
                -- Half of it must not stay: the job would be watched anew.
                IF done.outcome NOT IN ('go', 'braked') THEN
                    RAISE EXCEPTION 'not now: %', done.outcome USING ERRCODE = 'HF020';
                END IF;
                RETURN QUERY SELECT done.job_id, done.outcome, done.action, done.amount, done.detail;
            END LOOP;
        EXCEPTION WHEN SQLSTATE 'HF020' THEN
            NULL;
        WHEN OTHERS THEN
            RETURN QUERY SELECT one.job_id, 'failed', NULL::text, NULL::bigint, SQLERRM;
        END;
    END LOOP;
END $$;
