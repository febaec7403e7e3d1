-- What was wrong in a day that is sealed is put right on the open day, by name.

-- The sealed day that an adjustment corrects; and what was paid for a grant.
ALTER TABLE holdfast.transfer ADD COLUMN corrects date, ADD COLUMN paid numeric,
    ADD COLUMN currency text,
    ADD CONSTRAINT transfer_corrects CHECK (corrects IS NULL OR kind = 'adjustment'),
    ADD CONSTRAINT transfer_paid CHECK (paid IS NULL AND currency IS NULL
        OR kind = 'grant' AND paid IS NOT NULL AND currency IS NOT NULL);
CREATE INDEX transfer_correction ON holdfast.transfer (created_at) WHERE corrects IS NOT NULL;

-- A person corrects an account for the sake of a sealed day, which stays as it is: an adjustment on the
-- open day, once for each reference. Returns what is available afterwards.
CREATE FUNCTION holdfast.correct_day(
    wanted date, account text, credits bigint, reason text, reference text, person text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM require(EXISTS (SELECT FROM business_day d
            WHERE d.day = wanted AND d.state = 'sealed'),
        format('correct_day: %s is not sealed, so that there is nothing to correct in it; use account adjust',
            coalesce(wanted::text, 'no day')));
    RETURN adjust_credits(account, credits, reason, reference, person, wanted);
END $$;

-- The corrections that were posted up to the end of a day that is being sealed and that no day before it
-- tells of, for its figures.
CREATE FUNCTION holdfast.corrections_of(d holdfast.business_day) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT CASE WHEN count(*) = 0 THEN '{}' ELSE jsonb_build_object('corrections', jsonb_agg(
        jsonb_build_object('day', to_char(t.corrects, 'YYYY-MM-DD'), 'account_id', t.account_id,
            'credits', CASE t.credit WHEN 'available' THEN t.amount ELSE -t.amount END,
            'reason', t.reason, 'person', t.actor, 'transfer_id', t.transfer_id)
        ORDER BY t.created_at, t.sequence)) END
    FROM transfer t
    WHERE t.corrects IS NOT NULL AND t.created_at < d.ends_at AND NOT EXISTS (
        SELECT FROM business_day b WHERE b.day < d.day AND b.ends_at > t.created_at - interval '31 days'
            AND b.figures -> 'corrections' @> jsonb_build_array(
                jsonb_build_object('transfer_id', t.transfer_id)))
$$;
