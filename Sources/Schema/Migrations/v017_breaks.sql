-- Matching jobs, transfers, files, callbacks and usage both ways; each break is kept under one identity.

-- The kinds of breaks. The one with the lowest rank names a break when several apply to its subject.
CREATE TABLE holdfast.break_class (
    class text COLLATE "C" PRIMARY KEY,
    rank integer NOT NULL UNIQUE,
    -- Who loses as long as it stands: customer, us, provider, or integrity when nobody can say.
    loses text COLLATE "C" NOT NULL CHECK (loses IN ('customer', 'us', 'provider', 'integrity')),
    -- The books contradict themselves: nothing of that account is mended by itself.
    is_integrity boolean NOT NULL,
    -- It breaks one of the invariants that check_invariants looks for.
    is_invariant boolean NOT NULL,
    meaning text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL
);
INSERT INTO holdfast.break_class VALUES
    ('seal-broken', 1, 'integrity', true, true,
        'a sealed day has another digest than when it was sealed',
        'somebody changed rows of a closed day past the guards, or a restore lost some'),
    ('unbalanced-transfer', 2, 'integrity', true, true,
        'a transfer whose sides do not fit its kind, or a payment without its hold',
        'rows were written or removed past the guards'),
    ('key-conflict', 3, 'integrity', true, true,
        'one idempotency key stands for two different things',
        'an id was used again for something else, or a row was changed by hand'),
    ('balance-drift', 4, 'integrity', true, true,
        'a balance kept beside the transfers differs from their sum',
        'a balance or a transfer was changed past the guards'),
    ('negative-available', 5, 'us', true, true,
        'an account has less than nothing',
        'the constraint on accounts was removed'),
    ('double-charge', 6, 'customer', false, true,
        'the customer paid more than once for one job',
        'two payments past the guard of one resolution for each hold'),
    ('capture-exceeds-hold', 7, 'customer', false, true,
        'more was captured than was held', 'a capture past the guard on holds'),
    ('failed-but-charged', 8, 'customer', false, true,
        'the job ended without a result, and the customer has paid',
        'money and state were moved apart'),
    ('failed-still-held', 9, 'customer', false, true,
        'the job ended without a result, and its hold stands',
        'money and state were moved apart'),
    ('charged-without-asset', 10, 'customer', false, true,
        'the customer paid, and no file is in storage',
        'files were removed, or marked as lost after delivery'),
    ('completed-not-charged', 11, 'us', false, false,
        'delivered, and neither charged nor waived',
        'credits were given back while the job was being delivered'),
    ('completed-hold-open', 12, 'customer', false, true,
        'paid, and a part of the hold still stands', 'the remainder of a capture was not voided'),
    ('asset-without-completion', 13, 'integrity', false, false,
        'all files are in storage, and the job is not delivered',
        'the run that stored the last file ended before the delivery'),
    ('refunded-but-delivered', 14, 'us', false, false,
        'the customer has the files or the provider made them, and nobody paid',
        'credits were given back before the result was known'),
    ('capture-after-void', 15, 'us', false, true,
        'captured after the hold had been voided', 'a capture past the guard on holds'),
    ('double-refund', 16, 'us', false, true,
        'more was given back than was paid', 'a refund past the guard on refunds'),
    ('hold-past-timeout', 17, 'customer', false, false,
        'a hold stands although the time of its job is over',
        'the runs do not reach the provider, or do not run'),
    ('orphan-hold', 18, 'customer', false, false,
        'a hold stands for a job that never reached the provider',
        'the application died between open_job and mark_submitting'),
    ('job-without-hold', 19, 'us', false, true,
        'the job costs credits and none are held or paid', 'the hold was removed past the guards'),
    ('status-divergence', 20, 'customer', false, false,
        'the provider says one thing about the task, and the job another',
        'the verdict did not reach the job, or the provider changed its mind'),
    ('callback-not-applied', 21, 'customer', false, false,
        'the provider called back, and the job was not asked about since',
        'the sweeper does not run or does not reach the provider'),
    ('duplicate-provider-tasks', 22, 'us', false, false,
        'the provider ran more than one task for one job',
        'the application sent it again after a time-out'),
    ('provider-billed-no-job', 23, 'us', false, false,
        'the provider charged for a task that no job knows',
        'the answer to the create call was lost, or others use the same account'),
    ('provider-billed-failed-job', 24, 'us', false, false,
        'the provider charged for a job that ended without a result',
        'the result was lost, given up or refused, and the provider keeps the money'),
    ('provider-cost-mismatch', 25, 'us', false, false,
        'the provider charged another amount than was agreed or told',
        'a price has changed, or its bill differs from its answers'),
    ('price-mismatch', 26, 'customer', false, false,
        'the customer paid another price than the one in force when the job was opened',
        'the application used another price list'),
    ('refund-without-cause', 27, 'us', false, false,
        'given back for a delivered job without a reason', 'return_credits without a reason'),
    ('job-not-billed', 28, 'integrity', false, false,
        'delivered, and the bill of that time does not know the task',
        'the provider bills later, or somebody else pays for it'),
    ('provider-balance-drift', 29, 'us', false, false,
        'the balance at the provider fell by another amount than its usage explains',
        'usage that no line tells of, or a top-up that nobody recorded'),
    ('closed-period-entry', 30, 'integrity', false, false,
        'an entry bears a time within a day that had been closed before',
        'its transaction took long to commit, or its time was set by hand'),
    ('asset-expiring', 31, 'customer', false, false,
        'a file is only at the provider, and its address expires soon',
        'the mirrorer does not run or does not keep up'),
    ('delivered-without-files', 32, 'customer', false, true,
        'delivered, and no file is in storage', 'rows of files were removed or marked as lost'),
    ('succeeded-without-files', 33, 'customer', false, false,
        'every file has come to an end, none is stored, and the job is not closed',
        'the run that gave the last file up ended before it closed the job'),
    ('blocked', 34, 'customer', false, false,
        'the job was set aside until a person decides', 'see the reason'),
    ('overdue', 35, 'customer', false, false,
        'a job without credits is open although its time is over',
        'the runs do not reach the provider, or do not run'),
    ('stray-task', 36, 'us', false, false,
        'a task at the provider that no job knows, without a known cost',
        'the answer to the create call was lost, or others use the same account'),
    ('callback-unmatched', 37, 'integrity', false, false,
        'a callback that belongs to no job',
        'its job was never recorded, or the callback has a new shape'),
    ('asset-missing', 45, 'customer', false, false,
        'delivered, and the object of a file is missing or is not what was stored',
        'something else wrote or removed it, or the store lost it'),
    ('asset-orphan', 60, 'us', false, false,
        'an object is in the store, and no row knows it',
        'the database lost the commits that knew it, or somebody else put it there'),
    ('callback-unread', 38, 'customer', false, false,
        'a callback has waited in the inbox for more than an hour', 'the sweeper does not run'),
    ('result-refused', 39, 'customer', false, false,
        'a finished file is not stored, because what its source sends is no media',
        'the provider names something else than a result, or its file host sends a page instead'),
    ('shared-address', 46, 'customer', false, false,
        'two tasks of a provider have a file at the same address',
        'the provider answered for another task, so that a customer has somebody else''s file'),
    ('shared-content', 47, 'customer', false, false,
        'files of several tasks of a provider are the same, byte for byte',
        'the provider answers all alike, or makes the same placeholder for all');

