-- The close of a day: its entries are counted page by page, then it is sealed and chained to the day
-- before.

-- The clusters that entries and usage lines were written in: one step along an index for each.
CREATE FUNCTION holdfast.clusters() RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET enable_seqscan = off SET jit = off AS $$
    WITH RECURSIVE entries (c) AS (
        SELECT min(t.cluster) FROM transfer t
        UNION ALL SELECT (SELECT min(t.cluster) FROM transfer t WHERE t.cluster > e.c)
        FROM entries e WHERE e.c IS NOT NULL
    ), lines (c) AS (
        SELECT min(l.cluster) FROM usage_line l
        UNION ALL SELECT (SELECT min(l.cluster) FROM usage_line l WHERE l.cluster > e.c)
        FROM lines e WHERE e.c IS NOT NULL
    )
    SELECT c FROM entries WHERE c IS NOT NULL UNION SELECT c FROM lines WHERE c IS NOT NULL
$$;

-- The clusters that the books have come to be in since the close of a day began.
CREATE FUNCTION holdfast.later_clusters(d holdfast.business_day) RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(array_agg(c), '{}') FROM clusters() c
    WHERE c <> d.cluster AND c <> ALL (d.earlier_clusters)
$$;

-- The smallest sequence of what was committed later: never looked for in the whole table.
CREATE FUNCTION holdfast.unseen_sequence(d holdfast.business_day) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT least((SELECT min(t.sequence) FROM transfer t
            WHERE t.cluster = d.cluster AND t.xact >= pg_snapshot_xmin(d.seen)),
        (SELECT min(t.sequence) FROM transfer t WHERE t.cluster = ANY (later_clusters(d))))
$$;

-- No entry that belongs to no day up to this one has a smaller sequence: lets what moved since be found
-- without reading what came before. What the next close saw is known from its beginning.
CREATE FUNCTION holdfast.first_open_sequence(last holdfast.business_day) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT CASE WHEN last.day IS NULL THEN 0 ELSE coalesce(
        (SELECT least(n.first_sequence, unseen_sequence(n)) FROM business_day n
            WHERE n.day > last.day ORDER BY n.day LIMIT 1),
        least(last.next_sequence, unseen_sequence(last))) END
$$;

-- Begins the close of the next day that is over, or goes on with one that was begun; no row when no day
-- is due. A day begins where the one before it ended, whatever became of zone and cut-off since.
CREATE FUNCTION holdfast.begin_close(run uuid, clock_offset interval, with_version text)
RETURNS TABLE (day date)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    last business_day;
    next business_day;
    zone_ text := policy_value('business_zone');
    cutoff interval := policy_value('business_cutoff')::interval;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    now_ := clock();
    -- Two runs that begin at once: the second waits here, and finds the day of the first.
    PERFORM pg_advisory_xact_lock(hashtextextended('holdfast.close', 0));
    SELECT * INTO next FROM business_day WHERE state = 'closing';
    IF NOT FOUND THEN
        SELECT * INTO last FROM business_day d ORDER BY d.day DESC LIMIT 1;
        IF FOUND THEN
            next.day := last.day + 1; next.starts_at := last.ends_at;
        ELSE
            next.day := (least(now_ - interval '1 day', (SELECT min(t.created_at) FROM transfer t),
                (SELECT min(j.created_at) FROM job j)) AT TIME ZONE zone_ - cutoff)::date;
            next.starts_at := (next.day + cutoff) AT TIME ZONE zone_;
        END IF;
        next.ends_at := (next.day + 1 + cutoff) AT TIME ZONE zone_;
        -- A cut-off that was moved back may leave a day without length; it joins the one after it.
        WHILE next.ends_at <= next.starts_at LOOP
            next.day := next.day + 1;
            next.ends_at := (next.day + 1 + cutoff) AT TIME ZONE zone_;
        END LOOP;
        IF next.ends_at + interval '5 minutes' > now_ THEN
            RETURN;
        END IF;
        INSERT INTO business_day (day, zone, starts_at, ends_at, state, seen, cluster,
            earlier_clusters, formula, first_sequence, next_sequence, version)
        SELECT next.day, zone_, next.starts_at, next.ends_at, 'closing', pg_current_snapshot(),
            this_cluster(), coalesce((SELECT array_agg(c ORDER BY c) FROM clusters() c
                WHERE c <> this_cluster()), '{}'), digest_formula(),
            first_open_sequence(last), coalesce((SELECT min(t.sequence) FROM transfer t
                WHERE t.created_at >= next.ends_at), 9223372036854775807), with_version;
    END IF;
    RETURN QUERY SELECT next.day;
