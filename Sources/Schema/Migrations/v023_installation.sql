-- Which installation this database is of, so that a copy of it does nothing until a person has said
-- what it is: the copy has the original's open jobs, and runs that were given the original's settings
-- would ask its providers, call its application and write to its store.
CREATE TABLE holdfast.installation (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    installation_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL CHECK (name <> '' AND length(name) <= 100),
    -- What the server told of itself; the first is null where the schema's owner may not read it.
    system_identifier bigint,
    database_oid bigint NOT NULL,
    database_name text COLLATE "C" NOT NULL,
    -- What waits until a person sets it anew, after a copy.
    off text[] COLLATE "C" NOT NULL DEFAULT '{}'
        CHECK (off <@ ARRAY['retrigger', 'notices', 'pings']),
    -- When a person last said that it moves or has moved; nothing about a lost commit follows from
    -- another server then.
    moved_at timestamptz
);

-- What people said of it, and the databases that it has been in.
CREATE TABLE holdfast.installation_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL,
    actor text COLLATE "C" NOT NULL,
    act text COLLATE "C" NOT NULL CHECK (act IN ('set up', 'moved', 'copied', 'allowed')),
    detail text COLLATE "C",
    installation_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    system_identifier bigint,
    database_oid bigint NOT NULL,
    database_name text COLLATE "C" NOT NULL
);

-- Stores and state folders that bear the marker of this installation.
CREATE TABLE holdfast.met_place (
    kind text COLLATE "C" CHECK (kind IN ('store', 'state folder')),
    place text COLLATE "C",
    met_at timestamptz NOT NULL,
    PRIMARY KEY (kind, place)
);