-- What the nightly run found wrong, under one identity from night to night.
CREATE TABLE holdfast.break (
    break_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text COLLATE "C" NOT NULL REFERENCES holdfast.break_class,
    subject text COLLATE "C" NOT NULL,
    -- What the break is about, as far as there is one of it.
    job_id text COLLATE "C",
    account_id text COLLATE "C",
    provider text COLLATE "C",
    model text COLLATE "C",
    task_id text COLLATE "C",
    -- Whatever else is wrong with the same subject, in the order of precedence.
    also text[] COLLATE "C" NOT NULL DEFAULT '{}',
    -- Who loses, as long as it stands: customer, us, provider, or integrity when nobody can say.
    loses text COLLATE "C" NOT NULL,
    credits bigint,
    -- The provider's amount at stake, in its own unit.
    amount numeric,
    unit text COLLATE "C",
    detail text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    fix text COLLATE "C" NOT NULL,
    -- Facts that it was found by; another fingerprint is another break.
    evidence jsonb NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    last_run uuid,
    resolved_at timestamptz,
    resolved_by text COLLATE "C",
    resolution text COLLATE "C",
    closed_at timestamptz,
    -- healed: not found any more; fixed: by us, see break_fix; resolved: by a person.
    closed_how text COLLATE "C" CHECK (closed_how IN ('healed', 'fixed', 'resolved')),
    CONSTRAINT break_closed_somehow CHECK ((closed_at IS NULL) = (closed_how IS NULL)),
    CONSTRAINT break_resolved_by_somebody CHECK (
        (resolved_at IS NULL) = (resolved_by IS NULL)
        AND (resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX break_standing ON holdfast.break (class, subject) WHERE closed_at IS NULL;
CREATE INDEX break_resolved ON holdfast.break (class, subject) WHERE resolved_at IS NOT NULL;
CREATE INDEX break_job ON holdfast.break (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX break_closed ON holdfast.break (closed_at) WHERE closed_at IS NOT NULL;

-- What the nightly run did about a break, and what would undo it; never changed.
CREATE TABLE holdfast.break_fix (
    fix_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    break_id bigint NOT NULL REFERENCES holdfast.break,
    run_id uuid NOT NULL,
    plan_digest text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    credits bigint,
    undo text COLLATE "C",
    happened_at timestamptz NOT NULL
);
CREATE INDEX break_fix_break ON holdfast.break_fix (break_id);

CREATE TRIGGER break_fix_is_immutable BEFORE UPDATE OR DELETE ON holdfast.break_fix
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER break_fix_is_never_emptied BEFORE TRUNCATE ON holdfast.break_fix
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();

-- How far the nightly look at stored files has come.
CREATE TABLE holdfast.file_watch (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- The night, and how many files it may still look at and bytes it may still read.
    night date NOT NULL,
    files_left bigint NOT NULL,
    bytes_left bigint NOT NULL,
    -- The last file that was looked at for the first time, and the last of those looked at again.
    fresh_us bigint, fresh_job text, fresh_ordinal integer,
    again_us bigint, again_job text, again_ordinal integer
);

-- Files whose object was not as it should be when a night looked, and could not be had again. It is
-- about the object that the asset had then: one that is stored anew is another.
CREATE TABLE holdfast.missing_file (
    job_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    stored_at timestamptz NOT NULL,
    finding text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    -- Its source has it no more, so that nobody is asked again.
    is_gone boolean NOT NULL,
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES holdfast.asset
);

-- Begins a night's look at stored files, or goes on with it: the night may look at a share of what was
-- stored within 30 days, however often the run is started.
CREATE FUNCTION holdfast.begin_file_watch(run uuid, clock_offset interval)
RETURNS holdfast.file_watch
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    w file_watch;
    tonight date;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    tonight := (clock() AT TIME ZONE 'UTC')::date;
    SELECT * INTO w FROM file_watch f WHERE f.night = tonight;
    IF NOT FOUND THEN
        INSERT INTO file_watch AS f (night, files_left, bytes_left)
        SELECT tonight,
            ceil(count(*) * rtrim(policy_value('verify_share'), '%')::numeric / 100)::bigint,
            policy_value('verify_bytes')::bigint
        FROM asset a WHERE a.state = 'stored' AND a.stored_at > clock() - interval '30 days'
        ON CONFLICT (is_only) DO UPDATE SET night = excluded.night,
            files_left = excluded.files_left, bytes_left = excluded.bytes_left
        RETURNING f.* INTO w;
    END IF;
    RETURN w;
END $$;

-- Notes how far a night has come: the last file of those for the first time, or of those again; without
-- one, the others begin from the start.
CREATE FUNCTION holdfast.note_file_watch(
    run uuid, clock_offset interval, is_fresh boolean, at_us bigint, job text, file integer,
    looked bigint, bytes bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    UPDATE file_watch f SET files_left = f.files_left - looked, bytes_left = f.bytes_left - bytes,
        fresh_us = CASE WHEN is_fresh THEN at_us ELSE f.fresh_us END,
        fresh_job = CASE WHEN is_fresh THEN job ELSE f.fresh_job END,
        fresh_ordinal = CASE WHEN is_fresh THEN file ELSE f.fresh_ordinal END,
        again_us = CASE WHEN is_fresh THEN f.again_us ELSE at_us END,
        again_job = CASE WHEN is_fresh THEN f.again_job ELSE job END,
        again_ordinal = CASE WHEN is_fresh THEN f.again_ordinal ELSE file END;
END $$;

-- Keeps a file whose object is not as it should be and cannot be had again.
CREATE FUNCTION holdfast.note_missing_file(
    run uuid, clock_offset interval, job text, file integer, key text, digest text, found text,
    why text, gone boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    INSERT INTO missing_file AS m (job_id, ordinal, stored_at, finding, reason, is_gone)
    SELECT a.job_id, a.ordinal, a.stored_at, found, left(why, 1000), gone
    FROM asset a WHERE a.job_id = job AND a.ordinal = file AND a.state = 'stored'
        AND a.object_key = key AND a.sha256 = digest
    ON CONFLICT (job_id, ordinal) DO UPDATE SET stored_at = excluded.stored_at,
        finding = excluded.finding, reason = excluded.reason, is_gone = excluded.is_gone;
END $$;

-- Forgets a file whose object is as it should be.
CREATE FUNCTION holdfast.forget_missing_file(
    run uuid, clock_offset interval, job text, file integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    DELETE FROM missing_file m WHERE m.job_id = job AND m.ordinal = file;
END $$;

-- By what files are found that have in common what they should not: the address, or the bytes.
CREATE INDEX asset_source ON holdfast.asset (md5(source_url));
CREATE INDEX asset_content ON holdfast.asset (sha256) WHERE state = 'stored';

-- Addresses (by their MD5) and contents that several jobs of a provider have had; the night looks at
-- these alone.
CREATE TABLE holdfast.shared_file (
    provider text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL CHECK (what IN ('address', 'content')),
    digest text COLLATE "C" NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (provider, what, digest)
);

-- Notes that a file has the address or the bytes of one of another job of its provider. The address is
-- looked at again when the file is stored, because two runs that write at once do not see each other.
CREATE FUNCTION holdfast.note_shared_file() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF NEW.source_url <> '' AND EXISTS (SELECT FROM asset a
            WHERE md5(a.source_url) = md5(NEW.source_url)
            AND a.source_url = NEW.source_url AND a.provider = NEW.provider
            AND a.job_id <> NEW.job_id) THEN
        INSERT INTO shared_file VALUES (NEW.provider, 'address', md5(NEW.source_url), clock())
        ON CONFLICT DO NOTHING;
    END IF;
    IF NEW.state = 'stored' AND EXISTS (SELECT FROM asset a
            WHERE a.sha256 = NEW.sha256 AND a.state = 'stored' AND a.provider = NEW.provider
                AND a.job_id <> NEW.job_id) THEN
        INSERT INTO shared_file VALUES (NEW.provider, 'content', NEW.sha256, clock())
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER asset_is_noted AFTER INSERT ON holdfast.asset
    FOR EACH ROW EXECUTE FUNCTION holdfast.note_shared_file();
CREATE TRIGGER asset_changes_are_noted AFTER UPDATE OF state, source_url, sha256 ON holdfast.asset
    FOR EACH ROW WHEN (NEW.source_url <> OLD.source_url
        OR NEW.state = 'stored' AND (OLD.state <> 'stored' OR NEW.sha256 <> OLD.sha256))
    EXECUTE FUNCTION holdfast.note_shared_file();
