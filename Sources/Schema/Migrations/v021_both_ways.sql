-- Page by page: the jobs of the books' window and older ones that still matter, and from the other
-- side what providers, callbacks and accounts say.

-- The breaks of a page of jobs. A job that cannot be matched is found by halves, and comes with what was
-- wrong in place of a break, so that it keeps no other job from being matched.
CREATE FUNCTION holdfast.match_page(page text[])
RETURNS TABLE (found holdfast.found_break, refused text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    breaks found_break[];
    half integer := cardinality(page) / 2;
BEGIN
    breaks := ARRAY(SELECT m FROM match_jobs(page) m);
    RETURN QUERY SELECT b, NULL::text FROM unnest(breaks) b;
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_trouble(SQLSTATE) THEN
        RAISE;
    ELSIF half = 0 THEN
        RETURN QUERY SELECT NULL::found_break, format('job %s could not be matched: %s (%s)', page[1],
            left(SQLERRM, 300), SQLSTATE);
    ELSE
        RETURN QUERY SELECT p.* FROM match_page(page[:half]) p;
        RETURN QUERY SELECT p.* FROM match_page(page[half + 1:]) p;
    END IF;
END $$;

-- A page of what the window of the books covers: jobs by their age, behind one place and before a time,
-- or to the end. Every row says how far the page went; a row without a break says only that. No row:
-- the end.
CREATE FUNCTION holdfast.match_window(
    after_at timestamptz, after_job text, until timestamptz, most integer)
RETURNS TABLE (examined integer, next_at text, next_job text, found holdfast.found_break, refused text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    page text[];
    last_at timestamptz;
BEGIN
    -- In the order in which every index has them.
    SELECT array_agg(j.job_id ORDER BY j.job_id), count(*), max(j.created_at)
    INTO page, examined, last_at
    FROM (SELECT j.job_id, j.created_at FROM job j
        WHERE (j.created_at, j.job_id) > (after_at, after_job)
            AND j.created_at < coalesce(until, 'infinity')
        ORDER BY j.created_at, j.job_id LIMIT most) j;
    SELECT last_at::text, max(j.job_id) INTO next_at, next_job
    FROM job j WHERE j.created_at = last_at AND j.job_id = ANY (page);
    IF examined > 0 THEN
        RETURN QUERY SELECT examined, next_at, next_job, NULL::found_break, NULL::text;
        RETURN QUERY SELECT 0, NULL::text, NULL::text, m.found, m.refused FROM match_page(page) m;
    END IF;
END $$;

-- A page of older jobs that may still come to something: open, blocked or held ones, those that ended or
-- moved credits since `moved`, and those whose breaks stand.
CREATE FUNCTION holdfast.match_older(
    before timestamptz, moved timestamptz, after_job text, most integer)
RETURNS TABLE (examined integer, next_job text, found holdfast.found_break, refused text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    page text[];
BEGIN
    SELECT array_agg(o.job_id), count(*), max(o.job_id)
    INTO page, examined, next_job
    FROM (SELECT DISTINCT c.job_id FROM (
            SELECT j.job_id FROM job j WHERE j.created_at < before
                AND j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
            UNION ALL SELECT j.job_id FROM job j
                WHERE j.blocked IS NOT NULL AND j.created_at < before
            UNION ALL SELECT j.job_id FROM job j
                WHERE j.credit_state = 'held' AND j.created_at < before
            UNION ALL SELECT j.job_id FROM job j
                WHERE j.finished_at >= moved AND j.created_at < before
            UNION ALL SELECT t.job_id FROM transfer t JOIN job j USING (job_id)
                WHERE t.kind IN ('charge', 'refund') AND t.created_at >= moved
                    AND j.created_at < before
            UNION ALL SELECT b.job_id FROM break b JOIN job j USING (job_id)
                WHERE b.closed_at IS NULL AND j.created_at < before) c
        WHERE c.job_id > after_job
        ORDER BY c.job_id LIMIT most) o;
    IF examined > 0 THEN
        RETURN QUERY SELECT examined, next_job, NULL::found_break, NULL::text;
        RETURN QUERY SELECT 0, NULL::text, m.found, m.refused FROM match_page(page) m;
    END IF;
END $$;

-- A page of usage lines whose task no job knows, in the order in which they came to be known; one row for
-- each task.
CREATE FUNCTION holdfast.match_usage(after_at timestamptz, after_id bigint, most integer)
RETURNS TABLE (examined integer, next_at text, next_id bigint, found holdfast.found_break)
LANGUAGE plpgsql STABLE SECURITY DEFINER
-- Lines are looked up one by one, and no whole table is read for a page of them.
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    last_at timestamptz;
BEGIN
    SELECT p.place, p.recorded_at, p.usage_id INTO examined, last_at, next_id
    FROM (SELECT l.recorded_at, l.usage_id,
            row_number() OVER (ORDER BY l.recorded_at, l.usage_id) AS place
        FROM usage_line l WHERE (l.recorded_at, l.usage_id) > (after_at, after_id)
        ORDER BY l.recorded_at, l.usage_id LIMIT most) p
    ORDER BY p.place DESC LIMIT 1;
    IF examined > 0 THEN
        next_at := last_at::text;
        RETURN QUERY SELECT examined, next_at, next_id, NULL::found_break;
        RETURN QUERY
        WITH unknown AS MATERIALIZED (
            SELECT l.provider, l.task_id, l.line_key, l.booked, l.unit, l.happened_at, l.source
            FROM usage_line l
            WHERE (l.recorded_at, l.usage_id) > (after_at, after_id)
                AND (l.recorded_at, l.usage_id) <= (last_at, next_id)
                AND NOT EXISTS (SELECT FROM task t
                    WHERE t.provider = l.provider AND t.task_id = l.task_id)
                AND NOT EXISTS (SELECT FROM job j WHERE j.job_id = l.job_id)
        ), summed AS (
            SELECT l.provider, l.task_id AS name, l.task_id, sum(l.booked) AS booked,
                min(l.unit) AS unit, min(l.happened_at) AS happened_at, min(l.source) AS source
            FROM (SELECT DISTINCT u.provider, u.task_id FROM unknown u) u
            JOIN usage_line l ON l.provider = u.provider AND l.task_id = u.task_id
            GROUP BY l.provider, l.task_id
            UNION ALL
            SELECT u.provider, u.line_key, NULL, u.booked, u.unit, u.happened_at, u.source
            FROM unknown u WHERE u.task_id IS NULL
        )
        SELECT 0, NULL::text, NULL::bigint, ROW('provider-billed-no-job',
            s.provider || '/' || s.name, NULL, NULL, s.provider, NULL, s.task_id, '{}', NULL, s.booked, s.unit,
            format('charged %s %s at %s, and no job has this task', s.booked, s.unit,
                utc(s.happened_at)),
            CASE WHEN s.task_id IS NULL
                THEN 'holdfast usage list --provider ' || s.provider
                ELSE 'holdfast job link JOB --task ' || shell_word(s.task_id)
                    || '  # JOB: the job that it belongs to' END,
            jsonb_build_object('cost', s.booked, 'unit', s.unit, 'source', s.source),
            NULL, NULL)::found_break
        FROM summed s WHERE s.booked <> 0 ORDER BY s.provider, s.name;
    END IF;
END $$;

-- A page of callbacks that belong to no job, or that nobody has read.
CREATE FUNCTION holdfast.match_callbacks(after_id bigint, most integer)
RETURNS TABLE (examined integer, next_id bigint, found holdfast.found_break)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    overdue timestamptz := clock() - interval '1 hour';
BEGIN
    SELECT count(*), max(p.callback_id) INTO examined, next_id FROM (
        SELECT c.callback_id FROM callback c WHERE c.callback_id > after_id
            AND (c.result = 'unmatched' OR c.drained_at IS NULL AND c.received_at < overdue)
        ORDER BY c.callback_id LIMIT most) p;
    IF examined = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT examined, next_id, NULL::found_break;
    RETURN QUERY
    SELECT 0, NULL::bigint, ROW(CASE WHEN c.drained_at IS NULL THEN 'callback-unread'
            ELSE 'callback-unmatched' END, 'callback ' || c.callback_id, NULL, NULL, c.provider,
        NULL, CASE WHEN cardinality(c.candidates) = 1 THEN c.candidates[1] END, '{}', NULL, NULL, NULL,
        CASE WHEN c.drained_at IS NULL
            THEN format('%s: has waited since %s', c.provider, utc(c.received_at))
            ELSE format('%s: no job for %s', c.provider, CASE WHEN cardinality(c.candidates) = 0
                THEN 'a body without an id' ELSE 'task ' || array_to_string(c.candidates, ', ') END)
            END,
        CASE WHEN c.drained_at IS NULL THEN 'stuck-sweeper'
            ELSE format('holdfast callback show %s && holdfast callback replay %s',
                c.callback_id, c.callback_id) END,
        jsonb_build_object('received_at', utc(c.received_at), 'result', c.result), NULL,
        NULL)::found_break
    FROM callback c
    WHERE c.callback_id > after_id AND c.callback_id <= next_id
        AND (c.result = 'unmatched' OR c.drained_at IS NULL AND c.received_at < overdue)
        -- Its task was marked while it was read, by a transaction that could not see it.
        AND NOT (c.result = 'unmatched' AND cardinality(c.candidates) = 1 AND EXISTS (
            SELECT FROM task t
            WHERE t.provider = c.provider AND t.task_id = c.candidates[1]))
    ORDER BY c.callback_id;
END $$;

-- From each balance at a provider to the one before: what lines and top-ups explain, and what is
-- missing beyond that.
--
-- A job that was under way when either was taken may have been paid for on either side of it, so what
-- it cost is believed of both: nothing to all of it. One without a cost may have been paid for and
-- given back, and counts with the highest line of the time; where there is none, nothing is missed.
CREATE FUNCTION holdfast.provider_drift(since timestamptz)
RETURNS TABLE (provider text, unit text, before_at timestamptz, taken_at timestamptz, before numeric,
    amount numeric, used numeric, topped_up numeric, doubtful bigint, at_least numeric,
    at_most numeric, missing numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    WITH pair AS (
        SELECT b.provider, b.unit, b.taken_at, b.amount, lag(b.taken_at) OVER w AS before_at,
            lag(b.amount) OVER w AS before,
            b.jobs_under_way || lag(b.jobs_under_way) OVER w AS jobs_under_way
        FROM provider_balance b
        WINDOW w AS (PARTITION BY b.provider, b.unit ORDER BY b.taken_at)
    ), explained AS (
        SELECT p.*, coalesce(l.booked, 0) - d.inside AS used, coalesce(u.amount, 0) AS topped_up,
            d.doubtful, d.whole,
            CASE WHEN d.without_cost = 0 THEN 0 ELSE d.without_cost * l.highest END AS unknown
        FROM pair p
        CROSS JOIN LATERAL (SELECT sum(l.booked) AS booked, max(l.booked) FILTER (WHERE l.booked > 0)
                AS highest
            FROM usage_line l WHERE l.provider = p.provider AND l.unit = p.unit
                AND l.happened_at > p.before_at AND l.happened_at <= p.taken_at) l
        CROSS JOIN LATERAL (SELECT sum(u.amount) AS amount FROM provider_top_up u
            WHERE u.provider = p.provider AND u.unit = p.unit
                AND u.happened_at > p.before_at AND u.happened_at <= p.taken_at) u
        CROSS JOIN LATERAL (
            SELECT count(*) AS doubtful, coalesce(sum(c.inside), 0) AS inside,
                coalesce(sum(c.whole) FILTER (WHERE c.whole > 0), 0) AS whole,
                count(*) FILTER (WHERE coalesce(c.whole, 0) <= 0) AS without_cost
            FROM (SELECT DISTINCT unnest(p.jobs_under_way)) j (job_id)
            CROSS JOIN LATERAL (
                SELECT sum(l.booked) AS whole, sum(l.booked) FILTER (
                    WHERE l.happened_at > p.before_at AND l.happened_at <= p.taken_at) AS inside
                FROM task t JOIN usage_line l USING (provider, task_id)
                WHERE t.job_id = j.job_id AND t.provider = p.provider AND l.unit = p.unit) c) d
        WHERE p.taken_at >= since AND p.before_at IS NOT NULL
    ), surplus AS (
        SELECT e.*, e.before - e.amount - e.used + e.topped_up AS beyond FROM explained e
    )
    SELECT s.provider, s.unit, s.before_at, s.taken_at, s.before, s.amount, s.used, s.topped_up,
        s.doubtful, -s.unknown, s.whole + s.unknown, CASE
            WHEN s.beyond > s.whole + s.unknown THEN s.beyond - s.whole - s.unknown
            WHEN s.beyond < -s.unknown THEN s.beyond + s.unknown
            ELSE 0 END
    FROM surplus s
$$;

-- Files that the customer should have, whose objects the night found missing or other than they were.
CREATE FUNCTION holdfast.match_missing_files() RETURNS SETOF holdfast.found_break
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT 'asset-missing', format('%s/%s', m.job_id, m.ordinal), j.job_id, j.account_id, j.provider,
        j.model, j.task_id, '{}'::text[],
        CASE WHEN j.credit_state IN ('captured', 'late_charged') THEN j.credits END, NULL::numeric,
        NULL::text,
        format('the object of file %s %s, and it cannot be fetched again: %s', m.ordinal, m.finding,
            m.reason),
        CASE WHEN m.is_gone AND j.credit_state IN ('captured', 'late_charged')
            THEN format('holdfast job refund %s --reason TEXT', shell_word(j.job_id))
            ELSE format('holdfast asset refetch --job %s --ordinal %s', shell_word(j.job_id), m.ordinal)
        END,
        jsonb_build_object('object_key', a.object_key, 'sha256', a.sha256, 'bytes', a.bytes,
            'found', m.finding, 'is_gone', m.is_gone), NULL::text, NULL::bigint
    FROM missing_file m JOIN asset a USING (job_id, ordinal) JOIN job j USING (job_id)
    WHERE a.state = 'stored' AND a.stored_at = m.stored_at AND j.credit_state <> 'refunded'
    ORDER BY 2
$$;

-- Files that have the address of a file of another task of the same provider.
CREATE FUNCTION holdfast.match_shared_addresses() RETURNS SETOF holdfast.found_break
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT 'shared-address', format('%s/%s', j.job_id, a.ordinal), j.job_id, j.account_id, j.provider,
        j.model, j.task_id, '{}'::text[], nullif(j.captured + j.charged - j.refunded, 0),
        NULL::numeric, NULL::text,
        format('file %s has the address of a file of job %s', a.ordinal, o.job_id),
        format('holdfast job show %s && holdfast job show %s', shell_word(j.job_id),
            shell_word(o.job_id)),
        jsonb_build_object('address_md5', s.digest), NULL::text, NULL::bigint
    FROM shared_file s
    JOIN asset a ON md5(a.source_url) = s.digest AND a.provider = s.provider
        AND a.state IN ('pending', 'stored')
    JOIN job j ON j.job_id = a.job_id
    CROSS JOIN LATERAL (SELECT min(t.job_id) AS job_id FROM asset t JOIN job u USING (job_id)
        WHERE md5(t.source_url) = s.digest AND t.source_url = a.source_url
            AND t.provider = a.provider AND t.job_id <> a.job_id
            AND u.task_id IS DISTINCT FROM j.task_id) o
    WHERE s.what = 'address' AND j.task_id IS NOT NULL AND o.job_id IS NOT NULL
        AND j.credit_state NOT IN ('refunded', 'voided')
    ORDER BY 2
$$;

-- Contents that several tasks of a provider have: two where an answer named no task, five within a day
-- elsewhere.
CREATE FUNCTION holdfast.match_shared_contents() RETURNS SETOF holdfast.found_break
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT 'shared-content', s.provider || '/' || s.digest, NULL::text, NULL::text, s.provider,
        NULL::text, NULL::text, '{}'::text[], nullif(h.paid, 0)::bigint, NULL::numeric, NULL::text,
        format('%s jobs have the same file, from job %s at %s to job %s at %s', h.jobs, h.first_job,
            utc(h.first_at), h.last_job, utc(h.last_at)),
        format('holdfast job show %s && holdfast job show %s', shell_word(h.first_job),
            shell_word(h.last_job)),
        jsonb_build_object('sha256', s.digest), NULL::text, NULL::bigint
    FROM shared_file s
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs, sum(f.paid) AS paid, bool_or(f.is_unnamed) AS is_unnamed,
            bool_or(f.stored_at - f.fourth_before <= interval '1 day') AS is_many,
            min(f.stored_at) AS first_at, max(f.stored_at) AS last_at,
            (array_agg(f.job_id ORDER BY f.stored_at, f.job_id))[1] AS first_job,
            (array_agg(f.job_id ORDER BY f.stored_at DESC, f.job_id DESC))[1] AS last_job
        FROM (SELECT d.*, lag(d.stored_at, 4) OVER (ORDER BY d.stored_at, d.job_id) AS fourth_before
            FROM (SELECT a.job_id, min(a.stored_at) AS stored_at,
                    min(j.captured + j.charged - j.refunded) AS paid,
                    coalesce(bool_or(t.is_unnamed), false) AS is_unnamed
                FROM asset a JOIN job j USING (job_id)
                LEFT JOIN task t ON t.provider = j.provider AND t.task_id = j.task_id
                WHERE a.sha256 = s.digest AND a.state = 'stored' AND a.provider = s.provider
                GROUP BY a.job_id) d) f) h
    WHERE s.what = 'content' AND (h.is_many OR h.is_unnamed AND h.jobs > 1)
    ORDER BY 2
$$;

-- What is looked at whole because there is never much of it: files that are missing or shared, strays without a cost, balances at the
-- providers, conflicting usage lines, and entries that came after their day was closed.
CREATE FUNCTION holdfast.match_rest(since timestamptz) RETURNS SETOF holdfast.found_break
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'stray-task', s.provider || '/' || s.task_id, NULL::text, NULL::text, s.provider,
        NULL::text, s.task_id, '{}'::text[], NULL::bigint, NULL::numeric, NULL::text,
        format('no job has this task%s; %s', ' of ' || nullif(s.endpoint, ''), s.state),
        'holdfast job link JOB --task ' || shell_word(s.task_id)
            || '  # JOB: the job that it belongs to',
        jsonb_build_object('endpoint', s.endpoint), NULL::text, NULL::bigint
    FROM stray_task s
    WHERE s.reported_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM task t WHERE t.provider = s.provider AND t.task_id = s.task_id)
        AND NOT EXISTS (SELECT FROM usage_line l WHERE l.provider = s.provider
            AND l.task_id = s.task_id AND l.booked <> 0)
    ORDER BY 2;
    RETURN QUERY
    SELECT 'provider-balance-drift', format('%s/%s/%s', d.provider, d.unit, utc(d.taken_at)),
        NULL::text, NULL::text, d.provider, NULL::text, NULL::text, '{}'::text[], NULL::bigint,
        d.missing, d.unit,
        format('the balance went from %s to %s; lines and top-ups explain %s%s: %s %s %s', d.before,
            d.amount, d.topped_up - d.used,
            CASE WHEN d.doubtful > 0 THEN format(', and %s jobs under way %s to %s', d.doubtful,
                d.topped_up - d.used - d.at_most, d.topped_up - d.used - d.at_least) ELSE '' END,
            abs(d.missing), d.unit, CASE WHEN d.missing > 0 THEN 'missing' ELSE 'too many' END),
        format('holdfast usage list --provider %s  # compare with its console; then usage import, or usage top-up',
            d.provider),
        jsonb_build_object('from', utc(d.before_at), 'before', d.before, 'after', d.amount,
            'used', d.used, 'topped_up', d.topped_up, 'jobs_under_way', d.doubtful,
            'at_least', d.at_least, 'at_most', d.at_most), NULL::text, NULL::bigint
    FROM provider_drift(since) d WHERE d.missing <> 0 ORDER BY 2;
    RETURN QUERY SELECT m.* FROM match_missing_files() m;
    RETURN QUERY SELECT m.* FROM match_shared_addresses() m;
    RETURN QUERY SELECT m.* FROM match_shared_contents() m;
    RETURN QUERY SELECT m.* FROM match_orphans() m;
    RETURN QUERY
    SELECT 'closed-period-entry', t.transfer_id, t.job_id, t.account_id, NULL::text, NULL::text,
        NULL::text, '{}'::text[], t.amount, NULL::numeric, NULL::text,
        format('a %s of %s credits, dated %s, came after the close of %s', t.kind, t.amount,
            utc(t.created_at), d.day),
        'holdfast account statement ' || shell_word(t.account_id),
        jsonb_build_object('day', d.day, 'sequence', t.sequence), NULL::text, NULL::bigint
    FROM business_day d JOIN transfer t ON t.created_at >= d.starts_at AND t.created_at < d.ends_at
        AND (t.cluster <> d.cluster OR t.xact >= pg_snapshot_xmin(d.seen))
        AND NOT had_seen(d, t.cluster, t.xact)
    WHERE d.ends_at >= since
    ORDER BY 2;
END $$;

-- A page of accounts whose balances differ from what they were at the end of the last day that is
-- counted, and what moved since. Only what moved since is read, so that the cost does not grow with
-- history.
CREATE FUNCTION holdfast.match_accounts(after text, most integer)
RETURNS TABLE (examined integer, next_account text, found holdfast.found_break)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    page text[];
    last business_day;
    first_open bigint;
BEGIN
    SELECT array_agg(a.account_id), count(*), max(a.account_id)
    INTO page, examined, next_account
    FROM (SELECT account_id FROM account WHERE account_id > after
        ORDER BY account_id LIMIT most) a;
    IF examined = 0 THEN
        RETURN;
    END IF;
    SELECT * INTO last FROM business_day
    WHERE state = 'sealed' OR phase IN ('figures', 'counted') ORDER BY day DESC LIMIT 1;
    first_open := first_open_sequence(last);
    RETURN QUERY SELECT examined, next_account, NULL::found_break;
    RETURN QUERY
    WITH closed AS MATERIALIZED (
        SELECT DISTINCT ON (d.account_id) d.account_id, d.closing_available, d.closing_held,
            d.closing_spent
        FROM account_day d WHERE d.account_id = ANY (page) AND d.day <= last.day
        ORDER BY d.account_id, d.day DESC
    ), since AS MATERIALIZED (
        SELECT t.account_id,
            sum(CASE 'available' WHEN t.credit THEN t.amount WHEN t.debit THEN -t.amount ELSE 0 END)
                AS available,
            sum(CASE 'held' WHEN t.credit THEN t.amount WHEN t.debit THEN -t.amount ELSE 0 END)
                AS held,
            sum(CASE 'spent' WHEN t.credit THEN t.amount WHEN t.debit THEN -t.amount ELSE 0 END)
                AS spent,
            min(t.transfer_id) FILTER (WHERE t.job_id IS NULL AND (t.amount <= 0
                OR (t.kind, t.debit, t.credit) NOT IN (('grant', 'issued', 'available'),
                    ('adjustment', 'issued', 'available'), ('adjustment', 'available', 'issued'))))
                AS bad_sides
        FROM transfer t
        WHERE t.account_id = ANY (page) AND t.sequence >= first_open
            AND (last.day IS NULL OR t.created_at >= last.ends_at
                OR NOT had_seen(last, t.cluster, t.xact))
        GROUP BY t.account_id
    ), stood AS (
        SELECT a.*, coalesce(c.closing_available, 0) + coalesce(s.available, 0) AS available_sum,
            coalesce(c.closing_held, 0) + coalesce(s.held, 0) AS held_sum,
            coalesce(c.closing_spent, 0) + coalesce(s.spent, 0) AS spent_sum,
            s.bad_sides
        FROM account a LEFT JOIN closed c USING (account_id) LEFT JOIN since s USING (account_id)
        WHERE a.account_id = ANY (page)
    ), judged AS (
        SELECT s.*, array_remove(ARRAY[
            CASE WHEN s.bad_sides IS NOT NULL THEN 'unbalanced-transfer' END,
            CASE WHEN (s.available, s.held, s.spent) IS DISTINCT FROM
                    (s.available_sum, s.held_sum, s.spent_sum)
                OR s.granted <> s.available + s.held + s.spent THEN 'balance-drift' END,
            CASE WHEN s.available < 0 THEN 'negative-available' END
            ], NULL) AS classes
        FROM stood s
    )
    SELECT 0, NULL::text, ROW(f.classes[1], f.account_id, NULL, f.account_id, NULL, NULL, NULL,
        f.classes[2:], nullif(abs(f.available - f.available_sum), 0), NULL, NULL,
        format('available %s, held %s, spent %s; the transfers add up to %s, %s, %s',
            f.available, f.held, f.spent, f.available_sum, f.held_sum, f.spent_sum),
        'holdfast account statement ' || shell_word(f.account_id)
            || '  # and keep everything as it is',
        jsonb_build_object('available', f.available, 'held', f.held, 'spent', f.spent,
            'transfers', jsonb_build_array(f.available_sum, f.held_sum, f.spent_sum)), NULL, NULL)::found_break
    FROM judged f WHERE cardinality(f.classes) > 0 ORDER BY f.account_id;
END $$;

-- Every break as it stands now; for small installations whole, else page by page as above.
CREATE VIEW holdfast.finding AS
SELECT (f.found).* FROM holdfast.match_window('-infinity', '', NULL, 2147483647) f
WHERE (f.found).class IS NOT NULL
UNION ALL
SELECT (f.found).* FROM holdfast.match_usage('-infinity', 0, 2147483647) f
WHERE (f.found).class IS NOT NULL
UNION ALL
SELECT (f.found).* FROM holdfast.match_callbacks(0, 2147483647) f
WHERE (f.found).class IS NOT NULL
UNION ALL
SELECT (f.found).* FROM holdfast.match_accounts('', 2147483647) f
WHERE (f.found).class IS NOT NULL
UNION ALL
SELECT f.* FROM holdfast.match_rest('-infinity') f;
