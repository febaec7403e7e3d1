-- What the application, people and reports read.

CREATE VIEW holdfast.job_status AS
SELECT j.job_id, j.account_id, j.provider, j.model, j.kind, j.endpoint, j.task_id, j.state,
    j.blocked, j.credit_state,
    CASE WHEN j.captured + j.voided = 0 THEN j.credits ELSE 0 END AS credits_held,
    j.captured AS credits_captured, j.voided AS credits_voided, j.charged AS credits_charged,
    j.refunded AS credits_refunded, j.waived AS credits_waived,
    j.result_urls,
    coalesce((SELECT array_agg(a.public_url ORDER BY a.ordinal) FROM holdfast.asset a
        WHERE a.job_id = j.job_id AND a.state = 'stored'), '{}'::text[]) AS asset_urls,
    j.error_code, j.error_message, j.progress, j.attempts, j.created_at, j.submitted_at,
    j.finished_at, j.settled_at, j.next_poll_at, j.last_step, j.last_heartbeat_at
FROM holdfast.job j;

CREATE VIEW holdfast.account_balance AS
SELECT account_id, available, held, spent FROM holdfast.account;

CREATE VIEW holdfast.run_history AS
SELECT run_id, command, host, version, started_at, finished_at, examined, outcomes, credits,
    exit_status
FROM holdfast.run;