-- What the server tells of itself, the same for every login: as the schema's owner reads it.
CREATE FUNCTION holdfast.server_identity(
    OUT system_identifier bigint, OUT database_oid bigint, OUT database_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    SELECT d.oid::bigint, d.datname::text INTO database_oid, database_name
    FROM pg_database d WHERE d.datname = current_database();
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        system_identifier := (pg_control_system()).system_identifier;
    END IF;
END $$;

-- The same for people.
CREATE FUNCTION holdfast.database_words(
    system_identifier bigint, database_oid bigint, database_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = holdfast, pg_temp AS $$
    SELECT format('database %s (oid %s%s)', database_name, database_oid,
        ', system ' || system_identifier)
$$;

-- Why this database may not be worked on by runs whose settings name that installation (null where
-- they name none): both sides, and the ways out; null when all is well.
CREATE FUNCTION holdfast.installation_trouble(named text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    i installation;
    s record;
BEGIN
    SELECT * INTO i FROM installation;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO s FROM server_identity();
    IF (s.system_identifier, s.database_oid, s.database_name) IS DISTINCT FROM
        (i.system_identifier, i.database_oid, i.database_name) THEN
        RETURN format('this is %s, and installation %s (%s) was written down in %s: it is a copy or was moved, and nothing is done here until a person says which; if this is the original in a new place, and the old one is at rest: holdfast installation moved; if it is to be another installation: holdfast installation copy NAME',
            database_words(s.system_identifier, s.database_oid, s.database_name),
            i.name, i.installation_id,
            database_words(i.system_identifier, i.database_oid, i.database_name));
    END IF;
    IF named IS NOT NULL AND named <> i.name THEN
        RETURN format('HOLDFAST_INSTALLATION names %s, and %s is that of installation %s (%s): correct HOLDFAST_INSTALLATION or HOLDFAST_DATABASE_URL; if the database is a copy that is to be %s: holdfast installation copy %s; if installation %s gets that name: holdfast installation moved',
            named, database_words(i.system_identifier, i.database_oid, i.database_name),
            i.name, i.installation_id, named, shell_word(named), i.name);
    END IF;
    RETURN NULL;
END $$;

-- Ends what would work on a copy, before it has changed anything.
CREATE FUNCTION holdfast.refuse_copy(named text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
DECLARE
    trouble text := installation_trouble(named);
BEGIN
    IF trouble IS NOT NULL THEN
        RAISE EXCEPTION '%', trouble USING ERRCODE = 'HF030';
    END IF;
END $$;

-- Keeps what was said, with the identity as it is now.
CREATE FUNCTION holdfast.note_installation(act text, actor text, detail text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO installation_event (happened_at, actor, act, detail, installation_id, name,
        system_identifier, database_oid, database_name)
    SELECT clock_timestamp(), note_installation.actor, note_installation.act,
        note_installation.detail, i.installation_id, i.name, i.system_identifier, i.database_oid,
        i.database_name
    FROM installation i
$$;

-- Writes the installation down where that was not done yet: by setup, else by the first run.
CREATE FUNCTION holdfast.set_up_installation(named text, actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
BEGIN
    INSERT INTO installation (installation_id, name, system_identifier, database_oid,
        database_name)
    SELECT gen_random_uuid(), coalesce(nullif(named, ''), s.database_name), s.system_identifier,
        s.database_oid, s.database_name
    FROM server_identity() s
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM note_installation('set up', actor, NULL);
    END IF;
END $$;

-- Remembers a place that bears our marker. Hosts that live for a minute have a folder each, so that
-- there is a limit to it.
CREATE FUNCTION holdfast.meet_place(kind text, place text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    INSERT INTO met_place (kind, place, met_at)
    SELECT meet_place.kind, meet_place.place, clock_timestamp()
    WHERE (SELECT count(*) FROM met_place) < 1000
    ON CONFLICT DO NOTHING
$$;

-- A person says: this is the original in a new place, or about to move. Runs go on here.
CREATE FUNCTION holdfast.installation_moved(named text, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_up_installation(named, installation_moved.actor);
    UPDATE installation i SET name = coalesce(nullif(named, ''), i.name),
        system_identifier = s.system_identifier, database_oid = s.database_oid,
        database_name = s.database_name, moved_at = clock_timestamp()
    FROM server_identity() s;
    -- Another server is no sign of lost commits any more.
    PERFORM forget_server();
    PERFORM note_installation('moved', installation_moved.actor, reason);
END $$;

-- What a job that came along with a copy says of itself.
CREATE FUNCTION holdfast.copied_reason() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT format('it came along with a copy of installation %s (%s), which looks after it',
        i.name, i.installation_id) FROM installation i
$$;

-- How many jobs of a copy would be set aside.
CREATE FUNCTION holdfast.count_copied() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
    SELECT count(*) FROM job
    WHERE (state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
            OR watch_until IS NOT NULL OR pending_move IS NOT NULL)
        AND blocked_reason IS DISTINCT FROM coalesce(copied_reason(), '')
$$;

-- Sets a page of a copy's open jobs aside; returns how many. Asked again until there are none, and
-- before the copy is another installation.
CREATE FUNCTION holdfast.set_copied_aside(actor text, page integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
DECLARE
    reason text;
    done integer;
BEGIN
    PERFORM set_up_installation(NULL, set_copied_aside.actor);
    reason := copied_reason();
    PERFORM act_as(set_copied_aside.actor, NULL, '0');
    UPDATE job j SET pending_move = CASE WHEN j.blocked = 'brake' THEN NULL ELSE j.pending_move END,
        blocked = 'person', blocked_reason = reason, blocked_cause = NULL, awaits_readable = false,
        is_resting = false, lease_owner = NULL, lease_until = NULL, revision = j.revision + 1
    WHERE j.job_id IN (
        SELECT o.job_id FROM job o
        WHERE (o.state IN ('created', 'submitted', 'running', 'succeeded', 'timed_out')
                OR o.watch_until IS NOT NULL OR o.pending_move IS NOT NULL)
            AND o.blocked_reason IS DISTINCT FROM reason
        ORDER BY o.job_id COLLATE "C" LIMIT page FOR NO KEY UPDATE);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;

-- A person says: this is another installation. It gets an id of its own and has met no place; what
-- would reach others through the original's settings stays off.
CREATE FUNCTION holdfast.installation_copy(name text, actor text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_up_installation(NULL, installation_copy.actor);
    PERFORM note_installation('copied', installation_copy.actor,
        concat_ws(': ', 'becomes ' || installation_copy.name, reason));
    DELETE FROM met_place;
    UPDATE installation i SET installation_id = gen_random_uuid(), name = installation_copy.name,
        system_identifier = s.system_identifier, database_oid = s.database_oid,
        database_name = s.database_name, off = ARRAY['retrigger', 'notices', 'pings'],
        moved_at = NULL
    FROM server_identity() s;
    PERFORM note_installation('set up', installation_copy.actor, reason);
    PERFORM forget_server();
    -- The original's tasks are no strays of this one.
    INSERT INTO policy (key, value) VALUES ('strays', 'ours')
    ON CONFLICT DO NOTHING;
END $$;

-- A person has set anew what a copy had off; false when it was not off.
CREATE FUNCTION holdfast.installation_allow(what text, actor text, reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = holdfast, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE installation SET off = array_remove(off, what) WHERE what = ANY (off);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_installation('allowed', installation_allow.actor,
        concat_ws(': ', what, reason));
    RETURN true;
END $$;
