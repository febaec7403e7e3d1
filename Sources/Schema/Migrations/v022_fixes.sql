-- Breaks from night to night: recorded under one identity, mended where that needs no judgement,
-- resolved by people, and closed when they are gone.

-- Keeps a page of findings: new ones are opened, standing ones are seen again. A finding that a person
-- has resolved stays resolved as long as its facts are the same.
CREATE FUNCTION holdfast.record_breaks(run uuid, clock_offset interval, findings jsonb)
RETURNS TABLE (opened bigint, standing bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    now_ := clock();
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (f.class, f.subject) f.*,
            encode(sha256(convert_to(f.evidence::text, 'UTF8')), 'hex') AS fingerprint
        FROM jsonb_populate_recordset(NULL::found_break, findings) f ORDER BY f.class, f.subject
    ), answered AS (
        UPDATE break b SET last_seen_at = now_, last_run = run
        FROM given g
        WHERE b.class = g.class AND b.subject = g.subject AND b.fingerprint = g.fingerprint
            AND b.resolved_at IS NOT NULL AND b.closed_at IS NOT NULL
        RETURNING g.class, g.subject
    ), kept AS (
        INSERT INTO break AS b (class, subject, job_id, account_id, provider, model, task_id, also,
            loses, credits, amount, unit, detail, cause, fix, evidence, fingerprint, first_seen_at,
            last_seen_at, last_run)
        SELECT g.class, g.subject, g.job_id, g.account_id, g.provider, g.model, g.task_id,
            coalesce(g.also, '{}'), c.loses, g.credits, g.amount, g.unit, g.detail, c.cause, g.fix,
            g.evidence, g.fingerprint, now_, now_, run
        FROM given g JOIN break_class c ON c.class = g.class
        WHERE NOT EXISTS (SELECT FROM answered a
            WHERE a.class = g.class AND a.subject = g.subject)
        ORDER BY g.class, g.subject
        ON CONFLICT (class, subject) WHERE closed_at IS NULL DO UPDATE
        SET last_seen_at = now_, last_run = run, also = excluded.also, credits = excluded.credits,
            amount = excluded.amount, unit = excluded.unit, detail = excluded.detail,
            cause = excluded.cause, fix = excluded.fix, evidence = excluded.evidence,
            fingerprint = excluded.fingerprint, account_id = excluded.account_id
        RETURNING b.first_seen_at
    )
    SELECT count(*) FILTER (WHERE k.first_seen_at = now_), count(*) FROM kept k;
END $$;

