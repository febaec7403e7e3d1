-- What providers say they did and charged, what that is worth, and what is left on our accounts there.

-- Policies with a date: prices, and what a provider's units and our credits are worth in money. A row
-- holds from `valid_from` until a newer one of the same scope does; the most specific scope wins.
CREATE TABLE holdfast.dated_policy (
    key text NOT NULL CHECK (key IN ('price', 'cost', 'unit_value', 'credit_value')),
    provider text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT '',
    model text NOT NULL DEFAULT '',
    -- The provider's unit that a `unit_value` is about; empty for the other keys.
    unit text NOT NULL DEFAULT '',
    valid_from timestamptz NOT NULL,
    -- price: credits for one output; cost: units for one output; unit_value and credit_value: money.
    amount numeric NOT NULL CHECK (amount >= 0 AND amount < 1e15),
    -- What the amount counts: 'credits', a provider's unit, or a currency.
    counts text NOT NULL CHECK (counts <> ''),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (key, provider, kind, model, unit, valid_from)
);

-- The rate that holds at an instant: what one output is sold for or costs, or what a unit or a credit
-- is worth. The most specific scope wins, then the latest date; no row when none is known. A unit is
-- looked at for `unit_value` alone.
CREATE FUNCTION holdfast.rate_at(
    wanted text, for_provider text, for_kind text, for_model text, for_unit text, at timestamptz)
RETURNS TABLE (amount numeric, counts text)
LANGUAGE sql STABLE AS $$
    -- Names are written out instead of a search path, so that the body can be made part of a query.
    SELECT p.amount, p.counts FROM holdfast.dated_policy p
    WHERE p.key = wanted AND p.provider IN ('', for_provider) AND p.kind IN ('', for_kind)
        AND p.model IN ('', for_model)
        AND p.unit = CASE wanted WHEN 'unit_value' THEN for_unit ELSE '' END AND p.valid_from <= at
    ORDER BY p.model = '', p.kind = '', p.provider = '', p.valid_from DESC
    LIMIT 1
$$;

-- An amount of a provider's unit as money at an instant, in millionths of the installation's currency,
-- halves away from zero. A unit that is the currency itself counts 1. Null when no rate is known, and
-- beyond 2^53, which is more than the books hold.
CREATE FUNCTION holdfast.money_micros(amount numeric, provider text, unit text, at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    rate numeric := (SELECT r.amount
        FROM holdfast.rate_at('unit_value', provider, '', '', unit, at) r);
    micros numeric;
BEGIN
    IF rate IS NULL AND unit = holdfast.policy_value('currency') THEN
        rate := 1;
    END IF;
    micros := round(amount * rate * 1000000);
    RETURN CASE WHEN abs(micros) <= 9007199254740992 THEN micros::bigint END;
END $$;

-- The same rates by period, for a join over many lines, where a call for each would take too long: a
-- provider's own rate first, then the one of an empty provider, then 1 for the currency itself.
CREATE VIEW holdfast.unit_rate AS
SELECT p.provider, p.unit, p.amount, p.valid_from, lead(p.valid_from, 1, 'infinity') OVER (
    PARTITION BY p.provider, p.unit ORDER BY p.valid_from) AS valid_until
FROM holdfast.dated_policy p WHERE p.key = 'unit_value';

-- One file of usage lines that somebody imported.
CREATE TABLE holdfast.usage_import (
    import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    file_name text NOT NULL,
    file_sha256 text NOT NULL,
    actor text NOT NULL,
    imported_at timestamptz NOT NULL,
    lines bigint NOT NULL,
    new_lines bigint NOT NULL,
    bad_lines bigint NOT NULL,
    -- What the provider's bill covers: from its first line to its last.
    first_at timestamptz,
    last_at timestamptz
);

-- What a provider says it did and charged, line by line; never changed once written. What a verdict
-- or a list says is believed until a bill says otherwise.
CREATE TABLE holdfast.usage_line (
    usage_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    -- The provider's own name for the line, or one derived from what it says: a repetition meets it.
    line_key text NOT NULL,
    source text NOT NULL CHECK (source IN ('verdict', 'list', 'billing', 'import')),
    import_id bigint REFERENCES holdfast.usage_import,
    task_id text,
    -- Our own id, where the provider repeats it.
    job_id text,
    model text,
    status text CHECK (status IN ('succeeded', 'failed', 'cancelled', 'running')),
    amount numeric NOT NULL CHECK (abs(amount) < 1e15),
    unit text NOT NULL CHECK (unit <> ''),
    -- By how much the line changes what its task costs us: a bill takes the place of a verdict.
    booked numeric NOT NULL CHECK (abs(booked) < 1e15),
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (provider, line_key)
);
CREATE INDEX usage_line_task ON holdfast.usage_line (provider, task_id) WHERE task_id IS NOT NULL;
CREATE INDEX usage_line_recorded ON holdfast.usage_line (recorded_at, usage_id);
CREATE INDEX usage_line_happened ON holdfast.usage_line (provider, happened_at);

-- What is left on an account at a provider, as it said or as somebody read it there.
CREATE TABLE holdfast.provider_balance (
    provider text NOT NULL,
    taken_at timestamptz NOT NULL,
    amount numeric NOT NULL CHECK (abs(amount) < 1e15),
    unit text NOT NULL CHECK (unit <> ''),
    source text NOT NULL CHECK (source IN ('provider', 'person')),
    actor text NOT NULL,
    PRIMARY KEY (provider, unit, taken_at)
);

-- Money that was paid in at a provider, which explains why a balance rose.
CREATE TABLE holdfast.provider_top_up (
    provider text NOT NULL,
    reference text NOT NULL CHECK (reference <> ''),
    amount numeric NOT NULL CHECK (amount > 0 AND amount < 1e15),
    unit text NOT NULL CHECK (unit <> ''),
    happened_at timestamptz NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (provider, reference)
);

CREATE TRIGGER usage_line_is_immutable BEFORE UPDATE OR DELETE ON holdfast.usage_line
    FOR EACH ROW EXECUTE FUNCTION holdfast.refuse_change();
CREATE TRIGGER usage_line_is_never_emptied BEFORE TRUNCATE ON holdfast.usage_line
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.refuse_change();
