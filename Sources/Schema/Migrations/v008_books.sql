-- The nightly books, what people do by hand, and who may call what.

-- A task with what it cost, in words.
CREATE VIEW holdfast.priced_task AS
SELECT t.*, CASE WHEN t.cost_amount IS NULL THEN ''
    ELSE format(' for %s %s', t.cost_amount, t.cost_unit) END AS cost
FROM holdfast.task t;

-- Everything that stands wrong now and is not an invariant: one row for each finding.
CREATE VIEW holdfast.finding AS
SELECT 'blocked'::text AS class, j.job_id AS subject,
    format('%s since its last change: %s', j.blocked, coalesce(j.blocked_reason, 'no reason kept'))
        AS detail,
    CASE j.credit_state WHEN 'held' THEN j.credits END AS credits,
    CASE j.blocked WHEN 'brake' THEN 'holdfast policy release-brake --job ' || j.job_id
        WHEN 'submission_unknown' THEN 'look for the task at the provider; then SELECT '
            || 'holdfast.mark_submitted(job, task), or holdfast job abandon ' || j.job_id
        ELSE 'holdfast job show ' || j.job_id || '; then holdfast job requeue ' || j.job_id END AS fix
FROM holdfast.job j WHERE j.blocked IS NOT NULL
UNION ALL
SELECT 'paid_not_charged', j.job_id,
    format('the provider finished task %s%s, and the job is %s (%s)', t.task_id, t.cost, j.state,
        coalesce(j.error_code, j.credit_state)),
    j.credits, 'holdfast job show ' || j.job_id
FROM holdfast.job j JOIN holdfast.priced_task t USING (job_id)
WHERE t.state = 'succeeded' AND j.state IN ('failed', 'abandoned', 'dismissed')
UNION ALL
SELECT 'delivered_not_settled', j.job_id, 'delivered with ' || j.credit_state || ' credits',
    j.credits, 'holdfast job show ' || j.job_id
FROM holdfast.job j
WHERE j.state = 'delivered' AND j.credit_state = 'voided'
    AND holdfast.share(j.credits, (SELECT count(*)::integer FROM holdfast.asset a
        WHERE a.job_id = j.job_id AND a.state = 'stored'), j.expected_outputs) > 0
UNION ALL
SELECT 'stored_not_delivered', j.job_id, 'all its files have come to an end, and it is not delivered',
    j.credits, 'ledger-reconciler --apply'
FROM holdfast.job j
WHERE j.state = 'succeeded' AND j.blocked IS NULL AND j.pending_move IS NULL
    AND NOT EXISTS (SELECT FROM holdfast.asset a WHERE a.job_id = j.job_id AND a.state = 'pending')
UNION ALL
SELECT 'surplus_task', t.provider || '/' || t.task_id,
    format('a second task of job %s finished as well%s', t.job_id, t.cost), NULL,
    'holdfast job show ' || t.job_id
FROM holdfast.priced_task t JOIN holdfast.job j USING (job_id)
WHERE t.state = 'succeeded' AND t.task_id <> j.task_id
    AND j.state NOT IN ('failed', 'abandoned', 'dismissed')
UNION ALL
SELECT 'stray_task', s.provider || '/' || s.task_id,
    format('no job has this task%s; %s%s', ' of ' || nullif(s.endpoint, ''), s.state,
        CASE WHEN s.cost_amount IS NULL THEN '' ELSE format(', it cost %s %s', s.cost_amount,
            s.cost_unit) END), NULL,
    'if it belongs to a job: SELECT holdfast.mark_submitted(job, ' || quote_literal(s.task_id) || ')'
FROM holdfast.stray_task s
WHERE s.reported_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM holdfast.task t
        WHERE t.provider = s.provider AND t.task_id = s.task_id)
