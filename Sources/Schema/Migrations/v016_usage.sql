-- What providers say they did and charged, and what is left on our accounts there.

-- One file of usage lines that somebody imported.
CREATE TABLE holdfast.usage_import (
    import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text COLLATE "C" NOT NULL,
    file_name text COLLATE "C" NOT NULL,
    file_sha256 text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    imported_at timestamptz NOT NULL,
    lines bigint NOT NULL,
    new_lines bigint NOT NULL,
    bad_lines bigint NOT NULL,
    -- What the provider's bill covers: from its first line to its last.
    first_at timestamptz,
    last_at timestamptz
);

-- What a provider says it did and charged, line by line; never changed once written. What a verdict
-- or a list says is believed until a bill says otherwise.
CREATE TABLE holdfast.usage_line (
    usage_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text COLLATE "C" NOT NULL,
    -- The provider's own name for the line, or one derived from what it says: a repetition meets it.
    line_key text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL CHECK (source IN ('verdict', 'list', 'billing', 'import')),
    import_id bigint REFERENCES holdfast.usage_import,
    task_id text COLLATE "C",
    -- Our own id, where the provider repeats it.
    job_id text COLLATE "C",
    model text COLLATE "C",
    status text COLLATE "C" CHECK (status IN ('succeeded', 'failed', 'cancelled', 'running')),
    amount numeric NOT NULL CHECK (abs(amount) < 1e15),
    unit text COLLATE "C" NOT NULL CHECK (unit <> ''),
    -- By how much the line changes what its task costs us: a bill takes the place of a verdict.
    booked numeric NOT NULL CHECK (abs(booked) < 1e15),
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    cluster bigint NOT NULL DEFAULT holdfast.this_cluster(),
    UNIQUE (provider, line_key)
);
CREATE INDEX usage_line_task ON holdfast.usage_line (provider, task_id) WHERE task_id IS NOT NULL;
CREATE INDEX usage_line_cluster ON holdfast.usage_line (cluster);
CREATE INDEX usage_line_recorded ON holdfast.usage_line (recorded_at, usage_id);
CREATE INDEX usage_line_happened ON holdfast.usage_line (provider, happened_at, usage_id);

-- What is left on an account at a provider, as it said or as somebody read it there.
CREATE TABLE holdfast.provider_balance (
    provider text COLLATE "C" NOT NULL,
    taken_at timestamptz NOT NULL,
    amount numeric NOT NULL CHECK (abs(amount) < 1e15),
    unit text COLLATE "C" NOT NULL CHECK (unit <> ''),
    source text COLLATE "C" NOT NULL CHECK (source IN ('provider', 'person')),
    actor text COLLATE "C" NOT NULL,
    -- Jobs that were under way there: what they cost may have been taken off already, or not yet.
    jobs_under_way text[] COLLATE "C" NOT NULL DEFAULT '{}',
    PRIMARY KEY (provider, unit, taken_at)
);

-- Money that was paid in at a provider, which explains why a balance rose.
CREATE TABLE holdfast.provider_top_up (
    provider text COLLATE "C" NOT NULL,
    reference text COLLATE "C" NOT NULL CHECK (reference <> ''),
    amount numeric NOT NULL CHECK (amount > 0 AND amount < 1e15),
    unit text COLLATE "C" NOT NULL CHECK (unit <> ''),
    happened_at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    PRIMARY KEY (provider, reference)
);

CREATE TRIGGER usage_line_is_immutable BEFORE UPDATE OR DELETE ON holdfast.usage_line
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER usage_line_is_never_emptied BEFORE TRUNCATE ON holdfast.usage_line
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();

-- Lines that came again under the same name with other content. What was kept first stays.
CREATE TABLE holdfast.usage_conflict (
    provider text COLLATE "C" NOT NULL,
    line_key text COLLATE "C" NOT NULL,
    import_id bigint REFERENCES holdfast.usage_import,
    seen_at timestamptz NOT NULL,
    kept jsonb NOT NULL,
    offered jsonb NOT NULL
);
-- The same disagreement is told once, however often the file is imported.
CREATE UNIQUE INDEX usage_conflict_once
    ON holdfast.usage_conflict (provider, line_key, md5(offered::text));

-- Which columns of a provider's file mean what, under a name.
CREATE TABLE holdfast.usage_profile (
    profile text COLLATE "C" PRIMARY KEY CHECK (profile <> '' AND length(profile) <= 100),
    options jsonb NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text COLLATE "C" NOT NULL DEFAULT session_user
);

