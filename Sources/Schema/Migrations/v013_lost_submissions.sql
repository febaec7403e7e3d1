-- Jobs whose create call was lost: their holds go at the end of their watch where the policy says so.

-- Whether any row of the policy lets holds of lost submissions go, so that nothing is looked for where
-- none does.
CREATE FUNCTION holdfast.may_void_submissions() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT EXISTS (SELECT FROM policy p
        WHERE p.key = 'on_submission_unknown' AND p.value = 'void')
$$;

-- When the watch of a job ends whose create call was lost: it has no task to be asked about, and
-- gets the deadline and the window that it would have had with one.
CREATE FUNCTION holdfast.submission_watch_end(j holdfast.job) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(j.watch_until, coalesce(j.submitting_at, j.created_at)
        + policy_interval('deadline', j.provider, j.kind, j.model)
        + policy_interval('watch_window', j.provider, j.kind, j.model))
$$;

-- Whether the provider's list of tasks has been read past the end of a job's watch, every list of it
-- where nobody knows in which one the task would be.
CREATE FUNCTION holdfast.list_covers(j holdfast.job) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT coalesce(bool_and(l.covered_until >= submission_watch_end(j)), false)
    FROM task_list l WHERE l.provider = j.provider
$$;

-- Jobs whose create call was lost and of which nobody has told anything by the end of their watch,
-- where the policy is `void`: `void`, or `look` where the provider can be asked by our own id and has
-- not been since. Left out, and so kept, is a job whose provider has a list that has not been read
-- that far, can be asked and is not on here, or has called back and nobody has read it yet.
CREATE FUNCTION holdfast.unknown_submissions(
    listing text[], looking_up text[], askable text[], most integer, jobs text[],
    providers text[], now_ timestamptz)
RETURNS TABLE (job_id text, next text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT d.job_id, d.next FROM (
        SELECT j.job_id, CASE
            WHEN j.provider = ANY (looking_up) AND NOT EXISTS (SELECT FROM observation o
                WHERE o.job_id = j.job_id AND o.source = 'lookup' AND o.error_class = 'final'
                    AND o.observed_at >= submission_watch_end(j))
                THEN CASE WHEN j.provider = ANY (askable) THEN 'look' END
            WHEN j.provider = ANY (listing) AND NOT list_covers(j) THEN NULL
            ELSE 'void' END AS next
        FROM job j
        WHERE may_void_submissions() AND j.blocked = 'submission_unknown'
            AND (cardinality(jobs) = 0 OR j.job_id = ANY (jobs))
            AND (cardinality(providers) = 0 OR j.provider = ANY (providers))
            AND policy_value('on_submission_unknown', j.provider, j.kind, j.model) = 'void'
            AND submission_watch_end(j) <= now_
            AND NOT EXISTS (SELECT FROM task t WHERE t.job_id = j.job_id)
            AND rewind_state(j.job_id, now_) IS NULL
            AND NOT EXISTS (SELECT FROM callback c
                WHERE c.drained_at IS NULL AND c.provider = j.provider)) d
    WHERE d.next IS NOT NULL
    ORDER BY d.job_id LIMIT most
$$;

-- Does what unknown_submissions says, each job by itself, so that one that fails stops no other. A
-- job that is to be looked up is the sweeper's again; the others are abandoned under the brakes,
-- and what may come of them later is waived. Rows that somebody else holds are left for later.
CREATE FUNCTION holdfast.void_submissions(
    run uuid, command text, clock_offset interval, listing text[], looking_up text[],
    askable text[], most integer, jobs text[], providers text[])
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
    one record;
    done record;
    m move;
BEGIN
    PERFORM act_as(void_submissions.command, run, clock_offset);
    now_ := clock();
    FOR one IN SELECT j.job_id, u.next, j.state
        FROM unknown_submissions(listing, looking_up, askable, most, jobs, providers,
            now_) u
        JOIN job j ON j.job_id = u.job_id
        WHERE j.blocked = 'submission_unknown'
        ORDER BY j.job_id FOR NO KEY UPDATE OF j SKIP LOCKED
    LOOP
        BEGIN
            IF one.next = 'look' THEN
                UPDATE job j SET blocked = NULL, blocked_reason = NULL, blocked_cause = NULL,
                    claims = 0, refusals = 0, silences = 0, next_poll_at = now_
                WHERE j.job_id = one.job_id;
                RETURN QUERY SELECT one.job_id, 'looked_up', NULL::text, NULL::bigint, NULL::text;
                CONTINUE;
            END IF;
            UPDATE job j SET waives_late = true WHERE j.job_id = one.job_id;
            m := NULL;
            m.job_id := one.job_id; m.wait := '0';
            m.error_message := 'the task id was never told by the end of the watch window, and on_submission_unknown is void';
            IF one.state <> 'timed_out' THEN
                m.new_state := 'timed_out';
                PERFORM move_one(m);
            END IF;
            m.new_state := 'abandoned'; m.wait := NULL;
            FOR done IN SELECT a.* FROM apply_moves(ARRAY[m], true) a LOOP
                -- Half of it must not stay: the job would be watched anew.
                IF done.outcome NOT IN ('go', 'braked') THEN
                    RAISE EXCEPTION 'not now: %', done.outcome USING ERRCODE = 'HF020';
                END IF;
                RETURN QUERY SELECT done.job_id, done.outcome, done.action, done.amount, done.detail;
            END LOOP;
        EXCEPTION WHEN SQLSTATE 'HF020' THEN
            NULL;
        WHEN OTHERS THEN
            RETURN QUERY SELECT one.job_id, 'failed', NULL::text, NULL::bigint, SQLERRM;
        END;
    END LOOP;
END $$;

-- Commits one more try at the application's trigger, before it is made. False when the application
-- was heard of since the claim, or the lease is gone.
CREATE FUNCTION holdfast.count_retrigger(
    run uuid, wanted text, with_token bigint, seen_revision integer, clock_offset interval)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    try integer;
BEGIN
    PERFORM act_as('stuck-sweeper', run, clock_offset);
    IF rewind_state(wanted, clock()) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    UPDATE job SET retriggers = retriggers + 1, retriggered_at = clock()
    WHERE job_id = wanted AND lease_token = with_token AND lease_owner = run
        AND revision = seen_revision AND state = 'created'
    RETURNING retriggers INTO try;
    RETURN try;
END $$;
