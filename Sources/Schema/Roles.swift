/// The four roles, which belong to the cluster and not to one database.
enum Roles {
    /// Creates what is missing.
    ///
    /// Two hosts, or two databases of one cluster, may do this at once: the loser of the race finds
    /// the role there and is content.
    static let create = """
        DO $$
        DECLARE
            one text;
        BEGIN
            FOREACH one IN ARRAY ARRAY['holdfast_owner', 'holdfast_app', 'holdfast_jobs', 'holdfast_report']
            LOOP
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = one) THEN
                    BEGIN
                        EXECUTE format('CREATE ROLE %I NOLOGIN', one);
                    EXCEPTION WHEN duplicate_object OR unique_violation THEN
                        NULL;
                    END;
                END IF;
            END LOOP;
            IF NOT pg_has_role(current_user, 'holdfast_owner', 'MEMBER') THEN
                BEGIN
                    EXECUTE format('GRANT holdfast_owner TO %I', current_user);
                EXCEPTION WHEN unique_violation THEN
                    NULL;
                END;
            END IF;
        END $$;
        """

    /// Makes the owner role the owner of the schema, when the login may act as it.
    static let createSchema = """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'holdfast') THEN
                RETURN;
            END IF;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_owner')
                AND pg_has_role(current_user, 'holdfast_owner', 'MEMBER') THEN
                CREATE SCHEMA holdfast AUTHORIZATION holdfast_owner;
            ELSE
                CREATE SCHEMA holdfast;
            END IF;
        END $$;
        """

    /// For the rest of the transaction, acts as the schema's owner where that is possible, so that
    /// whoever migrates next finds one owner.
    static let actAsOwner = """
        DO $$
        DECLARE
            owner name := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'holdfast');
        BEGIN
            IF owner IS NOT NULL AND owner <> current_user AND pg_has_role(current_user, owner, 'MEMBER') THEN
                EXECUTE format('SET LOCAL ROLE %I', owner);
            END IF;
        END $$;
        """

    static let createVersionTable = """
        CREATE TABLE IF NOT EXISTS holdfast.schema_version (
            version integer PRIMARY KEY,
            name text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            -- The oldest release, by its newest version, whose programs work with this schema; only
            -- those of this version where it is null.
            works_with integer
        );
        """
}