END $$;

-- Microseconds since 1970, exactly: a double holds them to a fraction of one until the year 2100.
CREATE FUNCTION holdfast.micros(at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT round(date_part('epoch', at) * 1000000)::bigint $$;

-- A page of a day's entries, each with the line that it is in the digest, the same for ever. Late ones
-- are those that an earlier day would have had, if they had been committed when it was closed.
CREATE FUNCTION holdfast.entries_of(
    d holdfast.business_day, are_late boolean, after_at timestamptz, after_id bigint, most integer)
RETURNS TABLE (at timestamptz, id bigint, line text, kind text, job_id text, amount bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    before business_day;
    -- Where the books have come to be since the day before was closed.
    moved_to bigint[];
BEGIN
    SELECT * INTO before FROM business_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1;
    moved_to := CASE WHEN before.cluster <> d.cluster THEN later_clusters(before) ELSE '{}' END;
    RETURN QUERY
    SELECT t.created_at, t.sequence, concat_ws(E'\t', t.transfer_id, t.kind, t.account_id,
            coalesce(t.job_id, ''), t.debit, t.credit, t.amount,
            micros(t.created_at)), t.kind, t.job_id, t.amount
    FROM transfer t
    WHERE (t.created_at, t.sequence) > (after_at, after_id) AND CASE WHEN are_late
        THEN (t.cluster = before.cluster AND t.xact >= pg_snapshot_xmin(before.seen)
                AND NOT pg_visible_in_snapshot(t.xact, before.seen))
            OR t.cluster = ANY (moved_to)
        ELSE true END
        AND t.created_at >= CASE WHEN are_late OR before.day IS NULL THEN '-infinity'
            ELSE d.starts_at END
        AND t.created_at < CASE WHEN are_late THEN d.starts_at ELSE d.ends_at END
        AND had_seen(d, t.cluster, t.xact)
        AND NOT (are_late AND before.day IS NULL)
    ORDER BY t.created_at, t.sequence LIMIT most;
END $$;

-- A page of the usage lines that came to be known on a day.
CREATE FUNCTION holdfast.usage_of(
    d holdfast.business_day, after_at timestamptz, after_id bigint, most integer)
RETURNS TABLE (at timestamptz, id bigint, line text, provider text, source text, task_id text,
    job_id text, unit text, booked numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    before business_day;
BEGIN
    SELECT * INTO before FROM business_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1;
    RETURN QUERY
    SELECT l.recorded_at, l.usage_id, concat_ws(E'\t', l.provider, l.line_key, l.source,
            coalesce(l.task_id, ''), l.unit, l.amount, l.booked,
            micros(l.recorded_at)), l.provider, l.source,
        l.task_id, l.job_id, l.unit, l.booked
    FROM usage_line l
    WHERE (l.recorded_at, l.usage_id) > (after_at, after_id)
        -- What was written down long before it was committed is a matter of hours, not of days.
        AND l.recorded_at >= CASE WHEN before.day IS NULL THEN '-infinity'
            ELSE d.starts_at - interval '1 day' END
        AND l.recorded_at < d.ends_at AND had_seen(d, l.cluster, l.xact)
        AND (before.day IS NULL OR l.recorded_at >= before.ends_at
            OR NOT had_seen(before, l.cluster, l.xact))
    ORDER BY l.recorded_at, l.usage_id LIMIT most;
END $$;

-- Counts one page of the day that is being closed. Returns whether there is more to count. Killed
-- anywhere, it goes on from the last page; two runs take turns.
CREATE FUNCTION holdfast.count_page(run uuid, clock_offset interval, wanted date)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    most constant integer := close_page();
    d business_day;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    SELECT * INTO d FROM business_day b WHERE b.day = wanted FOR NO KEY UPDATE;
    IF d.state = 'sealed' OR d.phase = 'counted' THEN
        RETURN false;
    END IF;
    CASE d.phase
    WHEN 'late', 'entries' THEN PERFORM count_entries(d, most);
    WHEN 'usage' THEN PERFORM count_usage(d, most);
    WHEN 'accounts' THEN PERFORM count_accounts(d, most / 2);
    ELSE PERFORM count_figures(d, most);
    END CASE;
    RETURN true;
END $$;

CREATE FUNCTION holdfast.count_entries(d holdfast.business_day, most integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    counted record;
BEGIN
    WITH page AS MATERIALIZED (
        SELECT e.* FROM entries_of(d, d.phase = 'late', d.after_at, d.after_id, most) e
    ), earned AS (
        INSERT INTO model_day AS m (day, provider, model, kind, earned)
        SELECT d.day, j.provider, j.model, j.kind, sum(CASE p.kind WHEN 'refund' THEN -p.amount
            ELSE p.amount END)::bigint
        FROM page p JOIN job j ON j.job_id = p.job_id
        WHERE p.kind IN ('capture', 'charge', 'refund') GROUP BY j.provider, j.model, j.kind
        ON CONFLICT (day, provider, model, kind) DO UPDATE SET earned = m.earned + excluded.earned
    )
    SELECT count(*) AS entries, string_agg(p.line, E'\n' ORDER BY p.at, p.id) AS lines,
        max(p.at) AS at, (SELECT l.id FROM page l ORDER BY l.at DESC, l.id DESC LIMIT 1) AS id
    INTO counted FROM page p;
    UPDATE business_day b SET entries = d.entries + counted.entries,
        running_digest = digest_on(d.running_digest, counted.lines),
        after_at = coalesce(counted.at, '-infinity'), after_id = coalesce(counted.id, 0),
        phase = CASE WHEN counted.entries > 0 THEN d.phase WHEN d.phase = 'late' THEN 'entries'
            ELSE 'usage' END
    WHERE b.day = d.day;
END $$;

CREATE FUNCTION holdfast.count_usage(d holdfast.business_day, most integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    counted record;
BEGIN
    WITH page AS MATERIALIZED (
        SELECT l.* FROM usage_of(d, d.after_at, d.after_id, most) l
    ), booked AS (
        INSERT INTO usage_day AS u (day, provider, unit, model, kind, lines, amount, leaked)
        SELECT d.day, p.provider, p.unit, coalesce(j.model, ''), coalesce(j.kind, ''), count(*),
            sum(p.booked), coalesce(sum(p.booked) FILTER (WHERE j.job_id IS NULL OR (j.credits > 0
                AND j.captured + j.charged - j.refunded <= 0
                AND j.state IN ('delivered', 'failed', 'abandoned', 'dismissed'))), 0)
        -- A verdict's line names the job that its task is of; a bill's may name anything.
        FROM page p LEFT JOIN LATERAL (SELECT t.job_id FROM task t
                WHERE (p.source <> 'verdict' OR p.job_id IS NULL)
                    AND t.provider = p.provider AND t.task_id = p.task_id LIMIT 1) t ON true
            LEFT JOIN job j ON j.job_id = coalesce(t.job_id, p.job_id)
        GROUP BY p.provider, p.unit, coalesce(j.model, ''), coalesce(j.kind, '')
        ON CONFLICT (day, provider, unit, model, kind) DO UPDATE SET
            lines = u.lines + excluded.lines, amount = u.amount + excluded.amount,
            leaked = u.leaked + excluded.leaked
    )
    SELECT count(*) AS entries, string_agg(p.line, E'\n' ORDER BY p.at, p.id) AS lines,
        max(p.at) AS at, (SELECT l.id FROM page l ORDER BY l.at DESC, l.id DESC LIMIT 1) AS id
    INTO counted FROM page p;
    UPDATE business_day b SET usage_lines = d.usage_lines + counted.entries,
        running_digest = digest_on(d.running_digest, counted.lines),
        after_at = coalesce(counted.at, '-infinity'), after_id = coalesce(counted.id, 0),
        phase = CASE WHEN counted.entries > 0 THEN d.phase ELSE 'accounts' END
    WHERE b.day = d.day;
END $$;

-- A page of accounts: what each began the day with, what moved, and what it ended with.
CREATE FUNCTION holdfast.count_accounts(d holdfast.business_day, most integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = holdfast, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_seqscan = off AS $$
DECLARE
    page text[];
    before business_day;
BEGIN
    SELECT array_agg(a.account_id) INTO page
    FROM (SELECT a.account_id FROM account a WHERE a.account_id > d.after_account
        ORDER BY a.account_id LIMIT most) a;
    IF page IS NULL THEN
        UPDATE business_day b SET phase = 'figures', after_account = '' WHERE b.day = d.day;
        RETURN;
    END IF;
    SELECT * INTO before FROM business_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1;
    INSERT INTO account_day (day, account_id, opening_available, opening_held, opening_spent,
        granted, held, captured, voided, charged, refunded, adjusted, closing_available,
        closing_held, closing_spent, entries)
    SELECT d.day, m.account_id, coalesce(o.available, 0), coalesce(o.held, 0), coalesce(o.spent, 0),
        m.granted, m.held, m.captured, m.voided, m.charged, m.refunded, m.adjusted,
        coalesce(o.available, 0) + m.granted + m.adjusted - m.held + m.voided - m.charged
            + m.refunded,
        coalesce(o.held, 0) + m.held - m.captured - m.voided,
        coalesce(o.spent, 0) + m.captured + m.charged - m.refunded, m.entries
    FROM (SELECT k.account_id,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'grant'), 0)::bigint AS granted,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'hold'), 0)::bigint AS held,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'capture'), 0)::bigint AS captured,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'void'), 0)::bigint AS voided,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'charge'), 0)::bigint AS charged,
            coalesce(sum(k.amount) FILTER (WHERE k.kind = 'refund'), 0)::bigint AS refunded,
            coalesce(sum(CASE k.credit WHEN 'available' THEN k.amount ELSE -k.amount END)
                FILTER (WHERE k.kind = 'adjustment'), 0)::bigint AS adjusted,
            sum(k.entries) AS entries
        FROM (SELECT t.account_id, t.kind, t.credit, sum(t.amount) AS amount, count(*) AS entries
            FROM transfer t
            WHERE t.account_id = ANY (page) AND t.sequence >= d.first_sequence
                AND t.created_at < d.ends_at AND had_seen(d, t.cluster, t.xact)
                AND (before.day IS NULL OR t.created_at >= before.ends_at
                    OR NOT had_seen(before, t.cluster, t.xact))
            GROUP BY t.account_id, t.kind, t.credit) k
        GROUP BY k.account_id) m
    LEFT JOIN LATERAL (SELECT c.closing_available AS available, c.closing_held AS held,
            c.closing_spent AS spent
        FROM account_day c WHERE c.account_id = m.account_id AND c.day < d.day
        ORDER BY c.day DESC LIMIT 1) o ON true;
    UPDATE business_day b SET after_account = page[cardinality(page)] WHERE b.day = d.day;
