-- What people do by hand.

-- A person frees a blocked job: it is looked at again now. A move that a brake has stopped is
-- forgotten, and decided anew by what the provider says now, or by the files that are stored; only
-- `release_brakes` applies it.
CREATE FUNCTION holdfast.requeue_job(job_id text, person text) RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(requeue_job.job_id);
BEGIN
    PERFORM act_as(person, NULL, '0');
    UPDATE job SET blocked = NULL, blocked_reason = NULL, claims = 0, refusals = 0, silences = 0,
        pending_move = CASE WHEN j.blocked = 'brake' THEN NULL ELSE pending_move END,
        blocked_cause = NULL, is_resting = false,
        next_poll_at = CASE WHEN state IN ('created', 'submitted', 'running', 'timed_out')
            OR watch_until IS NOT NULL THEN clock() ELSE next_poll_at END,
        watch_until = CASE WHEN state = 'timed_out'
            THEN greatest(watch_until, clock() + policy_interval('watch_window', j.provider, j.kind,
                j.model)) ELSE watch_until END,
        retriggers = CASE WHEN j.blocked = 'submission_unknown' THEN 0 ELSE retriggers END,
        revision = revision + 1
    WHERE job.job_id = j.job_id;
    UPDATE asset a SET claims = 0, next_attempt_at = clock(), slow_since = NULL,
        refused_since = NULL, refused_as = NULL
    WHERE a.job_id = j.job_id AND a.state = 'pending';
    IF j.state = 'succeeded' AND j.blocked = 'brake' THEN
        PERFORM deliver_jobs(ARRAY[j.job_id]);
    END IF;
    RETURN status_of(j.job_id);
END $$;

-- A person gives a job up: the hold is voided; a task that finishes later is a late success.
CREATE FUNCTION holdfast.abandon_job(job_id text, reason text, person text)
RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job;
    m move;
BEGIN
    PERFORM require(btrim(reason) <> '', 'abandon_job: a reason is needed');
    j := lock_job(abandon_job.job_id);
    PERFORM act_as(person, NULL, '0');
    m.job_id := j.job_id;
    IF j.state IN ('created', 'submitted', 'running') THEN
        m.new_state := 'timed_out'; m.error_message := reason; m.wait := '0';
        PERFORM move_one(m);
        j.state := 'timed_out';
    END IF;
    IF may_become(j.state, 'abandoned', j.error_code) THEN
        m.new_state := 'abandoned'; m.error_message := reason; m.wait := NULL;
        PERFORM move_one(m);
    END IF;
    RETURN status_of(j.job_id);
END $$;

