-- Tables of the rescue line: ledger, jobs, tasks, files, inbox, evidence, runs, policies.
-- Amounts are whole credits; times are the database's clock.

-- One customer's credits. The balances stand beside the transfers they follow from; they are
-- changed by the trigger on holdfast.transfer alone, and can neither go below zero nor leave
-- the equation that everything granted is available, held or spent.
CREATE TABLE holdfast.account (
    account_id text COLLATE "C" PRIMARY KEY CHECK (account_id <> '' AND length(account_id) <= 200),
    granted bigint NOT NULL DEFAULT 0,
    available bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT account_never_below_zero CHECK (available >= 0 AND held >= 0 AND spent >= 0),
    CONSTRAINT account_in_balance CHECK (granted = available + held + spent)
) WITH (fillfactor = 70);

-- One generation that the application promised a customer.
CREATE TABLE holdfast.job (
    job_id text COLLATE "C" PRIMARY KEY CHECK (job_id <> '' AND length(job_id) <= 200),
    account_id text COLLATE "C" NOT NULL REFERENCES holdfast.account,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'other')),
    endpoint text COLLATE "C",
    request jsonb,
    expected_outputs integer NOT NULL CHECK (expected_outputs BETWEEN 1 AND 1000),

    state text COLLATE "C" NOT NULL DEFAULT 'created' CHECK (state IN (
        'created', 'submitted', 'running', 'succeeded', 'delivered',
        'timed_out', 'abandoned', 'failed', 'dismissed')),
    blocked text COLLATE "C"
        CHECK (blocked IN ('brake', 'crashed', 'submission_unknown', 'person')),
    blocked_reason text COLLATE "C",
    -- The move that a brake stopped, kept until a person releases it.
    pending_move jsonb,
    brake_released boolean NOT NULL DEFAULT false,
    -- A success that comes after the void is the customer's for nothing, whatever late_success says.
    waives_late boolean NOT NULL DEFAULT false,
    error_code text COLLATE "C",
    error_message text COLLATE "C",
    task_id text COLLATE "C",
    result_urls text[] COLLATE "C" NOT NULL DEFAULT '{}',
    progress integer CHECK (progress BETWEEN 0 AND 100),

    -- Money: the hold, and what became of it. Written by the trigger on holdfast.transfer,
    -- except waived, which moves nothing.
    credits bigint NOT NULL CHECK (credits BETWEEN 0 AND 1000000000000000),
    named_credits bigint CHECK (named_credits BETWEEN 0 AND credits), -- the price, where not the hold
    captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
    voided bigint NOT NULL DEFAULT 0 CHECK (voided >= 0),
    charged bigint NOT NULL DEFAULT 0 CHECK (charged >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    waived bigint NOT NULL DEFAULT 0 CHECK (waived >= 0),
    credit_state text COLLATE "C" NOT NULL GENERATED ALWAYS AS (CASE
        WHEN credits = 0 THEN 'none'
        WHEN refunded > 0 THEN 'refunded'
        WHEN charged > 0 THEN 'late_charged'
        WHEN waived > 0 THEN 'waived'
        WHEN captured > 0 THEN 'captured'
        WHEN voided > 0 THEN 'voided'
        ELSE 'held' END) STORED,

    created_at timestamptz NOT NULL,
    submitting_at timestamptz,
    submitted_at timestamptz,
    timed_out_at timestamptz,
    watch_until timestamptz,
    finished_at timestamptz,
    settled_at timestamptz,
    last_step text COLLATE "C",
    last_heartbeat_at timestamptz,

    -- When to look next, and what the looks so far came to.
    next_poll_at timestamptz,
    woken_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    retriggers integer NOT NULL DEFAULT 0,
    retriggered_at timestamptz,
    -- Answers in a row that said nothing (transient), or that our request is wrong (refusals).
    silences integer NOT NULL DEFAULT 0,
    refusals integer NOT NULL DEFAULT 0,
    last_healthy_at timestamptz,
    -- Counts what the application did to the row, so that a decision made before it loses.
    revision integer NOT NULL DEFAULT 0,

    -- The lease: who may write, until when, and the fencing token that every write repeats.
    lease_owner uuid,
    lease_token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    leased_at timestamptz,
    -- Claims in a row that ended without a result.
    claims integer NOT NULL DEFAULT 0,
    -- Since when what was decided has found the account or the row held by somebody else.
    held_up_since timestamptz,
    held_up_told_at timestamptz,

    -- Answers in a row that told nothing about the task: since when, whether the last of them came and
    -- could not be read, about which family of the provider, and whether the job rests because nobody
    -- can read that family.
    unheard_since timestamptz,
    unheard_as text COLLATE "C" CHECK (unheard_as IN ('silence', 'unreadable')),
    unheard_family text COLLATE "C",
    is_resting boolean NOT NULL DEFAULT false,
    -- What of it set the job aside, under which versions of the program, and whether nobody had read
    -- the family meanwhile, so that the first answer that can be read is a reason to ask again.
    blocked_cause text COLLATE "C" CHECK (blocked_cause IN ('silence', 'unreadable')),
    blocked_versions text[] COLLATE "C" NOT NULL DEFAULT '{}',
    awaits_readable boolean NOT NULL DEFAULT false,

    -- A hold is resolved whole and once: what was captured and voided is nothing or all of it.
    CONSTRAINT hold_resolved_once CHECK (captured + voided IN (0, credits)),
    CONSTRAINT refund_within_paid CHECK (refunded <= captured + charged),
    -- A late charge or waiver follows a hold that was voided whole, and there is one of them.
    CONSTRAINT late_charge_after_void CHECK (charged = 0 OR (voided = credits AND waived = 0)),
    CONSTRAINT late_charge_within_price CHECK (charged <= credits AND waived <= credits),
    -- Money and state move together: no job ends with its hold standing.
    CONSTRAINT closed_job_is_settled CHECK (
        credit_state <> 'held' OR state NOT IN ('delivered', 'failed', 'abandoned', 'dismissed'))
) WITH (fillfactor = 70);

