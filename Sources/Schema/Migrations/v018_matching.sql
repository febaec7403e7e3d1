-- Matching, both ways: jobs with their transfers, files, tasks, callbacks and usage lines; usage lines,
-- callbacks and tasks with jobs; accounts with their transfers. Each function looks at one page, so
-- that no snapshot stays open for long.

-- One break as it was found. The action is what a run may do about it by itself; without one, a
-- person does what `fix` says.
CREATE TYPE holdfast.found_break AS (
    class text COLLATE "C", subject text COLLATE "C", job_id text, account_id text, provider text,
    model text, task_id text,
    also text[], credits bigint, amount numeric, unit text, detail text, fix text, evidence jsonb,
    action text, moves bigint);

-- Everything that is known of these jobs beside their own rows: what moved, ran, is kept, was charged and
-- called back. Each table is read once, in the order of the jobs, and joined by it.
CREATE FUNCTION holdfast.job_facts(wanted text[])
RETURNS TABLE (job_id text, account_id text, provider text, kind text, model text, state text,
    blocked text, blocked_reason text, error_code text, task_id text, credits bigint,
    named_credits bigint, waived bigint,
    expected_outputs integer, created_at timestamptz, submitting_at timestamptz,
    submitted_at timestamptz, finished_at timestamptz, watch_until timestamptz,
    last_heartbeat_at timestamptz, last_healthy_at timestamptz, has_pending_move boolean,
    columns_agree boolean, hold bigint, holds integer, paid bigint, payments integer, charge bigint,
    void bigint, refund bigint, paid_after_void boolean, refund_without_reason boolean,
    bad_sides text, bad_key text, tasks integer, succeeded_tasks integer, dead_tasks integer,
    task_ended_at timestamptz, stored integer, waiting integer, lost integer,
    stored_at timestamptz, expires_by timestamptz, usage_lines integer, booked numeric, unit text,
    units integer, is_billed boolean, said numeric, said_failed boolean, said_succeeded boolean,
    called_at timestamptz, refused integer, refused_since timestamptz, refused_as text)
