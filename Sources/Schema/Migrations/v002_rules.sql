-- What the database refuses whatever the code does, and what it writes down by itself.

-- Whoever counts for the brakes holds this one row, which only the owner of the schema can.
CREATE TABLE holdfast.brake_lock (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
INSERT INTO holdfast.brake_lock DEFAULT VALUES;

-- Automatic voids, refunds and late charges by minute, for the brakes.
CREATE TABLE holdfast.brake_use (
    scope text COLLATE "C" NOT NULL CHECK (scope IN ('account', 'provider', 'total')),
    subject text COLLATE "C" NOT NULL,
    minute timestamptz NOT NULL,
    jobs bigint NOT NULL,
    credits bigint NOT NULL,
    PRIMARY KEY (scope, subject, minute)
);

-- The instant that decisions are made by: the database's clock, shifted by the clock offset of
-- the run that is calling. Read anew in each call.
CREATE FUNCTION holdfast.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp()
        + coalesce(nullif(current_setting('holdfast.clock_offset', true), ''), '0')::interval
$$;

-- Fails with HF014 in a transaction that sees one state of the database from its beginning to its end:
-- whoever waits there for a lock does not see what the other has written. The programs, which meet this
-- where a database or a login has another default, then begin a transaction that says what it is.
CREATE FUNCTION holdfast.require_read_committed() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'this must run in a transaction of isolation level read committed, not %',
            current_setting('transaction_isolation') USING ERRCODE = 'HF014';
    END IF;
END $$;

-- Says who acts for the rest of the transaction. Settings local to a transaction are safe behind
-- a pooler; nothing else of the session is used. The application's transactions are its own.
CREATE FUNCTION holdfast.act_as(actor text, run_id uuid, clock_offset interval) RETURNS void
LANGUAGE sql VOLATILE SET search_path = holdfast, pg_temp AS $$
    SELECT CASE WHEN actor <> 'application' THEN require_read_committed() END,
        set_config('holdfast.actor', actor, true),
        set_config('holdfast.run_id', coalesce(run_id::text, ''), true),
        set_config('holdfast.clock_offset', clock_offset::text, true)
$$;

-- Whether anybody may take a lease. One that is further ahead than leases last was taken by a clock
-- that is no longer used; ten seconds are for a run that read the clock, and then waited.
CREATE FUNCTION holdfast.lease_is_over(
    lease_until timestamptz, now_ timestamptz, lease interval) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT lease_until IS NULL OR lease_until <= now_
        OR lease_until > now_ + lease + interval '10 seconds'
$$;

-- Whether an error is the trouble of the row that met it, so that the row is set aside and the others
-- go on. Locks, lost races, cancelled statements, missing rights and what ails the server are not:
-- they would meet every row, or none at the next try.
CREATE FUNCTION holdfast.is_row_trouble(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT left(state, 2) NOT IN ('08', '25', '28', '40', '53', '55', '57', '58')
        AND state <> '42501'
$$;

-- The customer's share for the files that are there: whole credits, never more than the hold.
CREATE FUNCTION holdfast.share(credits bigint, stored integer, expected integer) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN stored >= expected THEN credits
        ELSE floor(credits::numeric * stored / expected)::bigint END
$$;

-- The table of moves. Everything else is refused.
CREATE FUNCTION holdfast.may_become(old_state text, new_state text, error_code text)
RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE old_state
        WHEN 'created' THEN new_state IN
            ('submitted', 'running', 'succeeded', 'failed', 'timed_out', 'dismissed')
        WHEN 'submitted' THEN new_state IN
            ('running', 'succeeded', 'failed', 'timed_out', 'dismissed')
        WHEN 'running' THEN new_state IN ('succeeded', 'failed', 'timed_out', 'dismissed')
        WHEN 'succeeded' THEN new_state IN ('delivered', 'failed', 'dismissed')
        WHEN 'timed_out' THEN new_state IN ('succeeded', 'failed', 'abandoned', 'dismissed')
        WHEN 'abandoned' THEN new_state = 'succeeded'
        WHEN 'failed' THEN new_state = 'succeeded'
            AND error_code IN ('never_submitted', 'application')
        ELSE false END
$$;

CREATE FUNCTION holdfast.refuse_backward_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF NOT may_become(OLD.state, NEW.state, OLD.error_code) THEN
        RAISE EXCEPTION 'job % is % and cannot become %', OLD.job_id, OLD.state, NEW.state
            USING ERRCODE = 'HF010';
    END IF;
    IF OLD.state = 'succeeded' AND NEW.state = 'failed'
        AND coalesce(NEW.error_code, '') NOT IN ('result_lost', 'cancelled') THEN
        RAISE EXCEPTION 'job % has succeeded and can only fail as result_lost or cancelled',
            OLD.job_id
            USING ERRCODE = 'HF010';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER job_state_order BEFORE UPDATE OF state ON holdfast.job
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION holdfast.refuse_backward_state();

-- The hold's size, the account and the id of a job are facts; only what became of them moves.
CREATE FUNCTION holdfast.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'HF011';
END $$;

CREATE TRIGGER job_facts_stay BEFORE UPDATE ON holdfast.job
    FOR EACH ROW WHEN (OLD.job_id <> NEW.job_id OR OLD.account_id <> NEW.account_id
        OR OLD.credits <> NEW.credits OR OLD.expected_outputs <> NEW.expected_outputs
        OR OLD.named_credits IS DISTINCT FROM NEW.named_credits
            AND OLD.named_credits IS NOT NULL)
    EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER transfer_is_immutable BEFORE UPDATE OR DELETE ON holdfast.transfer
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER transfer_is_never_emptied BEFORE TRUNCATE ON holdfast.transfer
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();

-- Balances follow the transfers, in the statement that inserts them. Accounts are locked in the
-- order of their ids, so that two batches never wait for each other crosswise.
CREATE FUNCTION holdfast.post_transfers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM 1 FROM account a
    WHERE a.account_id IN (SELECT p.account_id FROM posted p)
    ORDER BY a.account_id FOR NO KEY UPDATE;

    UPDATE account a
    SET granted = a.granted + s.granted, available = a.available + s.available,
        held = a.held + s.held, spent = a.spent + s.spent
    FROM (
        SELECT account_id,
            sum(CASE 'issued' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END) granted,
            sum(CASE 'available' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) available,
            sum(CASE 'held' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) held,
            sum(CASE 'spent' WHEN credit THEN amount WHEN debit THEN -amount ELSE 0 END) spent
        FROM posted GROUP BY account_id
    ) s
    WHERE a.account_id = s.account_id;

    UPDATE job j
    SET captured = j.captured + s.captured, voided = j.voided + s.voided,
        charged = j.charged + s.charged, refunded = j.refunded + s.refunded,
        settled_at = clock()
    FROM (
        SELECT job_id,
            coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0) captured,
            coalesce(sum(amount) FILTER (WHERE kind = 'void'), 0) voided,
            coalesce(sum(amount) FILTER (WHERE kind = 'charge'), 0) charged,
            coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) refunded
        FROM posted WHERE kind IN ('capture', 'void', 'charge', 'refund') GROUP BY job_id
    ) s
    WHERE j.job_id = s.job_id;
    RETURN NULL;
