-- A customer who asks to be forgotten: what is personal goes, and amounts, ids and seals stay.

-- Since when nothing personal is kept of a job.
ALTER TABLE holdfast.job ADD COLUMN forgotten_at timestamptz;
CREATE INDEX job_forgotten ON holdfast.job (account_id, job_id) WHERE forgotten_at IS NOT NULL;

-- Accounts whose ids look like e-mail addresses: few, and asked for by the doctor.
CREATE INDEX account_address ON holdfast.account (account_id) WHERE account_id LIKE '%_@_%._%';

-- The audit trail: one row each time that an account was forgotten, and what that came to.
CREATE TABLE holdfast.forgotten_account (
    account_id text COLLATE "C" NOT NULL REFERENCES holdfast.account,
    begun_at timestamptz NOT NULL,
    person text COLLATE "C" NOT NULL,
    finished_at timestamptz,
    jobs bigint NOT NULL DEFAULT 0,
    files bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    observations bigint NOT NULL DEFAULT 0,
    callbacks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, begun_at)
);
-- One at a time; what was begun and not finished is gone on with.
CREATE UNIQUE INDEX forgotten_account_open ON holdfast.forgotten_account (account_id)
    WHERE finished_at IS NULL;

-- Jobs that nobody may be forgotten over: open or set aside. At most `most`.
CREATE FUNCTION holdfast.unforgettable_jobs(account text, most integer)
RETURNS TABLE (job_id text, state text, blocked text, shown text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT j.job_id, j.state, j.blocked, shell_word(j.job_id) FROM job j
    WHERE j.account_id = account AND (j.blocked IS NOT NULL
        OR j.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out'))
    ORDER BY j.created_at, j.job_id LIMIT most
$$;

-- What is personal of an account and still here.
CREATE FUNCTION holdfast.count_personal(
    account text, OUT jobs bigint, OUT files bigint, OUT quarantined bigint, OUT observations bigint,
    OUT callbacks bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT (SELECT count(*) FROM job j WHERE j.account_id = account AND j.forgotten_at IS NULL),
        (SELECT count(*) FROM job j JOIN asset a USING (job_id)
            WHERE j.account_id = account AND a.object_key IS NOT NULL),
        (SELECT count(*) FROM job j JOIN quarantined q USING (job_id) WHERE j.account_id = account),
        (SELECT count(*) FROM job j JOIN observation o USING (job_id)
            WHERE j.account_id = account AND o.evidence IS NOT NULL),
        (SELECT count(*) FROM job j JOIN callback c USING (job_id)
            WHERE j.account_id = account AND c.body <> '')
$$;

-- Begins to forget an account, or goes on with it. Refused while a job of it is open.
CREATE FUNCTION holdfast.begin_forgetting(account text, person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as(person, NULL, '0');
    PERFORM 1 FROM account a WHERE a.account_id = begin_forgetting.account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no account %', coalesce(quote_literal(account), 'NULL')
            USING ERRCODE = 'HF005';
    END IF;
    IF EXISTS (SELECT FROM unforgettable_jobs(begin_forgetting.account, 1)) THEN
        RAISE EXCEPTION 'account % has open jobs', quote_literal(account) USING ERRCODE = 'HF003';
    END IF;
    INSERT INTO forgotten_account (account_id, begun_at, person)
    VALUES (begin_forgetting.account, clock(), begin_forgetting.person)
    ON CONFLICT DO NOTHING;
END $$;

-- Takes the content of callbacks away; that they came, and when, stays.
CREATE FUNCTION holdfast.blank_callbacks(wanted bigint[]) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    WITH blanked AS (
        UPDATE callback c SET headers = '{}', query = '', body = '', note = NULL, checks = NULL
        WHERE c.callback_id = ANY (wanted) AND (c.body <> '' OR c.query <> '' OR c.headers <> '{}')
        RETURNING 1)
    SELECT count(*) FROM blanked
$$;

-- Forgets what is personal of a page of an account's closed jobs, but for their objects in the stores:
-- requests, evidence, words of the provider and of the application, addresses, callbacks, what is known
-- of refused files. Stored files become `forgotten`, with their keys until the objects are gone. Returns
-- how many jobs there were.
CREATE FUNCTION holdfast.forget_jobs(account text, most integer, person text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    page text[];
    tasks text[];
    seen bigint;
    blanked bigint;
BEGIN
    PERFORM act_as(person, NULL, '0');
    page := ARRAY(SELECT j.job_id FROM job j
        WHERE j.account_id = forget_jobs.account AND j.forgotten_at IS NULL
            AND j.blocked IS NULL
            AND j.state IN ('delivered', 'failed', 'abandoned', 'dismissed')
        ORDER BY j.job_id LIMIT most FOR NO KEY UPDATE);
    IF cardinality(page) = 0 THEN
        RETURN 0;
    END IF;
    tasks := ARRAY(SELECT t.task_id FROM task t WHERE t.job_id = ANY (page));
    UPDATE observation o SET evidence = NULL, error_message = NULL, body_sha256 = NULL
    WHERE o.job_id = ANY (page) AND (o.evidence IS NOT NULL OR o.error_message IS NOT NULL);
    GET DIAGNOSTICS seen = ROW_COUNT;
    UPDATE task t SET error_message = NULL
    WHERE t.job_id = ANY (page) AND t.error_message IS NOT NULL;
    UPDATE job_event e SET detail = NULL WHERE e.job_id = ANY (page) AND e.detail IS NOT NULL;
    blanked := blank_callbacks(ARRAY(
        SELECT c.callback_id FROM callback c WHERE c.job_id = ANY (page)
        UNION SELECT c.callback_id FROM callback c
            WHERE c.result = 'unmatched' AND c.candidates && tasks));
    DELETE FROM refused_file r WHERE r.job_id = ANY (page);
    DELETE FROM untold u WHERE u.job_id = ANY (page);
    UPDATE refetch r SET source_url = NULL, error_message = NULL WHERE r.job_id = ANY (page);
    UPDATE asset a SET state = CASE a.state WHEN 'stored' THEN 'forgotten' ELSE a.state END,
        source_url = '', public_url = NULL, error_message = NULL, refused_as = NULL
    WHERE a.job_id = ANY (page);
    UPDATE job j SET forgotten_at = clock(), request = NULL, result_urls = '{}',
        error_message = NULL, last_step = NULL, watch_until = NULL
    WHERE j.job_id = ANY (page);
    UPDATE forgotten_account f SET jobs = f.jobs + cardinality(page),
        observations = f.observations + seen, callbacks = f.callbacks + blanked
    WHERE f.account_id = forget_jobs.account AND f.finished_at IS NULL;
    RETURN cardinality(page);
END $$;

-- A page of objects in the store that forgotten jobs of an account still have.
CREATE FUNCTION holdfast.forgotten_objects(account text, most integer)
RETURNS TABLE (job_id text, ordinal integer, object_key text, upload_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT a.job_id, a.ordinal, a.object_key, a.upload_id
    FROM job j JOIN asset a USING (job_id)
    WHERE j.account_id = account AND j.forgotten_at IS NOT NULL AND a.object_key IS NOT NULL
    UNION ALL
    SELECT r.job_id, r.ordinal, r.object_key, r.upload_id
    FROM job j JOIN refetch r USING (job_id)
    WHERE j.account_id = account AND j.forgotten_at IS NOT NULL AND r.object_key IS NOT NULL
    ORDER BY 1, 2 LIMIT most
$$;

-- An object is in the store no more.
CREATE FUNCTION holdfast.forgot_object(account text, wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE asset a SET object_key = NULL, upload_id = NULL, sha256 = NULL
    WHERE a.object_key = wanted AND EXISTS (SELECT FROM job j
        WHERE j.job_id = a.job_id AND j.account_id = account AND j.forgotten_at IS NOT NULL);
    UPDATE refetch r SET object_key = NULL, upload_id = NULL, sha256 = NULL
    WHERE r.object_key = wanted AND EXISTS (SELECT FROM job j
        WHERE j.job_id = r.job_id AND j.account_id = account AND j.forgotten_at IS NOT NULL);
    UPDATE forgotten_account f SET files = f.files + 1
    WHERE f.account_id = account AND f.finished_at IS NULL;
END $$;

-- A page of objects in the quarantine store that forgotten jobs of an account still have.
CREATE FUNCTION holdfast.forgotten_quarantined(account text, most integer) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT q.object_name FROM job j JOIN quarantined q USING (job_id)
    WHERE j.account_id = account AND j.forgotten_at IS NOT NULL ORDER BY 1 LIMIT most
$$;

CREATE FUNCTION holdfast.forgot_quarantined(account text, name text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    DELETE FROM quarantined q WHERE q.object_name = name AND EXISTS (SELECT FROM job j
        WHERE j.job_id = q.job_id AND j.account_id = account AND j.forgotten_at IS NOT NULL);
    UPDATE forgotten_account f SET quarantined = f.quarantined + 1
    WHERE f.account_id = account AND f.finished_at IS NULL;
$$;

-- Ends it. Nothing to forget leaves no row.
CREATE FUNCTION holdfast.finish_forgetting(account text)
RETURNS SETOF holdfast.forgotten_account
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    DELETE FROM forgotten_account f WHERE f.account_id = account AND f.finished_at IS NULL
        AND f.jobs + f.files + f.quarantined = 0;
    UPDATE forgotten_account f SET finished_at = clock()
    WHERE f.account_id = account AND f.finished_at IS NULL RETURNING f.*;
$$;
