-- The way of a callback into the inbox and out of it: kept once whichever way it came, checked by
-- more than one proof, and read again when a person asks for it.

-- The bytes that percent-encoding stands for; broken escapes stay as they are.
CREATE FUNCTION holdfast.percent_decoded(given text) RETURNS bytea
LANGUAGE sql STABLE STRICT SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(string_agg(CASE WHEN length(p.part[1]) = 3 AND p.part[1] ~ '^%[0-9A-Fa-f]{2}'
            THEN decode(substr(p.part[1], 2), 'hex') ELSE convert_to(p.part[1], 'UTF8') END,
        ''::bytea ORDER BY p.place), ''::bytea)
    FROM regexp_matches(given, '%[0-9A-Fa-f]{2}|[^%]+|%', 'g') WITH ORDINALITY AS p (part, place)
$$;

-- Puts a callback without its secrets into the inbox. Copies have the same digest.
CREATE FUNCTION holdfast.keep_callback(
    provider text, headers jsonb, query text, body bytea, secret_digest text,
    header_secret_digest text, received_at timestamptz, whole_bytes bigint, whole_sha256 bytea)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO callback (provider, headers, query, body, digest, secret_digest,
        header_secret_digest, received_at, whole_bytes, whole_sha256)
    VALUES (keep_callback.provider, keep_callback.headers, keep_callback.query, keep_callback.body,
        sha256(convert_to(keep_callback.provider || chr(10) || keep_callback.query || chr(10), 'UTF8')
            || coalesce(keep_callback.whole_sha256, keep_callback.body)),
        keep_callback.secret_digest, keep_callback.header_secret_digest, keep_callback.received_at,
        keep_callback.whole_bytes, keep_callback.whole_sha256)
    RETURNING callback_id
$$;

-- Keeps a callback whatever it holds. Secrets are kept as digests until they are checked; that of
-- the address is digested as it was meant, without its percent-encoding. The receiver says in the
-- setting `holdfast.whole_body` (bytes and, where it is known, SHA-256 in hex) that the body is cut.
CREATE FUNCTION holdfast.record_callback(
    provider text, headers jsonb, query text, body bytea)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    given jsonb := CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{}' END;
    kept jsonb;
    token text;
    secret bytea;
    header_secret text;
    whole text[] := string_to_array(current_setting('holdfast.whole_body', true), ' ');
