-- What outputs are sold for and cost, and what units and credits are worth, from a date on.

-- Policies with a date: prices, and what a provider's units and our credits are worth in money. A row
-- holds from `valid_from` until a newer one of the same scope does; the most specific scope wins.
CREATE TABLE holdfast.dated_policy (
    key text COLLATE "C" NOT NULL CHECK (key IN ('price', 'cost', 'unit_value', 'credit_value')),
    provider text COLLATE "C" NOT NULL DEFAULT '',
    kind text COLLATE "C" NOT NULL DEFAULT '',
    model text COLLATE "C" NOT NULL DEFAULT '',
    -- The provider's unit that a `unit_value` is about; empty for the other keys.
    unit text COLLATE "C" NOT NULL DEFAULT '',
    valid_from timestamptz NOT NULL,
    -- price: credits for one output; cost: units for one output; unit_value and credit_value: money.
    amount numeric NOT NULL CHECK (amount >= 0 AND amount < 1e15),
    -- What the amount counts: 'credits', a provider's unit, or a currency.
    counts text COLLATE "C" NOT NULL CHECK (counts <> ''),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text COLLATE "C" NOT NULL DEFAULT session_user,
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

-- The same for all times, one row from each change to the next.
CREATE FUNCTION holdfast.rate_periods(
    wanted text, for_provider text, for_kind text, for_model text)
RETURNS TABLE (amount numeric, counts text, valid_from timestamptz, valid_until timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT r.amount, r.counts, c.valid_from,
        lead(c.valid_from, 1, 'infinity') OVER (ORDER BY c.valid_from)
    FROM (SELECT DISTINCT p.valid_from FROM holdfast.dated_policy p
        WHERE p.key = wanted AND p.provider IN ('', for_provider) AND p.kind IN ('', for_kind)
            AND p.model IN ('', for_model)) c
    CROSS JOIN LATERAL holdfast.rate_at(
        wanted, for_provider, for_kind, for_model, '', c.valid_from) r
$$;

-- An amount as whole millionths, halves away from zero; null beyond 2^53, which is more than the books
-- hold, so that no amount, however absurd, stops a day from being sealed.
CREATE FUNCTION holdfast.whole_micros(amount numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN abs(round(amount)) <= 9007199254740992 THEN round(amount)::bigint END
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
BEGIN
    IF rate IS NULL AND unit = holdfast.policy_value('currency') THEN
        rate := 1;
    END IF;
    RETURN holdfast.whole_micros(amount * rate * 1000000);
END $$;

-- The same rates by period, for a join over many lines, where a call for each would take too long: a
-- provider's own rate first, then the one of an empty provider, then 1 for the currency itself.
CREATE VIEW holdfast.unit_rate AS
SELECT p.provider, p.unit, p.amount, p.valid_from, lead(p.valid_from, 1, 'infinity') OVER (
    PARTITION BY p.provider, p.unit ORDER BY p.valid_from) AS valid_until
FROM holdfast.dated_policy p WHERE p.key = 'unit_value';
