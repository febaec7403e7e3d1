-- Plants breaks of every class into a clean night, and says how the books should see them.

CREATE TABLE night.planted (class text NOT NULL, subject text NOT NULL, PRIMARY KEY (class, subject));
CREATE TABLE night.used (job_id text PRIMARY KEY);

-- What the database enforces, and what these breaks contradict.
CREATE OR REPLACE FUNCTION night.drop_guards() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE holdfast.job DROP CONSTRAINT IF EXISTS hold_resolved_once,
        DROP CONSTRAINT IF EXISTS refund_within_paid, DROP CONSTRAINT IF EXISTS late_charge_after_void,
        DROP CONSTRAINT IF EXISTS late_charge_within_price,
        DROP CONSTRAINT IF EXISTS closed_job_is_settled;
    ALTER TABLE holdfast.account DROP CONSTRAINT IF EXISTS account_never_below_zero,
        DROP CONSTRAINT IF EXISTS account_in_balance;
    ALTER TABLE holdfast.transfer DROP CONSTRAINT IF EXISTS transfer_sides;
END $$;

-- Jobs that nothing was planted into yet.
CREATE OR REPLACE FUNCTION night.take(wanted text, many integer) RETURNS SETOF holdfast.job
LANGUAGE sql AS $$
    WITH taken AS (
        INSERT INTO night.used SELECT j.job_id FROM holdfast.job j
        WHERE j.credits <> 100 AND NOT EXISTS (SELECT FROM night.used u WHERE u.job_id = j.job_id)
            AND CASE wanted WHEN 'delivered' THEN j.state = 'delivered' AND j.captured = j.credits
                    AND j.refunded = 0 AND j.credits > 0
                WHEN 'failed' THEN j.state = 'failed' ELSE j.state = 'delivered' AND j.credits = 0 END
        ORDER BY j.job_id LIMIT many RETURNING job_id)
    SELECT j.* FROM taken t JOIN holdfast.job j USING (job_id)
$$;

