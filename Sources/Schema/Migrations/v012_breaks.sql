-- Matching jobs, transfers, files, callbacks and usage both ways; each break is kept under one identity.

-- What the nightly run found wrong, under one identity from night to night.
CREATE TABLE holdfast.break (
    break_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL,
    subject text NOT NULL,
    -- What the break is about, as far as there is one of it.
    job_id text,
    account_id text,
    provider text,
    model text,
    task_id text,
    -- Whatever else is wrong with the same subject, by precedence.
    also text[] NOT NULL DEFAULT '{}',
    -- Who loses, as long as it stands: customer, us, provider, or integrity when nobody can say.
    loses text NOT NULL,
    credits bigint,
    -- The provider's amount at stake, in its own unit.
    amount numeric,
    unit text,
    detail text NOT NULL,
    cause text NOT NULL,
    fix text NOT NULL,
    -- Facts that it was found by; another fingerprint is another break.
    evidence jsonb NOT NULL,
    fingerprint text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    last_run uuid,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    closed_at timestamptz,
    -- healed: not found any more; fixed: by us, see break_fix; resolved: by a person.
    closed_how text CHECK (closed_how IN ('healed', 'fixed', 'resolved')),
    CONSTRAINT break_closed_somehow CHECK ((closed_at IS NULL) = (closed_how IS NULL)),
    CONSTRAINT break_resolved_by_somebody CHECK (
        (resolved_at IS NULL) = (resolved_by IS NULL)
        AND (resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX break_standing ON holdfast.break (class, subject) WHERE closed_at IS NULL;
CREATE INDEX break_resolved ON holdfast.break (class, subject) WHERE resolved_at IS NOT NULL;
CREATE INDEX break_job ON holdfast.break (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX break_closed ON holdfast.break (closed_at) WHERE closed_at IS NOT NULL;

-- What the nightly run did about a break, and what would undo it; never changed.
CREATE TABLE holdfast.break_fix (
    fix_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    break_id bigint NOT NULL REFERENCES holdfast.break,
    run_id uuid NOT NULL,
    plan_digest text NOT NULL,
    rule text NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    credits bigint,
    undo text,
    happened_at timestamptz NOT NULL
);
CREATE INDEX break_fix_break ON holdfast.break_fix (break_id);

CREATE TRIGGER break_fix_is_immutable BEFORE UPDATE OR DELETE ON holdfast.break_fix
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER break_fix_is_never_emptied BEFORE TRUNCATE ON holdfast.break_fix
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();

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