-- The invariants of one page of accounts, in the order of their ids: one row for each violation.
CREATE FUNCTION holdfast.check_invariants(after text DEFAULT '', page integer DEFAULT 1000)
RETURNS TABLE (invariant text, subject text, detail text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    WITH paged AS MATERIALIZED (
        SELECT a.* FROM account a WHERE a.account_id > after ORDER BY a.account_id LIMIT page
    ), posted AS MATERIALIZED (
        SELECT t.account_id,
            sum(CASE 'issued' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END) granted,
            sum(CASE 'available' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) available,
            sum(CASE 'held' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) held,
            sum(CASE 'spent' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) spent
        FROM transfer t WHERE t.account_id IN (SELECT account_id FROM paged) GROUP BY 1
    ), by_job AS MATERIALIZED (
        SELECT t.job_id,
            coalesce(sum(amount) FILTER (WHERE t.kind = 'hold'), 0) held,
            coalesce(sum(amount) FILTER (WHERE t.kind = 'capture'), 0) captured,
            coalesce(sum(amount) FILTER (WHERE t.kind = 'void'), 0) voided,
            coalesce(sum(amount) FILTER (WHERE t.kind = 'charge'), 0) charged,
            coalesce(sum(amount) FILTER (WHERE t.kind = 'refund'), 0) refunded
        FROM transfer t
        WHERE t.job_id IS NOT NULL AND t.account_id IN (SELECT account_id FROM paged) GROUP BY 1
    ), jobs AS MATERIALIZED (
        SELECT j.* FROM job j WHERE j.account_id IN (SELECT account_id FROM paged)
    )
    SELECT 'balance_is_sum_of_transfers', a.account_id,
        format('balances (granted %s, available %s, held %s, spent %s) differ from the transfers (%s, %s, %s, %s)',
            a.granted, a.available, a.held, a.spent, coalesce(p.granted, 0),
            coalesce(p.available, 0), coalesce(p.held, 0), coalesce(p.spent, 0))
    FROM paged a LEFT JOIN posted p USING (account_id)
    WHERE (a.granted, a.available, a.held, a.spent) IS DISTINCT FROM
        (coalesce(p.granted, 0), coalesce(p.available, 0), coalesce(p.held, 0), coalesce(p.spent, 0))
    UNION ALL
    SELECT 'available_not_negative', a.account_id,
        format('available is %s, held %s, spent %s', a.available, a.held, a.spent)
    FROM paged a WHERE a.available < 0 OR a.held < 0 OR a.spent < 0
    UNION ALL
    SELECT 'held_is_sum_of_open_holds', a.account_id,
        format('held is %s, the open holds of its jobs add up to %s', a.held, coalesce(h.held, 0))
    FROM paged a LEFT JOIN (
        SELECT account_id, sum(credits) held FROM jobs WHERE credit_state = 'held' GROUP BY 1
    ) h USING (account_id) WHERE a.held <> coalesce(h.held, 0)
    UNION ALL
    SELECT 'job_has_its_hold', j.job_id,
        format('the job costs %s, its hold is %s', j.credits, coalesce(t.held, 0))
    FROM jobs j LEFT JOIN by_job t USING (job_id) WHERE j.credits <> coalesce(t.held, 0)
    UNION ALL
    SELECT 'job_agrees_with_transfers', j.job_id,
        format('job says captured %s, voided %s, charged %s, refunded %s; transfers say %s, %s, %s, %s',
            j.captured, j.voided, j.charged, j.refunded, coalesce(t.captured, 0),
            coalesce(t.voided, 0), coalesce(t.charged, 0), coalesce(t.refunded, 0))
    FROM jobs j LEFT JOIN by_job t USING (job_id)
    WHERE (j.captured, j.voided, j.charged, j.refunded) IS DISTINCT FROM (coalesce(t.captured, 0),
        coalesce(t.voided, 0), coalesce(t.charged, 0), coalesce(t.refunded, 0))
    UNION ALL
    SELECT 'hold_resolved_once', j.job_id,
        format('captured %s and voided %s of a hold of %s', j.captured, j.voided, j.credits)
    FROM jobs j WHERE j.captured + j.voided NOT IN (0, j.credits)
    UNION ALL
    SELECT 'refund_within_paid', j.job_id,
        format('refunded %s of %s paid', j.refunded, j.captured + j.charged)
    FROM jobs j WHERE j.refunded > j.captured + j.charged
    UNION ALL
    SELECT 'closed_job_is_settled', j.job_id, format('the job is %s and its hold stands', j.state)
    FROM jobs j WHERE j.credit_state = 'held'
        AND j.state IN ('delivered', 'failed', 'abandoned', 'dismissed')
    UNION ALL
    SELECT 'delivered_has_files', j.job_id, 'delivered, and no file of it is in storage'
    FROM jobs j WHERE j.state = 'delivered' AND NOT EXISTS (
        SELECT FROM asset a WHERE a.job_id = j.job_id AND a.state = 'stored')
    UNION ALL
    SELECT 'paid_only_for_results', j.job_id,
        format('%s credits paid although the job is %s', j.captured + j.charged - j.refunded, j.state)
    FROM jobs j WHERE j.captured + j.charged > j.refunded AND j.state NOT IN ('succeeded', 'delivered')
$$;

CREATE VIEW holdfast.invariant_violation AS
SELECT invariant, subject, detail FROM holdfast.check_invariants('', 2147483647);

-- Jobs without an answer that rest, or were set aside, for want of one; and a few that may.
CREATE VIEW holdfast.unheard_job AS
SELECT * FROM holdfast.job
WHERE state IN ('created', 'submitted', 'running', 'timed_out')
    AND (unheard_as = 'unreadable' OR blocked_cause IS NOT NULL);

-- Whether a pass has jobs that may be asked about again by themselves.
CREATE FUNCTION holdfast.may_ask_again(command text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = holdfast, pg_temp AS $$
    SELECT EXISTS (SELECT FROM unheard_job u
        WHERE (u.state = 'timed_out') = (may_ask_again.command = 'orphan-recoverer')
            AND (u.is_resting OR u.blocked = 'person'))
$$;

-- How long, between two instants, watches of a family did not run, because nobody could have told them
-- anything: its provider was silent or left alone, or nobody could read it.
CREATE FUNCTION holdfast.lost_time(
    for_provider text, for_family text, since timestamptz, until timestamptz) RETURNS interval
LANGUAGE sql STABLE SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(sum(upper(r) - lower(r)), '0') FROM (
        SELECT unnest(range_agg(tstzrange(greatest(o.began_at, since), least(o.ended_at, until)))) AS r
        FROM (
            SELECT began_at, ended_at FROM outage
            WHERE provider = for_provider AND endpoint IN ('', for_family)
                AND ended_at > since AND began_at < until
            UNION ALL
            SELECT silent_since, until FROM provider
            WHERE provider = for_provider AND silent_since IS NOT NULL
            UNION ALL
            SELECT unreadable_since, until FROM family
            WHERE provider = for_provider AND endpoint = for_family
                AND unreadable_since IS NOT NULL) o
        WHERE greatest(o.began_at, since) < least(o.ended_at, until)) lost
$$;

-- Moves that nobody is waiting for, and what holds them up.

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
    RETURN QUERY SELECT m.job_id, 'locked', NULL::text, NULL::bigint, j.account_id
        FROM unnest(moves) m JOIN job j ON j.job_id = m.job_id WHERE m.job_id <> ALL (ours);
    SELECT array_agg(m) INTO going FROM unnest(moves) m WHERE m.job_id = ANY (ours);
    IF going IS NULL THEN
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

-- Gives leases back of jobs whose accounts or rows somebody else still holds: the claim does not count,
-- and the job is looked at again soon. Names those that have been held up for five minutes, once an
-- hour.
CREATE FUNCTION holdfast.postpone_jobs(
    run uuid, jobs text[], tokens bigint[], clock_offset interval)
RETURNS TABLE (job_id text, account_id text, held_up_us bigint)

-- What a run has committed and a person has to know, until a run has said it. A row belongs to the
-- run that made it, or that it was handed to; when that has said it, the row goes.
CREATE TABLE holdfast.untold (
    untold_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL,
    code text NOT NULL,
    job_id text,
    message text NOT NULL,
    happened_at timestamptz NOT NULL,
    -- Handed to nobody else before this: the run that has it may be about to say it.
    due_at timestamptz NOT NULL
);
CREATE INDEX untold_run ON holdfast.untold (run_id);

-- Keeps news in the transaction that makes it. What an application or a person does is no news to
-- them: only runs have any.
CREATE FUNCTION holdfast.tell_later(code text, about_job text, message text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO untold (run_id, code, job_id, message, happened_at, due_at)
    SELECT r.run_id::uuid, tell_later.code, about_job, left(tell_later.message, 1000), clock(),
        clock() + interval '10 seconds'
    FROM nullif(current_setting('holdfast.run_id', true), '') AS r (run_id)
    WHERE r.run_id IS NOT NULL
$$;

CREATE FUNCTION holdfast.tell_of_file() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM tell_later('file_lost', NEW.job_id, format('file %s is gone at the provider: %s',
        NEW.ordinal, coalesce(NEW.error_message, 'no reason kept')));
    RETURN NULL;
END $$;
CREATE TRIGGER asset_is_lost AFTER UPDATE OF state ON holdfast.asset
    FOR EACH ROW WHEN (NEW.state = 'lost' AND OLD.state <> 'lost')
    EXECUTE FUNCTION holdfast.tell_of_file();

CREATE FUNCTION holdfast.tell_of_stray() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM tell_later('stray_task', NULL, format('%s has task %s (%s), which no job knows',
        NEW.provider, NEW.task_id, concat_ws(', ', NEW.state,
            NEW.cost_amount || ' ' || NEW.cost_unit)));
    RETURN NULL;
END $$;
CREATE TRIGGER stray_is_reported AFTER UPDATE OF reported_at ON holdfast.stray_task
    FOR EACH ROW WHEN (NEW.reported_at IS NOT NULL AND OLD.reported_at IS NULL)
    EXECUTE FUNCTION holdfast.tell_of_stray();

-- Hands news to a run whose own run is over, or has lost its place: at most 1,000 at a time, and never
-- the same to two runs.
CREATE FUNCTION holdfast.hand_over(to_run uuid, now_ timestamptz, lease interval)
RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    WITH due AS MATERIALIZED (
        SELECT u.untold_id FROM untold u
        -- What was put off by a clock that is no longer used is due.
        WHERE (u.due_at <= now_ OR u.due_at > now_ + interval '1 minute')
            AND NOT EXISTS (SELECT FROM run_slot s WHERE s.run_id = u.run_id
                AND NOT lease_is_over(s.expires_at, now_, lease))
        ORDER BY u.untold_id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE untold u SET run_id = to_run, due_at = now_ + interval '10 seconds'
        FROM due WHERE u.untold_id = due.untold_id RETURNING u.*
    )
    SELECT jsonb_agg(jsonb_build_object('code', t.code, 'job_id', t.job_id, 'message', t.message,
        'happened_us', (extract(epoch FROM t.happened_at) * 1000000)::bigint)
        ORDER BY t.untold_id) FROM taken t
$$;

-- The run has said its news, or could not: then the next run may at once.
CREATE FUNCTION holdfast.told(run uuid, was_said boolean) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    DELETE FROM untold u WHERE u.run_id = run AND was_said;
    UPDATE untold u SET due_at = '-infinity' WHERE u.run_id = run AND NOT was_said;
$$;

-- Trouble that lasts: of one kind, about one provider, store or the like. It is said when it begins,
-- each hour while it lasts, and once when it was not met for ten minutes.
CREATE TABLE holdfast.condition (
    name text NOT NULL,
    subject text NOT NULL,
    message text NOT NULL,
    began_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    -- By a run that nobody watched; null until then.
    said_at timestamptz,
    times bigint NOT NULL,
    PRIMARY KEY (name, subject)
);

-- Notes that a run met a condition. `is_due` when a run that nobody watches (`is_heard` by mail only) is
-- to say it now: for the first time, or again. Runs on all hosts say it once together.
CREATE FUNCTION holdfast.note_condition(
    run uuid, clock_offset interval, named text, about text, words text, is_heard boolean)
RETURNS TABLE (is_due boolean, lasted_us bigint, times bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('run', run, clock_offset);
    now_ := clock();
<<<<<<< HEAD
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
=======
    RETURN QUERY
    INSERT INTO condition AS c (name, subject, message, began_at, seen_at, said_at, times)
    VALUES (named, about, left(words, 1000), now_, now_, CASE WHEN is_heard THEN now_ END, 1)
    ON CONFLICT (name, subject) DO UPDATE SET message = excluded.message, seen_at = now_,
        -- What was noted by a clock that is no longer used begins anew.
        began_at = CASE WHEN c.began_at > now_ THEN now_ ELSE c.began_at END,
        times = CASE WHEN c.began_at > now_ THEN 1 ELSE c.times + 1 END,
        said_at = CASE WHEN is_heard AND (c.said_at IS NULL
                OR c.said_at <= now_ - interval '1 hour' OR c.said_at > now_)
            THEN now_ ELSE c.said_at END
    RETURNING coalesce(c.said_at = now_, false), (extract(epoch FROM now_ - c.began_at) * 1000000)::bigint, c.times;
END $$;

-- Makes news of the conditions that are over. A provider whose breaker has opened is asked rarely; that
-- is over when it has answered.
CREATE FUNCTION holdfast.end_conditions(now_ timestamptz) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    WITH over AS (
        DELETE FROM condition c WHERE (c.name, c.subject) IN (
            SELECT d.name, d.subject FROM condition d
            WHERE (d.seen_at <= now_ - interval '10 minutes' OR d.seen_at > now_ + interval '1 minute')
                AND NOT EXISTS (SELECT FROM provider p
                    WHERE p.provider = d.subject AND p.openings > 0)
            FOR UPDATE SKIP LOCKED)
        RETURNING c.*
    )
    INSERT INTO untold (run_id, code, message, happened_at, due_at)
    SELECT '00000000-0000-0000-0000-000000000000', 'condition_over',
        format('over: %s was met %s times within %s minutes; it was: %s',
            concat_ws(' ', o.name, nullif(o.subject, '')), o.times,
            ceil(greatest(extract(epoch FROM o.seen_at - o.began_at), 0) / 60), o.message),
        now_, '-infinity'
    FROM over o WHERE o.said_at IS NOT NULL
$$;
>>>>>>> bba643c1a4905e9337f61870d08abccbe3945813