UNION ALL
SELECT 'overdue', j.job_id,
    format('%s since %s without an end', j.state, to_char(coalesce(j.submitted_at, j.created_at)
        AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    CASE j.credit_state WHEN 'held' THEN j.credits END, 'holdfast job sync ' || j.job_id
FROM holdfast.job j
WHERE j.state IN ('created', 'submitted', 'running', 'succeeded') AND j.blocked IS NULL
    AND coalesce(j.submitted_at, j.created_at) < holdfast.clock()
        - 2 * holdfast.policy_interval('deadline', j.provider, j.kind, j.model)
UNION ALL
SELECT 'callback_unmatched', 'callback ' || c.callback_id,
    format('%s: no job for %s', c.provider, CASE WHEN cardinality(c.candidates) = 0
        THEN 'a body without an id' ELSE 'task ' || array_to_string(c.candidates, ', ') END),
    NULL, 'holdfast job list --provider ' || c.provider
FROM holdfast.callback c WHERE c.result = 'unmatched';

-- Keeps the night's findings under one identity from night to night: new ones are opened, standing
-- ones are seen again, gone ones are closed. `findings` holds those of the invariants as well.
CREATE FUNCTION holdfast.record_breaks(run uuid, clock_offset interval, findings jsonb)
RETURNS TABLE (opened bigint, standing bigint, closed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    now_ := clock();
    LOCK TABLE break IN SHARE ROW EXCLUSIVE MODE;
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(findings) AS f (
            class text, subject text, detail text, credits bigint, fix text)
    ), gone AS (
        UPDATE break b SET closed_at = now_
        WHERE b.closed_at IS NULL
            AND NOT EXISTS (SELECT FROM given g WHERE g.class = b.class AND g.subject = b.subject)
        RETURNING 1
    ), kept AS (
        INSERT INTO break AS b (class, subject, detail, credits, fix, first_seen_at, last_seen_at)
        SELECT DISTINCT ON (class, subject) class, subject, detail, credits, fix, now_, now_
        FROM given ORDER BY class, subject
        ON CONFLICT (class, subject) WHERE closed_at IS NULL DO UPDATE
        SET last_seen_at = now_, detail = excluded.detail, credits = excluded.credits,
            fix = excluded.fix
        RETURNING b.first_seen_at
    )
    SELECT (SELECT count(*) FROM kept WHERE first_seen_at = now_),
        (SELECT count(*) FROM kept), (SELECT count(*) FROM gone)
    INTO opened, standing, closed;
    RETURN NEXT;
END $$;

-- The one fix that needs no judgement: a job whose files have all come to an end is delivered, or
-- failed as result_lost, by the same function that the mirrorer uses.
CREATE FUNCTION holdfast.fix_undelivered(run uuid, clock_offset interval, most integer)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    RETURN QUERY SELECT d.* FROM deliver_jobs(ARRAY(
        SELECT f.subject FROM finding f WHERE f.class = 'stored_not_delivered'
        ORDER BY 1 LIMIT most)) d;
END $$;

-- A person frees a blocked job: it is looked at again now. A brake's stopped move is applied by
-- the recoverer's next run.
CREATE FUNCTION holdfast.requeue_job(job_id text, person text) RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(requeue_job.job_id);
BEGIN
    PERFORM act_as(person, NULL, '0');
    UPDATE job SET blocked = NULL, blocked_reason = NULL, claims = 0, refusals = 0, silences = 0,
        brake_released = brake_released OR j.blocked IS NOT DISTINCT FROM 'brake',
        next_poll_at = CASE WHEN state IN ('created', 'submitted', 'running', 'timed_out')
            OR watch_until IS NOT NULL THEN clock() ELSE next_poll_at END,
        watch_until = CASE WHEN state = 'timed_out'
            THEN greatest(watch_until, clock() + policy_interval('watch_window', j.provider, j.kind,
                j.model)) ELSE watch_until END,
        retriggers = CASE WHEN j.blocked = 'submission_unknown' THEN 0 ELSE retriggers END,
        revision = revision + 1
    WHERE job.job_id = j.job_id;
    UPDATE asset a SET claims = 0, next_attempt_at = clock()
    WHERE a.job_id = j.job_id AND a.state = 'pending';
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

CREATE FUNCTION holdfast.release_brakes(
    scope_job text, scope_account text, scope_provider text, person text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    freed bigint;
BEGIN
    PERFORM act_as(person, NULL, '0');
    UPDATE job SET blocked = NULL, blocked_reason = NULL, brake_released = true,
        revision = revision + 1
    WHERE blocked = 'brake' AND (scope_job IS NULL OR job_id = scope_job)
        AND (scope_account IS NULL OR account_id = scope_account)
        AND (scope_provider IS NULL OR provider = scope_provider);
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END $$;