-- What the minutely jobs look for stands behind partial indexes, so that an idle minute costs the
-- same whatever the number of finished jobs.
CREATE INDEX job_sweep ON holdfast.job (provider, next_poll_at)
    WHERE state IN ('created', 'submitted', 'running')
        AND blocked IS NULL AND pending_move IS NULL;
CREATE INDEX job_watch ON holdfast.job (provider, next_poll_at)
    WHERE watch_until IS NOT NULL AND state NOT IN ('created', 'submitted', 'running')
        AND blocked IS NULL AND pending_move IS NULL;
CREATE INDEX job_pending_move ON holdfast.job (job_id)
    WHERE pending_move IS NOT NULL AND blocked IS NULL;
-- The few that earlier runs did not survive, and those that a callback has woken: they come first.
CREATE INDEX job_suspect ON holdfast.job (provider, next_poll_at)
    WHERE claims > 1 AND blocked IS NULL AND pending_move IS NULL;
CREATE INDEX job_woken ON holdfast.job (provider, next_poll_at)
    WHERE woken_at IS NOT NULL AND blocked IS NULL AND pending_move IS NULL;
CREATE INDEX job_unheard ON holdfast.job (provider, unheard_family, unheard_since)
    WHERE state IN ('created', 'submitted', 'running', 'timed_out')
        AND (unheard_as = 'unreadable' OR blocked_cause IS NOT NULL);
CREATE INDEX job_blocked ON holdfast.job (blocked, job_id) WHERE blocked IS NOT NULL;
CREATE INDEX job_held ON holdfast.job (account_id) WHERE credit_state = 'held';
CREATE INDEX job_open ON holdfast.job (created_at)
    WHERE state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out');