-- How far a provider's own billing has been read.
CREATE TABLE holdfast.usage_fetch (
    provider text COLLATE "C" PRIMARY KEY,
    covered_until timestamptz,
    fetched_at timestamptz NOT NULL,
    problem text COLLATE "C"
);

-- A cost as a provider wrote it; null when it is no plain decimal, or more than one task can cost. The
-- limit is the one that an import has for a line.
CREATE FUNCTION holdfast.usage_amount(said text) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN said ~ '^[0-9]{1,10}([.][0-9]{1,20})?$' AND said::numeric <= 1000000000
        THEN said::numeric END
$$;

-- Under this lock of one provider a line is booked: shared by verdicts and lists, whose tasks are
-- locked as rows, and alone by whoever brings a bill, which may name tasks that have no row yet. A
-- bill waits for no row, so that nobody waits for it crosswise.
CREATE FUNCTION holdfast.usage_lock(provider text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('holdfast.usage ' || provider, 0)
$$;

-- Books what a task is said to cost, when a verdict or a list says it for the first time or says
-- something else than before. Once there is a bill for the task, it is written down and books
-- nothing. A unit that was said before and is not said now is taken back.
CREATE FUNCTION holdfast.book_said_cost(
    for_provider text, for_task text, for_job text, said text, in_unit text, task_status text,
    ended_at timestamptz, saying_source text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    cost numeric := usage_amount(said);
    now_ timestamptz := clock();
    said_lines bigint;
    is_billed boolean;
    last_said usage_line;
BEGIN
    IF cost IS NULL OR coalesce(in_unit, '') = '' OR length(in_unit) > 40 THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(usage_lock(for_provider));
    SELECT count(*) FILTER (WHERE l.source IN ('verdict', 'list')),
        coalesce(bool_or(l.source IN ('billing', 'import')), false)
    INTO said_lines, is_billed
    FROM usage_line l WHERE l.provider = for_provider AND l.task_id = for_task;
    IF said_lines > 0 THEN
        SELECT l.* INTO last_said FROM usage_line l
        WHERE l.provider = for_provider AND l.task_id = for_task
            AND l.source IN ('verdict', 'list')
        ORDER BY l.usage_id DESC LIMIT 1;
        IF (last_said.amount, last_said.unit) = (cost, in_unit) THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO usage_line (provider, line_key, source, task_id, job_id, model, status, amount, unit,
        booked, happened_at, recorded_at)
    SELECT for_provider,
        -- The number stands in front, because a task id may end in anything.
        CASE WHEN said_lines + line.place = 1 THEN 'task:'
            ELSE format('task/%s:', said_lines + line.place) END || for_task,
        saying_source, for_task, for_job,
        (SELECT j.model FROM job j WHERE j.job_id = for_job), task_status, line.amount, line.unit,
        line.booked, coalesce(ended_at, now_), now_
    FROM (
        -- What is said now comes last, where the next saying looks for it.
        SELECT row_number() OVER (ORDER BY l.is_said, l.unit) AS place, l.*
        FROM (
            SELECT false AS is_said, b.unit, 0::numeric AS amount, -sum(b.booked) AS booked
            FROM usage_line b
            WHERE b.provider = for_provider AND b.task_id = for_task AND NOT is_billed
                AND b.unit <> in_unit
            GROUP BY b.unit HAVING sum(b.booked) <> 0
            UNION ALL
            SELECT true, in_unit, cost, CASE WHEN is_billed THEN 0 ELSE cost - coalesce((
                SELECT sum(b.booked) FROM usage_line b WHERE b.provider = for_provider
                    AND b.task_id = for_task AND b.unit = in_unit), 0) END
        ) l
    ) line
    ORDER BY line.place
    ON CONFLICT (provider, line_key) DO NOTHING;
END $$;

CREATE FUNCTION holdfast.note_task_cost() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM book_said_cost(NEW.provider, NEW.task_id, NEW.job_id, NEW.cost_amount, NEW.cost_unit,
        CASE WHEN NEW.finished_at IS NULL THEN NULL WHEN NEW.state = 'expired' THEN 'failed'
            ELSE nullif(NEW.state, 'pending') END,
        NEW.finished_at,
        coalesce(nullif(current_setting('holdfast.usage_source', true), ''), 'verdict'));
    RETURN NULL;
END $$;

CREATE FUNCTION holdfast.note_stray_cost() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM book_said_cost(NEW.provider, NEW.task_id, NULL, NEW.cost_amount, NEW.cost_unit,
        CASE NEW.state WHEN 'expired' THEN 'failed' WHEN 'pending' THEN 'running'
            ELSE nullif(NEW.state, 'unknown') END,
        NULL, 'list');
    RETURN NULL;
END $$;

-- The conditions stand outside of the functions, so that a move without a new cost calls nothing.
CREATE TRIGGER task_told_cost AFTER INSERT ON holdfast.task
    FOR EACH ROW WHEN (NEW.cost_amount IS NOT NULL) EXECUTE FUNCTION holdfast.note_task_cost();
CREATE TRIGGER task_tells_cost AFTER UPDATE ON holdfast.task
    FOR EACH ROW WHEN (NEW.cost_amount IS NOT NULL
        AND (OLD.cost_amount IS DISTINCT FROM NEW.cost_amount
            OR OLD.cost_unit IS DISTINCT FROM NEW.cost_unit))
    EXECUTE FUNCTION holdfast.note_task_cost();
CREATE TRIGGER stray_told_cost AFTER INSERT ON holdfast.stray_task
    FOR EACH ROW WHEN (NEW.cost_amount IS NOT NULL) EXECUTE FUNCTION holdfast.note_stray_cost();
CREATE TRIGGER stray_tells_cost AFTER UPDATE ON holdfast.stray_task
    FOR EACH ROW WHEN (NEW.cost_amount IS NOT NULL
        AND (OLD.cost_amount IS DISTINCT FROM NEW.cost_amount
            OR OLD.cost_unit IS DISTINCT FROM NEW.cost_unit))
    EXECUTE FUNCTION holdfast.note_stray_cost();

-- A line of a bill as it is offered; `ordinal` is its place in the batch.
CREATE TYPE holdfast.usage_offer AS (
    ordinal bigint,
    line_key text COLLATE "C",
    task_id text,
    job_id text,
    model text,
    status text,
    amount numeric,
    unit text,
    happened_us bigint
);

-- Takes in lines of a bill, once each. What is booked makes the sum of a task what the bill says, once
-- there is a bill for it: the first line of the task takes back what verdicts had booked. A line
-- that is there already with other content is kept as a conflict.
--
-- A line without a task that names one of our jobs is about the job's task, where there is one only.
CREATE FUNCTION holdfast.record_usage(
    run uuid, person text, for_provider text, from_source text, of_import bigint, lines jsonb,
    clock_offset interval)
RETURNS TABLE (new_lines bigint, known_lines bigint, new_conflicts bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp
-- Page after page the table grows by what a plan of the first page did not know of.
SET plan_cache_mode = force_custom_plan SET random_page_cost = 1.1 AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    given usage_offer[];
BEGIN
    PERFORM require(from_source IN ('billing', 'import'),
        format('record_usage: the source must be billing or import, not %L', from_source));
    PERFORM require(EXISTS (SELECT FROM provider p WHERE p.provider = for_provider),
        format('record_usage: unknown provider %L', for_provider));
    PERFORM act_as(person, run, clock_offset);
    now_ := clock();
    PERFORM pg_advisory_xact_lock(usage_lock(for_provider));
    SELECT array_agg(o) INTO given
    FROM jsonb_array_elements(lines) WITH ORDINALITY AS e (line, place)
    CROSS JOIN LATERAL jsonb_populate_record(NULL::usage_offer,
        -- A task id that no task can have is none.
        e.line || jsonb_build_object('ordinal', e.place, 'task_id',
            CASE WHEN is_task_id(e.line ->> 'task_id') THEN e.line ->> 'task_id' END)) o;

    WITH fresh AS MATERIALIZED (
        SELECT DISTINCT ON (g.line_key) g.ordinal, g.line_key, g.model, g.status, g.amount, g.unit,
            to_timestamp(g.happened_us / 1000000.0) AS happened_at, g.job_id,
            coalesce(g.task_id, (SELECT min(t.task_id) FROM task t
                WHERE t.job_id = g.job_id AND t.provider = for_provider
                HAVING count(*) = 1)) AS task_id
        FROM unnest(given) g
        WHERE NOT EXISTS (SELECT FROM usage_line l
            WHERE l.provider = for_provider AND l.line_key = g.line_key)
        ORDER BY g.line_key, g.ordinal
    ), before AS MATERIALIZED (
        SELECT l.task_id, l.unit, sum(l.booked) AS booked,
            bool_or(bool_or(l.source IN ('billing', 'import'))) OVER (PARTITION BY l.task_id)
                AS is_billed
        FROM usage_line l
        WHERE l.provider = for_provider AND l.task_id IN (SELECT f.task_id FROM fresh f)
        GROUP BY l.task_id, l.unit
    ), written AS (
        INSERT INTO usage_line (provider, line_key, source, import_id, task_id, job_id, model,
            status, amount, unit, booked, happened_at, recorded_at)
        SELECT for_provider, w.line_key, from_source, of_import, w.task_id, w.job_id, w.model,
            w.status, w.amount, w.unit, w.booked, w.happened_at, now_
        FROM (
            SELECT f.ordinal, f.line_key, f.task_id, f.job_id, f.model, f.status, f.amount, f.unit,
                f.amount - CASE WHEN row_number() OVER (
                        PARTITION BY f.task_id, f.unit ORDER BY f.ordinal) = 1
                    THEN coalesce(b.booked, 0) ELSE 0 END AS booked,
                f.happened_at
            FROM fresh f
            LEFT JOIN before b ON b.task_id = f.task_id AND b.unit = f.unit AND NOT b.is_billed
            UNION ALL
            -- What was said in a unit that the bill does not use.
            SELECT 0, 'instead:' || json_build_array(b.task_id, b.unit), b.task_id, NULL, NULL,
                NULL, 0, b.unit, -b.booked, t.happened_at
            FROM before b
            JOIN (SELECT f.task_id, min(f.happened_at) AS happened_at FROM fresh f
                GROUP BY f.task_id) t ON t.task_id = b.task_id
            WHERE NOT b.is_billed AND b.booked <> 0 AND NOT EXISTS (SELECT FROM fresh f
                WHERE f.task_id = b.task_id AND f.unit = b.unit)
        ) w
        ORDER BY w.ordinal, w.line_key
        ON CONFLICT (provider, line_key) DO NOTHING
        RETURNING line_key
    )
    SELECT count(*) FILTER (WHERE line_key NOT LIKE 'instead:%') INTO new_lines FROM written;

    WITH differing AS (
        SELECT g.line_key, to_jsonb(g) - 'ordinal' AS offered,
            jsonb_build_object('line_key', l.line_key, 'task_id', l.task_id, 'job_id', l.job_id,
                'model', l.model, 'status', l.status, 'amount', l.amount, 'unit', l.unit,
                'happened_us', (extract(epoch FROM l.happened_at) * 1000000)::bigint) AS kept
        FROM unnest(given) g
        JOIN usage_line l ON l.provider = for_provider AND l.line_key = g.line_key
        WHERE (l.job_id, l.model, l.status, l.amount, l.unit, l.happened_at)
                IS DISTINCT FROM (g.job_id, g.model, g.status, g.amount, g.unit,
                    to_timestamp(g.happened_us / 1000000.0))
            -- A task that was found through its job was not offered.
            OR (g.task_id IS DISTINCT FROM l.task_id
                AND NOT (g.task_id IS NULL AND g.job_id IS NOT NULL))
    )
    INSERT INTO usage_conflict (provider, line_key, import_id, seen_at, kept, offered)
    SELECT for_provider, d.line_key, of_import, now_, d.kept, d.offered FROM differing d
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS new_conflicts = ROW_COUNT;
    SELECT count(DISTINCT g.line_key) - new_lines INTO known_lines FROM unnest(given) g;
    UPDATE usage_import i SET new_lines = i.new_lines + record_usage.new_lines
    WHERE i.import_id = of_import AND record_usage.new_lines > 0;
    RETURN NEXT;
END $$;

-- Begins the import of a file, or goes on with one that was cut short: the same file of the same
-- provider is one import.
CREATE FUNCTION holdfast.begin_usage_import(
    person text, for_provider text, file_name text, file_sha256 text, lines bigint, bad_lines bigint,
    first_us bigint, last_us bigint, clock_offset interval)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    result bigint;
BEGIN
    PERFORM act_as(person, NULL, clock_offset);
    PERFORM pg_advisory_xact_lock(usage_lock(for_provider));
    UPDATE usage_import i SET lines = begin_usage_import.lines,
        bad_lines = begin_usage_import.bad_lines,
        first_at = to_timestamp(first_us / 1000000.0), last_at = to_timestamp(last_us / 1000000.0)
    WHERE i.provider = for_provider AND i.file_sha256 = begin_usage_import.file_sha256
    RETURNING i.import_id INTO result;
    IF NOT FOUND THEN
        INSERT INTO usage_import (provider, file_name, file_sha256, actor, imported_at, lines,
            new_lines, bad_lines, first_at, last_at)
        VALUES (for_provider, begin_usage_import.file_name, begin_usage_import.file_sha256, person,
            clock(), begin_usage_import.lines, 0, begin_usage_import.bad_lines,
            to_timestamp(first_us / 1000000.0), to_timestamp(last_us / 1000000.0))
        RETURNING import_id INTO result;
    END IF;
    RETURN result;
END $$;

-- Notes how far a provider's billing was read, and why no further.
CREATE FUNCTION holdfast.note_usage_fetch(
    run uuid, for_provider text, covered_us bigint, with_problem text, clock_offset interval)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('usage', run, clock_offset);
    INSERT INTO usage_fetch AS f (provider, covered_until, fetched_at, problem)
    VALUES (for_provider, to_timestamp(covered_us / 1000000.0), clock(), left(with_problem, 500))
    ON CONFLICT (provider) DO UPDATE
    SET covered_until = greatest(f.covered_until, excluded.covered_until),
        fetched_at = excluded.fetched_at, problem = excluded.problem;
END $$;

-- Jobs that a provider may have been at work for at some time from `since` to `until`: the task was
-- not over before that, or has no name yet.
CREATE FUNCTION holdfast.jobs_under_way(
    for_provider text, since timestamptz, until timestamptz)
RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(o.job_id ORDER BY o.job_id), '{}') FROM (
        SELECT j.job_id FROM holdfast.job j
        WHERE j.provider = for_provider AND j.created_at <= until
            AND j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
        UNION SELECT j.job_id FROM holdfast.job j
        -- As the index of watched jobs has it; one that waits for a person has had its verdict.
        WHERE j.provider = for_provider AND j.created_at <= until AND j.watch_until IS NOT NULL
            AND j.state NOT IN ('created', 'submitted', 'running')
            AND j.blocked IS NULL AND j.pending_move IS NULL
        UNION SELECT j.job_id FROM holdfast.job j
        WHERE j.provider = for_provider AND j.created_at <= until AND j.finished_at >= since) o
    WHERE coalesce((SELECT bool_or(coalesce(t.finished_at, 'infinity') >= since)
        FROM holdfast.task t WHERE t.job_id = o.job_id), true)
$$;

-- What is left at a provider, as it said or as a person read it; now where no time is given. `margin`
-- is how far from that time the amount may have stood. False when there is an amount for this instant
-- already.
CREATE FUNCTION holdfast.record_provider_balance(
    person text, for_provider text, in_unit text, left_over numeric, taken_us bigint,
    from_source text, margin interval, clock_offset interval)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    taken timestamptz;
BEGIN
    PERFORM act_as(person, NULL, clock_offset);
    taken := coalesce(to_timestamp(taken_us / 1000000.0), clock());
    INSERT INTO provider_balance (provider, taken_at, amount, unit, source, actor, jobs_under_way)
    VALUES (for_provider, taken, left_over, in_unit, from_source, person,
        jobs_under_way(for_provider, taken - margin, taken + margin))
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Money that was paid in at a provider, once for each reference; false when it is in the books.
CREATE FUNCTION holdfast.record_top_up(
    person text, for_provider text, for_reference text, in_unit text, paid numeric, paid_us bigint,
    clock_offset interval)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    earlier provider_top_up;
BEGIN
    PERFORM act_as(person, NULL, clock_offset);
    INSERT INTO provider_top_up (provider, reference, amount, unit, happened_at, actor)
    VALUES (for_provider, for_reference, paid, in_unit,
        coalesce(to_timestamp(paid_us / 1000000.0), clock()), person)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN true;
    END IF;
    SELECT * INTO earlier FROM provider_top_up t
    WHERE t.provider = for_provider AND t.reference = for_reference;
    IF (earlier.amount, earlier.unit) <> (paid, in_unit)
        OR earlier.happened_at <> to_timestamp(paid_us / 1000000.0) THEN
        RAISE EXCEPTION 'reference % is already a top-up of % % at %', quote_literal(for_reference),
            earlier.amount, earlier.unit, for_provider USING ERRCODE = 'HF002';
    END IF;
    RETURN false;
END $$;
