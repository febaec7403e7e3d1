-- What providers' answers say of them: families that can be read, tokens, breakers.

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
    key_refused boolean DEFAULT false, credentials text DEFAULT NULL)
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
        p.is_key_refused := false; p.credentials := NULL;
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
        p.credentials := note_answers.credentials;
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
        last_error_at = p.last_error_at, is_key_refused = p.is_key_refused,
        credentials = p.credentials
    WHERE provider.provider = for_provider;
    RETURN pause;
END $$;

-- Closes the breakers that opened for other credentials than a host has now; returns whose.
CREATE FUNCTION holdfast.close_breakers(
    run uuid, clock_offset interval, providers text[], names text[]) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('run', run, clock_offset);
    -- Nothing is locked where nothing is open.
    IF EXISTS (SELECT FROM provider p JOIN unnest(providers, names) AS g (provider, name)
            ON g.provider = p.provider AND g.name <> p.credentials
            WHERE p.paused_until > clock()) THEN
        RETURN QUERY UPDATE provider p SET failures = 0, openings = 0, paused_until = NULL,
            pause_reason = NULL, failed_tasks = '{}', is_key_refused = false, credentials = NULL
        FROM unnest(providers, names) AS g (provider, name)
        WHERE g.provider = p.provider AND g.name <> p.credentials AND p.paused_until > clock()
        RETURNING p.provider;
    END IF;
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