CREATE INDEX job_finished ON holdfast.job (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX job_ended_badly ON holdfast.job (finished_at)
    WHERE state IN ('failed', 'abandoned', 'dismissed');
CREATE INDEX job_account ON holdfast.job (account_id, created_at);
CREATE INDEX job_created ON holdfast.job (created_at, job_id);

-- Which server, and which copy of the schema on it: transaction ids of one mean nothing in another.
CREATE FUNCTION holdfast.this_cluster() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    identifier bigint := 0;
BEGIN
    -- Some hosts do not let anybody ask.
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        SELECT c.system_identifier INTO identifier FROM pg_control_system() c;
    END IF;
    RETURN hashtextextended(concat_ws('/', identifier, (SELECT d.oid FROM pg_database d
        WHERE d.datname = current_database()), 'holdfast'::regnamespace::oid), 0);
END $$;

-- Money moves here and nowhere else. The id is derived from the cause, so that a repetition
-- meets the primary key; rows are never changed.
CREATE TABLE holdfast.transfer (
    transfer_id text COLLATE "C" PRIMARY KEY,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    kind text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL REFERENCES holdfast.account,
    job_id text COLLATE "C" REFERENCES holdfast.job,
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    reason text COLLATE "C",
    actor text COLLATE "C" NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL,
    -- The transaction that wrote it, and where: tells exactly what a closing day had seen.
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    cluster bigint NOT NULL DEFAULT holdfast.this_cluster(),
    CONSTRAINT transfer_sides CHECK ((kind, debit, credit) IN (
        ('grant', 'issued', 'available'),
        ('hold', 'available', 'held'),
        ('capture', 'held', 'spent'),
        ('void', 'held', 'available'),
        ('charge', 'available', 'spent'),
        ('refund', 'spent', 'available'),
        ('adjustment', 'issued', 'available'),
        ('adjustment', 'available', 'issued'))),
    CONSTRAINT transfer_has_job CHECK ((kind IN ('grant', 'adjustment')) = (job_id IS NULL))
);
CREATE INDEX transfer_job ON holdfast.transfer (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX transfer_account ON holdfast.transfer (account_id, sequence);
CREATE INDEX transfer_day ON holdfast.transfer (created_at, sequence);
-- What happens to jobs after their end.
CREATE INDEX transfer_afterwards ON holdfast.transfer (created_at)
    WHERE kind IN ('charge', 'refund');
CREATE INDEX transfer_xact ON holdfast.transfer (cluster, xact);

-- Whether a text can be a provider's name for a task: the one limit of its length, in bytes, which
-- the programs know as TaskID.limitBytes.
CREATE FUNCTION holdfast.is_task_id(given text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(octet_length(given) BETWEEN 1 AND 500, false)
$$;

-- What a provider runs for a job. A job may come to have several.
CREATE TABLE holdfast.task (
    provider text COLLATE "C" NOT NULL,
    task_id text COLLATE "C" NOT NULL CHECK (holdfast.is_task_id(task_id)),
    job_id text COLLATE "C" NOT NULL REFERENCES holdfast.job,
    endpoint text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'running', 'succeeded', 'failed', 'cancelled', 'expired')),
    error_message text COLLATE "C",
    cost_amount text COLLATE "C",
    cost_unit text COLLATE "C",
    is_unnamed boolean NOT NULL DEFAULT false, -- the answer with its files names no task
    created_at timestamptz NOT NULL,
    polled_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (provider, task_id)
);
CREATE INDEX task_job ON holdfast.task (job_id, created_at);

-- What is bought where: tells which of a provider's task lists have to be read.
CREATE TABLE holdfast.offer (
    provider text COLLATE "C" NOT NULL,
    -- Empty where the application named no family.
    endpoint text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    first_used_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (provider, endpoint, kind, model)
);

-- How far a provider's list of tasks has been read. A walk goes from the newest task back to
-- `covered_until`, over as many runs as it takes.
CREATE TABLE holdfast.task_list (
    provider text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    covered_until timestamptz NOT NULL,
    walks integer NOT NULL DEFAULT 0,
    walk_started_at timestamptz,
    next_page text COLLATE "C",
    next_walk_at timestamptz NOT NULL,
    last_walk_at timestamptz,
    problem text COLLATE "C",
    lease_owner uuid,
    lease_until timestamptz,
    PRIMARY KEY (provider, endpoint)
);

-- Tasks at a provider that no job knows.
CREATE TABLE holdfast.stray_task (
    provider text COLLATE "C" NOT NULL,
    task_id text COLLATE "C" NOT NULL CHECK (holdfast.is_task_id(task_id)),
    endpoint text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    cost_amount text COLLATE "C",
    cost_unit text COLLATE "C",
    created_at timestamptz,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    reported_at timestamptz,
    -- It bears our own id or a callback address with our tag.
    is_ours boolean NOT NULL DEFAULT false,
    PRIMARY KEY (provider, task_id)
);
CREATE INDEX stray_task_untold ON holdfast.stray_task (first_seen_at) WHERE reported_at IS NULL;

-- One result file of a job, from the provider's URL to the object in permanent storage.
CREATE TABLE holdfast.asset (
    job_id text COLLATE "C" NOT NULL REFERENCES holdfast.job,
    ordinal integer NOT NULL,
    provider text COLLATE "C" NOT NULL,
    -- dropped: the job was closed before the file was stored, and nobody wants it any more. forgotten: it
    -- was stored, and its customer wanted to be forgotten.
    state text COLLATE "C" NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'stored', 'lost', 'dropped', 'forgotten')),
    source_url text COLLATE "C" NOT NULL,
    source_expires_at timestamptz,
    -- The same, or a guess by the provider's usual URL life: it orders the work and proves nothing.
    expires_by timestamptz NOT NULL,
    refreshed_at timestamptz,
    object_key text COLLATE "C",
    upload_id text COLLATE "C",
    sha256 text COLLATE "C",
    bytes bigint,
    content_type text COLLATE "C",
    public_url text COLLATE "C",
    error_message text COLLATE "C",
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    stored_at timestamptz,
    lease_owner uuid,
    lease_token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    claims integer NOT NULL DEFAULT 0,
    -- Since when its source is known to send less than min_rate.
    slow_since timestamptz,
    -- Since when its source has sent what is no media, and what that was.
    refused_since timestamptz,
    refused_as text COLLATE "C",
    PRIMARY KEY (job_id, ordinal),
    CONSTRAINT stored_is_verified CHECK (state <> 'stored' OR (
        object_key IS NOT NULL AND sha256 IS NOT NULL AND bytes IS NOT NULL
        AND public_url IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX asset_due ON holdfast.asset (expires_by, job_id, ordinal)
    WHERE state = 'pending';
CREATE UNIQUE INDEX asset_object ON holdfast.asset (object_key) WHERE object_key IS NOT NULL;
-- What people look through: stored files by age, and the few that are lost or dropped.
CREATE INDEX asset_stored ON holdfast.asset (stored_at, job_id, ordinal) WHERE state = 'stored';
CREATE INDEX asset_lost ON holdfast.asset (created_at, job_id, ordinal) WHERE state IN ('lost', 'dropped', 'forgotten');

-- A file of a settled job while it is fetched once more, because a person wants it. The asset stays
-- as it is until the object is there, so that a job never looks as if it had no files; a row that
-- is left over says what an attempt that died had come to.
CREATE TABLE holdfast.refetch (
    job_id text COLLATE "C" NOT NULL,
    ordinal integer NOT NULL,
    actor text COLLATE "C" NOT NULL,
    -- What was found in the store.
    reason text COLLATE "C" NOT NULL,
    begun_at timestamptz NOT NULL,
    source_url text COLLATE "C",
    source_expires_at timestamptz,
    refreshed_at timestamptz,
    object_key text COLLATE "C",
    upload_id text COLLATE "C",
    sha256 text COLLATE "C",
    bytes bigint,
    content_type text COLLATE "C",
    error_message text COLLATE "C",
    lease_owner uuid,
    lease_token bigint NOT NULL DEFAULT 1,
    lease_until timestamptz,
    PRIMARY KEY (job_id, ordinal),
    FOREIGN KEY (job_id, ordinal) REFERENCES holdfast.asset
);

-- The callback inbox. Bodies are kept whole; of a secret only its digest until it is checked,
-- and the result of the check afterwards.
CREATE TABLE holdfast.callback (
    callback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text COLLATE "C" NOT NULL,
    headers jsonb NOT NULL,
    query text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    digest bytea NOT NULL,
    secret_digest text COLLATE "C",
    received_at timestamptz NOT NULL,
    drained_at timestamptz,
    result text COLLATE "C" CHECK (result IN ('matched', 'duplicate', 'unmatched', 'refused')),
    secret_check text COLLATE "C"
        CHECK (secret_check IN ('right', 'wrong', 'missing', 'not_checked')),
    job_id text COLLATE "C",
    candidates text[] COLLATE "C" NOT NULL DEFAULT '{}',
    note text COLLATE "C",
    -- Where less was kept than was sent: the size of the whole body, and its SHA-256 where it is known.
    whole_bytes bigint,
    whole_sha256 bytea,
    -- SHA-256, in hex, of the secret that the provider sends in clear, until it is checked.
    header_secret_digest text COLLATE "C",
    -- What each check came to: secret, tag, signature.
    checks jsonb,
    -- Who had it read again, and who believes it although a check failed.
    replayed_at timestamptz,
    replayed_by text COLLATE "C",
    vouched_by text COLLATE "C"
);
CREATE INDEX callback_undrained ON holdfast.callback (callback_id) WHERE drained_at IS NULL;
CREATE INDEX callback_unmatched ON holdfast.callback USING gin (candidates)
    WHERE result = 'unmatched';
CREATE INDEX callback_strange ON holdfast.callback (callback_id) WHERE result = 'unmatched';
CREATE INDEX callback_job ON holdfast.callback (job_id, callback_id) WHERE job_id IS NOT NULL;
CREATE INDEX callback_digest ON holdfast.callback (digest) WHERE result = 'matched';

-- Callbacks that came through a spool folder. A file that is read twice, because a run died between
-- the commit and the removal, finds its name here. A table of its own, because an index over the
-- inbox would lock a large one for long.
CREATE TABLE holdfast.spooled_callback (
    spool_id text COLLATE "C" PRIMARY KEY,
    callback_id bigint NOT NULL
);

-- The keys that a provider publishes for its signatures, as they were fetched.
CREATE TABLE holdfast.webhook_keys (
    provider text COLLATE "C" PRIMARY KEY,
    url text COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL,
    fetched_at timestamptz NOT NULL
);

-- A verdict with its evidence: bounded, redacted, with the digest of the original body.
CREATE TABLE holdfast.observation (
    observation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL REFERENCES holdfast.job,
    task_id text COLLATE "C",
    run_id uuid,
    observed_at timestamptz NOT NULL,
    source text COLLATE "C" NOT NULL,
    http_status integer,
    state text COLLATE "C" NOT NULL,
    error_class text COLLATE "C" NOT NULL,
    error_message text COLLATE "C",
    progress integer,
    evidence text COLLATE "C",
    body_sha256 text COLLATE "C",
    body_bytes integer
);
CREATE INDEX observation_job ON holdfast.observation (job_id, observation_id);

-- Every change of a job's state or block, written by a trigger whatever made the change; and what a
-- person did to its files, which changes neither and is named by `deed`.
CREATE TABLE holdfast.job_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL REFERENCES holdfast.job,
    happened_at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    run_id uuid,
    from_state text COLLATE "C",
    to_state text COLLATE "C" NOT NULL,
    blocked text COLLATE "C",
    detail text COLLATE "C",
    deed text COLLATE "C"
);
CREATE INDEX job_event_job ON holdfast.job_event (job_id, event_id);

-- One execution of one executable. A row without an end is a run that died.
CREATE TABLE holdfast.run (
    run_id uuid PRIMARY KEY,
    command text COLLATE "C" NOT NULL,
    host text COLLATE "C" NOT NULL,
    pid integer,
    version text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    examined integer,
    outcomes jsonb,
    credits jsonb,
    exit_status integer,
    -- Two offsets at once would take each other's leases; the connection tells whether it is at work.
    clock_offset interval NOT NULL
        DEFAULT coalesce(nullif(current_setting('holdfast.clock_offset', true), ''), '0')::interval,
    backend_pid integer NOT NULL DEFAULT pg_backend_pid()
);
CREATE INDEX run_command ON holdfast.run (command, started_at DESC);

-- How many copies of one executable may work at a time: one row for each place.
CREATE TABLE holdfast.run_slot (
    command text COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    run_id uuid,
    expires_at timestamptz,
    PRIMARY KEY (command, slot)
);

-- What all hosts know of a provider: its token bucket and its circuit breaker.
CREATE TABLE holdfast.provider (
    provider text COLLATE "C" PRIMARY KEY,
    tokens double precision NOT NULL DEFAULT 0,
    refilled_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    openings integer NOT NULL DEFAULT 0,
    paused_until timestamptz,
    pause_reason text COLLATE "C",
    -- The part of the bucket that is kept for what cannot wait.
    reserved double precision,
    -- Digests of the tasks that failed since the last answer, so that each counts once.
    failed_tasks text[] COLLATE "C" NOT NULL DEFAULT '{}',
    -- Since when its breaker has been open or on trial.
    silent_since timestamptz,
    -- The last failure, until an answer comes: bounded, and without anything private.
    last_error text COLLATE "C",
    last_status integer,
    last_error_at timestamptz,
    is_key_refused boolean NOT NULL DEFAULT false,
    credentials text COLLATE "C" -- what names those that its breaker opened for
);

-- Policies. An empty provider, kind or model means any; rows that came with the schema rank
-- below all rows that somebody set.
CREATE TABLE holdfast.policy (
    key text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL DEFAULT '',
    kind text COLLATE "C" NOT NULL DEFAULT '',
    model text COLLATE "C" NOT NULL DEFAULT '',
    is_default boolean NOT NULL DEFAULT false,
    value text COLLATE "C" NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text COLLATE "C" NOT NULL DEFAULT session_user,
    PRIMARY KEY (key, provider, kind, model, is_default)
);