LANGUAGE sql STABLE AS $$
    WITH moved AS (
        SELECT t.job_id, coalesce(sum(t.amount) FILTER (WHERE t.kind = 'hold'), 0)::bigint AS hold,
            count(*) FILTER (WHERE t.kind = 'hold')::integer AS holds,
            coalesce(sum(t.amount) FILTER (WHERE t.kind = 'capture'), 0)::bigint AS capture,
            coalesce(sum(t.amount) FILTER (WHERE t.kind = 'charge'), 0)::bigint AS charge,
            coalesce(sum(t.amount) FILTER (WHERE t.kind = 'void'), 0)::bigint AS void,
            coalesce(sum(t.amount) FILTER (WHERE t.kind = 'refund'), 0)::bigint AS refund,
            count(*) FILTER (WHERE t.kind IN ('capture', 'charge'))::integer AS payments,
            max(t.created_at) FILTER (WHERE t.kind = 'capture')
                > min(t.created_at) FILTER (WHERE t.kind = 'void') AS paid_after_void,
            bool_or(t.kind = 'refund' AND btrim(coalesce(t.reason, '')) = '')
                AS refund_without_reason,
            min(t.transfer_id) FILTER (WHERE t.amount <= 0 OR (t.kind, t.debit, t.credit) NOT IN (
                ('hold', 'available', 'held'), ('capture', 'held', 'spent'),
                ('void', 'held', 'available'), ('charge', 'available', 'spent'),
                ('refund', 'spent', 'available'))) AS bad_sides,
            min(t.transfer_id) FILTER (WHERE t.kind <> 'refund'
                    AND t.transfer_id <> t.kind || ':' || t.job_id
                OR t.kind = 'refund'
                    AND left(t.transfer_id, length(t.job_id) + 8) <> 'refund:' || t.job_id || ':')
                AS bad_key
        FROM holdfast.transfer t WHERE t.job_id = ANY (wanted) GROUP BY t.job_id
    ), ran AS (
        SELECT t.job_id, count(*)::integer AS tasks,
            count(*) FILTER (WHERE t.state = 'succeeded')::integer AS succeeded,
            count(*) FILTER (WHERE t.state IN ('failed', 'cancelled', 'expired'))::integer AS dead,
            max(t.finished_at) AS ended_at, sum(u.lines)::integer AS lines, sum(u.booked) AS booked,
            min(u.unit) AS unit, CASE WHEN min(u.unit) IS NULL THEN 0
                WHEN min(u.unit) = max(u.last_unit) THEN 1 ELSE 2 END AS units,
            bool_or(u.is_billed) AS is_billed, sum(u.said) AS said,
            bool_or(u.said_failed) AS said_failed, bool_or(u.said_succeeded) AS said_succeeded
        FROM holdfast.task t CROSS JOIN LATERAL (
            SELECT count(*) AS lines, sum(l.booked) AS booked, min(l.unit) AS unit,
                max(l.unit) AS last_unit, bool_or(l.source IN ('billing', 'import')) AS is_billed,
                sum(l.booked) FILTER (WHERE l.source IN ('verdict', 'list')) AS said,
                bool_or(l.status IN ('failed', 'cancelled')) AS said_failed,
                bool_or(l.status = 'succeeded') AS said_succeeded
            FROM holdfast.usage_line l
            WHERE l.provider = t.provider AND l.task_id = t.task_id) u
        WHERE t.job_id = ANY (wanted) GROUP BY t.job_id
    ), kept AS (
        SELECT a.job_id,
            count(*) FILTER (WHERE a.state IN ('stored', 'forgotten') AND a.bytes > 0)::integer AS stored,
            count(*) FILTER (WHERE a.state = 'pending')::integer AS waiting,
            count(*) FILTER (WHERE a.state = 'lost')::integer AS lost,
            max(a.stored_at) AS stored_at,
            min(a.expires_by) FILTER (WHERE a.state = 'pending') AS expires_by,
            count(*) FILTER (WHERE a.state = 'pending' AND a.refused_since IS NOT NULL)::integer
                AS refused,
            min(a.refused_since) FILTER (WHERE a.state = 'pending') AS refused_since,
            min(a.refused_as) FILTER (WHERE a.state = 'pending') AS refused_as
        FROM holdfast.asset a WHERE a.job_id = ANY (wanted) GROUP BY a.job_id
    )
    SELECT j.job_id, j.account_id, j.provider, j.kind, j.model, j.state, j.blocked, j.blocked_reason,
        j.error_code, j.task_id, j.credits, j.named_credits, j.waived, j.expected_outputs, j.created_at,
        j.submitting_at, j.submitted_at, j.finished_at, j.watch_until, j.last_heartbeat_at,
        j.last_healthy_at, j.pending_move IS NOT NULL,
        (j.captured, j.voided, j.charged, j.refunded) = (coalesce(m.capture, 0),
            coalesce(m.void, 0), coalesce(m.charge, 0), coalesce(m.refund, 0))
            AND coalesce(m.hold, 0) IN (0, j.credits),
        coalesce(m.hold, 0), coalesce(m.holds, 0), coalesce(m.capture, 0) + coalesce(m.charge, 0),
        coalesce(m.payments, 0), coalesce(m.charge, 0), coalesce(m.void, 0), coalesce(m.refund, 0),
        coalesce(m.paid_after_void, false), coalesce(m.refund_without_reason, false), m.bad_sides,
        m.bad_key, coalesce(r.tasks, 0), coalesce(r.succeeded, 0), coalesce(r.dead, 0), r.ended_at,
        coalesce(k.stored, 0), coalesce(k.waiting, 0), coalesce(k.lost, 0), k.stored_at,
        k.expires_by, coalesce(r.lines, 0), r.booked, r.unit, coalesce(r.units, 0),
        coalesce(r.is_billed, false), r.said, coalesce(r.said_failed, false),
        coalesce(r.said_succeeded, false),
        -- Of interest only as long as the job is open.
        CASE WHEN j.state IN ('created', 'submitted', 'running', 'timed_out') THEN (
            SELECT max(c.received_at) FROM holdfast.callback c
            WHERE c.job_id = j.job_id AND c.result = 'matched') END,
        coalesce(k.refused, 0), k.refused_since, k.refused_as
    FROM holdfast.job j LEFT JOIN moved m USING (job_id) LEFT JOIN ran r USING (job_id)
    LEFT JOIN kept k USING (job_id)
    WHERE j.job_id = ANY (wanted)
$$;

