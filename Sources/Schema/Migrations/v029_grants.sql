-- Who may call what. The roles belong to the cluster; where they do not exist this does nothing,
-- and the login that owns the schema does everything. Applied again by each setup and migrate: it
-- takes back what everybody and our own roles have, and leaves alone what others were granted.
DO $$
DECLARE
    contract text[] := ARRAY[
        'grant_credits(text, bigint, text, numeric, text)',
        'open_job(text, text, text, text, text, bigint, jsonb, integer, text)',
        'mark_submitting(text)', 'job_request(text)', 'mark_submitted(text, text, text)',
        'heartbeat(text, text)',
        'mark_timed_out(text)', 'finish_job(text, text, text[], text, bigint)',
        'return_credits(text, text)', 'dismiss_job(text, text)',
        'record_callback(text, jsonb, text, bytea)'];
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['holdfast_app', 'holdfast_jobs', 'holdfast_report', 'PUBLIC'] LOOP
        CONTINUE WHEN one <> 'PUBLIC' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = one);
        EXECUTE format('REVOKE ALL ON SCHEMA holdfast FROM %1$s;
            REVOKE ALL ON ALL FUNCTIONS IN SCHEMA holdfast FROM %1$s;
            REVOKE ALL ON ALL TABLES IN SCHEMA holdfast FROM %1$s;
            REVOKE ALL ON ALL SEQUENCES IN SCHEMA holdfast FROM %1$s', one);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_app') THEN
        GRANT USAGE ON SCHEMA holdfast TO holdfast_app;
        FOREACH one IN ARRAY contract LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION holdfast.%s TO holdfast_app', one);
        END LOOP;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_jobs') THEN
        GRANT USAGE ON SCHEMA holdfast TO holdfast_jobs;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA holdfast TO holdfast_jobs;
        GRANT SELECT ON ALL TABLES IN SCHEMA holdfast TO holdfast_jobs;
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA holdfast TO holdfast_jobs;
        GRANT INSERT, UPDATE, DELETE ON holdfast.policy, holdfast.dated_policy,
            holdfast.usage_profile TO holdfast_jobs;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_report') THEN
        GRANT USAGE ON SCHEMA holdfast TO holdfast_report;
        GRANT SELECT ON ALL TABLES IN SCHEMA holdfast TO holdfast_report;
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA holdfast TO holdfast_report;
        GRANT EXECUTE ON FUNCTION holdfast.check_invariants(text, integer), holdfast.clock(),
            holdfast.due_jobs(text, text[], integer, text[], timestamptz),
            holdfast.due_files(integer, text[], text[], timestamptz),
            holdfast.refused_advice(text), holdfast.accept_command(text, integer),
            holdfast.policy_value(text, text, text, text),
            holdfast.policy_interval(text, text, text, text),
            holdfast.share(bigint, integer, integer),
            holdfast.rate_at(text, text, text, text, text, timestamptz),
            holdfast.money_micros(numeric, text, text, timestamptz),
            holdfast.whole_micros(numeric),
            holdfast.match_window(timestamptz, text, timestamptz, integer),
            holdfast.match_older(timestamptz, timestamptz, text, integer),
            holdfast.match_usage(timestamptz, bigint, integer),
            holdfast.match_callbacks(bigint, integer), holdfast.match_accounts(text, integer),
            holdfast.match_rest(timestamptz), holdfast.answered_breaks(jsonb),
            holdfast.way_out(text, text), holdfast.shell_word(text),
            holdfast.count_personal(text), holdfast.unforgettable_jobs(text, integer),
            holdfast.unknown_objects(text[], text[], integer[]),
            holdfast.unknown_submissions(
                text[], text[], text[], integer, text[], text[], timestamptz),
            holdfast.digest_of(holdfast.business_day),
            holdfast.server_identity(), holdfast.installation_trouble(text),
            holdfast.count_copied(),
            holdfast.recount_page(date, text, text, bigint, text, text)
            TO holdfast_report;
    END IF;
END $$;
