-- A night of any size, with every kind of break planted in known numbers. For tests and benchmarks:
-- it writes past triggers and constraints, as only an owner can.

CREATE SCHEMA IF NOT EXISTS night;

-- When the books are closed: 03:17 UTC of today, whatever the time is. Runs over such a night get a
-- clock offset that makes it their time.
CREATE OR REPLACE FUNCTION night.now() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        + interval '3 hours 17 minutes'
$$;

-- A number from 0 to 1 that depends on nothing but the seed, a name and a place.
CREATE OR REPLACE FUNCTION night.chance(seed integer, name text, place bigint)
RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashtextextended(name || place, seed) & 2147483647) / 2147483648.0
$$;

-- A clean night: `jobs` jobs of `accounts` customers, opened yesterday (UTC), with holds, transfers, tasks, files and usage lines; nothing wrong anywhere.
CREATE OR REPLACE FUNCTION night.clean(jobs integer, accounts integer, seed integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    day_ timestamptz := night.now() - interval '1 day 3 hours 17 minutes';
BEGIN
    SET LOCAL session_replication_role = replica;
    SET LOCAL synchronous_commit = off;
    INSERT INTO holdfast.account (account_id, created_at)
    SELECT 'customer-' || lpad(n::text, 7, '0'), day_ FROM generate_series(1, accounts) n;
    INSERT INTO holdfast.transfer (transfer_id, kind, account_id, debit, credit, amount, actor,
        created_at)
    SELECT 'grant:invoice-' || n, 'grant', 'customer-' || lpad(n::text, 7, '0'), 'issued',
        'available', 1000000, 'application', day_ + n * interval '1 microsecond'
    FROM generate_series(1, accounts) n;

    CREATE TEMP TABLE plan ON COMMIT DROP AS
    SELECT n, 'job-' || lpad(n::text, 8, '0') AS job_id,
        'customer-' || lpad((1 + floor(night.chance(seed, 'account', n) * accounts))::text, 7, '0')
            AS account_id,
        (ARRAY['kie', 'kling', 'replicate', 'fal'])[1 + floor(night.chance(seed, 'provider', n) * 4)]
            AS provider,
        (ARRAY['small', 'large', 'turbo'])[1 + floor(night.chance(seed, 'model', n) * 3)] AS model,
        CASE WHEN fate.x < 0.86 THEN 'delivered' WHEN fate.x < 0.94 THEN 'failed'
            WHEN fate.x < 0.96 THEN 'abandoned' WHEN fate.x < 0.97 THEN 'late'
            WHEN fate.x < 0.98 THEN 'free' WHEN fate.x < 0.985 THEN 'refunded'
            WHEN fate.x < 0.99 THEN 'waived' ELSE 'partial' END AS fate,
        20 + floor(night.chance(seed, 'credits', n) * 10)::bigint * 10 AS credits,
        day_ + interval '1 hour' + (n + night.chance(seed, 'when', n)) / jobs * interval '22 hours'
            AS created_at,
        (30 + night.chance(seed, 'took', n) * 600) * interval '1 second' AS took
    FROM generate_series(1, jobs) n
    CROSS JOIN LATERAL (SELECT night.chance(seed, 'fate', n) AS x) fate;
    UPDATE plan SET credits = 0 WHERE fate = 'free';

    INSERT INTO holdfast.job (job_id, account_id, provider, model, kind, expected_outputs, state,
        error_code, task_id, result_urls, credits, captured, voided, charged, refunded, waived,
        created_at, submitting_at, submitted_at, finished_at, settled_at)
    SELECT p.job_id, p.account_id, p.provider, p.model, 'video',
        CASE p.fate WHEN 'partial' THEN 2 ELSE 1 END,
        CASE WHEN p.fate IN ('failed', 'abandoned') THEN p.fate ELSE 'delivered' END,
        CASE p.fate WHEN 'failed' THEN 'provider_failed' END, 'task-' || p.n, '{}', p.credits,
        CASE p.fate WHEN 'delivered' THEN p.credits WHEN 'refunded' THEN p.credits
            WHEN 'partial' THEN p.credits / 2 ELSE 0 END,
        CASE WHEN p.fate IN ('failed', 'abandoned', 'late', 'waived') THEN p.credits
            WHEN p.fate = 'partial' THEN p.credits - p.credits / 2 ELSE 0 END,
        CASE p.fate WHEN 'late' THEN p.credits ELSE 0 END,
        CASE p.fate WHEN 'refunded' THEN p.credits ELSE 0 END,
        CASE p.fate WHEN 'waived' THEN p.credits ELSE 0 END,
        p.created_at, p.created_at, p.created_at, p.created_at + p.took, p.created_at + p.took
    FROM plan p;
    INSERT INTO holdfast.offer (provider, endpoint, kind, model, first_used_at, last_used_at)
    SELECT p.provider, '', 'video', p.model, min(p.created_at), max(p.created_at) FROM plan p
    GROUP BY p.provider, p.model ON CONFLICT DO NOTHING;
    INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit, amount,
        reason, actor, created_at)
    SELECT l.kind || ':' || p.job_id || CASE l.kind WHEN 'refund' THEN ':0' ELSE '' END, l.kind,
        p.account_id, p.job_id, l.debit, l.credit, l.amount, l.reason, 'storage-mirrorer',
        p.created_at + CASE l.kind WHEN 'hold' THEN interval '0' ELSE p.took END
            + CASE WHEN l.kind IN ('charge', 'refund') THEN interval '1 second' ELSE interval '0' END
    FROM plan p CROSS JOIN LATERAL (VALUES
        ('hold', 'available', 'held', p.credits, NULL),
        ('capture', 'held', 'spent', CASE p.fate WHEN 'delivered' THEN p.credits
            WHEN 'refunded' THEN p.credits WHEN 'partial' THEN p.credits / 2 ELSE 0 END, 'delivered'),
        ('void', 'held', 'available', CASE WHEN p.fate IN ('failed', 'abandoned', 'late', 'waived')
            THEN p.credits WHEN p.fate = 'partial' THEN p.credits - p.credits / 2 ELSE 0 END,
            'failed'),
        ('charge', 'available', 'spent', CASE p.fate WHEN 'late' THEN p.credits ELSE 0 END, 'late'),
        ('refund', 'spent', 'available', CASE p.fate WHEN 'refunded' THEN p.credits ELSE 0 END,
            'goodwill')) AS l (kind, debit, credit, amount, reason)
    WHERE l.amount > 0
    ORDER BY p.created_at, p.n;
    INSERT INTO holdfast.task (provider, task_id, job_id, state, cost_amount, cost_unit, created_at,
        finished_at)
    SELECT p.provider, 'task-' || p.n, p.job_id,
        CASE p.fate WHEN 'failed' THEN 'failed' WHEN 'abandoned' THEN 'expired' ELSE 'succeeded' END,
        CASE WHEN p.fate NOT IN ('failed', 'abandoned') THEN '2.5' END,
        CASE WHEN p.fate NOT IN ('failed', 'abandoned') THEN 'credits' END,
        p.created_at, p.created_at + p.took
    FROM plan p;
    INSERT INTO holdfast.asset (job_id, ordinal, provider, state, source_url, expires_by, object_key,
        sha256, bytes, public_url, next_attempt_at, created_at, stored_at)
    SELECT p.job_id, 0, p.provider, 'stored', 'https://cdn.example.com/' || p.n,
        p.created_at + interval '1 day', p.job_id || '.mp4', md5(p.job_id) || md5(p.job_id || 'x'), 1000000,
        'https://files.example.com/' || p.n, p.created_at, p.created_at, p.created_at + p.took
    FROM plan p WHERE p.fate NOT IN ('failed', 'abandoned');
    INSERT INTO holdfast.usage_line (provider, line_key, source, task_id, job_id, model, status,
        amount, unit, booked, happened_at, recorded_at)
    SELECT p.provider, 'task:task-' || p.n, 'verdict', 'task-' || p.n, p.job_id, p.model,
        'succeeded', 2.5, 'credits', 2.5, p.created_at + p.took, p.created_at + p.took
    FROM plan p WHERE p.fate NOT IN ('failed', 'abandoned')
    ORDER BY p.created_at, p.n;
    PERFORM night.balance();
    SET LOCAL session_replication_role = origin;
END $$;

-- Balances as the transfers say.
CREATE OR REPLACE FUNCTION night.balance() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE holdfast.account a SET granted = s.granted, available = s.available, held = s.held,
        spent = s.spent
    FROM (SELECT account_id,
            sum(CASE 'issued' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END) granted,
            sum(CASE 'available' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) available,
            sum(CASE 'held' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) held,
            sum(CASE 'spent' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) spent
        FROM holdfast.transfer GROUP BY account_id) s
    WHERE a.account_id = s.account_id
        AND (a.granted, a.available, a.held, a.spent)
            IS DISTINCT FROM (s.granted, s.available, s.held, s.spent);
END $$;