END $$;

CREATE TRIGGER transfer_posts AFTER INSERT ON holdfast.transfer
    REFERENCING NEW TABLE AS posted
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.post_transfers();

-- The story of a job: each change of state or block, whoever made it.
CREATE FUNCTION holdfast.record_job_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    INSERT INTO job_event (job_id, happened_at, actor, run_id, from_state, to_state, blocked, detail)
    VALUES (NEW.job_id, clock(),
        coalesce(nullif(current_setting('holdfast.actor', true), ''), session_user),
        nullif(current_setting('holdfast.run_id', true), '')::uuid,
        CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state, NEW.blocked,
        CASE WHEN NEW.blocked IS NOT NULL THEN NEW.blocked_reason
            WHEN NEW.state IN ('failed', 'dismissed', 'abandoned', 'timed_out')
            THEN concat_ws(': ', NEW.error_code, NEW.error_message) END);
    IF TG_OP = 'UPDATE' AND NEW.blocked IS NOT NULL AND NEW.blocked IS DISTINCT FROM OLD.blocked THEN
        PERFORM tell_later(CASE NEW.blocked WHEN 'brake' THEN 'braked' WHEN 'person' THEN 'set_aside'
            ELSE NEW.blocked END, NEW.job_id, format('%s; see holdfast job show %s',
            coalesce(NEW.blocked_reason, 'waits for a person'), shell_word(NEW.job_id)));
    END IF;
    IF policy_value('notify', NEW.provider, NEW.kind, NEW.model) = 'on' THEN
        PERFORM pg_notify('holdfast_job', json_build_object(
            'job_id', NEW.job_id, 'state', NEW.state, 'blocked', NEW.blocked,
            'credit_state', NEW.credit_state)::text);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER job_opened AFTER INSERT ON holdfast.job
    FOR EACH ROW EXECUTE FUNCTION holdfast.record_job_event();