END $$;

-- What jobs came to on a day, by model; read before the seal, because it may take a while.
CREATE FUNCTION holdfast.day_jobs(wanted date) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = holdfast, pg_temp SET jit = off AS $$
    WITH d AS (SELECT * FROM business_day WHERE day = wanted
    ), opened AS (
        SELECT j.provider, j.model, j.kind, count(*) AS opened FROM d JOIN job j
            ON j.created_at >= d.starts_at AND j.created_at < d.ends_at
        GROUP BY 1, 2, 3
    ), ended AS MATERIALIZED (
        -- Counted by seconds first: what is left to be put in order is little.
        SELECT j.provider, j.model, j.kind, j.state, CASE WHEN j.state = 'delivered'
                THEN date_part('epoch', j.finished_at - j.created_at)::bigint END AS seconds,
            count(*) AS jobs
        FROM d JOIN job j ON j.finished_at >= d.starts_at AND j.finished_at < d.ends_at
        GROUP BY 1, 2, 3, 4, 5
    ), ranked AS (
        SELECT e.*, sum(e.jobs) OVER (PARTITION BY e.provider, e.model, e.kind, e.state) AS total,
            sum(e.jobs) OVER (PARTITION BY e.provider, e.model, e.kind, e.state
                ORDER BY e.seconds) AS up_to
        FROM ended e
    ), summed AS (
        SELECT r.provider, r.model, r.kind,
            coalesce(sum(r.jobs) FILTER (WHERE r.state = 'delivered'), 0) AS delivered,
            coalesce(sum(r.jobs) FILTER (WHERE r.state = 'failed'), 0) AS failed,
            coalesce(sum(r.jobs) FILTER (WHERE r.state IN ('abandoned', 'dismissed')), 0)
                AS abandoned,
            min(r.seconds) FILTER (WHERE r.up_to >= 0.5 * r.total) AS median,
            min(r.seconds) FILTER (WHERE r.up_to >= 0.95 * r.total) AS p95
        FROM ranked r GROUP BY r.provider, r.model, r.kind
    )
    SELECT coalesce(jsonb_agg(to_jsonb(m)), '[]') FROM (
        SELECT * FROM opened FULL JOIN summed USING (provider, model, kind)) m