-- A person corrects an account, in either direction, once for each reference and never below zero; and
-- says which sealed day it corrects, if any. Returns what is available afterwards.
CREATE FUNCTION holdfast.adjust_credits(
    account text, credits bigint, reason text, reference text, person text,
    corrects date DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    purse bigint;
    earlier transfer;
BEGIN
    PERFORM require(credits <> 0 AND abs(credits) <= 1000000000000000,
        'adjust_credits: the credits must be 1 to 1000000000000000, with either sign');
    PERFORM require(btrim(reason) <> '' AND length(reason) <= 2000,
        'adjust_credits: the reason must be 1 to 2000 characters');
    PERFORM require(btrim(reference) <> '' AND length(reference) <= 500,
        'adjust_credits: the reference must be 1 to 500 characters');
    PERFORM require(btrim(person) <> '', 'adjust_credits: a person is needed');
    PERFORM act_as(person, NULL, '0');
    SELECT a.available INTO purse FROM account a WHERE a.account_id = adjust_credits.account
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no account %', coalesce(quote_literal(account), 'NULL')
            USING ERRCODE = 'HF005';
    END IF;
    SELECT t.* INTO earlier FROM transfer t WHERE t.transfer_id = 'adjustment:' || reference;
    IF NOT FOUND THEN
        IF purse + credits < 0 THEN
            RAISE EXCEPTION 'account % has % credits available, the adjustment takes %',
                quote_literal(account), purse, -credits USING ERRCODE = 'HF001';
        END IF;
        INSERT INTO transfer (transfer_id, kind, account_id, debit, credit, amount, reason, actor,
            created_at, corrects)
        VALUES ('adjustment:' || reference, 'adjustment', adjust_credits.account,
            CASE WHEN credits > 0 THEN 'issued' ELSE 'available' END,
            CASE WHEN credits > 0 THEN 'available' ELSE 'issued' END,
            abs(credits), adjust_credits.reason, person, clock(), adjust_credits.corrects)
        ON CONFLICT (transfer_id) DO NOTHING;
        IF FOUND THEN
            RETURN purse + credits;
        END IF;
        -- Another account's adjustment with the same reference was faster.
        SELECT t.* INTO earlier FROM transfer t WHERE t.transfer_id = 'adjustment:' || reference;
    END IF;
    IF (earlier.account_id, earlier.amount, earlier.credit, earlier.reason, earlier.corrects)
        IS DISTINCT FROM (account, abs(credits),
            CASE WHEN credits > 0 THEN 'available' ELSE 'issued' END, reason, adjust_credits.corrects)
    THEN
        RAISE EXCEPTION 'reference % has already adjusted account % by % credits (%)',
            quote_literal(reference), quote_literal(earlier.account_id),
            CASE earlier.credit WHEN 'available' THEN earlier.amount ELSE -earlier.amount END,
            earlier.reason USING ERRCODE = 'HF002';
    END IF;
    RETURN purse;
END $$;

-- A person lets stopped moves go: the recoverer's next run applies them. About a job that was called
-- back about since, the provider is asked first. At most `most` jobs, in the order of their ids.
CREATE FUNCTION holdfast.release_brakes(
    scope_job text, scope_account text, scope_provider text, person text,
    most integer DEFAULT 1000)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    freed bigint;
BEGIN
    PERFORM act_as(person, NULL, '0');
    UPDATE job j SET blocked = NULL, blocked_reason = NULL, brake_released = true,
        revision = revision + 1,
        pending_move = CASE WHEN j.pending_move ? 'doubtful' THEN NULL ELSE j.pending_move END,
        next_poll_at = CASE WHEN j.pending_move ? 'doubtful' THEN clock() ELSE j.next_poll_at END
    FROM (SELECT b.job_id FROM job b
        WHERE b.blocked = 'brake' AND (scope_job IS NULL OR b.job_id = scope_job)
            AND (scope_account IS NULL OR b.account_id = scope_account)
            AND (scope_provider IS NULL OR b.provider = scope_provider)
        ORDER BY b.job_id LIMIT most FOR NO KEY UPDATE) b
    WHERE j.job_id = b.job_id;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END $$;

-- Begins to fetch files of a job once more, under a lease, for a person who found their objects
-- missing or other than they should be, or who wants a lost file tried again. `files` says what the
-- person saw: ordinal, object_key, sha256 and reason.
--
-- A job that is succeeded is not settled yet: its file waits again, and the mirrorer and the
-- settlement decide as ever ('reopened'). Every other job is settled: its row, its credits and the
-- asset itself stay as they are, and the work is kept beside them ('begun', with the item). Else the
-- outcome says why nothing was begun: pending, changed, blocked or busy.
CREATE FUNCTION holdfast.begin_refetch(
    run uuid, wanted text, files jsonb, person text, clock_offset interval)
RETURNS TABLE (file integer, outcome text, item holdfast.file_item)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
    -- No delivery is decided while its files are looked at.
    j job := lock_job(wanted);
    a asset;
    one record;
BEGIN
    PERFORM act_as(person, run, clock_offset);
    now_ := clock();
    FOR one IN SELECT * FROM jsonb_to_recordset(files) AS f (
        ordinal integer, object_key text, sha256 text, reason text) ORDER BY f.ordinal
    LOOP
        file := one.ordinal; item := NULL;
        SELECT * INTO a FROM asset WHERE job_id = wanted AND ordinal = one.ordinal
        FOR NO KEY UPDATE;
        IF a.state = 'pending' THEN
            outcome := 'pending';
        -- What a customer wanted to be forgotten is not asked for again.
        ELSIF a.state IS NULL OR j.forgotten_at IS NOT NULL
            OR (a.object_key, a.sha256) IS DISTINCT FROM (one.object_key, one.sha256) THEN
            outcome := 'changed';
        ELSIF j.state = 'succeeded' AND (j.blocked IS NOT NULL OR j.pending_move IS NOT NULL) THEN
            outcome := 'blocked';
        ELSIF j.state = 'succeeded' THEN
            outcome := 'reopened';
            UPDATE asset SET state = 'pending', next_attempt_at = now_, claims = 0,
                upload_id = NULL, lease_owner = NULL, lease_until = NULL
            WHERE job_id = wanted AND ordinal = one.ordinal;
        ELSE
            outcome := 'begun';
            INSERT INTO refetch AS r (job_id, ordinal, actor, reason, begun_at, lease_owner,
                lease_until)
            VALUES (wanted, one.ordinal, person, one.reason, now_, run, now_ + lease)
            ON CONFLICT (job_id, ordinal) DO UPDATE SET actor = person, reason = excluded.reason,
                begun_at = now_, error_message = NULL, lease_owner = run,
                lease_token = r.lease_token + 1, lease_until = excluded.lease_until
            WHERE lease_is_over(r.lease_until, now_, lease);
            IF NOT FOUND THEN
                outcome := 'busy';
            ELSE
                SELECT d.* INTO item FROM describe_refetch(wanted, one.ordinal, now_) d;
            END IF;
        END IF;
        IF outcome IN ('begun', 'reopened') THEN
            PERFORM note_refetch(j, person, run, now_,
                format('file %s is fetched again, because %s', one.ordinal, one.reason));
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- What the mirrorer needs to know of a file that is fetched once more. Size and digest are those of
-- this attempt alone: the ones that the asset has are what the store no longer does.
CREATE FUNCTION holdfast.describe_refetch(wanted text, file integer, now_ timestamptz)
RETURNS SETOF holdfast.file_item
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT d.job_id, d.ordinal, r.lease_token, d.provider, d.account_id, d.kind, d.model,
        d.endpoint, d.task_id, coalesce(r.source_url, d.source_url),
        CASE WHEN r.source_url IS NULL THEN d.source_expires_us
            ELSE (extract(epoch FROM r.source_expires_at) * 1000000)::bigint END,
        coalesce(r.object_key, d.object_key), r.upload_id, r.sha256, r.bytes, d.content_type,
        d.attempts, d.now_us, d.slow
    FROM describe_files(ARRAY[wanted], ARRAY[file], now_) d
    JOIN refetch r USING (job_id, ordinal)
$$;

-- A line in the job's story, beside the changes of its state: this one is none.
CREATE FUNCTION holdfast.note_refetch(
    j holdfast.job, person text, run uuid, happened timestamptz, detail text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO job_event (job_id, happened_at, actor, run_id, from_state, to_state, blocked, detail,
        deed)
    VALUES (j.job_id, happened, person, run, j.state, j.state, j.blocked, detail, 'refetch')
$$;

CREATE FUNCTION holdfast.renew_refetches(
    run uuid, jobs text[], ordinals integer[], tokens bigint[], clock_offset interval)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    kept integer;
    until timestamptz;
BEGIN
    PERFORM act_as('refetch', run, clock_offset);
    until := clock() + policy_interval('lease');
    UPDATE run_slot s SET expires_at = until WHERE s.run_id = run;
    UPDATE refetch r SET lease_until = until
    FROM unnest(jobs, ordinals, tokens) h (job_id, ordinal, token)
    WHERE r.job_id = h.job_id AND r.ordinal = h.ordinal AND r.lease_token = h.token
        AND r.lease_owner = run;
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END $$;

CREATE FUNCTION holdfast.release_refetches(
    run uuid, jobs text[], ordinals integer[], tokens bigint[], clock_offset interval)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    UPDATE refetch r SET lease_owner = NULL, lease_until = NULL
    FROM unnest(jobs, ordinals, tokens) h (job_id, ordinal, token)
    WHERE r.job_id = h.job_id AND r.ordinal = h.ordinal AND r.lease_token = h.token
        AND r.lease_owner = run
$$;

-- Writes the steps of files that are fetched once more, each only while its lease stands. Only the
-- last step touches the asset: `stored` gives it the object that is there now; `lost` leaves it as
-- it was. No job moves, and no credits do.
CREATE FUNCTION holdfast.record_refetches(run uuid, clock_offset interval, steps jsonb)
RETURNS TABLE (job_id text, ordinal integer, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    given file_step[] := ARRAY(SELECT s FROM jsonb_populate_recordset(NULL::file_step, steps) s);
    s file_step;
    r refetch;
    a asset;
BEGIN
    PERFORM act_as('refetch', run, clock_offset);
    now_ := clock();
    FOR s IN SELECT g.* FROM unnest(given) g ORDER BY g.job_id, g.ordinal LOOP
        job_id := s.job_id; ordinal := s.ordinal; outcome := s.step;
        UPDATE refetch f SET
            object_key = coalesce(s.object_key, f.object_key),
            upload_id = coalesce(s.upload_id, f.upload_id),
            content_type = coalesce(s.content_type, f.content_type),
            -- A new upload forgets what the one before it had come to.
            sha256 = CASE s.step WHEN 'begun' THEN NULL ELSE coalesce(s.sha256, f.sha256) END,
            bytes = CASE s.step WHEN 'begun' THEN NULL ELSE coalesce(s.bytes, f.bytes) END,
            source_url = coalesce(s.source_url, f.source_url),
            source_expires_at = CASE s.step WHEN 'refreshed' THEN s.source_expires_at
                ELSE f.source_expires_at END,
            refreshed_at = CASE s.step WHEN 'refreshed' THEN now_ ELSE f.refreshed_at END,
            error_message = left(coalesce(s.error_message, f.error_message), 1000),
            lease_owner = CASE WHEN s.step = 'retry' THEN NULL ELSE f.lease_owner END,
            lease_until = CASE WHEN s.step = 'retry' THEN NULL ELSE f.lease_until END
        WHERE f.job_id = s.job_id AND f.ordinal = s.ordinal AND f.lease_token = s.token
            AND f.lease_owner = run
        RETURNING * INTO r;
        IF NOT FOUND THEN
            outcome := 'lease_lost';
        ELSIF s.step IN ('stored', 'lost') THEN
            DELETE FROM refetch f WHERE f.job_id = s.job_id AND f.ordinal = s.ordinal;
            SELECT * INTO a FROM asset f WHERE f.job_id = s.job_id AND f.ordinal = s.ordinal
            FOR NO KEY UPDATE;
            IF s.step = 'stored' THEN
                UPDATE asset f SET state = 'stored', object_key = s.object_key, upload_id = NULL,
                    content_type = coalesce(r.content_type, f.content_type), sha256 = s.sha256,
                    bytes = s.bytes, public_url = s.public_url,
                    source_url = coalesce(r.source_url, f.source_url),
                    source_expires_at = CASE WHEN r.source_url IS NULL THEN f.source_expires_at
                        ELSE r.source_expires_at END,
                    refreshed_at = coalesce(r.refreshed_at, f.refreshed_at),
                    error_message = NULL, attempts = f.attempts + 1, stored_at = now_
                WHERE f.job_id = s.job_id AND f.ordinal = s.ordinal;
            END IF;
            PERFORM note_refetch(j, r.actor, run, now_, CASE s.step
                WHEN 'lost' THEN format('file %s cannot be fetched again: %s', s.ordinal,
                    s.error_message)
                WHEN 'stored' THEN format('file %s is in the store again as %s, %s', s.ordinal,
                    s.object_key, CASE
                        WHEN a.sha256 IS NULL OR a.state <> 'stored' THEN 'sha256 ' || s.sha256
                        WHEN a.sha256 = s.sha256 THEN 'the same bytes as before'
                        ELSE format('sha256 %s instead of %s', s.sha256, a.sha256) END) END)
            FROM job j WHERE j.job_id = s.job_id;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- The command for a job that waits because of a refused file; null for every other.
CREATE FUNCTION holdfast.refused_advice(wanted text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    RETURN (SELECT format('holdfast job refund %s --reason TEXT  # TEXT: why', shell_word(wanted))
        FROM asset a WHERE a.job_id = wanted AND a.state = 'pending' AND a.refused_since IS NOT NULL
        ORDER BY a.ordinal LIMIT 1);
END $$;

-- The command that delivers a refused file all the same; null where all of it was never read, and
-- where a browser may run it.
CREATE FUNCTION holdfast.accept_command(wanted text, file integer) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    RETURN (SELECT format('holdfast asset accept --job%s%s --ordinal %s --sha256 %s --reason TEXT',
            CASE WHEN wanted LIKE '-%' THEN '=' ELSE ' ' END, shell_word(wanted), file, r.sha256)
        FROM refused_file r JOIN asset a USING (job_id, ordinal)
        WHERE r.job_id = wanted AND r.ordinal = file AND r.is_whole AND NOT r.is_runnable
            AND a.state = 'pending' AND a.refused_since IS NOT NULL);
END $$;

-- A person gives the refused files of a job up: they are lost, and the job ends with what it has.
-- False when it has none.
CREATE FUNCTION holdfast.give_up_refused(wanted text, reason text, person text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(wanted);
BEGIN
    IF j.state <> 'succeeded' THEN
        RETURN false;
    END IF;
    PERFORM act_as(person, NULL, '0');
    UPDATE asset a SET state = 'lost', error_message = 'given up: ' || reason,
        lease_owner = NULL, lease_until = NULL, claims = 0
    WHERE a.job_id = wanted AND a.state = 'pending' AND a.refused_since IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What a person decides counts for no brake.
    UPDATE job SET blocked = NULL, blocked_reason = NULL, brake_released = true,
        revision = revision + 1 WHERE job.job_id = wanted;
    PERFORM count(*) FROM deliver_jobs(ARRAY[wanted]);
    RETURN true;
END $$;

-- Begins to deliver a refused file for a person, under the file's own lease: 'begun', with the item
-- and the object in the quarantine store. 'already' when that was done before; else the outcome says
-- why not: no_file, closed, not_refused, digest_differs, runnable, blocked or busy.
CREATE FUNCTION holdfast.accept_refused(
    run uuid, wanted text, file integer, digest text, reason text, person text,
    clock_offset interval)
RETURNS TABLE (outcome text, detail text, object_name text, item holdfast.file_item)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
    j job := lock_job(wanted);
    a asset;
    r refused_file;
BEGIN
    PERFORM act_as(person, run, clock_offset);
    now_ := clock();
    SELECT * INTO a FROM asset f WHERE f.job_id = wanted AND f.ordinal = file FOR NO KEY UPDATE;
    SELECT * INTO r FROM refused_file f WHERE f.job_id = wanted AND f.ordinal = file;
    object_name := r.object_name;
    IF a.job_id IS NULL THEN
        outcome := 'no_file';
    ELSIF a.state = 'stored' AND a.sha256 = digest AND EXISTS (SELECT FROM acceptance c
            WHERE c.job_id = wanted AND c.ordinal = file AND c.sha256 = digest) THEN
        outcome := 'already';
    ELSIF j.state <> 'succeeded' THEN
        outcome := 'closed'; detail := j.state;
    ELSIF a.state <> 'pending' OR a.refused_since IS NULL THEN
        outcome := 'not_refused'; detail := a.state;
    ELSIF r.is_whole AND r.sha256 <> digest THEN
        outcome := 'digest_differs'; detail := r.sha256;
    ELSIF r.is_runnable AND r.sha256 = digest THEN
        outcome := 'runnable'; detail := r.type;
    ELSIF j.blocked <> 'person' OR j.pending_move IS NOT NULL THEN
        outcome := 'blocked'; detail := coalesce(j.blocked, 'a move that waits for its account');
    ELSIF NOT lease_is_over(a.lease_until, now_, lease) THEN
        outcome := 'busy';
    ELSE
        outcome := 'begun';
        UPDATE asset f SET lease_owner = run, lease_token = f.lease_token + 1,
            lease_until = now_ + lease
        WHERE f.job_id = wanted AND f.ordinal = file;
        INSERT INTO acceptance AS c (job_id, ordinal, sha256, person, reason, accepted_at)
        VALUES (wanted, file, digest, person, reason, now_)
        ON CONFLICT (job_id, ordinal) DO UPDATE SET sha256 = excluded.sha256,
            person = excluded.person, reason = excluded.reason, accepted_at = excluded.accepted_at;
        SELECT d.* INTO item FROM describe_files(ARRAY[wanted], ARRAY[file], now_) d;
    END IF;
    RETURN NEXT;
END $$;

-- Writes the steps of files that a person accepted. With the last one the job is let go, in the same
-- transaction, and goes on as every job does whose files are there; its story says who and why.
CREATE FUNCTION holdfast.record_accepted(run uuid, clock_offset interval, steps jsonb)
RETURNS TABLE (job_id text, ordinal integer, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s file_step;
    j job;
    c acceptance;
    was text;
BEGIN
    FOR s IN SELECT g.* FROM jsonb_populate_recordset(NULL::file_step, steps) g
        WHERE g.step IN ('complete', 'stored') ORDER BY g.job_id, g.ordinal
    LOOP
        -- The job before its file, like everything that people do.
        j := lock_job(s.job_id);
        SELECT f.* INTO c FROM acceptance f WHERE f.job_id = s.job_id AND f.ordinal = s.ordinal;
        IF c.sha256 IS DISTINCT FROM s.sha256 THEN
            RAISE EXCEPTION 'file % of job % has sha256 %, and % was accepted', s.ordinal,
                quote_literal(s.job_id), s.sha256, coalesce(c.sha256, 'none')
                USING ERRCODE = '22023';
        END IF;
        CONTINUE WHEN s.step <> 'stored';
        SELECT a.refused_as INTO was FROM asset a WHERE a.job_id = s.job_id
            AND a.ordinal = s.ordinal AND a.state = 'pending' AND a.lease_token = s.token
            AND a.lease_owner = run FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        PERFORM act_as(c.person, run, clock_offset);
        INSERT INTO job_event (job_id, happened_at, actor, run_id, from_state, to_state, blocked,
            detail, deed)
        VALUES (j.job_id, clock(), c.person, run, j.state, j.state, j.blocked,
            format('file %s is accepted although it was refused (%s), sha256 %s: %s', s.ordinal, was,
                s.sha256, c.reason), 'accept');
        UPDATE job SET blocked = NULL, blocked_reason = NULL, revision = revision + 1
        WHERE job.job_id = s.job_id AND blocked = 'person' AND NOT EXISTS (
            SELECT FROM asset o WHERE o.job_id = s.job_id AND o.ordinal <> s.ordinal
                AND o.state = 'pending' AND o.refused_since IS NOT NULL);
    END LOOP;
    RETURN QUERY SELECT f.* FROM record_files(run, clock_offset, steps) f;
END $$;
