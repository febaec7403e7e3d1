-- Jobs whose files had all come to an end while somebody else held the job or its account.

-- Tells jobs that have been left for more than five minutes: once, with their account.
CREATE FUNCTION holdfast.tell_left(page text[]) RETURNS TABLE (job_id text, account_id text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    UPDATE undelivered u SET reported_at = clock() FROM job j
    WHERE u.job_id = ANY (page) AND j.job_id = u.job_id AND u.reported_at IS NULL
        AND u.held_up_since <= clock() - interval '5 minutes'
    RETURNING u.job_id, j.account_id
$$;

-- Delivers a page of what was left. Whoever holds a job or its account is waited for nowhere. Each job
-- comes as 'looked_at' with its account, those that are still held as 'locked' too, and those that have
-- waited for more than five minutes come once as 'held_up' with their account.
CREATE FUNCTION holdfast.deliver_left(run uuid, clock_offset interval, after text, most integer)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    page text[];
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    page := ARRAY(SELECT u.job_id FROM undelivered u JOIN job j USING (job_id)
        WHERE j.blocked IS NULL AND u.job_id COLLATE "C" > after COLLATE "C"
        ORDER BY u.job_id COLLATE "C" LIMIT most FOR NO KEY UPDATE OF u SKIP LOCKED);
    RETURN QUERY SELECT j.job_id, 'looked_at', NULL::text, NULL::bigint, j.account_id
        FROM unnest(page) p JOIN job j ON j.job_id = p ORDER BY j.job_id COLLATE "C";
    RETURN QUERY SELECT d.* FROM deliver_jobs(page) d;
    RETURN QUERY SELECT t.job_id, 'held_up', NULL::text, NULL::bigint, t.account_id
        FROM tell_left(page) t;
END $$;

-- The same for one account that is hardly ever free: it is waited for, half a second and with nothing
-- held, so that the busiest customer gets its files too.
CREATE FUNCTION holdfast.deliver_left_of(run uuid, clock_offset interval, account text, most integer)
RETURNS TABLE (job_id text, outcome text, action text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
DECLARE
    page text[];
BEGIN
    PERFORM act_as('storage-mirrorer', run, clock_offset);
    BEGIN
        PERFORM 1 FROM account a WHERE a.account_id = deliver_left_of.account FOR NO KEY UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;
    page := ARRAY(SELECT u.job_id FROM undelivered u JOIN job j USING (job_id)
        WHERE j.blocked IS NULL AND j.account_id = deliver_left_of.account
        ORDER BY u.job_id COLLATE "C" LIMIT most FOR NO KEY UPDATE OF u SKIP LOCKED);
    RETURN QUERY SELECT p, 'looked_at', NULL::text, NULL::bigint, deliver_left_of.account
        FROM unnest(page) p;
    RETURN QUERY SELECT d.* FROM deliver_jobs(page, '30ms') d;
END $$;