$$;

-- Seals a day that is counted: its figures, its breaks, its digest. Money is counted at the rates in
-- force when the day began. Returns false when another run has sealed it meanwhile.
CREATE FUNCTION holdfast.seal_day(run uuid, clock_offset interval, wanted date, jobs jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    d business_day;
    before business_day;
    currency text := policy_value('currency');
    figures_ jsonb;
    digest_ text;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    now_ := clock();
    SELECT * INTO d FROM business_day b WHERE b.day = wanted FOR NO KEY UPDATE;
    IF d.state = 'sealed' THEN
        RETURN false;
    END IF;
    IF d.phase <> 'counted' THEN
        RAISE EXCEPTION 'the entries of % are not counted yet', wanted;
    END IF;
    SELECT * INTO before FROM business_day b WHERE b.day < wanted ORDER BY b.day DESC LIMIT 1;
    PERFORM value_day(d, jobs);
    INSERT INTO break_day (day, break_id, status, age_days, class, subject, job_id, account_id,
        provider, model, loses, credits, amount, unit, micros, detail, cause, fix, first_seen_at)
    SELECT d.day, b.break_id, CASE WHEN b.closed_at IS NOT NULL THEN b.closed_how
            WHEN b.first_seen_at > coalesce(before.closed_at, '-infinity') THEN 'opened'
            ELSE 'standing' END,
        greatest(0, extract(day FROM now_ - b.first_seen_at)::integer), b.class, b.subject,
        b.job_id, b.account_id, b.provider, b.model, b.loses, b.credits, b.amount, b.unit,
        money_micros(b.amount, b.provider, b.unit, d.starts_at), b.detail, b.cause, b.fix,
        b.first_seen_at
    FROM break b
    WHERE b.closed_at IS NULL OR b.closed_at > coalesce(before.closed_at, '-infinity')
    ON CONFLICT DO NOTHING;
    SELECT jsonb_build_object('currency', currency,
        'opening', coalesce(before.figures -> 'closing',
            jsonb_build_object('available', 0, 'held', 0, 'spent', 0)),
        'moves', jsonb_build_object('granted', m.granted, 'held', m.held, 'captured', m.captured,
            'voided', m.voided, 'charged', m.charged, 'refunded', m.refunded,
            'adjusted', m.adjusted),
        'closing', jsonb_build_object(
            'available', coalesce((before.figures #>> '{closing,available}')::numeric, 0)
                + m.granted + m.adjusted - m.held + m.voided - m.charged + m.refunded,
            'held', coalesce((before.figures #>> '{closing,held}')::numeric, 0)
                + m.held - m.captured - m.voided,
            'spent', coalesce((before.figures #>> '{closing,spent}')::numeric, 0)
                + m.captured + m.charged - m.refunded),
        'accounts_moved', m.accounts) || corrections_of(d)
    INTO figures_
    -- Of all accounts together, and so beyond what one may hold.
    FROM (SELECT coalesce(sum(a.granted), 0) AS granted, coalesce(sum(a.held), 0) AS held,
            coalesce(sum(a.captured), 0) AS captured, coalesce(sum(a.voided), 0) AS voided,
            coalesce(sum(a.charged), 0) AS charged, coalesce(sum(a.refunded), 0) AS refunded,
            coalesce(sum(a.adjusted), 0) AS adjusted, count(*) AS accounts
        FROM account_day a WHERE a.day = d.day) m;
    UPDATE business_day b SET figures = figures_, run_id = run, closed_at = now_,
        previous_digest = coalesce(before.digest, '')
    WHERE b.day = d.day;
    SELECT * INTO d FROM business_day b WHERE b.day = wanted;
    UPDATE business_day b SET digest = digest_of(d), state = 'sealed' WHERE b.day = d.day;
    RETURN true;
END $$;

-- Jobs, revenue and cost by model, at the rates in force when the day began.
CREATE FUNCTION holdfast.value_day(d holdfast.business_day, jobs jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    INSERT INTO model_day AS m (day, provider, model, kind, opened, delivered, failed, abandoned,
        median_seconds, p95_seconds)
    SELECT d.day, g.provider, g.model, g.kind, coalesce(g.opened, 0), coalesce(g.delivered, 0),
        coalesce(g.failed, 0), coalesce(g.abandoned, 0), g.median, g.p95
    FROM jsonb_to_recordset(jobs) AS g (provider text, model text, kind text, opened bigint,
        delivered bigint, failed bigint, abandoned bigint, median bigint, p95 bigint)
    ON CONFLICT (day, provider, model, kind) DO UPDATE SET opened = excluded.opened,
        delivered = excluded.delivered, failed = excluded.failed, abandoned = excluded.abandoned,
        median_seconds = excluded.median_seconds, p95_seconds = excluded.p95_seconds;
    INSERT INTO model_day (day, provider, model, kind)
    SELECT DISTINCT d.day, u.provider, u.model, u.kind FROM usage_day u WHERE u.day = d.day
    ON CONFLICT DO NOTHING;
    UPDATE usage_day u SET micros = money_micros(u.amount, u.provider, u.unit, d.starts_at),
        leaked_micros = money_micros(u.leaked, u.provider, u.unit, d.starts_at)
    WHERE u.day = d.day;
    UPDATE model_day m SET
        revenue_micros = (SELECT whole_micros(m.earned * r.amount * 1000000)
            FROM rate_at('credit_value', m.provider, m.kind, m.model, '', d.starts_at) r),
        cost_micros = c.micros, leaked_micros = c.leaked, unpriced_lines = coalesce(c.unpriced, 0)
    FROM model_day k LEFT JOIN LATERAL (
        SELECT whole_micros(sum(u.micros)) AS micros, whole_micros(sum(u.leaked_micros)) AS leaked,
            sum(u.lines) FILTER (WHERE u.micros IS NULL) AS unpriced
        FROM usage_day u WHERE u.day = k.day AND u.provider = k.provider AND u.model = k.model
            AND u.kind = k.kind) c ON true
    WHERE k.day = d.day AND m.day = k.day AND m.provider = k.provider AND m.model = k.model
        AND m.kind = k.kind;
END $$;

-- Sealed days of the last month whose reports have not been written and told yet, the oldest first.
CREATE FUNCTION holdfast.unreported_days(clock_offset interval) RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT d.day FROM business_day d
    WHERE d.state = 'sealed' AND d.closed_at > clock_timestamp() + clock_offset - interval '31 days'
        AND NOT EXISTS (SELECT FROM upkeep u WHERE u.name = 'reported ' || to_char(d.day, 'YYYY-MM-DD'))
    ORDER BY d.day
$$;

CREATE FUNCTION holdfast.mark_reported(run uuid, clock_offset interval, wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    INSERT INTO upkeep (name, done_at) VALUES ('reported ' || to_char(wanted, 'YYYY-MM-DD'), clock())
    ON CONFLICT DO NOTHING;
END $$;
