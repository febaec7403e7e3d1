-- The seals of days: what is in their digests. Each day keeps the number of the formula that it was
-- sealed by and is checked by that one for ever: a formula that exists is never changed, another one
-- gets the next number and its own branch in account_lines and digest_of.

-- The formula of days whose close begins now.
CREATE FUNCTION holdfast.digest_formula() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;

-- Fails with HF013 where a day was sealed by a formula that this schema does not know.
CREATE FUNCTION holdfast.require_formula(d holdfast.business_day) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = holdfast, pg_temp AS $$
BEGIN
    IF d.formula NOT BETWEEN 1 AND digest_formula() THEN
        RAISE EXCEPTION 'the books of % are sealed by formula % of digests, and this schema knows up to %',
            to_char(d.day, 'YYYY-MM-DD'), d.formula, digest_formula() USING ERRCODE = 'HF013';
    END IF;
END $$;

-- Entries, lines or accounts of one page: a fraction of a second's work. Digests are taken page by page,
-- so that another size would be another digest.
CREATE FUNCTION holdfast.close_page() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 10000 $$;

CREATE FUNCTION holdfast.digest_on(running text, page text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN page IS NULL THEN running
        ELSE encode(sha256(convert_to(running || E'\n' || page, 'UTF8')), 'hex') END
$$;

-- A page of the finished figures of accounts, each with the line that it is in the digest.
CREATE FUNCTION holdfast.account_lines(
    wanted date, after text, most integer, OUT lines text, OUT last text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp
-- What is in a digest is written the same way for ever, whatever the session prefers.
SET datestyle = 'ISO, YMD' SET timezone = 'UTC' AS $$
    -- Formula 1; columns by name, so that another one changes no seal.
    SELECT string_agg(concat_ws(E'\t', to_char(a.day, 'YYYY-MM-DD'), a.account_id,
            a.opening_available, a.opening_held, a.opening_spent, a.granted, a.held, a.captured,
            a.voided, a.charged, a.refunded, a.adjusted, a.closing_available, a.closing_held,
            a.closing_spent, a.entries), E'\n' ORDER BY a.account_id), max(a.account_id)
    FROM (SELECT a.* FROM account_day a WHERE a.day = wanted AND a.account_id > after
        ORDER BY a.account_id LIMIT most) a
$$;

CREATE FUNCTION holdfast.count_figures(d holdfast.business_day, most integer) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    UPDATE business_day b SET after_account = coalesce(p.last, b.after_account),
        running_digest = digest_on(b.running_digest, p.lines),
        phase = CASE WHEN p.last IS NULL THEN 'counted' ELSE b.phase END
    FROM account_lines(d.day, d.after_account, most) p WHERE b.day = d.day
$$;

-- What a sealed day says, in one digest, chained to the day before.
CREATE FUNCTION holdfast.digest_by_1(d holdfast.business_day) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp
SET datestyle = 'ISO, YMD' SET timezone = 'UTC' AS $$
    SELECT digest_on(d.previous_digest, concat_ws(E'\n', concat_ws(E'\t', d.day, d.zone,
        extract(epoch FROM d.starts_at), extract(epoch FROM d.ends_at), d.seen, d.cluster,
        array_to_string(d.earlier_clusters, ' '), d.entries, d.usage_lines, d.running_digest,
        d.figures, extract(epoch FROM d.closed_at)),
        (SELECT string_agg(concat_ws(E'\t', m.provider, m.model, m.kind, m.opened, m.delivered,
                m.failed, m.abandoned, m.earned, coalesce(m.revenue_micros::text, '-'),
                coalesce(m.cost_micros::text, '-'), coalesce(m.leaked_micros::text, '-'),
                m.unpriced_lines, coalesce(m.median_seconds::text, '-'),
                coalesce(m.p95_seconds::text, '-')), E'\n' ORDER BY m.provider, m.model, m.kind)
            FROM model_day m WHERE m.day = d.day),
        (SELECT string_agg(concat_ws(E'\t', u.provider, u.unit, u.model, u.kind, u.lines, u.amount,
                u.leaked, coalesce(u.micros::text, '-'), coalesce(u.leaked_micros::text, '-')),
                E'\n' ORDER BY u.provider, u.unit, u.model, u.kind)
            FROM usage_day u WHERE u.day = d.day),
        (SELECT string_agg(concat_ws(E'\t', b.break_id, b.status, b.age_days, b.class, b.subject,
                b.credits, b.amount, b.unit, b.micros, b.detail), E'\n' ORDER BY b.break_id)
            FROM break_day b WHERE b.day = d.day)))
$$;

-- By the formula that the day keeps.
CREATE FUNCTION holdfast.digest_of(d holdfast.business_day) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    PERFORM require_formula(d);
    RETURN CASE d.formula WHEN 1 THEN digest_by_1(d) END;
END $$;

-- Counts a page of a sealed day once more, from where the last call ended; a day that agrees ends in
-- the phase 'counted' with the running digest that it was sealed with.
CREATE FUNCTION holdfast.recount_page(
    wanted date, INOUT phase text, INOUT after_at text, INOUT after_id bigint,
    INOUT after_account text, INOUT running text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    d business_day;
    page text;
    last_at timestamptz;
    last_id bigint;
    last_account text;
BEGIN
    SELECT * INTO d FROM business_day b WHERE b.day = wanted;
    PERFORM require_formula(d);
    CASE phase
    WHEN 'late', 'entries' THEN
        SELECT string_agg(e.line, E'\n' ORDER BY e.at, e.id), max(e.at),
            (array_agg(e.id ORDER BY e.at DESC, e.id DESC))[1]
        INTO page, last_at, last_id
        FROM entries_of(d, phase = 'late', after_at::timestamptz, after_id, close_page()) e;
    WHEN 'usage' THEN
        SELECT string_agg(l.line, E'\n' ORDER BY l.at, l.id), max(l.at),
            (array_agg(l.id ORDER BY l.at DESC, l.id DESC))[1]
        INTO page, last_at, last_id
        FROM usage_of(d, after_at::timestamptz, after_id, close_page()) l;
    WHEN 'figures' THEN
        SELECT l.lines, l.last INTO page, last_account
        FROM account_lines(wanted, after_account, close_page()) l;
    END CASE;
    running := digest_on(running, page);
    IF page IS NULL THEN
        after_at := '-infinity'; after_id := 0;
        phase := CASE phase WHEN 'late' THEN 'entries' WHEN 'entries' THEN 'usage'
            WHEN 'usage' THEN 'figures' ELSE 'counted' END;
    ELSE
        after_at := coalesce(last_at::text, after_at);
        after_id := coalesce(last_id, after_id);
        after_account := coalesce(last_account, after_account);
    END IF;
END $$;

-- Reports of sealed days that were put where people find them: each is checked by what its own renderer
-- wrote, whatever a later one would write.
CREATE TABLE holdfast.published_report (
    day date NOT NULL,
    name text COLLATE "C" NOT NULL,
    renderer integer NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    -- Of the day that it says.
    digest text COLLATE "C" NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (day, name)
);

CREATE FUNCTION holdfast.note_published(wanted date, by_renderer integer, files jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO published_report (day, name, renderer, sha256, digest, published_at)
    SELECT wanted, f.name, by_renderer, f.sha256, coalesce(d.digest, ''), clock_timestamp()
    FROM jsonb_to_recordset(files) AS f (name text, sha256 text)
    LEFT JOIN business_day d ON d.day = wanted
    ON CONFLICT (day, name) DO NOTHING
$$;
