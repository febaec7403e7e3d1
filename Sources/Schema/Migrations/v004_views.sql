-- What the application, people and reports read.

CREATE VIEW holdfast.job_status AS
SELECT j.job_id, j.account_id, j.provider, j.model, j.kind, j.endpoint, j.task_id, j.state,
    j.blocked, j.credit_state,
    CASE WHEN j.captured + j.voided = 0 THEN j.credits ELSE 0 END AS credits_held,
    j.captured AS credits_captured, j.voided AS credits_voided, j.charged AS credits_charged,
    j.refunded AS credits_refunded, j.waived AS credits_waived,
    CASE WHEN j.state = 'delivered' OR cardinality(j.result_urls) = 0
            -- `policy_value` written out: whoever may read this view needs a right to nothing else.
            OR (SELECT p.value FROM holdfast.policy p WHERE p.key = 'show_source_urls'
                    AND p.provider IN ('', j.provider) AND p.kind IN ('', j.kind)
                    AND p.model IN ('', j.model)
                ORDER BY p.is_default, p.model = '', p.kind = '', p.provider = '' LIMIT 1) = 'on'
        THEN j.result_urls ELSE '{}' END AS result_urls,
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
        SELECT FROM asset a WHERE a.job_id = j.job_id AND a.state IN ('stored', 'forgotten'))
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
