-- Business days: what moved on each, sealed and chained to the day before.

-- A business day of the books. Its entries are what had been committed when its close began and
-- belongs to no earlier day; what comes to light later is an entry of a later day.
CREATE TABLE holdfast.business_day (
    day date PRIMARY KEY,
    zone text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('closing', 'sealed')),
    -- What was committed when its close began. Of that, no entry of this day has a smaller sequence than
    -- the first of these, and none of a later day a smaller one than the second.
    seen pg_snapshot NOT NULL,
    -- Where its close began, and the clusters that the books had been in before: what those wrote had
    -- all been there.
    cluster bigint NOT NULL,
    earlier_clusters bigint[] NOT NULL,
    first_sequence bigint NOT NULL,
    next_sequence bigint NOT NULL,
    -- How far an unfinished close has come.
    phase text COLLATE "C" NOT NULL DEFAULT 'late'
        CHECK (phase IN ('late', 'entries', 'usage', 'accounts', 'figures', 'counted')),
    after_at timestamptz NOT NULL DEFAULT '-infinity',
    after_id bigint NOT NULL DEFAULT 0,
    after_account text COLLATE "C" NOT NULL DEFAULT '',
    entries bigint NOT NULL DEFAULT 0,
    usage_lines bigint NOT NULL DEFAULT 0,
    -- SHA-256 over everything counted so far, page by page.
    running_digest text COLLATE "C" NOT NULL DEFAULT '',
    -- The figures of the day, as every report gives them.
    figures jsonb,
    -- Which formula its digests follow, for ever.
    formula integer NOT NULL,
    previous_digest text COLLATE "C",
    digest text COLLATE "C",
    run_id uuid,
    version text COLLATE "C" NOT NULL,
    closed_at timestamptz,
    CONSTRAINT day_has_length CHECK (ends_at > starts_at),
    CONSTRAINT day_sealed_whole CHECK (state = 'closing' OR (figures IS NOT NULL
        AND previous_digest IS NOT NULL AND digest IS NOT NULL AND closed_at IS NOT NULL))
);
-- One day is closed at a time.
CREATE UNIQUE INDEX business_day_closing ON holdfast.business_day (state) WHERE state = 'closing';

-- Whether what a transaction wrote had been committed when the close of a day began.
CREATE FUNCTION holdfast.had_seen(d holdfast.business_day, by_cluster bigint, by_xact xid8)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN by_cluster = d.cluster THEN pg_visible_in_snapshot(by_xact, d.seen)
        ELSE by_cluster = ANY (d.earlier_clusters) END
$$;

-- An account on a day on which it moved: what it began with, what moved, what it ended with.
CREATE TABLE holdfast.account_day (
    day date NOT NULL REFERENCES holdfast.business_day,
    account_id text COLLATE "C" NOT NULL,
    opening_available bigint NOT NULL,
    opening_held bigint NOT NULL,
    opening_spent bigint NOT NULL,
    granted bigint NOT NULL,
    held bigint NOT NULL,
    captured bigint NOT NULL,
    voided bigint NOT NULL,
    charged bigint NOT NULL,
    refunded bigint NOT NULL,
    -- Of either sign.
    adjusted bigint NOT NULL,
    closing_available bigint NOT NULL,
    closing_held bigint NOT NULL,
    closing_spent bigint NOT NULL,
    entries bigint NOT NULL,
    PRIMARY KEY (day, account_id),
    CONSTRAINT account_day_adds_up CHECK (
        closing_available = opening_available + granted + adjusted - held + voided - charged + refunded
        AND closing_held = opening_held + held - captured - voided
        AND closing_spent = opening_spent + captured + charged - refunded)
);
CREATE INDEX account_day_latest ON holdfast.account_day (account_id, day DESC);

-- What was made, earned and paid for on a day, by model. Money is in millionths of the currency, and
-- null where no rate is known.
CREATE TABLE holdfast.model_day (
    day date NOT NULL REFERENCES holdfast.business_day,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    opened bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    abandoned bigint NOT NULL DEFAULT 0,
    -- Credits earned: captured and charged, less refunded.
    earned bigint NOT NULL DEFAULT 0,
    revenue_micros bigint,
    cost_micros bigint,
    -- What was paid to the provider for jobs that no customer paid for.
    leaked_micros bigint,
    -- Usage lines without a known rate.
    unpriced_lines bigint NOT NULL DEFAULT 0,
    -- Of the jobs that were delivered: from creation to the files' being there.
    median_seconds bigint,
    p95_seconds bigint,
    PRIMARY KEY (day, provider, model, kind)
);

-- What each provider says it charged, by unit and model, as it was booked on a day.
CREATE TABLE holdfast.usage_day (
    day date NOT NULL REFERENCES holdfast.business_day,
    provider text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    -- Empty where no job has the task.
    model text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    lines bigint NOT NULL,
    amount numeric NOT NULL,
    -- Of jobs that cost credits, are over, and that nobody paid for; and of no job at all.
    leaked numeric NOT NULL,
    micros bigint,
    leaked_micros bigint,
    PRIMARY KEY (day, provider, unit, model, kind)
);

-- The breaks as they stood when a day was sealed: open ones, and those closed since the day before.
CREATE TABLE holdfast.break_day (
    day date NOT NULL REFERENCES holdfast.business_day,
    break_id bigint NOT NULL REFERENCES holdfast.break,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('opened', 'standing', 'healed', 'fixed', 'resolved')),
    age_days integer NOT NULL,
    class text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    job_id text COLLATE "C",
    account_id text COLLATE "C",
    provider text COLLATE "C",
    model text COLLATE "C",
    loses text COLLATE "C" NOT NULL,
    credits bigint,
    amount numeric,
    unit text COLLATE "C",
    micros bigint,
    detail text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    fix text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (day, break_id)
);

-- A sealed day's figures never change; those of a day that is being closed come page by page, and there are
-- many: a search path of its own would cost more than the rest of this.
CREATE FUNCTION holdfast.refuse_sealed() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    touched date := CASE TG_OP WHEN 'DELETE' THEN OLD.day ELSE NEW.day END;
BEGIN
    IF EXISTS (SELECT FROM holdfast.business_day d WHERE d.day = touched AND d.state = 'sealed')
        OR (TG_OP = 'UPDATE' AND OLD.day <> NEW.day) THEN
        RAISE EXCEPTION 'the books of % are sealed', touched USING ERRCODE = 'HF011';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION holdfast.refuse_reopening() RETURNS trigger
LANGUAGE plpgsql SET search_path = holdfast, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the books of % are sealed', OLD.day USING ERRCODE = 'HF011';
END $$;

CREATE TRIGGER business_day_stays_sealed BEFORE UPDATE OR DELETE ON holdfast.business_day
    FOR EACH ROW WHEN (OLD.state = 'sealed') EXECUTE FUNCTION holdfast.refuse_reopening();
CREATE TRIGGER account_day_stays_sealed BEFORE INSERT OR UPDATE OR DELETE ON holdfast.account_day
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_sealed();
CREATE TRIGGER model_day_stays_sealed BEFORE INSERT OR UPDATE OR DELETE ON holdfast.model_day
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_sealed();
CREATE TRIGGER usage_day_stays_sealed BEFORE INSERT OR UPDATE OR DELETE ON holdfast.usage_day
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_sealed();
CREATE TRIGGER break_day_stays_sealed BEFORE INSERT OR UPDATE OR DELETE ON holdfast.break_day
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_sealed();