-- Which of these findings a person has resolved with the same facts: class, tab, subject.
CREATE FUNCTION holdfast.answered_breaks(findings jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT f.class || E'\t' || f.subject
    FROM jsonb_populate_recordset(NULL::found_break, findings) f
    WHERE EXISTS (SELECT FROM break b WHERE b.class = f.class AND b.subject = f.subject
        AND b.resolved_at IS NOT NULL AND b.closed_at IS NOT NULL
        AND b.fingerprint = encode(sha256(convert_to(f.evidence::text, 'UTF8')), 'hex'))
$$;

-- Closes breaks that a whole matching, begun at `since`, did not find any more, or (null) those that
-- people have resolved; a page of them, so that no transaction is long.
CREATE FUNCTION holdfast.close_breaks(
    run uuid, clock_offset interval, since timestamptz, most integer)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    closed bigint;
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    UPDATE break b SET closed_at = clock(),
        closed_how = CASE WHEN since IS NULL THEN 'resolved' ELSE 'healed' END
    FROM (SELECT f.break_id FROM break f WHERE f.closed_at IS NULL
            AND CASE WHEN since IS NULL THEN f.resolved_at IS NOT NULL ELSE f.last_seen_at < since END
        ORDER BY f.break_id LIMIT most FOR NO KEY UPDATE) f
    WHERE b.break_id = f.break_id;
    GET DIAGNOSTICS closed = ROW_COUNT;
    RETURN closed;
END $$;

-- A person answers a break: it is closed by the next night, and stays closed as long as its facts
-- stay the same. NULL when there is no such break; false when it was closed already.
CREATE FUNCTION holdfast.resolve_break(wanted bigint, reason text, person text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    b break;
BEGIN
    PERFORM require(btrim(reason) <> '', 'resolve_break: a reason is needed');
    SELECT * INTO b FROM break WHERE break_id = wanted FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF b.closed_at IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM act_as(person, NULL, '0');
    UPDATE break SET resolved_at = clock(), resolved_by = person, resolution = reason
    WHERE break_id = wanted;
    RETURN true;
END $$;

-- Mends what a plan names, each on its own: the job is locked and matched once more, and what is no
-- longer as planned is left alone. The outcome is 'done', 'asked' (another run goes on from here),
-- 'cleared', 'busy', 'braked', 'held_back' (the account's books contradict themselves) or 'refused'.
CREATE FUNCTION holdfast.fix_breaks(
    run uuid, clock_offset interval, digest text, planned jsonb)
RETURNS TABLE (class text, subject text, outcome text, settled text, amount bigint, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p found_break;
    now_found found_break;
    kept break;
    rule text := 'v1';
BEGIN
    PERFORM act_as('ledger-reconciler', run, clock_offset);
    FOR p IN SELECT f.* FROM jsonb_populate_recordset(NULL::found_break, planned) f
        ORDER BY f.job_id
    LOOP
        class := p.class; subject := p.subject; settled := NULL; amount := NULL; detail := NULL;
        SELECT * INTO kept FROM break b
        WHERE b.class = p.class AND b.subject = p.subject AND b.closed_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED;
        -- What the application or a run holds is mended by another night; nothing waits here.
        PERFORM 1 FROM job j JOIN account a ON a.account_id = j.account_id
        WHERE j.job_id = p.job_id FOR NO KEY UPDATE OF a, j SKIP LOCKED;
        IF NOT FOUND OR kept.break_id IS NULL THEN
            outcome := 'busy';
            RETURN NEXT;
            CONTINUE;
        END IF;
        SELECT * INTO now_found FROM match_jobs(ARRAY[p.job_id]);
        IF EXISTS (SELECT FROM break b JOIN break_class c USING (class)
            WHERE b.account_id = p.account_id AND c.is_integrity AND b.closed_at IS NULL) THEN
            outcome := 'held_back';
            detail := 'the books of account ' || p.account_id || ' contradict themselves';
        ELSIF (now_found.class, now_found.action, now_found.moves)
            IS DISTINCT FROM (p.class, p.action, p.moves) THEN
            outcome := 'cleared';
        ELSE
            SELECT f.outcome, f.settled, f.moved, f.detail INTO outcome, settled, amount, detail
            FROM fix_one(p, run) f;
            IF outcome = 'done' AND EXISTS (SELECT FROM match_jobs(ARRAY[p.job_id]) m
                WHERE m.class = p.class) THEN
                outcome := 'refused';
                detail := 'it stands all the same';
            END IF;
        END IF;
        INSERT INTO break_fix (break_id, run_id, plan_digest, rule, action, outcome, credits, undo,
            happened_at)
        VALUES (kept.break_id, run, digest, rule || ' ' || p.class, p.action,
            outcome || coalesce(': ' || detail, ''), amount, CASE WHEN outcome = 'done' THEN
                undo_of(p, amount) END, clock());
        IF outcome = 'done' THEN
            UPDATE break b SET closed_at = clock(), closed_how = 'fixed'
            WHERE b.break_id = kept.break_id;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- What would undo a fix, in words for a person.
CREATE FUNCTION holdfast.undo_of(p holdfast.found_break, moved bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p.action
        WHEN 'capture' THEN format('holdfast job refund %s --reason TEXT  # TEXT: why',
            holdfast.shell_word(p.job_id))
        WHEN 'deliver' THEN format('holdfast job refund %s --reason TEXT  # TEXT: why',
            holdfast.shell_word(p.job_id))
        ELSE format('holdfast account adjust %s -%s --reference %s --reason TEXT  # TEXT: why',
            holdfast.shell_word(p.account_id), moved,
            holdfast.shell_word('undo ' || p.action || ' ' || p.job_id)) END
$$;

-- Does one fix, under the brakes, in a transaction of its own within the caller's: what the database
-- refuses leaves nothing behind.
CREATE FUNCTION holdfast.fix_one(
    p holdfast.found_break, run uuid, OUT outcome text, OUT settled text, OUT moved bigint,
    OUT detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    m move;
    one resolution := ROW(p.job_id, p.action, p.moves, 'ledger-reconciler: ' || p.class);
    is_released boolean := (SELECT j.brake_released FROM job j WHERE j.job_id = p.job_id);
BEGIN
    IF p.action IN ('void', 'refund', 'close_hold') AND NOT is_released THEN
        IF NOT take_brakes('30ms') THEN
            outcome := 'busy';
            RETURN;
        END IF;
        SELECT b.reason INTO detail FROM braked(ARRAY[one]) b;
        IF detail IS NOT NULL THEN
            outcome := 'braked';
            RETURN;
        END IF;
    END IF;
    CASE p.action
    WHEN 'capture', 'void', 'refund' THEN
        settled := p.action;
        SELECT s.amount INTO moved FROM settle(ARRAY[one]) s WHERE s.action = p.action;
        outcome := CASE WHEN moved IS NULL THEN 'cleared' ELSE 'done' END;
    WHEN 'close_hold' THEN
        INSERT INTO transfer (transfer_id, kind, account_id, job_id, debit, credit, amount, reason,
            actor, run_id, created_at)
        VALUES ('void:' || p.job_id, 'void', p.account_id, p.job_id, 'held', 'available', p.moves,
            one.cause, 'ledger-reconciler', run, clock());
        outcome := 'done'; settled := 'void'; moved := p.moves;
    WHEN 'deliver', 'never_submitted' THEN
        IF p.action = 'deliver' THEN
            SELECT d.outcome, d.action, d.amount, d.detail INTO outcome, settled, moved, detail
            FROM deliver_jobs(ARRAY[p.job_id]) d LIMIT 1;
        ELSE
            m.job_id := p.job_id; m.new_state := 'failed'; m.error_code := 'never_submitted';
            m.error_message := 'it was never sent to the provider';
            SELECT a.outcome, a.action, a.amount, a.detail INTO outcome, settled, moved, detail
            FROM apply_automatic(ARRAY[m]) a LIMIT 1;
        END IF;
        outcome := CASE WHEN outcome IN ('go', 'delivered', 'failed') THEN 'done'
            WHEN outcome IN ('braked', 'refused') THEN outcome
            WHEN outcome = 'locked' THEN 'busy' ELSE 'cleared' END;
    WHEN 'ask' THEN
        PERFORM wake_job(p.job_id, NULL);
        outcome := 'asked';
    WHEN 'mirror' THEN
        UPDATE asset a SET next_attempt_at = clock()
        WHERE a.job_id = p.job_id AND a.state = 'pending';
        outcome := 'asked';
    ELSE
        outcome := 'refused'; detail := 'nothing is known to be done by the name ' || p.action;
    END CASE;
EXCEPTION WHEN OTHERS THEN
    IF NOT is_row_trouble(SQLSTATE) THEN
        RAISE;
    END IF;
    outcome := 'refused'; settled := NULL; moved := NULL; detail := SQLERRM;
END $$;
