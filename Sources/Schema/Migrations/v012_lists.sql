-- Providers' lists of tasks, which find what nobody recorded.

-- Providers whose lists are due: something was bought there within the last week, and no walk is
-- planned for later.
CREATE FUNCTION holdfast.lists_due(clock_offset interval) RETURNS SETOF text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT DISTINCT o.provider FROM offer o
    WHERE o.last_used_at > clock_timestamp() + clock_offset - interval '7 days'
        AND NOT EXISTS (SELECT FROM task_list l WHERE l.provider = o.provider
            AND l.next_walk_at > clock_timestamp() + clock_offset)
$$;

-- Takes the lease of one list that is due, and says where its walk goes on and how far back it
-- goes. No row when the list is not due, or somebody else reads it.
CREATE FUNCTION holdfast.begin_walk(
    run uuid, for_provider text, for_endpoint text, clock_offset interval)
RETURNS TABLE (next_page text, back_to_us bigint, is_first boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    lease interval := policy_interval('lease');
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    -- Nothing that is older than our first job there can be ours.
    INSERT INTO task_list (provider, endpoint, covered_until, next_walk_at)
    SELECT for_provider, for_endpoint, min(o.first_used_at), now_
    FROM offer o WHERE o.provider = for_provider HAVING count(*) > 0
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    UPDATE task_list l SET lease_owner = run, lease_until = now_ + lease,
        walk_started_at = coalesce(l.walk_started_at, now_)
    FROM (SELECT f.provider, f.endpoint FROM task_list f
        WHERE f.provider = for_provider AND f.endpoint = for_endpoint AND f.next_walk_at <= now_
            AND lease_is_over(f.lease_until, now_, lease)
        FOR NO KEY UPDATE SKIP LOCKED) f
    WHERE l.provider = f.provider AND l.endpoint = f.endpoint
    RETURNING l.next_page,
        -- Their clock may be behind ours, and a list may lag: half an hour is read twice.
        (extract(epoch FROM l.covered_until - interval '30 minutes') * 1000000)::bigint,
        l.walks = 0;
END $$;

-- Takes in the tasks of one page. A known task only learns its cost, and its job is woken when the
-- list says that it has ended; a task that names a job of ours becomes a task of that job; any
-- other is kept as a stray. `job_id` has been checked: the provider's field for our own id, or our
-- own tagged callback address. Nothing here waits for a lock: what is locked comes again.
CREATE FUNCTION holdfast.record_listed(
    run uuid, for_provider text, for_endpoint text, clock_offset interval, listed jsonb)
RETURNS TABLE (task_id text, job_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one record;
    list task_list;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    SELECT * INTO list FROM task_list l
    WHERE l.provider = for_provider AND l.endpoint = for_endpoint AND l.lease_owner = run;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('holdfast.usage_source', 'list', true);
    UPDATE task t SET cost_amount = g.cost_amount, cost_unit = g.cost_unit
    FROM jsonb_to_recordset(listed) AS g (task_id text, cost_amount text, cost_unit text)
    WHERE t.provider = for_provider AND t.task_id = g.task_id AND t.cost_amount IS NULL
        AND g.cost_amount IS NOT NULL;
    FOR one IN
        SELECT g.*, t.job_id AS known_job, j.job_id AS named,
            to_timestamp(g.created_us / 1000000.0) AS created_at
        FROM jsonb_to_recordset(listed) AS g (task_id text, job_id text, state text,
            cost_amount text, cost_unit text, created_us bigint)
        LEFT JOIN task t ON t.provider = for_provider AND t.task_id = g.task_id
        LEFT JOIN job j ON j.job_id = g.job_id AND j.provider = for_provider
        WHERE (t.job_id IS NULL
                OR (t.finished_at IS NULL
                    AND g.state IN ('succeeded', 'failed', 'cancelled', 'expired')))
            AND is_task_id(g.task_id)
    LOOP
        IF one.known_job IS NULL AND one.named IS NULL THEN
            -- On the first walk a task without a date may be older than we are.
            CONTINUE WHEN coalesce(one.created_at < (SELECT min(o.first_used_at) FROM offer o
                WHERE o.provider = for_provider) - interval '1 second', list.walks = 0);
            INSERT INTO stray_task AS s (provider, task_id, endpoint, state, cost_amount, cost_unit,
                created_at, first_seen_at, last_seen_at, is_ours)
            VALUES (for_provider, one.task_id, for_endpoint, one.state, one.cost_amount,
                one.cost_unit, one.created_at, now_, now_, one.job_id IS NOT NULL)
            ON CONFLICT (provider, task_id) DO UPDATE SET state = excluded.state,
                cost_amount = coalesce(excluded.cost_amount, s.cost_amount),
                cost_unit = coalesce(excluded.cost_unit, s.cost_unit), last_seen_at = now_;
            CONTINUE;
        END IF;
        -- The application may be marking this very task right now.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(callback_lock(for_provider, one.task_id));
        PERFORM 1 FROM job j WHERE j.job_id = coalesce(one.known_job, one.named)
        FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        IF one.known_job IS NOT NULL THEN
            PERFORM wake_job(one.known_job, NULL);
            CONTINUE;
        END IF;
        PERFORM wake_job(one.named, one.task_id);
        UPDATE task t SET endpoint = coalesce(nullif(for_endpoint, ''), t.endpoint),
            cost_amount = one.cost_amount, cost_unit = one.cost_unit
        WHERE t.provider = for_provider AND t.task_id = one.task_id AND t.job_id = one.named;
        DELETE FROM stray_task s WHERE s.provider = for_provider AND s.task_id = one.task_id;
        RETURN QUERY SELECT one.task_id, one.named;
    END LOOP;
END $$;

-- Writes how far a walk came: on to `page`, or, without one, to its end. A walk that met a problem
-- goes on from the same page next time.
CREATE FUNCTION holdfast.record_walk(
    run uuid, for_provider text, for_endpoint text, clock_offset interval, page text,
    is_over boolean, with_problem text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    is_complete boolean := is_over AND with_problem IS NULL AND page IS NULL;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    UPDATE task_list l SET
        covered_until = CASE WHEN is_complete THEN l.walk_started_at ELSE l.covered_until END,
        walks = l.walks + CASE WHEN is_complete THEN 1 ELSE 0 END,
        walk_started_at = CASE WHEN is_complete THEN NULL ELSE l.walk_started_at END,
        next_page = page,
        last_walk_at = CASE WHEN is_complete THEN now_ ELSE l.last_walk_at END,
        problem = left(with_problem, 500),
        next_walk_at = CASE WHEN is_complete OR with_problem IS NOT NULL
            THEN now_ + policy_interval('list_every', for_provider) ELSE l.next_walk_at END,
        lease_owner = CASE WHEN is_over THEN NULL ELSE run END,
        lease_until = CASE WHEN is_over THEN NULL ELSE now_ + policy_interval('lease') END
    WHERE l.provider = for_provider AND l.endpoint = for_endpoint AND l.lease_owner = run;
    IF is_complete THEN
        PERFORM let_go_listed(for_provider);
    END IF;
END $$;

-- Strays that have been strays for long enough to be told, each told once.
CREATE FUNCTION holdfast.report_strays(run uuid, clock_offset interval)
RETURNS TABLE (provider text, task_id text, state text, cost text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('orphan-recoverer', run, clock_offset);
    now_ := clock();
    DELETE FROM stray_task s USING task t
    WHERE t.provider = s.provider AND t.task_id = s.task_id;
    RETURN QUERY
    UPDATE stray_task s SET reported_at = now_
    FROM (SELECT f.provider, f.task_id FROM stray_task f
        WHERE f.reported_at IS NULL AND f.first_seen_at <= now_ - interval '15 minutes'
            AND policy_value('strays', f.provider) IN ('report',
                CASE WHEN f.is_ours THEN 'ours' END)
        LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED) f
    WHERE s.provider = f.provider AND s.task_id = f.task_id
    RETURNING s.provider, s.task_id, s.state,
        CASE WHEN s.cost_amount IS NULL THEN NULL ELSE s.cost_amount || ' ' || s.cost_unit END;
END $$;