-- Makes a delivered job one that the provider still runs.
CREATE OR REPLACE FUNCTION night.reopen(wanted text, new_state text, opened timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM holdfast.transfer WHERE job_id = wanted AND kind = 'capture';
    DELETE FROM holdfast.usage_line l USING holdfast.task t
        WHERE t.job_id = wanted AND l.provider = t.provider AND l.task_id = t.task_id;
    UPDATE holdfast.task SET state = 'running', finished_at = NULL, cost_amount = NULL
        WHERE job_id = wanted;
    DELETE FROM holdfast.asset WHERE job_id = wanted;
    UPDATE holdfast.job SET state = new_state, captured = 0, finished_at = NULL, settled_at = NULL,
        created_at = opened, submitted_at = opened WHERE job_id = wanted;
END $$;

-- Plants `many` breaks of each class, or of those in `chosen`.
CREATE OR REPLACE FUNCTION night.plant(many integer, chosen text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    j holdfast.job;
    class_ text;
    n integer;
    now_ timestamptz := night.now();
    day_ timestamptz := now_ - interval '1 day 3 hours 17 minutes';
BEGIN
    PERFORM night.drop_guards();
    SET LOCAL session_replication_role = replica;
    INSERT INTO holdfast.dated_policy (key, model, valid_from, amount, counts) VALUES
        ('price', 'priced', '-infinity', 100, 'credits'), ('cost', 'costly', '-infinity', 2.5, 'credits')
        ON CONFLICT DO NOTHING;
    INSERT INTO holdfast.offer (provider, endpoint, kind, model, first_used_at, last_used_at)
    SELECT p.provider, '', 'video', m.model, day_, day_
    FROM holdfast.provider p CROSS JOIN (VALUES ('priced'), ('costly')) m (model)
    ON CONFLICT DO NOTHING;
    INSERT INTO holdfast.usage_import (provider, file_name, file_sha256, actor, imported_at, lines,
        new_lines, bad_lines, first_at, last_at)
    SELECT p.provider, 'bill.csv', '', 'person:test', now_, 0, 0, 0, day_ - interval '5 days',
        day_ - interval '3 days' FROM holdfast.provider p;
    FOREACH class_ IN ARRAY ARRAY['completed-not-charged', 'completed-hold-open',
        'charged-without-asset', 'asset-without-completion', 'double-charge', 'double-refund',
        'capture-after-void', 'hold-past-timeout', 'orphan-hold', 'job-without-hold',
        'capture-exceeds-hold', 'price-mismatch', 'refund-without-cause', 'duplicate-provider-tasks',
        'job-not-billed', 'provider-cost-mismatch', 'status-divergence', 'callback-not-applied',
        'unbalanced-transfer', 'key-conflict', 'asset-expiring', 'succeeded-without-files', 'blocked',
        'result-refused']
    LOOP
        CONTINUE WHEN NOT coalesce(class_ = ANY (chosen), true);
        FOR j IN SELECT * FROM night.take('delivered', many) LOOP
            INSERT INTO night.planted VALUES (class_, j.job_id);
            CASE class_
            WHEN 'completed-not-charged' THEN
                DELETE FROM holdfast.transfer WHERE transfer_id = 'capture:' || j.job_id;
                UPDATE holdfast.job SET captured = 0 WHERE job_id = j.job_id;
            WHEN 'completed-hold-open' THEN
                UPDATE holdfast.transfer SET amount = amount - 10
                    WHERE transfer_id = 'capture:' || j.job_id;
                UPDATE holdfast.job SET captured = captured - 10 WHERE job_id = j.job_id;
            WHEN 'charged-without-asset' THEN
                DELETE FROM holdfast.asset WHERE job_id = j.job_id;
            WHEN 'asset-without-completion' THEN
                DELETE FROM holdfast.transfer WHERE transfer_id = 'capture:' || j.job_id;
                UPDATE holdfast.job SET captured = 0, state = 'succeeded', finished_at = NULL
                    WHERE job_id = j.job_id;
                UPDATE holdfast.asset SET stored_at = now_ - interval '1 hour'
                    WHERE job_id = j.job_id;
                UPDATE holdfast.job SET created_at = now_ - interval '70 minutes',
                    submitted_at = now_ - interval '70 minutes' WHERE job_id = j.job_id;
            WHEN 'double-charge' THEN
                INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                    amount, actor, created_at)
                VALUES ('charge:' || j.job_id, 'charge', j.account_id, j.job_id, 'available', 'spent',
                    j.credits, 'x', j.finished_at + interval '1 second');
                UPDATE holdfast.job SET charged = j.credits WHERE job_id = j.job_id;
            WHEN 'double-refund' THEN
                INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                    amount, reason, actor, created_at)
                VALUES ('refund:' || j.job_id || ':0', 'refund', j.account_id, j.job_id, 'spent',
                        'available', j.credits, 'ticket', 'x', j.finished_at + interval '1 second'),
                    ('refund:' || j.job_id || ':' || j.credits, 'refund', j.account_id, j.job_id,
                        'spent', 'available', 10, 'ticket', 'x', j.finished_at + interval '2 seconds');
                UPDATE holdfast.job SET refunded = j.credits + 10 WHERE job_id = j.job_id;
            WHEN 'capture-after-void' THEN
                INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                    amount, actor, created_at)
                VALUES ('void:' || j.job_id, 'void', j.account_id, j.job_id, 'held', 'available',
                    j.credits, 'x', j.finished_at - interval '1 second');
                UPDATE holdfast.job SET voided = j.credits WHERE job_id = j.job_id;
            WHEN 'hold-past-timeout' THEN
                PERFORM night.reopen(j.job_id, 'running', j.created_at);
            WHEN 'orphan-hold' THEN
                PERFORM night.reopen(j.job_id, 'created', j.created_at);
                DELETE FROM holdfast.task WHERE job_id = j.job_id;
                UPDATE holdfast.job SET task_id = NULL, submitting_at = NULL, submitted_at = NULL
                    WHERE job_id = j.job_id;
            WHEN 'job-without-hold' THEN
                PERFORM night.reopen(j.job_id, 'running', now_ - interval '30 minutes');
                DELETE FROM holdfast.transfer WHERE job_id = j.job_id;
            WHEN 'capture-exceeds-hold' THEN
                UPDATE holdfast.transfer SET amount = amount + 10
                    WHERE transfer_id = 'capture:' || j.job_id;
                UPDATE holdfast.job SET captured = captured + 10 WHERE job_id = j.job_id;
            WHEN 'price-mismatch' THEN
                UPDATE holdfast.job SET model = 'priced' WHERE job_id = j.job_id;
            WHEN 'refund-without-cause' THEN
                INSERT INTO holdfast.transfer (transfer_id, kind, account_id, job_id, debit, credit,
                    amount, reason, actor, created_at)
                VALUES ('refund:' || j.job_id || ':0', 'refund', j.account_id, j.job_id, 'spent',
                    'available', 10, NULL, 'x', j.finished_at + interval '1 second');
                UPDATE holdfast.job SET refunded = 10 WHERE job_id = j.job_id;
            WHEN 'duplicate-provider-tasks' THEN
                INSERT INTO holdfast.task (provider, task_id, job_id, state, created_at, finished_at)
                VALUES (j.provider, 'second-' || j.job_id, j.job_id, 'succeeded', j.created_at,
                    j.finished_at);
            WHEN 'job-not-billed' THEN
                DELETE FROM holdfast.usage_line WHERE provider = j.provider AND task_id = j.task_id;
                UPDATE holdfast.job SET created_at = day_ - interval '4 days',
                    finished_at = day_ - interval '4 days' WHERE job_id = j.job_id;
            WHEN 'provider-cost-mismatch' THEN
                UPDATE holdfast.job SET model = 'costly' WHERE job_id = j.job_id;
                UPDATE holdfast.usage_line SET amount = 9, booked = 9
                    WHERE provider = j.provider AND task_id = j.task_id;
            WHEN 'status-divergence' THEN
                UPDATE holdfast.usage_line SET status = 'failed'
                    WHERE provider = j.provider AND task_id = j.task_id;
            WHEN 'callback-not-applied' THEN
                PERFORM night.reopen(j.job_id, 'running', now_ - interval '30 minutes');
                INSERT INTO holdfast.callback (provider, headers, query, body, digest, received_at,
                    drained_at, result, job_id)
                VALUES (j.provider, '{}', '', '', '', now_ - interval '20 minutes',
                    now_ - interval '19 minutes', 'matched', j.job_id);
            WHEN 'unbalanced-transfer' THEN
                DELETE FROM holdfast.transfer WHERE transfer_id = 'hold:' || j.job_id;
            WHEN 'key-conflict' THEN
                UPDATE holdfast.transfer SET transfer_id = 'capture:of-another-' || j.job_id
                    WHERE transfer_id = 'capture:' || j.job_id;
            WHEN 'asset-expiring' THEN
                PERFORM night.reopen(j.job_id, 'succeeded', now_ - interval '30 minutes');
                UPDATE holdfast.task SET state = 'succeeded', finished_at = now_ WHERE job_id = j.job_id;
                INSERT INTO holdfast.asset (job_id, ordinal, provider, source_url, expires_by,
                    next_attempt_at, created_at)
                VALUES (j.job_id, 0, j.provider, 'https://cdn.example.com/' || j.job_id,
                    now_ + interval '10 minutes', now_, now_ - interval '20 minutes');
            WHEN 'result-refused' THEN
                PERFORM night.reopen(j.job_id, 'succeeded', now_ - interval '30 minutes');
                UPDATE holdfast.task SET state = 'succeeded', finished_at = now_ WHERE job_id = j.job_id;
                UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look'
                    WHERE job_id = j.job_id;
                INSERT INTO holdfast.asset (job_id, ordinal, provider, source_url, expires_by,
                    next_attempt_at, created_at, refused_since, refused_as)
                VALUES (j.job_id, 0, j.provider, 'https://cdn.example.com/' || j.job_id,
                    now_ + interval '10 minutes', now_, now_ - interval '20 minutes',
                    now_ - interval '15 minutes', 'an HTML page');
            WHEN 'succeeded-without-files' THEN
                PERFORM night.reopen(j.job_id, 'succeeded', now_ - interval '30 minutes');
                UPDATE holdfast.task SET state = 'succeeded', finished_at = now_ WHERE job_id = j.job_id;
                INSERT INTO holdfast.asset (job_id, ordinal, provider, source_url, expires_by,
                    next_attempt_at, created_at, state)
                VALUES (j.job_id, 0, j.provider, 'https://cdn.example.com/' || j.job_id, now_, now_, now_, 'lost');
            WHEN 'blocked' THEN
                PERFORM night.reopen(j.job_id, 'running', now_ - interval '30 minutes');
                UPDATE holdfast.job SET blocked = 'person', blocked_reason = 'look'
                    WHERE job_id = j.job_id;
            END CASE;
        END LOOP;
    END LOOP;
    FOREACH class_ IN ARRAY ARRAY['failed-still-held', 'failed-but-charged', 'refunded-but-delivered',
        'provider-billed-failed-job']
    LOOP
        CONTINUE WHEN NOT coalesce(class_ = ANY (chosen), true);
        FOR j IN SELECT * FROM night.take('failed', many) LOOP
            INSERT INTO night.planted VALUES (class_, j.job_id);
            CASE class_
            WHEN 'failed-still-held' THEN
                DELETE FROM holdfast.transfer WHERE transfer_id = 'void:' || j.job_id;
                UPDATE holdfast.job SET voided = 0 WHERE job_id = j.job_id;
            WHEN 'failed-but-charged' THEN
                UPDATE holdfast.transfer SET transfer_id = 'capture:' || j.job_id, kind = 'capture',
                    credit = 'spent' WHERE transfer_id = 'void:' || j.job_id;
                UPDATE holdfast.job SET voided = 0, captured = j.credits WHERE job_id = j.job_id;
            WHEN 'refunded-but-delivered' THEN
                UPDATE holdfast.job SET error_code = 'application' WHERE job_id = j.job_id;
                UPDATE holdfast.task SET state = 'succeeded' WHERE job_id = j.job_id;
            ELSE
                INSERT INTO holdfast.usage_line (provider, line_key, source, task_id, amount, unit,
                    booked, happened_at, recorded_at)
                VALUES (j.provider, 'bill-' || j.job_id, 'import', j.task_id, 2.5, 'credits', 2.5,
                    j.finished_at, j.finished_at);
            END CASE;
        END LOOP;
    END LOOP;
    FOR j IN SELECT * FROM night.take('free',
        CASE WHEN coalesce('delivered-without-files' = ANY (chosen), true) THEN many ELSE 0 END)
    LOOP
        INSERT INTO night.planted VALUES ('delivered-without-files', j.job_id);
        DELETE FROM holdfast.asset WHERE job_id = j.job_id;
    END LOOP;
    FOR j IN SELECT * FROM night.take('free',
        CASE WHEN coalesce('overdue' = ANY (chosen), true) THEN many ELSE 0 END)
    LOOP
        INSERT INTO night.planted VALUES ('overdue', j.job_id);
        PERFORM night.reopen(j.job_id, 'running', j.created_at);
    END LOOP;
    PERFORM night.plant_strangers(many, chosen, day_, now_);
    PERFORM night.plant_shared(many, chosen, now_);
    PERFORM night.balance();
    PERFORM night.plant_accounts(many, chosen, day_);
