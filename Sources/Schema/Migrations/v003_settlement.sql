-- Settling: whoever moves a job's state settles its credits here, in the same transaction.

-- What a move of a job does to its credits.
CREATE TYPE holdfast.resolution AS (
    job_id text COLLATE "C", action text, amount bigint, cause text);

-- The action that a move calls for: capture, void, charge, refund or waive, and its amount; no row
-- when no credits move. `files` counts the files stored (delivered) or named (succeeded). Where the
-- application has named the credits, the share is one of those.
CREATE FUNCTION holdfast.credit_action(
    j holdfast.job, new_state text, files integer, OUT action text, OUT amount bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    earned bigint := holdfast.share(coalesce(j.named_credits, j.credits), coalesce(files, 0),
        j.expected_outputs);
    paid bigint := j.captured + j.charged - j.refunded;
BEGIN
    IF j.credits = 0 THEN
        RETURN;
    ELSIF new_state IN ('failed', 'abandoned', 'dismissed') THEN
        IF j.credit_state = 'held' THEN
            action := 'void'; amount := j.credits;
        ELSIF paid > 0 THEN
            action := 'refund'; amount := paid;
        END IF;
    ELSIF new_state = 'succeeded' THEN
        IF j.credit_state = 'held'
            AND holdfast.policy_value('capture_at', j.provider, j.kind, j.model) = 'succeeded' THEN
            action := 'capture'; amount := earned;
        END IF;
    ELSIF new_state = 'delivered' THEN
        IF j.credit_state = 'held' THEN
            action := 'capture'; amount := earned;
        ELSIF j.credit_state = 'voided' AND j.captured = 0 THEN
            amount := earned;
            action := CASE WHEN j.waives_late THEN 'waive'
                WHEN holdfast.policy_value('late_success', j.provider, j.kind, j.model) = 'charge'
                THEN 'charge' ELSE 'waive' END;
        ELSIF j.captured > earned AND j.refunded = 0 THEN
            -- Captured when it succeeded, and fewer files could be stored than were named.
            action := 'refund'; amount := j.captured - earned;
        END IF;
    END IF;
    IF action = 'charge' AND amount = 0 THEN
        action := NULL;
    END IF;
END $$;

-- What an automatic action gives back or takes late, as the brakes count it; null when it does not
-- count. What a partial capture leaves of the price is given back like a void; what the application
-- itself left of the hold is not.
CREATE FUNCTION holdfast.braked_amount(j holdfast.job, action text, amount bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN action IN ('void', 'refund', 'charge') THEN amount
        WHEN action = 'capture' THEN nullif(coalesce(j.named_credits, j.credits) - amount, 0) END
$$;

-- The one place that captures, voids, charges and refunds, for executables, functions and people.
-- Job rows are locked in the order of their ids; a resolution that no longer applies moves
-- nothing. Returns what was really done: a late charge that the account cannot pay is a waiver.
CREATE FUNCTION holdfast.settle(resolutions holdfast.resolution[])
RETURNS TABLE (job_id text, action text, amount bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp
-- Planned once in a connection: planning anew costs more than it saves, while rows are locked.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    due resolution[];
    one resolution;
    affordable bigint;
    now_ timestamptz := clock();
    actor_ text := coalesce(nullif(current_setting('holdfast.actor', true), ''), session_user);
    run_ uuid := nullif(current_setting('holdfast.run_id', true), '')::uuid;
BEGIN
    PERFORM 1 FROM job j
    WHERE j.job_id IN (SELECT r.job_id FROM unnest(resolutions) r)
    ORDER BY j.job_id FOR NO KEY UPDATE;

    -- Each resolution applies once: a hold to a hold that stands, a charge to one that was
    -- voided, a refund to what is still paid.
    SELECT array_agg(r ORDER BY r.job_id) INTO due
    FROM unnest(resolutions) r JOIN job j ON j.job_id = r.job_id
    WHERE r.amount >= 0 AND CASE
        WHEN r.action IN ('capture', 'void')
            THEN j.credit_state = 'held' AND r.amount <= j.credits
        WHEN r.action IN ('charge', 'waive')
            THEN j.credit_state = 'voided' AND r.amount <= j.credits
        WHEN r.action = 'refund'
            THEN r.amount > 0 AND r.amount <= j.captured + j.charged - j.refunded
        ELSE false END;

    -- A late charge is all or nothing and never goes below zero.
    FOR one IN
        SELECT r.* FROM unnest(due) r JOIN job j ON j.job_id = r.job_id
        WHERE r.action = 'charge' ORDER BY j.account_id, r.job_id
    LOOP
        SELECT a.available INTO affordable FROM account a JOIN job j USING (account_id)
        WHERE j.job_id = one.job_id FOR NO KEY UPDATE OF a;
        IF affordable >= one.amount THEN
            INSERT INTO transfer (transfer_id, kind, account_id, job_id, debit, credit, amount,
                reason, actor, run_id, created_at)
            SELECT 'charge:' || one.job_id, 'charge', j.account_id, j.job_id, 'available', 'spent',
                one.amount, one.cause, actor_, run_, now_
            FROM job j WHERE j.job_id = one.job_id;
            RETURN QUERY SELECT one.job_id, 'charge', one.amount;
        ELSE
            UPDATE job SET waived = one.amount, settled_at = now_ WHERE job_id = one.job_id;
            RETURN QUERY SELECT one.job_id, 'waive', one.amount;
        END IF;
    END LOOP;

    UPDATE job SET waived = r.amount, settled_at = now_
    FROM unnest(due) r WHERE r.action = 'waive' AND job.job_id = r.job_id;

    INSERT INTO transfer (transfer_id, kind, account_id, job_id, debit, credit, amount,
        reason, actor, run_id, created_at)
    SELECT leg.kind || ':' || j.job_id
            || CASE leg.kind WHEN 'refund' THEN ':' || j.refunded ELSE '' END,
        leg.kind, j.account_id, j.job_id, leg.debit, leg.credit, leg.amount, r.cause, actor_,
        run_, now_
    FROM unnest(due) r
    JOIN job j ON j.job_id = r.job_id
    CROSS JOIN LATERAL (VALUES
        ('capture', 'held', 'spent', CASE r.action WHEN 'capture' THEN r.amount ELSE 0 END),
        ('void', 'held', 'available', CASE r.action
            WHEN 'void' THEN j.credits WHEN 'capture' THEN j.credits - r.amount ELSE 0 END),
        ('refund', 'spent', 'available', CASE r.action WHEN 'refund' THEN r.amount ELSE 0 END)
    ) AS leg (kind, debit, credit, amount)
    WHERE leg.amount > 0
    ORDER BY j.account_id, j.job_id, leg.kind;

    RETURN QUERY SELECT r.job_id, r.action, r.amount FROM unnest(due) r WHERE r.action <> 'charge';
    RETURN QUERY SELECT r.job_id, 'void', j.credits - r.amount
        FROM unnest(due) r JOIN job j ON j.job_id = r.job_id
        WHERE r.action = 'capture' AND r.amount < j.credits;
END $$;

-- Takes the brakes' lock to the end of the transaction, so that two hosts cannot both use what is left;
-- false when somebody else has it all the while. Whoever waits here holds nothing that an application
-- may want, or waits for a moment only.
CREATE FUNCTION holdfast.take_brakes(most text DEFAULT '100ms') RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp SET lock_timeout = '100ms' AS $$
BEGIN
    PERFORM set_config('lock_timeout', most, true);
    PERFORM 1 FROM brake_lock FOR NO KEY UPDATE;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- The same without waiting, for whoever holds accounts already.
CREATE FUNCTION holdfast.try_brakes() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM 1 FROM brake_lock FOR NO KEY UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Which of these automatic resolutions the brakes stop, counted over the last hour and all hosts. The
-- caller has the brakes' lock.
CREATE FUNCTION holdfast.braked(resolutions holdfast.resolution[])
RETURNS TABLE (job_id text, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp
-- Planned once in a connection: planning anew costs more than it saves, while rows are locked.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz := clock();
    one record;
    part record;
    stopped text;
BEGIN
    DELETE FROM brake_use WHERE minute < now_ - interval '2 hours';
    FOR one IN
        SELECT r.job_id, r.amount, j.account_id, j.provider,
            policy_value('brake_jobs', j.provider, j.kind, j.model) AS job_limits,
            policy_value('brake_credits', j.provider, j.kind, j.model) AS credit_limits
        FROM unnest(resolutions) r JOIN job j ON j.job_id = r.job_id
        ORDER BY r.job_id
    LOOP
        stopped := NULL;
        FOR part IN
            SELECT s.scope, s.subject, brake_limit(one.job_limits, s.scope) AS job_limit,
                brake_limit(one.credit_limits, s.scope) AS credit_limit, used.jobs, used.credits
            FROM (VALUES ('account', one.account_id), ('provider', one.provider), ('total', ''))
                AS s (scope, subject)
            CROSS JOIN LATERAL (SELECT coalesce(sum(u.jobs), 0) AS jobs,
                    coalesce(sum(u.credits), 0) AS credits
                FROM brake_use u WHERE u.scope = s.scope
                    AND u.subject = s.subject AND u.minute > now_ - interval '1 hour') used
        LOOP
            IF part.jobs + 1 > part.job_limit THEN
                stopped := format('brake_jobs: %s %s has had %s automatic voids, refunds and late charges within the hour, the limit is %s',
                    part.scope, part.subject, part.jobs, part.job_limit);
            ELSIF part.credits + one.amount > part.credit_limit THEN
                stopped := format('brake_credits: %s %s has had %s credits moved automatically within the hour, the limit is %s',
                    part.scope, part.subject, part.credits, part.credit_limit);
            END IF;
        END LOOP;
        IF stopped IS NOT NULL THEN
            RETURN QUERY SELECT one.job_id, stopped;
        ELSE
            INSERT INTO brake_use (scope, subject, minute, jobs, credits)
            SELECT s.scope, s.subject, date_trunc('minute', now_), 1, one.amount
            FROM (VALUES ('account', one.account_id), ('provider', one.provider), ('total', ''))
                AS s (scope, subject)
            ON CONFLICT (scope, subject, minute) DO UPDATE
            SET jobs = brake_use.jobs + 1, credits = brake_use.credits + excluded.credits;
        END IF;
    END LOOP;
END $$;

-- One move of one job, as a run, the application or a person decided it.
CREATE TYPE holdfast.move AS (
    job_id text COLLATE "C",
    -- The fencing token of the lease; null for the application and for people, who need none.
    token bigint,
    -- The revision that the decision was made on; null where later marks do not matter.
    revision integer,
    -- The state to become; null keeps it.
    new_state text,
    error_code text,
    error_message text,
    result_urls text[],
    url_expires_at timestamptz,
    files integer,
    progress integer,
    -- The task asked about, what it said, where it was found, what it cost.
    task_id text,
    task_endpoint text,
    task_state text,
    cost_amount text,
    cost_unit text,
    -- Was this a healthy answer, a silence, a refusal of our request, or no poll at all (null)?
    answer text,
    wait interval,
    -- Nothing more is expected of a job that was watched after its end.
    ends_watch boolean,
    blocked text,
    blocked_reason text,
    observation jsonb,
    -- The family that was asked, and whether what came could be read: readable, unreadable, silence.
    family text COLLATE "C",
    reading text,
    -- Why the move ends something for want of an answer: silence, unreadable. It is put off while that
    -- is the provider's trouble.
    cause text,
    -- The answer with the files names no task; and how many more there were than are taken.
    is_unnamed boolean, surplus integer
);

-- Judges a move against the row as it is now: 'go', or the outcome that it loses to.
CREATE FUNCTION holdfast.judge_move(j holdfast.job, m holdfast.move)
RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN m.token IS NOT NULL AND (j.lease_token <> m.token OR j.lease_until IS NULL)
            THEN CASE WHEN j.state IN ('delivered', 'dismissed', 'failed', 'abandoned', 'succeeded')
                THEN 'finished_meanwhile' ELSE 'lease_lost' END
        WHEN m.revision IS NOT NULL AND m.revision <> j.revision THEN 'finished_meanwhile'
        WHEN m.new_state IS NOT NULL AND m.new_state <> j.state
            AND NOT holdfast.may_become(j.state, m.new_state, j.error_code)
            THEN 'finished_meanwhile'
        WHEN m.new_state IS NOT NULL AND m.new_state = j.state
            AND m.new_state <> 'running' THEN 'finished_meanwhile'
        WHEN m.new_state IS NULL AND m.token IS NOT NULL
            AND j.state NOT IN ('created', 'submitted', 'running', 'timed_out')
            AND j.watch_until IS NULL THEN 'finished_meanwhile'
        -- What is the provider's trouble sets no job aside, and ends no watch.
        WHEN m.cause IS NOT NULL AND m.token IS NOT NULL
            AND holdfast.is_in_trouble(j.provider, m.family) THEN 'postponed'
        -- The end of a watch voids only when no callback is waiting that might say otherwise.
        WHEN m.new_state = 'abandoned' AND m.token IS NOT NULL AND holdfast.awaits_callback(j)
            THEN 'postponed'
        -- What a database that lost commits has forgotten may say otherwise too.
        WHEN m.token IS NOT NULL AND (m.new_state = 'abandoned'
                OR m.new_state = 'failed' AND m.error_code = 'never_submitted')
            AND holdfast.rewind_state(j.job_id, holdfast.clock()) IS NOT NULL THEN 'postponed'
        ELSE 'go' END
$$;

-- Applies a batch of moves: judges each against the row as it is, brakes, settles, writes the
-- state, the task, the files to store and the evidence. The caller has said who acts (act_as).
-- One row for each move: its outcome is 'go', 'lease_lost', 'finished_meanwhile', 'postponed',
-- 'locked' (another run is at the brakes; the lease stays) or 'braked'; action and amount say what
-- happened to the credits, and a second row gives the remainder of a partial capture. The detail of a
-- job that is set aside is the command for a person.
CREATE FUNCTION holdfast.apply_moves(moves holdfast.move[], automatic boolean)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp
-- Planned once in a connection: planning anew costs more than it saves, while rows are locked.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz := clock();
    going move[];
    lost move[];
    lost_ids text[];
    verdicts text[];
    wanted resolution[];
    counted resolution[];
    held_back text[];
    held_reasons text[];
    later text[] := '{}';
    -- How long what nobody can read rests, unless it is asked about for all, or a callback comes.
    rest CONSTANT interval := interval '6 hours';
    this_version text := (SELECT r.version FROM run r
        WHERE r.run_id = nullif(current_setting('holdfast.run_id', true), '')::uuid);
BEGIN
    PERFORM 1 FROM job j
    WHERE j.job_id IN (SELECT m.job_id FROM unnest(moves) m)
    ORDER BY j.job_id FOR NO KEY UPDATE;
    PERFORM note_readings(ARRAY(SELECT m FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id
        WHERE m.reading IS NOT NULL AND judge_move(j, m) IN ('go', 'postponed')), now_);

    -- Rule 7: the row decides, not what was read before the provider was asked.
    SELECT array_agg(o.m) FILTER (WHERE o.verdict = 'go'),
        array_agg(o.m) FILTER (WHERE o.verdict <> 'go'),
        array_agg((o.m).job_id) FILTER (WHERE o.verdict <> 'go'),
        array_agg(o.verdict) FILTER (WHERE o.verdict <> 'go')
    INTO going, lost, lost_ids, verdicts
    FROM (SELECT m, judge_move(j, m) AS verdict
        FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id OFFSET 0) o;

    -- What is put off is free at once, and as if it had not been claimed. Whoever comes too late with
    -- its answer has not crashed either.
    IF lost IS NOT NULL THEN
        RETURN QUERY SELECT l.job_id, l.verdict, NULL::text, NULL::bigint, NULL::text
            FROM unnest(lost_ids, verdicts) l (job_id, verdict);
        UPDATE job j SET
            lease_owner = CASE v.verdict WHEN 'postponed' THEN NULL ELSE j.lease_owner END,
            lease_until = CASE v.verdict WHEN 'postponed' THEN NULL ELSE j.lease_until END,
            claims = CASE WHEN v.verdict = 'postponed' THEN 0
                ELSE greatest(j.claims - v.is_late, 0) END,
            is_resting = CASE v.verdict WHEN 'postponed' THEN v.rests ELSE j.is_resting END,
            next_poll_at = CASE WHEN v.verdict = 'lease_lost' THEN j.next_poll_at
                WHEN v.rests THEN now_ + rest
                WHEN v.cause IS NULL THEN now_ + interval '15 seconds'
                ELSE now_ + coalesce(v.wait, interval '5 minutes') END
        FROM (SELECT m.job_id, m.cause, m.wait, l.verdict,
                (m.token < o.lease_token)::integer AS is_late,
                m.reading = 'unreadable' AND is_unreadable(o.provider, m.family) AS rests
            FROM unnest(lost) m JOIN unnest(lost_ids, verdicts) l (job_id, verdict)
                ON l.job_id = m.job_id JOIN job o ON o.job_id = m.job_id
            WHERE m.token <= o.lease_token) v
        WHERE j.job_id = v.job_id AND v.verdict IN ('postponed', 'lease_lost');
    END IF;

    -- The money that the moves call for, less what a brake stops.
    SELECT array_agg(ROW(m.job_id, c.action, c.amount, coalesce(m.error_code, m.new_state))::resolution)
    INTO wanted
    FROM unnest(going) m JOIN job j ON j.job_id = m.job_id
    CROSS JOIN LATERAL credit_action(j, m.new_state, m.files) c
    WHERE m.new_state IS NOT NULL AND c.action IS NOT NULL;
    IF automatic THEN
        SELECT array_agg(ROW(r.job_id, r.action, braked_amount(j, r.action, r.amount),
            r.cause)::resolution) INTO counted
        FROM unnest(wanted) r JOIN job j ON j.job_id = r.job_id
        WHERE braked_amount(j, r.action, r.amount) IS NOT NULL AND NOT j.brake_released;
        IF counted IS NOT NULL AND NOT try_brakes() THEN
            SELECT array_agg(r.job_id) INTO later FROM unnest(counted) r;
            SELECT array_agg(m) INTO going FROM unnest(going) m WHERE m.job_id <> ALL (later);
            SELECT array_agg(r) INTO wanted FROM unnest(wanted) r WHERE r.job_id <> ALL (later);
            RETURN QUERY SELECT l, 'locked', NULL::text, NULL::bigint, NULL::text
                FROM unnest(later) l;
        ELSIF counted IS NOT NULL THEN
            SELECT array_agg(b.job_id), array_agg(b.reason) INTO held_back, held_reasons
            FROM braked(counted) b;
        END IF;
    END IF;

    -- Evidence is kept whatever becomes of the move; one that comes again brings it again.
    INSERT INTO observation (job_id, task_id, run_id, observed_at, source, http_status, state,
        error_class, error_message, progress, evidence, body_sha256, body_bytes)
    SELECT m.job_id, m.task_id, nullif(current_setting('holdfast.run_id', true), '')::uuid, now_,
        o.source, o.http_status, o.state, o.error_class, o.error_message, o.progress, o.evidence,
        o.body_sha256, o.body_bytes
    FROM unnest(moves) m CROSS JOIN LATERAL jsonb_to_record(m.observation) AS o (
        source text, http_status integer, state text, error_class text, error_message text,
        progress integer, evidence text, body_sha256 text, body_bytes integer)
    WHERE m.observation IS NOT NULL AND m.job_id <> ALL (later);

    IF held_back IS NOT NULL THEN
        UPDATE job j SET blocked = 'brake',
            blocked_reason = b.reason || '; would have become ' || m.new_state,
            pending_move = to_jsonb(m) - 'token' - 'observation' - 'revision',
            lease_owner = NULL, lease_until = NULL, claims = 0
        FROM unnest(held_back, held_reasons) b (job_id, reason), unnest(going) m
        WHERE j.job_id = b.job_id AND m.job_id = b.job_id;
        RETURN QUERY SELECT b.job_id, 'braked', r.action, r.amount, b.reason
            FROM unnest(held_back, held_reasons) b (job_id, reason)
            JOIN unnest(wanted) r ON r.job_id = b.job_id;
        SELECT array_agg(m) INTO going FROM unnest(going) m WHERE m.job_id <> ALL (held_back);
        SELECT array_agg(r) INTO wanted FROM unnest(wanted) r WHERE r.job_id <> ALL (held_back);
    END IF;

    RETURN QUERY WITH settled AS MATERIALIZED (SELECT * FROM settle(wanted))
        SELECT m.job_id, 'go', s.action, s.amount, way_out(m.job_id, m.blocked)
        FROM unnest(going) m LEFT JOIN settled s ON s.job_id = m.job_id;

    UPDATE job j SET
        state = coalesce(m.new_state, j.state),
        error_code = CASE WHEN m.new_state = 'failed' THEN m.error_code
            WHEN m.new_state = 'succeeded' THEN NULL ELSE j.error_code END,
        error_message = CASE WHEN m.new_state IN ('failed', 'dismissed', 'abandoned', 'timed_out')
                THEN left(m.error_message, 2000)
            WHEN m.new_state = 'succeeded' THEN NULL ELSE j.error_message END,
        result_urls = CASE WHEN m.new_state = 'succeeded' THEN m.result_urls ELSE j.result_urls END,
        progress = CASE WHEN m.new_state IN ('succeeded', 'delivered') THEN 100
            ELSE coalesce(m.progress, j.progress) END,
        task_id = coalesce(CASE WHEN m.new_state = 'succeeded' THEN m.task_id END, j.task_id,
            m.task_id),
        submitted_at = CASE WHEN m.task_id IS NOT NULL THEN coalesce(j.submitted_at, now_)
            ELSE j.submitted_at END,
        timed_out_at = CASE WHEN m.new_state = 'timed_out' THEN now_ ELSE j.timed_out_at END,
        watch_until = CASE
            WHEN m.new_state = 'timed_out'
                THEN now_ + policy_interval('watch_window', j.provider, j.kind, j.model)
            WHEN m.ends_watch OR (m.new_state IS NOT NULL AND m.new_state <> 'running') THEN NULL
            ELSE j.watch_until END,
        finished_at = CASE WHEN m.new_state IN ('delivered', 'failed', 'abandoned', 'dismissed')
            THEN now_ WHEN m.new_state = 'succeeded' THEN NULL ELSE j.finished_at END,
        settled_at = CASE WHEN j.credits = 0
            AND m.new_state IN ('delivered', 'failed', 'abandoned', 'dismissed')
            THEN now_ ELSE j.settled_at END,
        attempts = j.attempts + CASE WHEN m.answer IS NULL THEN 0 ELSE 1 END,
        silences = CASE m.answer WHEN 'healthy' THEN 0 WHEN 'silence' THEN j.silences + 1
            WHEN 'refusal' THEN j.silences + 1 ELSE j.silences END,
        refusals = CASE m.answer WHEN 'refusal' THEN j.refusals + 1 WHEN 'healthy' THEN 0
            ELSE j.refusals END,
        last_healthy_at = CASE m.answer WHEN 'healthy' THEN now_ ELSE j.last_healthy_at END,
        blocked = m.blocked,
        blocked_reason = CASE WHEN m.blocked IS NULL THEN NULL ELSE m.blocked_reason END,
        blocked_cause = CASE WHEN m.blocked IS NOT NULL THEN m.cause END,
        blocked_versions = CASE WHEN m.reading = 'readable' THEN '{}'
            WHEN m.blocked IS NOT NULL AND m.cause IS NOT NULL
                THEN array_append(j.blocked_versions, coalesce(this_version, ''))
            ELSE j.blocked_versions END,
        awaits_readable = m.blocked IS NOT NULL AND m.cause IS NOT NULL AND NOT EXISTS (
            SELECT FROM family f WHERE f.provider = j.provider
                AND f.endpoint = coalesce(m.family, '') AND f.readable_at >= j.unheard_since),
        unheard_since = CASE m.reading WHEN 'readable' THEN NULL WHEN 'silence'
            THEN coalesce(j.unheard_since, now_) ELSE j.unheard_since END,
        unheard_as = CASE m.reading WHEN 'readable' THEN NULL WHEN 'silence' THEN 'silence'
            ELSE j.unheard_as END,
        unheard_family = coalesce(m.family, j.unheard_family),
        is_resting = coalesce(m.reading = 'unreadable' AND is_unreadable(j.provider, m.family), false),
        woken_at = CASE WHEN m.token IS NULL OR j.woken_at > j.leased_at THEN j.woken_at END,
        pending_move = NULL,
        brake_released = false,
        next_poll_at = CASE
            -- A callback that came while we asked may know more than our answer did.
            WHEN j.woken_at > j.leased_at THEN now_
            WHEN m.reading = 'unreadable' AND is_unreadable(j.provider, m.family) THEN now_ + rest
            WHEN m.wait IS NOT NULL THEN now_ + m.wait
            ELSE j.next_poll_at END,
        claims = 0, lease_owner = NULL, lease_until = NULL,
        held_up_since = NULL, held_up_told_at = NULL
    FROM unnest(going) m
    WHERE j.job_id = m.job_id;

    -- The task asked about: kept with what it said, also when it is one more than we knew.
    INSERT INTO task AS t (provider, task_id, job_id, endpoint, state, error_message, cost_amount,
        cost_unit, is_unnamed, created_at, polled_at, finished_at)
    SELECT j.provider, m.task_id, m.job_id, m.task_endpoint,
        coalesce(nullif(m.task_state, 'unknown'), 'pending'),
        -- The provider's words about the task, not ours about the job.
        CASE WHEN m.task_state IN ('failed', 'cancelled', 'expired')
            THEN left(m.error_message, 2000) END,
        m.cost_amount, m.cost_unit, coalesce(m.is_unnamed, false), now_, now_,
        CASE WHEN m.task_state IN ('succeeded', 'failed', 'cancelled', 'expired') THEN now_ END
    FROM unnest(going) m JOIN job j ON j.job_id = m.job_id
    WHERE m.task_id IS NOT NULL
    ON CONFLICT (provider, task_id) DO UPDATE SET
        endpoint = coalesce(excluded.endpoint, t.endpoint),
        state = CASE WHEN t.finished_at IS NOT NULL OR excluded.state = 'pending' THEN t.state
            ELSE excluded.state END,
        error_message = coalesce(excluded.error_message, t.error_message),
        cost_amount = coalesce(excluded.cost_amount, t.cost_amount),
        cost_unit = coalesce(excluded.cost_unit, t.cost_unit),
        is_unnamed = t.is_unnamed OR excluded.is_unnamed,
        polled_at = excluded.polled_at,
        finished_at = coalesce(t.finished_at, excluded.finished_at)
    WHERE t.job_id = excluded.job_id;

    -- The files to store.
    INSERT INTO asset (job_id, ordinal, provider, source_url, source_expires_at, expires_by,
        next_attempt_at, created_at)
    SELECT m.job_id, u.ordinal - 1, j.provider, u.url, m.url_expires_at,
        coalesce(m.url_expires_at,
            now_ + policy_interval('url_life', j.provider, j.kind, j.model)), now_, now_
    FROM unnest(going) m JOIN job j ON j.job_id = m.job_id
    CROSS JOIN LATERAL unnest(m.result_urls) WITH ORDINALITY AS u (url, ordinal)
    WHERE m.new_state = 'succeeded'
    ON CONFLICT (job_id, ordinal) DO NOTHING;
    PERFORM note_surplus(m.job_id, m.surplus) FROM unnest(going) m
    WHERE m.new_state = 'succeeded' AND m.surplus > 0;
END $$;
