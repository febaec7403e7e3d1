-- The application's contract: one statement each, in any language. Every function is idempotent.

CREATE FUNCTION holdfast.status_of(wanted text) RETURNS holdfast.job_status
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT s FROM job_status s WHERE s.job_id = wanted
$$;

-- Locks the job's row and returns it, or fails with HF005.
CREATE FUNCTION holdfast.lock_job(wanted text) RETURNS holdfast.job
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    j job;
BEGIN
    SELECT * INTO j FROM job WHERE job_id = wanted FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no job %', coalesce(quote_literal(wanted), 'NULL')
            USING ERRCODE = 'HF005';
    END IF;
    RETURN j;
END $$;

CREATE FUNCTION holdfast.require(condition boolean, complaint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF condition IS NOT TRUE THEN
        RAISE EXCEPTION '%', complaint USING ERRCODE = '22023';
    END IF;
END $$;

CREATE FUNCTION holdfast.usable_url(url text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(url ~* '^https?://[^/[:space:]?#]+' AND url !~ '[[:space:][:cntrl:]]', false)
$$;

-- Adds credits, once for each reference. `paid` and `currency` keep what was paid for them, digit for
-- digit; they go together, and a call that leaves them out changes nothing of them.
CREATE FUNCTION holdfast.grant_credits(
    account text, credits bigint, reference text, paid numeric DEFAULT NULL,
    currency text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    earlier transfer;
    result bigint;
BEGIN
    PERFORM require(account <> '' AND length(account) <= 200,
        'grant_credits: the account must be 1 to 200 characters');
    PERFORM require(credits > 0 AND credits <= 1000000000000000,
        'grant_credits: the credits must be 1 to 1000000000000000');
    PERFORM require(reference <> '' AND length(reference) <= 500,
        'grant_credits: the reference must be 1 to 500 characters');
    PERFORM require((grant_credits.paid IS NULL) = (grant_credits.currency IS NULL),
        'grant_credits: paid and currency go together');
    PERFORM require(grant_credits.paid IS NULL OR grant_credits.paid >= 0
            AND grant_credits.paid < 1000000000000 AND scale(grant_credits.paid) <= 6,
        'grant_credits: paid must be 0 or more, below 1000000000000, with at most 6 decimals');
    PERFORM require(coalesce(grant_credits.currency ~ '^[A-Z]{3}$', true),
        'grant_credits: the currency must be three capital letters, such as EUR');
    PERFORM act_as('application', NULL, '0');
    INSERT INTO account (account_id) VALUES (grant_credits.account) ON CONFLICT DO NOTHING;
    INSERT INTO transfer (transfer_id, kind, account_id, debit, credit, amount, reason, actor,
        created_at, paid, currency)
    VALUES ('grant:' || reference, 'grant', grant_credits.account, 'issued', 'available',
        grant_credits.credits, reference, 'application', clock(), grant_credits.paid,
        grant_credits.currency)
    ON CONFLICT (transfer_id) DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO earlier FROM transfer WHERE transfer_id = 'grant:' || reference;
        IF earlier.account_id <> grant_credits.account OR earlier.amount <> grant_credits.credits THEN
            RAISE EXCEPTION 'reference % has already granted % credits to account %',
                quote_literal(reference), earlier.amount, quote_literal(earlier.account_id)
                USING ERRCODE = 'HF002';
        END IF;
        IF (earlier.paid, earlier.currency) <> (grant_credits.paid, grant_credits.currency) THEN
            RAISE EXCEPTION 'reference % was paid with % % before', quote_literal(reference),
                earlier.paid, earlier.currency USING ERRCODE = 'HF002';
        END IF;
    END IF;
    SELECT available INTO result FROM account a WHERE a.account_id = grant_credits.account;
    RETURN result;
END $$;

-- Records a job and holds its credits in one step. The ids of accounts and jobs stay in the books for ever,
-- also when a customer is forgotten, and must therefore be no personal data: no names, no addresses.
CREATE FUNCTION holdfast.open_job(
    job_id text, account text, provider text, model text, kind text, credits bigint,
    request jsonb DEFAULT NULL, expected_outputs integer DEFAULT 1, endpoint text DEFAULT NULL)
RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    earlier job;
    purse bigint;
    taken text;
BEGIN
    PERFORM require(open_job.job_id <> '' AND length(open_job.job_id) <= 200,
        'open_job: the job id must be 1 to 200 characters');
    PERFORM require(open_job.account <> '' AND length(open_job.account) <= 200,
        'open_job: the account must be 1 to 200 characters');
    PERFORM require(open_job.model <> '' AND length(open_job.model) <= 200,
        'open_job: the model must be 1 to 200 characters');
    PERFORM require(coalesce(length(open_job.endpoint), 0) <= 200,
        'open_job: the endpoint must be at most 200 characters');
    PERFORM require(EXISTS (SELECT FROM provider p WHERE p.provider = open_job.provider),
        format('open_job: unknown provider %L; known are %s', open_job.provider,
            (SELECT string_agg(p.provider, ', ' ORDER BY p.provider) FROM provider p)));
    PERFORM require(open_job.kind IN ('image', 'video', 'audio', 'other'),
        format('open_job: unknown kind %L; known are image, video, audio, other', open_job.kind));
    PERFORM require(open_job.credits BETWEEN 0 AND 1000000000000000,
        'open_job: the credits must be 0 to 1000000000000000');
    PERFORM require(open_job.expected_outputs BETWEEN 1 AND 1000,
        'open_job: expected_outputs must be 1 to 1000');
    PERFORM act_as('application', NULL, '0');

    INSERT INTO account (account_id) SELECT open_job.account WHERE open_job.credits = 0
    ON CONFLICT DO NOTHING;
    SELECT available INTO purse FROM account a WHERE a.account_id = open_job.account FOR NO KEY UPDATE;

    -- The account's row is locked, so of two calls with one id the second sees the first's job.
    SELECT * INTO earlier FROM job j WHERE j.job_id = open_job.job_id;
    IF FOUND THEN
        IF earlier.state IN ('delivered', 'failed', 'abandoned', 'dismissed') THEN
            RAISE EXCEPTION 'job % is closed (%); a retry needs a new job id',
                quote_literal(open_job.job_id), earlier.state USING ERRCODE = 'HF003';
        END IF;
        IF (earlier.account_id, earlier.provider, earlier.model, earlier.kind, earlier.credits,
                earlier.expected_outputs) IS DISTINCT FROM
            (open_job.account, open_job.provider, open_job.model, open_job.kind, open_job.credits,
                open_job.expected_outputs) THEN
            RAISE EXCEPTION 'job % was opened before with other arguments',
                quote_literal(open_job.job_id) USING ERRCODE = 'HF002';
        END IF;
        RETURN status_of(open_job.job_id);
    END IF;

    IF coalesce(purse, 0) < open_job.credits THEN
        RAISE EXCEPTION 'account % has % credits available, job % needs %',
            quote_literal(open_job.account), coalesce(purse, 0), quote_literal(open_job.job_id),
            open_job.credits USING ERRCODE = 'HF001';
    END IF;

    BEGIN
        INSERT INTO job (job_id, account_id, provider, model, kind, endpoint, request,
            expected_outputs, credits, created_at, next_poll_at)
        VALUES (open_job.job_id, open_job.account, open_job.provider, open_job.model,
            open_job.kind, open_job.endpoint, open_job.request, open_job.expected_outputs,
            open_job.credits, clock(), clock() + policy_interval('unsubmitted_after',
                open_job.provider, open_job.kind, open_job.model));
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS taken = CONSTRAINT_NAME;
        IF taken <> 'job_pkey' THEN
            RAISE;
        END IF;
        -- A transaction that sees one state only cannot see what was opened since it began.
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'job % was opened by another transaction; begin this one again',
                quote_literal(open_job.job_id) USING ERRCODE = '40001';
        END IF;
        -- Another account's call with the same id was faster.
        RAISE EXCEPTION 'job % was opened before with other arguments',
            quote_literal(open_job.job_id) USING ERRCODE = 'HF002';
    END;
    INSERT INTO transfer (transfer_id, kind, account_id, job_id, debit, credit, amount, actor,
        created_at)
    SELECT 'hold:' || open_job.job_id, 'hold', open_job.account, open_job.job_id, 'available',
        'held', open_job.credits, 'application', clock()
    WHERE open_job.credits > 0;
    RETURN status_of(open_job.job_id);
END $$;

-- Says just before the create call whether the caller may make it: true for the first to ask, and for
-- nobody after that, whether or not anything came of it; false also once there is a task or an end.
CREATE FUNCTION holdfast.mark_submitting(job_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(mark_submitting.job_id);
BEGIN
    IF j.state <> 'created' OR j.submitting_at IS NOT NULL OR j.task_id IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM act_as('application', NULL, '0');
    UPDATE job SET submitting_at = clock(), revision = revision + 1,
        next_poll_at = clock() + policy_interval('unsubmitted_after', j.provider, j.kind, j.model)
    WHERE job.job_id = j.job_id;
    RETURN true;
END $$;

-- What the application asked for when it opened the job, as it is needed to start it again.
CREATE FUNCTION holdfast.job_request(job_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job;
BEGIN
    SELECT * INTO j FROM job WHERE job.job_id = job_request.job_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no job %', coalesce(quote_literal(job_request.job_id), 'NULL')
            USING ERRCODE = 'HF005';
    END IF;
    RETURN j.request;
END $$;

-- The lock under which a task id and the callbacks that name it meet, held to the end of the
-- transaction: whoever is second sees what the first has written.
CREATE FUNCTION holdfast.callback_lock(provider text, task_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('holdfast.callback ' || provider || ' ' || task_id, 0)
$$;

CREATE FUNCTION holdfast.mark_submitted(job_id text, task_id text, endpoint text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job;
    holder text;
    waiting boolean;
    is_new boolean;
    known_since timestamptz;
BEGIN
    PERFORM require(is_task_id(mark_submitted.task_id),
        'mark_submitted: the task id must be 1 to 500 bytes');
    PERFORM require(coalesce(length(mark_submitted.endpoint), 0) <= 200,
        'mark_submitted: the endpoint must be at most 200 characters');
    j := lock_job(mark_submitted.job_id);
    PERFORM act_as('application', NULL, '0');
    INSERT INTO task AS t (provider, task_id, job_id, endpoint, created_at)
    VALUES (j.provider, mark_submitted.task_id, j.job_id,
        coalesce(mark_submitted.endpoint, j.endpoint), clock())
    ON CONFLICT (provider, task_id) DO NOTHING;
    is_new := FOUND;
    IF NOT is_new THEN
        SELECT t.job_id, t.created_at INTO holder, known_since FROM task t
        WHERE t.provider = j.provider AND t.task_id = mark_submitted.task_id;
        IF holder <> j.job_id THEN
            RAISE EXCEPTION 'task % of % belongs to job %, not to job %',
                quote_literal(mark_submitted.task_id), j.provider, quote_literal(holder),
                quote_literal(j.job_id) USING ERRCODE = 'HF004';
        END IF;
    END IF;

    -- Callbacks that came before the task id was known are matched now. Whoever reads one at this
    -- moment has seen a task that was there for a while, and is not waited for.
    IF is_new OR known_since > clock() - interval '5 seconds' THEN
        PERFORM pg_advisory_xact_lock(callback_lock(j.provider, mark_submitted.task_id));
    END IF;
    UPDATE callback SET result = 'matched', job_id = j.job_id
    WHERE result = 'unmatched' AND provider = j.provider
        AND candidates = ARRAY[mark_submitted.task_id];
    -- A transaction that sees one state only does not see what was read since it began.
    waiting := FOUND OR is_new AND current_setting('transaction_isolation') <> 'read committed';

    IF j.state IN ('created', 'submitted', 'running', 'timed_out') THEN
        UPDATE job SET
            state = CASE state WHEN 'created' THEN 'submitted' ELSE state END,
            task_id = coalesce(job.task_id, mark_submitted.task_id),
            endpoint = coalesce(job.endpoint, mark_submitted.endpoint),
            submitted_at = coalesce(submitted_at, clock()),
            revision = revision + 1,
            blocked = nullif(blocked, 'submission_unknown'),
            blocked_reason = CASE WHEN blocked = 'submission_unknown' THEN NULL
                ELSE blocked_reason END,
            woken_at = CASE WHEN waiting THEN clock() ELSE woken_at END,
            next_poll_at = CASE WHEN waiting THEN clock()
                WHEN state = 'created' THEN clock()
                    + policy_interval('stuck_after', j.provider, j.kind, j.model)
                ELSE next_poll_at END
        WHERE job.job_id = j.job_id;
    ELSIF is_new AND (j.state = 'abandoned'
        OR (j.state = 'failed' AND j.error_code = 'never_submitted')) THEN
        -- It was sent after all: watch it, so that a late success is settled by policy.
        UPDATE job SET task_id = coalesce(job.task_id, mark_submitted.task_id),
            submitted_at = coalesce(submitted_at, clock()), revision = revision + 1,
            watch_until = clock() + policy_interval('watch_window', j.provider, j.kind, j.model),
            next_poll_at = clock()
        WHERE job.job_id = j.job_id;
    END IF;
END $$;

CREATE FUNCTION holdfast.heartbeat(job_id text, step text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(heartbeat.job_id);
BEGIN
    IF j.state IN ('delivered', 'failed', 'abandoned', 'dismissed') THEN
        RETURN;
    END IF;
    PERFORM act_as('application', NULL, '0');
    UPDATE job SET last_heartbeat_at = clock(), last_step = left(heartbeat.step, 200),
        revision = revision + CASE state WHEN 'created' THEN 1 ELSE 0 END,
        next_poll_at = CASE state WHEN 'created' THEN clock()
            + policy_interval('unsubmitted_after', j.provider, j.kind, j.model)
            ELSE next_poll_at END
    WHERE job.job_id = j.job_id;
END $$;

-- One move by the application or a person, settled in the same step.
CREATE FUNCTION holdfast.move_one(m holdfast.move) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT count(*) FROM apply_moves(ARRAY[m], false)
$$;

CREATE FUNCTION holdfast.mark_timed_out(job_id text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(mark_timed_out.job_id);
    m move;
BEGIN
    IF j.state NOT IN ('created', 'submitted', 'running') THEN
        RETURN;
    END IF;
    PERFORM act_as('application', NULL, '0');
    m.job_id := j.job_id; m.new_state := 'timed_out'; m.wait := '0';
    m.error_message := 'the application gave up waiting';
    PERFORM move_one(m);
    UPDATE job SET revision = revision + 1 WHERE job.job_id = j.job_id;
END $$;

-- Notes what the application names as the job's price, once, and as long as nothing is settled.
CREATE FUNCTION holdfast.name_credits(j holdfast.job, named bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM require(named BETWEEN 0 AND j.credits,
        format('finish_job: the credits must be 0 to the hold of job %L, which is %s', j.job_id,
            j.credits));
    IF named IS NOT DISTINCT FROM j.named_credits THEN
        RETURN;
    ELSIF j.named_credits IS NOT NULL THEN
        RAISE EXCEPTION 'job % was finished before with % credits', quote_literal(j.job_id),
            j.named_credits USING ERRCODE = 'HF002';
    ELSIF j.captured + j.charged + j.waived > 0
        OR NOT (j.state = 'succeeded' OR may_become(j.state, 'succeeded', j.error_code)) THEN
        IF named = j.captured + j.charged THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'job % is settled (%, % credits paid), so that % credits cannot be named',
            quote_literal(j.job_id), j.state, j.captured + j.charged - j.refunded, named
            USING ERRCODE = 'HF003';
    END IF;
    UPDATE job SET named_credits = named WHERE job.job_id = j.job_id;
END $$;

-- The application knows the outcome. `cancelled` is final: the hold is voided, and a result that comes
-- later is never charged. `credits` is the price at the end, at most the hold; the rest is voided.
CREATE FUNCTION holdfast.finish_job(
    job_id text, outcome text, urls text[] DEFAULT '{}', reason text DEFAULT NULL,
    credits bigint DEFAULT NULL)
RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job;
    m move;
BEGIN
    PERFORM require(outcome IN ('succeeded', 'failed', 'cancelled'),
        format('finish_job: the outcome must be succeeded, failed or cancelled, not %L', outcome));
    PERFORM require(outcome = 'succeeded' OR coalesce(finish_job.credits, 0) = 0,
        format('finish_job: %s costs nothing, so that no credits can be named', outcome));
    IF outcome = 'succeeded' THEN
        PERFORM require(cardinality(urls) BETWEEN 1 AND 1000,
            'finish_job: succeeded needs 1 to 1000 result URLs');
        PERFORM require(NOT EXISTS (SELECT FROM unnest(urls) u WHERE NOT usable_url(u)),
            'finish_job: every result URL must be absolute, http or https, without white space');
    END IF;
    j := lock_job(finish_job.job_id);
    PERFORM act_as('application', NULL, '0');
    m.job_id := j.job_id;
    IF outcome = 'succeeded' THEN
        IF finish_job.credits IS NOT NULL THEN
            PERFORM name_credits(j, finish_job.credits);
        END IF;
        m.new_state := 'succeeded'; m.result_urls := urls; m.files := cardinality(urls);
    ELSIF outcome = 'cancelled' THEN
        IF j.state = 'succeeded' AND policy_value('cancel_after_success', j.provider, j.kind, j.model)
            IS DISTINCT FROM 'void' THEN
            RAISE EXCEPTION 'job % has succeeded and cannot be cancelled any more; its credits come back with return_credits, or always with policy cancel_after_success = void',
                quote_literal(j.job_id) USING ERRCODE = 'HF003';
        END IF;
        m.new_state := 'failed'; m.error_code := 'cancelled'; m.error_message := reason;
    ELSIF j.state IN ('created', 'submitted', 'running', 'timed_out') THEN
        m.new_state := 'failed'; m.error_code := 'application'; m.error_message := reason;
    END IF;
    IF m.new_state IS NOT NULL AND may_become(j.state, m.new_state, j.error_code) THEN
        PERFORM move_one(m);
    END IF;
    RETURN status_of(j.job_id);
END $$;

-- The two deeds below by a person or by the application. Who acts is an argument and no setting, which
-- a login of the application could make up; it may not call these.
CREATE FUNCTION holdfast.return_credits_by(job_id text, reason text, who text)
RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job := lock_job(return_credits_by.job_id);
    paid bigint := j.captured + j.charged - j.refunded;
BEGIN
    PERFORM act_as(who, NULL, '0');
    IF j.credit_state = 'held' THEN
        PERFORM settle(ARRAY[ROW(j.job_id, 'void', j.credits, reason)::resolution]);
    ELSIF paid > 0 THEN
        PERFORM settle(ARRAY[ROW(j.job_id, 'refund', paid, reason)::resolution]);
    END IF;
    RETURN status_of(j.job_id);
END $$;

CREATE FUNCTION holdfast.dismiss_job_by(job_id text, reason text, who text)
RETURNS holdfast.job_status
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    j job;
    m move;
BEGIN
    PERFORM require(btrim(reason) <> '', 'dismiss_job: a reason is needed');
    j := lock_job(dismiss_job_by.job_id);
    IF may_become(j.state, 'dismissed', j.error_code) THEN
        PERFORM act_as(who, NULL, '0');
        m.job_id := j.job_id; m.new_state := 'dismissed'; m.error_message := reason;
        PERFORM move_one(m);
    END IF;
    RETURN status_of(j.job_id);
END $$;

CREATE FUNCTION holdfast.return_credits(job_id text, reason text) RETURNS holdfast.job_status
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT return_credits_by(return_credits.job_id, return_credits.reason, 'application')
$$;

CREATE FUNCTION holdfast.dismiss_job(job_id text, reason text) RETURNS holdfast.job_status
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT dismiss_job_by(dismiss_job.job_id, dismiss_job.reason, 'application')
$$;