-- The breaks of these jobs, one row for each job that has any: the class that comes first, what a
-- run may do about it, and the other classes beside it.
CREATE FUNCTION holdfast.match_jobs(wanted text[]) RETURNS SETOF holdfast.found_break
LANGUAGE plpgsql STABLE SECURITY DEFINER
-- One plan for all pages, whatever the planner thinks of their size: jobs are looked up in the indexes,
-- never read out of whole tables, and what was found is joined by hashing.
SET search_path = holdfast, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_nestloop = off SET enable_mergejoin = off
SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    now_ timestamptz := clock();
    tolerance numeric := rtrim(policy_value('cost_tolerance'), '%')::numeric / 100;
    billing_grace interval := policy_interval('billing_grace');
    -- What is younger may still be on its way from one program to the next.
    settling interval := '15 minutes';
BEGIN
    RETURN QUERY
    WITH offered AS MATERIALIZED (
        SELECT DISTINCT o.provider, o.kind, o.model FROM offer o
    ), price AS MATERIALIZED (
        SELECT o.*, r.* FROM offered o
        CROSS JOIN LATERAL rate_periods('price', o.provider, o.kind, o.model) r
    ), cost AS MATERIALIZED (
        SELECT o.*, r.* FROM offered o
        CROSS JOIN LATERAL rate_periods('cost', o.provider, o.kind, o.model) r
    ), known AS (
        SELECT f.*, f.paid - f.refund AS net, f.hold - f.void - (f.paid - f.charge) AS standing,
            f.state IN ('failed', 'abandoned', 'dismissed') AS is_closed,
            f.state IN ('created', 'submitted', 'running', 'timed_out') AS is_open,
            share(coalesce(f.named_credits, f.credits), f.stored, f.expected_outputs) AS earned,
            share((price.amount * f.expected_outputs)::bigint,
                CASE WHEN f.state = 'delivered' THEN f.stored ELSE f.expected_outputs END,
                f.expected_outputs) AS price,
            cost.amount * greatest(f.stored, 1) AS cost, cost.counts AS cost_unit,
            f.refused > 0 AND f.state = 'succeeded' AND (f.blocked = 'person'
                OR f.blocked IS NULL AND f.refused_since < now_ - interval '1 hour') AS is_refused,
            CASE WHEN f.state IN ('created', 'submitted', 'running', 'succeeded')
                THEN coalesce(f.submitted_at, f.created_at)
                    + 2 * policy_interval('deadline', f.provider, f.kind, f.model) < now_
                WHEN f.state = 'timed_out' THEN f.watch_until < now_ - settling
                ELSE false END AS is_over
        FROM job_facts(wanted) f
        LEFT JOIN price ON (price.provider, price.kind, price.model)
                = (f.provider, f.kind, f.model)
            AND f.created_at >= price.valid_from AND f.created_at < price.valid_until
        LEFT JOIN cost ON (cost.provider, cost.kind, cost.model) = (f.provider, f.kind, f.model)
            AND f.created_at >= cost.valid_from AND f.created_at < cost.valid_until
        -- Keeps each figure worked out once, and not again wherever it is named below.
        OFFSET 0
    ), judged AS (
        SELECT k.*, array_remove(ARRAY[
            CASE WHEN k.bad_sides IS NOT NULL OR (k.paid > 0 AND k.holds = 0)
                THEN 'unbalanced-transfer' END,
            CASE WHEN k.bad_key IS NOT NULL THEN 'key-conflict' END,
            CASE WHEN NOT k.columns_agree THEN 'balance-drift' END,
            CASE WHEN k.payments > 1 AND k.net > k.hold THEN 'double-charge' END,
            CASE WHEN k.payments = 1 AND k.net > k.hold AND k.holds > 0
                THEN 'capture-exceeds-hold' END,
            CASE WHEN k.is_closed AND k.net > 0 THEN 'failed-but-charged' END,
            CASE WHEN k.is_closed AND k.standing > 0 AND k.paid = 0 THEN 'failed-still-held' END,
            CASE WHEN k.state = 'delivered' AND k.net > 0 AND k.stored = 0
                THEN 'charged-without-asset' END,
            CASE WHEN k.state = 'delivered' AND k.stored > 0 AND k.earned > 0 AND k.paid = 0
                AND k.waived = 0 THEN 'completed-not-charged' END,
            CASE WHEN k.paid > 0 AND k.standing > 0 THEN 'completed-hold-open' END,
            CASE WHEN k.stored > 0 AND k.waiting = 0 AND coalesce(k.stored_at, k.created_at) < now_ - settling
                    AND (k.state = 'succeeded' AND k.blocked IS NULL AND NOT k.has_pending_move
                        OR k.is_open OR k.is_closed AND k.error_code IS DISTINCT FROM 'result_lost'
                            AND k.net > 0)
                THEN 'asset-without-completion' END,
            CASE WHEN k.credits > 0 AND k.net <= 0 AND k.standing <= 0 AND k.waived = 0
                    AND k.holds > 0 AND (k.state = 'delivered' AND k.stored > 0 AND k.refund > 0
                            AND k.refund_without_reason IS TRUE AND k.booked > 0
                        OR k.state = 'delivered' AND k.stored > 0 AND k.refund = 0 AND k.earned > 0
                        OR k.is_closed AND k.error_code IS DISTINCT FROM 'result_lost'
                            AND (k.succeeded_tasks > 0 OR k.stored > 0)
                            AND NOT (k.state = 'failed' AND k.error_code = 'cancelled'))
                THEN 'refunded-but-delivered' END,
            CASE WHEN k.paid_after_void THEN 'capture-after-void' END,
            CASE WHEN k.refund > k.paid THEN 'double-refund' END,
            CASE WHEN k.standing > 0 AND k.is_over AND k.blocked IS NULL AND k.paid = 0
                    AND NOT k.is_refused
                    AND (k.tasks > 0 OR k.submitting_at IS NOT NULL OR k.state <> 'created')
                THEN 'hold-past-timeout' END,
            CASE WHEN k.standing > 0 AND k.state = 'created' AND k.tasks = 0 AND (k.is_over
                    AND k.submitting_at IS NULL OR k.blocked = 'submission_unknown')
                THEN 'orphan-hold' END,
            CASE WHEN k.credits > 0 AND k.holds = 0 AND k.paid = 0 AND NOT k.is_closed
                THEN 'job-without-hold' END,
            CASE WHEN k.is_open AND k.blocked IS NULL AND NOT k.has_pending_move
                    AND (k.tasks > 0 AND k.succeeded_tasks + k.dead_tasks = k.tasks
                            OR k.succeeded_tasks > 0
                        OR k.said_failed OR k.said_succeeded)
                    AND coalesce(k.task_ended_at, k.created_at) < now_ - settling
                OR k.state = 'delivered' AND k.said_failed AND NOT k.said_succeeded
                OR k.error_code = 'provider_failed' AND k.said_succeeded AND NOT k.said_failed
                THEN 'status-divergence' END,
            CASE WHEN k.is_open AND k.blocked IS NULL AND k.called_at < now_ - settling
                AND (k.last_healthy_at IS NULL OR k.last_healthy_at < k.called_at)
                THEN 'callback-not-applied' END,
            CASE WHEN k.succeeded_tasks > 1 THEN 'duplicate-provider-tasks' END,
            CASE WHEN k.is_closed AND coalesce(k.booked > 0, k.succeeded_tasks > 0)
                THEN 'provider-billed-failed-job' END,
            CASE WHEN k.units = 1 AND (
                    k.unit = k.cost_unit AND abs(k.booked - k.cost * greatest(k.succeeded_tasks, 1))
                        > tolerance * k.cost * greatest(k.succeeded_tasks, 1)
                    OR k.is_billed AND abs(k.booked - k.said) > tolerance * abs(k.said))
                THEN 'provider-cost-mismatch' END,
            CASE WHEN k.net > 0 AND k.net <= k.hold AND k.net <> k.price
                AND k.named_credits IS NULL THEN 'price-mismatch' END,
            CASE WHEN k.refund > 0 AND k.refund_without_reason AND k.state = 'delivered'
                AND k.stored >= k.expected_outputs THEN 'refund-without-cause' END,
            CASE WHEN k.state = 'delivered' AND k.task_id IS NOT NULL AND k.usage_lines = 0
                    AND k.finished_at < now_ - billing_grace
                    AND EXISTS (SELECT FROM usage_import i WHERE i.provider = k.provider
                        AND i.first_at <= k.finished_at AND k.finished_at <= i.last_at)
                THEN 'job-not-billed' END,
            CASE WHEN k.expires_by < now_ + interval '1 hour' AND k.state = 'succeeded'
                AND NOT k.is_refused
                AND k.created_at < now_ - settling THEN 'asset-expiring' END,
            CASE WHEN k.state = 'delivered' AND k.stored = 0 AND k.net <= 0
                THEN 'delivered-without-files' END,
            CASE WHEN k.state = 'succeeded' AND k.stored = 0 AND k.waiting = 0 AND k.blocked IS NULL
                AND NOT k.has_pending_move THEN 'succeeded-without-files' END,
            CASE WHEN k.blocked IS NOT NULL AND NOT k.is_refused THEN 'blocked' END,
            CASE WHEN k.standing <= 0 AND k.is_over AND k.blocked IS NULL AND NOT k.is_refused
                THEN 'overdue' END,
            CASE WHEN k.is_refused THEN 'result-refused' END
            ], NULL) AS classes
        FROM known k
    )
    SELECT d.class, f.job_id, f.job_id, f.account_id, f.provider, f.model, f.task_id, f.classes[2:],
        d.credits, d.amount, CASE WHEN d.amount IS NOT NULL THEN f.unit END,
        d.detail, CASE WHEN d.action IS NULL THEN d.by_hand ELSE 'ledger-reconciler --apply' END,
        jsonb_strip_nulls(jsonb_build_object('state', f.state, 'error_code', f.error_code,
            'blocked', f.blocked, 'price', f.credits, 'hold', f.hold, 'paid', f.paid, 'void', f.void,
            'refund', f.refund, 'stored', f.stored, 'waiting', f.waiting, 'lost', f.lost,
            'tasks', f.tasks, 'succeeded_tasks', f.succeeded_tasks, 'cost', f.booked,
            'unit', f.unit, 'expected', coalesce(f.cost::text, f.price::text))),
        d.action, CASE WHEN d.action IS NOT NULL THEN d.moves END
    FROM judged f CROSS JOIN LATERAL describe_job_break(f.classes[1], to_jsonb(f)) d
    WHERE cardinality(f.classes) > 0
    ORDER BY f.job_id;