CREATE TRIGGER job_moved AFTER UPDATE ON holdfast.job
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state
        OR OLD.blocked IS DISTINCT FROM NEW.blocked)
    EXECUTE FUNCTION holdfast.record_job_event();

-- Whether a job is closed for good, so that a task of it is watched for its cost alone.
CREATE FUNCTION holdfast.ignores_tasks(state text, error_code text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT state IN ('succeeded', 'delivered', 'dismissed')
        OR (state = 'failed' AND coalesce(error_code = 'cancelled', false))
$$;

-- A task that may still end after its job did is watched: what it cost is told, and nothing moves.
CREATE FUNCTION holdfast.watch_surplus() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM task t WHERE t.job_id = NEW.job_id AND t.finished_at IS NULL
        AND (NEW.state IN ('dismissed', 'failed') OR t.task_id IS DISTINCT FROM NEW.task_id)) THEN
        NEW.watch_until := clock()
            + policy_interval('watch_window', NEW.provider, NEW.kind, NEW.model);
        -- What a person or a customer has closed is looked at when its task had time to end, and not
        -- before.
        NEW.next_poll_at := clock() + CASE WHEN NEW.state IN ('dismissed', 'failed')
            THEN policy_interval('deadline', NEW.provider, NEW.kind, NEW.model)
            ELSE interval '0' END;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER job_leaves_tasks BEFORE UPDATE OF state ON holdfast.job
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state
        AND holdfast.ignores_tasks(NEW.state, NEW.error_code))
    EXECUTE FUNCTION holdfast.watch_surplus();

-- The files of a job that is closed before they were stored end with it: nobody would claim them, and
-- each run would walk over them first.
CREATE FUNCTION holdfast.drop_files() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE asset SET state = 'dropped', error_message = 'the job was ' || NEW.state,
        lease_owner = NULL, lease_until = NULL, claims = 0
    WHERE job_id = NEW.job_id AND state = 'pending';
    RETURN NULL;
END $$;

CREATE TRIGGER job_drops_files AFTER UPDATE OF state ON holdfast.job
    FOR EACH ROW WHEN (OLD.state = 'succeeded' AND NEW.state IN ('dismissed', 'failed'))
    EXECUTE FUNCTION holdfast.drop_files();

CREATE FUNCTION holdfast.watch_new_task() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    UPDATE job SET next_poll_at = clock(),
        watch_until = clock() + policy_interval('watch_window', provider, kind, model)
    WHERE job_id = NEW.job_id AND ignores_tasks(state, error_code)
        AND task_id IS DISTINCT FROM NEW.task_id;
    RETURN NULL;
END $$;

CREATE TRIGGER task_comes_late AFTER INSERT ON holdfast.task
    FOR EACH ROW WHEN (NEW.finished_at IS NULL) EXECUTE FUNCTION holdfast.watch_new_task();

