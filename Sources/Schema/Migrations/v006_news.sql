-- What runs have to say: news that nobody has heard yet, and trouble that lasts.

-- What a run has committed and a person has to know, until a run has said it. A row belongs to the
-- run that made it, or that it was handed to; when that has said it, the row goes.
CREATE TABLE holdfast.untold (
    untold_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL,
    code text COLLATE "C" NOT NULL,
    job_id text COLLATE "C",
    message text COLLATE "C" NOT NULL,
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

-- Files that a task gave beyond what its job may have: a line in the job's story, and news.
CREATE FUNCTION holdfast.note_surplus(wanted text, surplus integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    words text := format('%s files more than policy max_outputs allows are not stored', surplus);
BEGIN
    INSERT INTO job_event (job_id, happened_at, actor, run_id, from_state, to_state, detail, deed)
    SELECT j.job_id, clock(),
        coalesce(nullif(current_setting('holdfast.actor', true), ''), session_user),
        nullif(current_setting('holdfast.run_id', true), '')::uuid, j.state, j.state, words, 'surplus'
    FROM job j WHERE j.job_id = wanted;
    PERFORM tell_later('surplus_outputs', wanted, words);
END $$;

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
    name text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
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