END $$;

-- The words for a job's break, what is at stake, and what may be done about it by itself.
CREATE FUNCTION holdfast.describe_job_break(
    named text, facts jsonb, OUT class text, OUT credits bigint, OUT amount numeric,
    OUT detail text, OUT by_hand text, OUT action text, OUT moves bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
DECLARE
    job text := facts ->> 'job_id';
    shown text := holdfast.shell_word(facts ->> 'job_id');
    state text := facts ->> 'state';
    net bigint := (facts ->> 'net')::bigint;
    hold bigint := (facts ->> 'hold')::bigint;
    paid bigint := (facts ->> 'paid')::bigint;
    standing bigint := (facts ->> 'standing')::bigint;
    refund bigint := (facts ->> 'refund')::bigint;
    earned bigint := (facts ->> 'earned')::bigint;
    price bigint := (facts ->> 'price')::bigint;
    stored integer := (facts ->> 'stored')::integer;
    cost numeric := (facts ->> 'booked')::numeric;
    said_cost text := CASE WHEN facts ->> 'booked' IS NULL THEN ''
        ELSE format(' for %s %s', facts ->> 'booked', facts ->> 'unit') END;
    what text := concat_ws(', ', state, facts ->> 'error_code');
BEGIN
    class := named;
    by_hand := 'holdfast job show ' || shown;
    CASE named
    WHEN 'unbalanced-transfer' THEN
        credits := paid;
        detail := CASE WHEN facts ->> 'bad_sides' IS NULL
            THEN format('paid %s credits, and there is no hold', paid)
            ELSE format('transfer %s has sides or an amount that do not fit its kind',
                facts ->> 'bad_sides') END;
    WHEN 'key-conflict' THEN
        detail := format('transfer %s stands for something else than its id says',
            facts ->> 'bad_key');
    WHEN 'balance-drift' THEN
        detail := format('the job and its transfers disagree: by the transfers %s held, %s paid, %s given back',
            hold, paid, refund);
    WHEN 'double-charge' THEN
        credits := net - hold; action := 'refund'; moves := net - hold;
        detail := format('paid %s times, %s credits in all for a hold of %s', facts ->> 'payments',
            net, hold);
    WHEN 'capture-exceeds-hold' THEN
        credits := net - hold; action := 'refund'; moves := net - hold;
        detail := format('paid %s credits for a hold of %s', net, hold);
    WHEN 'failed-but-charged' THEN
        credits := net;
        detail := format('%s, and %s credits are paid', what, net);
        by_hand := format('holdfast job refund %s --reason TEXT  # TEXT: why', shown);
        IF stored = 0 THEN
            action := 'refund'; moves := net;
        END IF;
    WHEN 'failed-still-held' THEN
        credits := standing; action := 'void'; moves := standing;
        detail := format('%s, and %s credits are still held', what, standing);
    WHEN 'charged-without-asset' THEN
        credits := net; amount := cost;
        detail := format('%s credits are paid, and no file of it is in storage', net);
        by_hand := format('holdfast asset refetch --job %s', shown);
    WHEN 'completed-not-charged' THEN
        credits := earned;
        detail := format('delivered with %s files, and nothing was charged or waived', stored);
        IF standing = hold AND hold > 0 THEN
            action := 'capture'; moves := earned;
        END IF;
    WHEN 'completed-hold-open' THEN
        credits := standing;
        detail := format('paid %s of a hold of %s, and %s are still held', paid, hold, standing);
        IF paid <= hold THEN
            action := 'close_hold'; moves := standing;
        END IF;
    WHEN 'asset-without-completion' THEN
        credits := nullif(standing, 0);
        detail := format('%s files are in storage, and the job is %s', stored, what);
        action := CASE WHEN state = 'succeeded' THEN 'deliver'
            WHEN state IN ('created', 'submitted', 'running', 'timed_out') THEN 'ask' END;
        moves := CASE action WHEN 'deliver' THEN earned ELSE 0 END;
    WHEN 'refunded-but-delivered' THEN
        credits := (facts ->> 'credits')::bigint; amount := cost;
        detail := CASE WHEN stored > 0 THEN format('%s with %s files, and nobody paid', what, stored)
            ELSE format('the provider finished task %s%s, and the job is %s', facts ->> 'task_id',
                said_cost, what) END;
    WHEN 'capture-after-void' THEN
        credits := paid;
        detail := format('captured after the hold of %s had been voided', hold);
        by_hand := format('holdfast job refund %s --reason TEXT  # TEXT: why', shown);
    WHEN 'double-refund' THEN
        credits := refund - paid;
        detail := format('%s credits given back of %s paid', refund, paid);
        by_hand := format('holdfast account adjust %s -%s --reference %s --reason TEXT  # TEXT: why',
            holdfast.shell_word(facts ->> 'account_id'), refund - paid,
            holdfast.shell_word('double-refund ' || job));
    WHEN 'hold-past-timeout' THEN
        credits := standing; action := 'ask'; moves := 0;
        detail := format('%s since %s, and %s credits are held', state, holdfast.utc(coalesce(
            (facts ->> 'submitted_at')::timestamptz, (facts ->> 'created_at')::timestamptz)),
            standing);
    WHEN 'orphan-hold' THEN
        credits := standing;
        IF facts ->> 'submitting_at' IS NULL AND facts ->> 'last_heartbeat_at' IS NULL THEN
            action := 'never_submitted'; moves := standing;
            detail := format('%s credits are held since %s for a job that was never sent', standing,
                holdfast.utc((facts ->> 'created_at')::timestamptz));
        ELSE
            detail := format('%s credits are held, and nobody knows whether the task was created',
                standing);
            by_hand := holdfast.way_out(job, 'submission_unknown');
        END IF;
    WHEN 'job-without-hold' THEN
        credits := (facts ->> 'credits')::bigint;
        detail := format('%s, costs %s credits, and none were ever held', state, credits);
    WHEN 'status-divergence' THEN
        amount := cost; credits := nullif(standing, 0);
        IF state IN ('created', 'submitted', 'running', 'timed_out') THEN
            action := 'ask'; moves := 0;
            detail := format('its task has ended at the provider, and the job is %s', state);
        ELSE
            detail := format('the provider''s usage says %s, and the job is %s',
                CASE WHEN (facts ->> 'said_failed')::boolean THEN 'failed' ELSE 'succeeded' END,
                what);
        END IF;
    WHEN 'callback-not-applied' THEN
        credits := nullif(standing, 0); action := 'ask'; moves := 0;
        detail := format('called back at %s, and the job is still %s',
            holdfast.utc((facts ->> 'called_at')::timestamptz), state);
    WHEN 'duplicate-provider-tasks' THEN
        SELECT string_agg(t.task_id || coalesce(format(' for %s %s', u.booked, u.unit), ''), ', '
                ORDER BY t.task_id), sum(u.booked)
        INTO detail, amount
        FROM holdfast.task t LEFT JOIN LATERAL (SELECT sum(l.booked) AS booked, min(l.unit) AS unit
            FROM holdfast.usage_line l
            WHERE l.provider = t.provider AND l.task_id = t.task_id) u ON true
        WHERE t.job_id = job AND t.state = 'succeeded'
            AND t.task_id IS DISTINCT FROM facts ->> 'task_id';
        detail := format('beside task %s the provider finished %s as well', facts ->> 'task_id',
            detail);
        IF state IN ('created', 'submitted', 'running', 'timed_out') THEN
            action := 'ask'; moves := 0;
        END IF;
    WHEN 'provider-billed-failed-job' THEN
        amount := cost; credits := (facts ->> 'credits')::bigint;
        detail := format('the provider charged for its task%s, and the job is %s', said_cost, what);
    WHEN 'provider-cost-mismatch' THEN
        amount := cost;
        detail := format('the provider charged%s, and %s', said_cost,
            CASE WHEN facts ->> 'cost' IS NOT NULL THEN format('%s was agreed', facts ->> 'cost')
                ELSE format('its own answer said %s', facts ->> 'said') END);
        by_hand := 'holdfast policy show && holdfast usage list --task '
            || holdfast.shell_word(coalesce(facts ->> 'task_id', ''));
    WHEN 'price-mismatch' THEN
        credits := abs(net - price);
        detail := format('paid %s credits, and the price in force was %s', net, price);
        IF net > price THEN
            action := 'refund'; moves := net - price;
        END IF;
    WHEN 'refund-without-cause' THEN
        credits := refund;
        detail := format('%s credits given back for %s delivered files, without a reason', refund,
            stored);
    WHEN 'job-not-billed' THEN
        detail := format('task %s is in no line of the provider''s bill', facts ->> 'task_id');
        by_hand := 'holdfast usage list --provider ' || (facts ->> 'provider');
    WHEN 'asset-expiring' THEN
        credits := nullif(standing, 0); action := 'mirror'; moves := 0;
        detail := format('%s files wait, and the first address expires by %s', facts ->> 'waiting',
            holdfast.utc((facts ->> 'expires_by')::timestamptz));
    WHEN 'delivered-without-files' THEN
        detail := 'delivered, and no file of it is in storage';
        by_hand := format('holdfast asset refetch --job %s', shown);
    WHEN 'succeeded-without-files' THEN
        credits := nullif(standing, 0); action := 'deliver'; moves := 0;
        detail := 'all its files have come to an end and none is stored, and it is not closed';
    WHEN 'blocked' THEN
        credits := nullif(standing, 0);
        detail := format('%s since its last change: %s', facts ->> 'blocked',
            coalesce(facts ->> 'blocked_reason', 'no reason kept'));
        by_hand := holdfast.way_out(job, facts ->> 'blocked');
    WHEN 'result-refused' THEN
        credits := nullif(standing, 0);
        detail := format('%s of its files are refused since %s: %s', facts ->> 'refused',
            holdfast.utc((facts ->> 'refused_since')::timestamptz), facts ->> 'refused_as');
        by_hand := holdfast.refused_advice(job);
    WHEN 'overdue' THEN
        action := 'ask'; moves := 0;
        detail := format('%s since %s without an end', state, holdfast.utc(coalesce(
            (facts ->> 'submitted_at')::timestamptz, (facts ->> 'created_at')::timestamptz)));
    END CASE;
END $$;

CREATE FUNCTION holdfast.utc(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

-- A word for a POSIX shell: quoted only where it needs to be.
CREATE FUNCTION holdfast.shell_word(word text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN word ~ '^[A-Za-z0-9_./:@%+=,][A-Za-z0-9_./:@%+=,-]*$' THEN word
        ELSE '''' || replace(word, '''', E'''\\''''') || '''' END
$$;

-- The command that gets a blocked job going again, or out of the way: the one advice that runs, stories,
-- the doctor and the night give. It can be pasted as it stands.
CREATE FUNCTION holdfast.way_out(job text, blocked text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE blocked
        WHEN 'brake' THEN 'holdfast policy release-brake --job ' || holdfast.shell_word(job)
        -- Asks for the task's id; without one, the job is given up.
        WHEN 'submission_unknown'
            THEN 'holdfast job link ' || holdfast.shell_word(job) || ' --else-abandon'
        WHEN 'crashed' THEN 'holdfast job requeue ' || holdfast.shell_word(job)
        WHEN 'person' THEN coalesce(holdfast.refused_advice(job),
            'holdfast job requeue ' || holdfast.shell_word(job)) END
$$;