-- Once a day for each offer the row is written; otherwise it is only looked at. It is written in the
-- application's own transaction, which may stay open for long: nobody waits for it here, and where
-- somebody else is at the offer, a later job notes it.
CREATE FUNCTION holdfast.note_offer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    endpoint_ text := coalesce(NEW.endpoint, '');
BEGIN
    IF EXISTS (SELECT FROM offer o
            WHERE o.provider = NEW.provider AND o.endpoint = endpoint_
                AND o.kind = NEW.kind AND o.model = NEW.model
                AND o.last_used_at > NEW.created_at - interval '1 day')
        OR NOT pg_try_advisory_xact_lock(hashtextextended('holdfast.offer '
            || jsonb_build_array(NEW.provider, endpoint_, NEW.kind, NEW.model)::text, 0)) THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM offer o
    WHERE o.provider = NEW.provider AND o.endpoint = endpoint_ AND o.kind = NEW.kind
        AND o.model = NEW.model FOR NO KEY UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE offer o SET last_used_at = greatest(o.last_used_at, NEW.created_at)
        WHERE o.provider = NEW.provider AND o.endpoint = endpoint_ AND o.kind = NEW.kind
            AND o.model = NEW.model;
    ELSE
        INSERT INTO offer (provider, endpoint, kind, model, first_used_at, last_used_at)
        VALUES (NEW.provider, endpoint_, NEW.kind, NEW.model, NEW.created_at, NEW.created_at)
        ON CONFLICT (provider, endpoint, kind, model) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER job_uses_offer AFTER INSERT ON holdfast.job
    FOR EACH ROW EXECUTE FUNCTION holdfast.note_offer();

-- What all hosts know of a family of a provider's answers: whether anybody can read them.
CREATE TABLE holdfast.family (
    provider text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    -- The newest answer that could be read; written once a minute while all is well.
    readable_at timestamptz,
    -- Nobody can read it since then.
    unreadable_since timestamptz,
    last_error text COLLATE "C",
    -- The job that was asked about for all that rest or are set aside, and when.
    probe_job text COLLATE "C",
    probed_at timestamptz,
    PRIMARY KEY (provider, endpoint)
);

-- When a provider was silent or left alone (no endpoint), or a family of it unreadable: watches did not
-- run then. One that lasts is in the provider's or the family's own row.
CREATE TABLE holdfast.outage (
    provider text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (provider, endpoint, ended_at)
);

-- Whether a callback waits that may be about this job, because it names the job or a task of it. One
-- whose body is cut, or more than can be looked through, count as such.
CREATE FUNCTION holdfast.awaits_callback(j holdfast.job) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = holdfast, pg_temp AS $$
DECLARE
    most CONSTANT integer := 2000;
    -- Each name as `encode` writes it, between characters that belong to no id.
    names text[] := ARRAY(
        SELECT encode(convert_to(o.id, 'UTF8'), 'escape')
        FROM (SELECT j.job_id UNION SELECT j.task_id
            UNION SELECT t.task_id FROM task t WHERE t.job_id = j.job_id) o (id)
        WHERE o.id IS NOT NULL);
    one record;
    said text;
    name text;
BEGIN
    FOR one IN
        SELECT c.query, c.headers, c.body, c.whole_bytes, row_number() OVER () AS place
        FROM callback c WHERE c.drained_at IS NULL AND c.provider = j.provider LIMIT most + 1
    LOOP
        IF one.place > most OR one.whole_bytes IS NOT NULL THEN
            RETURN true;
        END IF;
        said := replace(concat_ws(chr(10), encode(percent_decoded(one.query), 'escape'),
            encode(convert_to(one.headers::text, 'UTF8'), 'escape'), encode(one.body, 'escape')),
            E'\\\\/', '/');
        FOREACH name IN ARRAY names LOOP
            IF position(name IN said) > 0 AND said ~ ('(^|[^A-Za-z0-9_-])'
                || regexp_replace(name, '([^A-Za-z0-9_])', E'\\\\\\1', 'g') || '($|[^A-Za-z0-9_-])') THEN
                RETURN true;
            END IF;
        END LOOP;
    END LOOP;
    RETURN false;
END $$;