BEGIN
    SELECT coalesce(jsonb_object_agg(h.key, h.value) FILTER (WHERE lower(h.key) NOT IN
                ('authorization', 'cookie', 'proxy-authorization', 'x-callback-token',
                'x-webhook-secret')), '{}'),
        min(h.value #>> '{}') FILTER (WHERE lower(h.key) = 'x-callback-token'),
        min(h.value #>> '{}') FILTER (WHERE lower(h.key) = 'x-webhook-secret')
    INTO kept, token, header_secret FROM jsonb_each(given) h;
    secret := coalesce(percent_decoded(substring(query FROM '(?:^|[?&])secret=([^&]*)')),
        convert_to(token, 'UTF8'));
    RETURN keep_callback(coalesce(provider, ''), kept,
        regexp_replace(coalesce(query, ''), '(^|[?&])secret=[^&]*', E'\\1secret=[redacted]', 'g'),
        coalesce(body, ''), encode(sha256(secret), 'hex'),
        encode(sha256(convert_to(header_secret, 'UTF8')), 'hex'), clock(),
        nullif(whole[1], '')::bigint, decode(nullif(whole[2], ''), 'hex'));
END $$;

-- Keeps a callback from a spool folder, once. Returns `kept`, `known` when it is in the inbox
-- already, or `busy` when another run is at it: nothing waits.
CREATE FUNCTION holdfast.keep_spooled_callback(
    spool_id text, provider text, headers jsonb, query text, body bytea, secret_digest text,
    header_secret_digest text, received_at timestamptz, whole_bytes bigint, whole_sha256 bytea)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM require_read_committed();
    IF NOT pg_try_advisory_xact_lock(
        hashtextextended('holdfast.spool ' || keep_spooled_callback.spool_id, 0)) THEN
        RETURN 'busy';
    END IF;
    IF EXISTS (SELECT FROM spooled_callback s
        WHERE s.spool_id = keep_spooled_callback.spool_id) THEN
        RETURN 'known';
    END IF;
    INSERT INTO spooled_callback (spool_id, callback_id)
    VALUES (keep_spooled_callback.spool_id, keep_callback(keep_spooled_callback.provider,
        keep_spooled_callback.headers, keep_spooled_callback.query, keep_spooled_callback.body,
        keep_spooled_callback.secret_digest, keep_spooled_callback.header_secret_digest,
        keep_spooled_callback.received_at, keep_spooled_callback.whole_bytes,
        keep_spooled_callback.whole_sha256));
    RETURN 'kept';
END $$;

-- A page of the inbox behind `after` for a run to read, locked until its transaction ends: at most
-- `most` callbacks, and no more once `byte_limit` bytes of bodies are in it.
CREATE FUNCTION holdfast.undrained_callbacks(after bigint, most integer, byte_limit bigint)
RETURNS TABLE (callback_id bigint, provider text, headers text, query text, body bytea,
    is_cut boolean, whole_sha256 bytea, secret_digest text, header_secret_digest text,
    earlier_checks text, received_us bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT p.callback_id, p.provider, p.headers::text, p.query, p.body,
        p.whole_bytes IS NOT NULL, p.whole_sha256, p.secret_digest, p.header_secret_digest,
        p.checks::text, (extract(epoch FROM p.received_at) * 1000000)::bigint
    FROM (SELECT c.*, sum(octet_length(c.body)) OVER (ORDER BY c.callback_id)
            - octet_length(c.body) AS bytes_before
        FROM (SELECT * FROM callback c WHERE c.drained_at IS NULL AND c.callback_id > after
            ORDER BY c.callback_id LIMIT most FOR NO KEY UPDATE SKIP LOCKED) c) p
    WHERE p.bytes_before < byte_limit ORDER BY p.callback_id
$$;

-- Marks callbacks as read and wakes the jobs that they are about. `job_id` comes from a tag that
-- was checked; `candidates` are the task ids that the body, query or headers name. A callback
-- that names several stays unmatched, whichever of them are known: the one that is not known yet
-- may be the one that is meant. Nothing waits for a lock here: a callback about a job that somebody
-- has locked stays in the inbox. One that a person has vouched for is believed whatever its checks
-- say, and one that is read again is never taken for a copy.
CREATE FUNCTION holdfast.read_callbacks(readings jsonb, now_ timestamptz) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    one record;
    found_job text;
    seen boolean;
    told text;
    all_told text[] := '{}';
BEGIN
    FOR one IN
        SELECT r.*, c.provider, c.digest, c.is_vouched_for, c.is_replayed
        FROM jsonb_to_recordset(readings) AS r (callback_id bigint, secret_check text,
            checks jsonb, job_id text, candidates text[], note text)
        -- One by one along the primary key: a join would read the whole inbox for each page.
        CROSS JOIN LATERAL (SELECT c.provider, c.digest,
                c.vouched_by IS NOT NULL AS is_vouched_for,
                c.replayed_at IS NOT NULL AS is_replayed
            FROM callback c WHERE c.callback_id = r.callback_id AND c.drained_at IS NULL
            OFFSET 0) c
        ORDER BY r.callback_id
    LOOP
        found_job := NULL; told := 'unmatched';
        -- While the application is marking this very task, or another run reads a copy of this
        -- callback, it stays in the inbox: the task may be known the moment after.
        CONTINUE WHEN cardinality(one.candidates) = 1
            AND NOT pg_try_advisory_xact_lock(callback_lock(one.provider, one.candidates[1]));
        IF one.secret_check IN ('wrong', 'missing') AND NOT one.is_vouched_for THEN
            told := 'refused';
        ELSE
            SELECT j.job_id INTO found_job FROM job j WHERE j.job_id = one.job_id;
            IF found_job IS NULL AND cardinality(one.candidates) = 1 THEN
                SELECT t.job_id INTO found_job FROM task t
                WHERE t.provider = one.provider AND t.task_id = one.candidates[1];
            END IF;
            IF found_job IS NOT NULL THEN
                -- The fence keeps this on the index over digests: in a storm, the one over jobs
                -- leads to all the copies.
                seen := NOT one.is_replayed AND EXISTS (SELECT FROM (
                        SELECT c.job_id FROM callback c
                        WHERE c.digest = one.digest AND c.result = 'matched' OFFSET 0) c
                    WHERE c.job_id = found_job);
                told := CASE WHEN seen THEN 'duplicate' ELSE 'matched' END;
            END IF;
        END IF;
        IF told = 'matched' THEN
            PERFORM 1 FROM job j WHERE j.job_id = found_job FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
        END IF;
        UPDATE callback c SET drained_at = now_, result = told, job_id = found_job,
            secret_check = one.secret_check, secret_digest = NULL, header_secret_digest = NULL,
            checks = one.checks, candidates = coalesce(one.candidates, '{}'),
            note = one.note
        WHERE c.callback_id = one.callback_id;
        all_told := all_told || told;
        -- Of a customer who wanted to be forgotten nothing is kept.
        PERFORM blank_callbacks(ARRAY[one.callback_id]) FROM job j
        WHERE j.job_id = found_job AND j.forgotten_at IS NOT NULL;
        IF told = 'matched' THEN
            PERFORM wake_job(found_job,
                CASE WHEN one.job_id = found_job AND cardinality(one.candidates) = 1
                    THEN one.candidates[1] END);
        END IF;
    END LOOP;
    RETURN all_told;
END $$;

-- Secrets that are being exchanged, and when a callback was last believed for the value before: when
-- nothing needs it any more, it can be taken out.
CREATE TABLE holdfast.old_secret (
    variable text COLLATE "C" NOT NULL,
    -- The beginning of a digest, too short to guess the value by.
    name text COLLATE "C" NOT NULL,
    last_needed_at timestamptz NOT NULL,
    PRIMARY KEY (variable, name)
);

CREATE FUNCTION holdfast.note_old_secrets(readings jsonb, now_ timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO old_secret AS o (variable, name, last_needed_at)
    SELECT DISTINCT s.variable, s.name, now_
    FROM jsonb_array_elements(readings) r,
        jsonb_to_recordset(r -> 'old_secrets') AS s (variable text, name text)
    ORDER BY 1, 2
    -- Two runs at once do not wait for each other each time.
    ON CONFLICT (variable, name) DO UPDATE SET last_needed_at = excluded.last_needed_at
    WHERE o.last_needed_at < excluded.last_needed_at - interval '1 minute'
$$;

-- Drains a page of the inbox and counts by result. The page is read at once; where a callback of it
-- meets an error of its own, each is read in its own protection, and that one stays unmatched with a
-- note: a row with its id and what was wrong tells about it.
CREATE FUNCTION holdfast.drain_callbacks(
    run uuid, clock_offset interval, readings jsonb)
RETURNS TABLE (result text, count bigint, callback_id bigint, problem text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one jsonb;
    complaint text;
    all_told text[];
BEGIN
    PERFORM act_as('stuck-sweeper', run, clock_offset);
    now_ := clock();
    BEGIN
        all_told := read_callbacks(readings, now_);
    EXCEPTION WHEN OTHERS THEN
        IF NOT is_row_trouble(SQLSTATE) THEN
            RAISE;
        END IF;
        all_told := NULL;
    END;
    IF all_told IS NULL THEN
        all_told := '{}';
        FOR one IN SELECT r FROM jsonb_array_elements(readings) r LOOP
            BEGIN
                all_told := all_told || read_callbacks(jsonb_build_array(one), now_);
            EXCEPTION WHEN OTHERS THEN
                IF NOT is_row_trouble(SQLSTATE) THEN
                    RAISE;
                END IF;
                complaint := format('%s (%s)', left(SQLERRM, 300), SQLSTATE);
                UPDATE callback c SET drained_at = now_, result = 'unmatched', job_id = NULL,
                    secret_check = one ->> 'secret_check', secret_digest = NULL,
                    header_secret_digest = NULL, checks = one -> 'checks', candidates = '{}',
                    note = 'it could not be read in: ' || complaint
                WHERE c.callback_id = (one ->> 'callback_id')::bigint;
                all_told := all_told || 'unmatched'::text;
                PERFORM tell_later('callback_set_aside', NULL, format(
                    'callback %s could not be read in: %s; it waits unmatched, see holdfast callback show %s',
                    one ->> 'callback_id', complaint, one ->> 'callback_id'));
                RETURN QUERY SELECT NULL::text, NULL::bigint, (one ->> 'callback_id')::bigint,
                    complaint;
            END;
        END LOOP;
    END IF;
    IF readings @? '$[*].old_secrets[*]' THEN
        PERFORM note_old_secrets(readings, now_);
    END IF;
    RETURN QUERY SELECT t, count(*), NULL::bigint, NULL::text FROM unnest(all_told) t GROUP BY t;
END $$;

-- Puts a callback back into the inbox, so that the next run reads it again. One that was refused
-- needs somebody who vouches for it. Returns what it was, or NULL when there is none of that id.
CREATE FUNCTION holdfast.replay_callback(wanted bigint, actor text, vouch boolean)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    c callback;
    was text;
BEGIN
    SELECT * INTO c FROM callback WHERE callback_id = wanted FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    was := CASE WHEN c.drained_at IS NULL THEN 'waiting' ELSE c.result END;
    IF was = 'waiting' OR (was = 'refused' AND NOT vouch) THEN
        RETURN was;
    END IF;
    UPDATE callback SET drained_at = NULL, result = NULL, job_id = NULL, candidates = '{}',
        note = NULL, replayed_at = clock(), replayed_by = actor,
        vouched_by = CASE WHEN was = 'refused' THEN actor ELSE vouched_by END
    WHERE callback_id = wanted;
    RETURN was;
END $$;

-- Keeps the keys that a provider publishes, until a newer document takes their place.
CREATE FUNCTION holdfast.keep_webhook_keys(provider text, url text, document text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO webhook_keys (provider, url, document, fetched_at)
    VALUES (keep_webhook_keys.provider, keep_webhook_keys.url, keep_webhook_keys.document,
        clock_timestamp())
    ON CONFLICT (provider) DO UPDATE SET url = excluded.url, document = excluded.document,
        fetched_at = excluded.fetched_at
$$;

-- A callback is a hint: it makes the job due now, and the poll decides. A task id that came with
-- our own tag belongs to the job, which may not have known it yet.
CREATE FUNCTION holdfast.wake_job(wanted text, told_task text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    j job;
BEGIN
    SELECT * INTO j FROM job WHERE job_id = wanted FOR NO KEY UPDATE;
    IF j.forgotten_at IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM let_go(ARRAY[wanted], 'told');
    IF is_task_id(told_task) THEN
        INSERT INTO task (provider, task_id, job_id, endpoint, created_at)
        VALUES (j.provider, told_task, j.job_id, j.endpoint, clock()) ON CONFLICT DO NOTHING;
        -- The tag proves the job, and not that the task of another job belongs to it.
        PERFORM 1 FROM task t
        WHERE t.provider = j.provider AND t.task_id = told_task AND t.job_id = wanted;
        IF NOT FOUND THEN
            told_task := NULL;
        END IF;
    ELSE
        told_task := NULL;
    END IF;
    IF j.state IN ('created', 'submitted', 'running', 'timed_out') THEN
        UPDATE job SET woken_at = clock(), next_poll_at = clock(), revision = revision + 1,
            task_id = coalesce(task_id, told_task),
            submitted_at = CASE WHEN told_task IS NULL THEN submitted_at
                ELSE coalesce(submitted_at, clock()) END,
            -- Whoever calls back has the task, so that it must not be sent again.
            submitting_at = CASE state WHEN 'created' THEN coalesce(submitting_at, clock())
                ELSE submitting_at END,
            state = CASE WHEN state = 'created' AND told_task IS NOT NULL THEN 'submitted'
                ELSE state END,
            blocked = nullif(blocked, 'submission_unknown'),
            blocked_reason = CASE WHEN blocked = 'submission_unknown' THEN NULL
                WHEN blocked = 'brake' AND NOT pending_move ? 'doubtful' THEN blocked_reason
                    || '; a callback came since, so that release asks the provider first'
                ELSE blocked_reason END,
            -- What a brake has stopped may be other than the provider says now.
            pending_move = pending_move || '{"doubtful": true}'
        WHERE job_id = wanted;
    ELSIF j.state = 'abandoned'
        OR (j.state = 'failed' AND j.error_code IN ('never_submitted', 'application')) THEN
        UPDATE job SET woken_at = clock(), next_poll_at = clock(), revision = revision + 1,
            task_id = coalesce(task_id, told_task),
            watch_until = coalesce(watch_until,
                clock() + policy_interval('watch_window', j.provider, j.kind, j.model))
        WHERE job_id = wanted;
    ELSIF j.state = 'failed' AND j.error_code = 'cancelled' THEN
        -- Its task may have ended: what it cost can be asked.
        UPDATE job SET next_poll_at = clock() WHERE job_id = wanted AND watch_until IS NOT NULL;
    END IF;
END $$;