END $$;

-- Files of several tasks of a provider with one address, or with one content.
CREATE OR REPLACE FUNCTION night.plant_shared(many integer, chosen text[], now_ timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    n integer;
    kind text;
    wanted integer;
    jobs text[];
BEGIN
    FOR kind, wanted IN SELECT * FROM (VALUES ('shared-address', 2), ('shared-content', 5)) k (a, b)
    LOOP
        CONTINUE WHEN NOT coalesce(kind = ANY (chosen), true);
        FOR n IN 1..many LOOP
            jobs := ARRAY(SELECT j.job_id FROM holdfast.job j JOIN holdfast.asset a USING (job_id)
                WHERE j.provider = 'kie' AND j.state = 'delivered' AND j.captured > 0
                    AND j.refunded = 0 AND j.task_id IS NOT NULL AND a.state = 'stored'
                    AND NOT EXISTS (SELECT FROM night.used u WHERE u.job_id = j.job_id)
                ORDER BY a.stored_at, j.job_id LIMIT wanted);
            EXIT WHEN cardinality(jobs) < wanted;
            INSERT INTO night.used SELECT unnest(jobs);
            IF kind = 'shared-address' THEN
                UPDATE holdfast.asset SET source_url = 'https://cdn.example.com/shared-' || n
                WHERE job_id = ANY (jobs);
                INSERT INTO holdfast.shared_file VALUES ('kie', 'address',
                    md5('https://cdn.example.com/shared-' || n), now_);
                INSERT INTO night.planted SELECT kind, unnest(jobs) || '/0';
            ELSE
                UPDATE holdfast.asset SET sha256 = md5('shared ' || n) || md5('shared')
                WHERE job_id = ANY (jobs);
                INSERT INTO holdfast.shared_file VALUES ('kie', 'content',
                    md5('shared ' || n) || md5('shared'), now_);
                INSERT INTO night.planted VALUES (kind,
                    'kie/' || md5('shared ' || n) || md5('shared'));
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- What no job of ours is about: tasks, balances and callbacks.
CREATE OR REPLACE FUNCTION night.plant_strangers(
    many integer, chosen text[], day_ timestamptz, now_ timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    n integer;
BEGIN
    FOR n IN 1..many LOOP
        IF coalesce('provider-billed-no-job' = ANY (chosen), true) THEN
            INSERT INTO holdfast.usage_line (provider, line_key, source, task_id, amount, unit,
                booked, happened_at, recorded_at)
            VALUES ('kie', 'stranger-' || n, 'import', 'stranger-' || n, 3, 'credits', 3,
                day_ + interval '2 hours', day_ + interval '2 hours');
            INSERT INTO night.planted VALUES ('provider-billed-no-job', 'kie/stranger-' || n);
        END IF;
        IF coalesce('stray-task' = ANY (chosen), true) THEN
            INSERT INTO holdfast.stray_task (provider, task_id, endpoint, state, first_seen_at,
                last_seen_at, reported_at)
            VALUES ('kling', 'stray-' || n, '', 'succeeded', day_, day_, day_);
            INSERT INTO night.planted VALUES ('stray-task', 'kling/stray-' || n);
        END IF;
        IF coalesce('provider-balance-drift' = ANY (chosen), true) THEN
            INSERT INTO holdfast.provider_balance (provider, taken_at, amount, unit, source, actor)
            VALUES ('luma', day_ + (n - 1) * interval '1 minute', 100001 - n, 'cents', 'person',
                    'person:test'),
                ('luma', day_ + n * interval '1 minute', 100000 - n, 'cents', 'person',
                    'person:test') ON CONFLICT DO NOTHING;
            INSERT INTO night.planted VALUES ('provider-balance-drift', format('luma/cents/%s',
                holdfast.utc(day_ + n * interval '1 minute')));
        END IF;
    END LOOP;
    WITH wanted AS (
        SELECT w.class FROM (VALUES ('callback-unmatched'), ('callback-unread')) w (class)
        WHERE coalesce(w.class = ANY (chosen), true)
    ), kept AS (
        INSERT INTO holdfast.callback (provider, headers, query, body, digest, received_at,
            drained_at, result)
        SELECT 'kie', '{}', '', '', '', now_ - interval '2 hours',
            CASE w.class WHEN 'callback-unmatched' THEN now_ END,
            CASE w.class WHEN 'callback-unmatched' THEN 'unmatched' END
        FROM wanted w CROSS JOIN generate_series(1, many) RETURNING callback_id, result)
    INSERT INTO night.planted SELECT CASE WHEN result IS NULL THEN 'callback-unread'
        ELSE 'callback-unmatched' END, 'callback ' || callback_id FROM kept;
END $$;

CREATE OR REPLACE FUNCTION night.plant_accounts(many integer, chosen text[], day_ timestamptz)
RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    kinds text[] := ARRAY['balance-drift', 'negative-available', 'closed-period-entry'];
    kind text;
    a holdfast.account;
    n integer := 0;
BEGIN
    FOR a IN SELECT * FROM holdfast.account c
        WHERE NOT EXISTS (SELECT FROM night.planted p WHERE p.subject = c.account_id)
            AND NOT EXISTS (SELECT FROM holdfast.job j
                WHERE j.account_id = c.account_id AND j.state NOT IN ('delivered', 'failed', 'abandoned'))
        ORDER BY c.account_id LIMIT 3 * many
    LOOP
        n := n + 1;
        kind := kinds[1 + (n - 1) / many];
        CONTINUE WHEN NOT coalesce(kind = ANY (chosen), true);
        IF kind = 'balance-drift' THEN
            UPDATE holdfast.account SET granted = granted + 7, available = available + 7
                WHERE account_id = a.account_id;
            INSERT INTO night.planted VALUES ('balance-drift', a.account_id);
        ELSIF kind = 'negative-available' THEN
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, debit, credit, amount,
                actor, created_at)
            VALUES ('adjustment:night-' || n, 'adjustment', a.account_id, 'available', 'issued',
                a.available + 5, 'x', day_ + interval '3 hours');
            UPDATE holdfast.account SET granted = granted - available - 5, available = -5
                WHERE account_id = a.account_id;
            INSERT INTO night.planted VALUES ('negative-available', a.account_id);
        ELSE
            -- Dated within the day before, which is sealed.
            INSERT INTO holdfast.transfer (transfer_id, kind, account_id, debit, credit, amount,
                actor, created_at)
            VALUES ('grant:late-' || n, 'grant', a.account_id, 'issued', 'available', 1, 'x',
                day_ - interval '1 hour');
            UPDATE holdfast.account SET granted = granted + 1, available = available + 1
                WHERE account_id = a.account_id;
            INSERT INTO night.planted VALUES ('closed-period-entry', 'grant:late-' || n);
        END IF;
    END LOOP;
END $$;