-- Whether nobody can read a family: three tasks of it are unreadable, and none of it has been readable
-- since the first of them.
CREATE FUNCTION holdfast.is_unreadable(for_provider text, for_family text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = holdfast, pg_temp AS $$
    SELECT count(*) >= 3 FROM (SELECT FROM job j
        WHERE j.provider = for_provider AND j.unheard_family = coalesce(for_family, '')
            AND j.state IN ('created', 'submitted', 'running', 'timed_out')
            AND (j.unheard_as = 'unreadable' OR j.blocked_cause IS NOT NULL)
            AND j.unheard_as = 'unreadable'
            AND j.unheard_since > coalesce((SELECT f.readable_at FROM family f
                WHERE f.provider = for_provider AND f.endpoint = coalesce(for_family, '')),
                '-infinity') LIMIT 3) u
$$;

-- Whether a want of answers is the provider's trouble: it is silent, left alone, or unreadable.
CREATE FUNCTION holdfast.is_in_trouble(for_provider text, for_family text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = holdfast, pg_temp AS $$
    SELECT EXISTS (SELECT FROM provider p WHERE p.provider = for_provider
            AND (p.silent_since IS NOT NULL OR p.paused_until > clock()))
        OR is_unreadable(for_provider, for_family)
$$;

-- How a job stands that is held back because the database has lost commits which may have been about
-- it: then nothing is sent again, nothing counts as never sent, and no watch ends in a void. Null where
-- it is not, `held`, or `over` when its provider has told nothing within one deadline after the sign.
CREATE FUNCTION holdfast.rewind_state(wanted text, now_ timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    held record;
BEGIN
    IF NOT EXISTS (SELECT FROM rewind r WHERE r.closed_at IS NULL) THEN
        RETURN NULL;
    END IF;
    SELECT max(r.noticed_at) + policy_interval('deadline', j.provider, j.kind, j.model) AS until
    INTO held FROM job j JOIN rewind r ON r.closed_at IS NULL
    -- Until all are looked at, each that was there then is held.
    WHERE j.job_id = wanted AND (r.filled_at IS NULL AND j.created_at < r.gap_until
        OR EXISTS (SELECT FROM rewind_job g WHERE g.rewind_id = r.rewind_id
            AND g.job_id = wanted AND g.let_go_at IS NULL))
    GROUP BY j.provider, j.kind, j.model;
    RETURN CASE WHEN held.until <= now_ THEN 'over' WHEN held.until IS NOT NULL THEN 'held' END;
END $$;

-- The value that applies to a job: the most specific row wins, a row that somebody set before
-- one that came with the schema.
CREATE FUNCTION holdfast.policy_value(
    wanted text, for_provider text DEFAULT '', for_kind text DEFAULT '', for_model text DEFAULT '')
RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Names are written out instead of a search path: a setting would cost more than the look-up.
    RETURN (SELECT p.value FROM holdfast.policy p
        WHERE p.key = wanted AND p.provider IN ('', for_provider)
            AND p.kind IN ('', for_kind) AND p.model IN ('', for_model)
        ORDER BY p.is_default, p.model = '', p.kind = '', p.provider = ''
        LIMIT 1);
END $$;

CREATE FUNCTION holdfast.policy_interval(
    wanted text, for_provider text DEFAULT '', for_kind text DEFAULT '', for_model text DEFAULT '')
RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT holdfast.policy_value(wanted, for_provider, for_kind, for_model)::interval
$$;

-- The limit of one scope of a brake: '50' for every scope, or 'account=50,provider=1000,total=5000'
-- with 'off' for none; a scope that is not named is off.
CREATE FUNCTION holdfast.brake_limit(value text, scope text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN value IS NULL OR value = 'off' THEN NULL
        WHEN value ~ '^[0-9]+$' THEN value::bigint
        ELSE nullif(substring(value FROM scope || '=([0-9]+|off)'), 'off')::bigint END
$$;

INSERT INTO holdfast.policy (key, kind, value, is_default) VALUES
    ('stuck_after', 'image', '2m', true), ('stuck_after', 'audio', '3m', true),
    ('stuck_after', 'video', '5m', true), ('stuck_after', '', '5m', true),
    ('deadline', 'image', '15m', true), ('deadline', 'audio', '30m', true),
    ('deadline', 'video', '60m', true), ('deadline', '', '60m', true),
    ('watch_window', '', '24h', true), ('on_silence', '', 'keep', true),
    ('on_submission_unknown', '', 'keep', true),
    ('unsubmitted_after', '', '2m', true), ('retrigger_attempts', '', '3', true),
    ('capture_at', '', 'delivered', true), ('partial', '', 'deliver', true), ('max_outputs', '', 'auto', true),
    ('late_success', '', 'charge', true), ('cancel_after_success', '', 'refuse', true),
    ('show_source_urls', '', 'off', true),
    ('lease', '', '2m', true), ('request_timeout', '', '20s', true),
    ('poll_backoff_max', '', '5m', true),
    ('breaker_failures', '', '20', true), ('breaker_pause_max', '', '10m', true),
    ('brake_jobs', '', 'account=50,provider=1000,total=5000', true),
    ('brake_credits', '', 'off', true),
    ('max_runs', '', '2', true), ('claim_limit', '', '3', true),
    ('transfer_limit', '', '30m', true), ('max_file_bytes', '', '21474836480', true),
    ('verify_share', '', '5%', true), ('verify_bytes', '', '1073741824', true),
    ('notify', '', 'off', true),
    ('list_every', '', '5m', true), ('strays', '', 'report', true),
    ('currency', '', 'USD', true), ('business_zone', '', 'UTC', true),
    ('business_cutoff', '', '00:00', true), ('books_window', '', '744h', true),
    ('billing_grace', '', '48h', true), ('cost_tolerance', '', '5%', true);
-- Requests a second and burst: KIE allows ten a second for each key, Replicate fifty; Kling states no
-- limit for queries, so twenty keeps us polite, and where nothing is known five do.
INSERT INTO holdfast.policy (key, provider, value, is_default) VALUES
    ('rate', '', '5', true), ('rate_burst', '', '5', true),
    ('rate', 'kie', '10', true), ('rate_burst', 'kie', '10', true),
    ('rate', 'kling', '20', true), ('rate_burst', 'kling', '20', true),
    ('rate', 'replicate', '50', true), ('rate_burst', 'replicate', '50', true),
    ('rate', 'fal', '10', true), ('rate_burst', 'fal', '10', true);
-- How long a result's address lives where the answer does not say: an hour where nothing is known.
INSERT INTO holdfast.policy (key, provider, value, is_default) VALUES
    ('url_life', '', '1h', true), ('url_life', 'kie', '24h', true),
    ('url_life', 'kling', '30d', true), ('url_life', 'runway', '24h', true),
    ('url_life', 'google-veo', '2d', true), ('url_life', 'seedance', '24h', true),
    ('url_life', 'wavespeed', '7d', true);
-- A source below this rate for so long is slow: it gets a place among the slow ones, or waits for one.
INSERT INTO holdfast.policy (key, value, is_default) VALUES
    ('min_rate', '16384', true), ('slow_after', '10s', true);
-- How long a file may be refused as no media before a person is asked; and what is kept of it.
INSERT INTO holdfast.policy (key, value, is_default) VALUES
    ('refused_after', '1h', true), ('quarantine_max_bytes', '1073741824', true),
    ('keep_quarantine', '720h', true);
INSERT INTO holdfast.provider (provider) VALUES
    ('kie'), ('kling'), ('replicate'), ('fal'), ('runway'), ('luma'), ('minimax'), ('google-veo'),
    ('seedance'), ('wavespeed'), ('piapi'), ('openai-videos');

-- Runs at work, and those that were cut short.
CREATE INDEX run_cut_short ON holdfast.run (started_at)
    WHERE finished_at IS NULL OR exit_status IN (130, 143);

-- Whether claims in a row that ended without a result are the work's own fault: `cap` of them, if it was
-- in hand in each run that was cut short in the ten leases before the end of its last one. Where more
-- runs were, something else ends runs, and the work is tried again, up to three times `cap`.
CREATE FUNCTION holdfast.is_to_blame(
    claims integer, cap integer, lease_until timestamptz, now_ timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = holdfast, pg_temp AS $$
    SELECT claims >= cap AND (claims >= cap * 3 OR claims >= (SELECT count(*) FROM run r
        WHERE (r.finished_at IS NULL OR r.exit_status IN (130, 143))
            AND r.started_at > lease_until - policy_interval('lease') * 11
            AND r.started_at <= lease_until
            AND NOT EXISTS (SELECT FROM run_slot s
                WHERE s.run_id = r.run_id AND s.expires_at > now_)))
$$;
