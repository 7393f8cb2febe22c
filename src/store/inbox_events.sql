-- inbox_events.sql - events recorded inside the application's own transaction (PostgreSQL only); see inbox.sql.
--
--     SELECT posthouse.record('{"id":"e-1","type":"package.build_fail","data":{}}');   -- e-1
--
-- Rows of kind 4: subject is the id, body the event as its caller wrote it, with an id made here when it had none.

CREATE FUNCTION posthouse.inbox_receivers_problem(receivers json) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    member record;
    roles int := 0;
    ids int := 0;
BEGIN
    FOR member IN SELECT t.key, t.value FROM json_each(receivers) t LOOP
        roles := roles + 1;
        IF roles > 16 THEN
            RETURN 'receivers: holds more than 16 roles';
        ELSIF octet_length(member.key) NOT BETWEEN 1 AND 128 THEN
            RETURN 'receivers: a role has 1 to 128 bytes';
        ELSIF json_typeof(member.value) <> 'array' THEN
            RETURN 'receivers: a role holds an array of ids';
        ELSIF EXISTS (SELECT FROM json_array_elements(member.value) AS t(id)
                      WHERE json_typeof(id) <> 'string' OR octet_length(id #>> '{}') NOT BETWEEN 1 AND 128) THEN
            RETURN 'receivers: an id is a text of 1 to 128 bytes';
        END IF;
        ids := ids + json_array_length(member.value);
        IF ids > 1000 THEN
            RETURN 'receivers: holds more than 1000 ids';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- The first problem of an event, as POST /v1/events tells it; NULL when there is none.
CREATE FUNCTION posthouse.inbox_event_problem(event json) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    has_nul bool := position('\u0000' IN event::text) > 0;
    plain json := CASE WHEN has_nul THEN posthouse.inbox_without_nul(event) ELSE event END;
    problem text;
BEGIN
    IF octet_length(event::text) > 524288 THEN
        RETURN 'line is longer than 524288 bytes';
    END IF;
    problem := posthouse.inbox_fields_problem(plain, '',
        '{id,type,source,time,tenant,subject,originator,receivers,private,data}',
        ARRAY['string', 'string', 'string', 'string', 'string', 'string', 'string', 'object', 'boolean',
              coalesce(json_typeof(plain -> 'data'), 'null')],
        '{1,1,1,1,1,1,1,0,0,0}', '{128,128,256,40,128,512,128,524288,0,524288}', '{n,r,n,n,n,n,n,n,o,n}', has_nul);
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    RETURN CASE
        WHEN octet_length((plain -> 'data')::text) > 262144
            THEN format('data: is %s bytes long, at most 262144 are allowed', octet_length((plain -> 'data')::text))
        WHEN plain ->> 'type' !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,15}$'
            THEN 'type: must be 1 to 16 words of [A-Za-z0-9_-] joined by dots'
        WHEN plain ->> 'time' IS NOT NULL AND posthouse.inbox_instant(plain ->> 'time') IS NULL
            THEN 'time: must be an RFC 3339 instant, e.g. 2026-11-21T19:00:00Z'
        WHEN has_nul AND strpos((plain -> 'data')::text, '\uFFFF') > 0 THEN 'data: must not contain a NUL character'
        WHEN has_nul AND strpos((plain -> 'receivers')::text, '\uFFFF') > 0 THEN 'receivers: must not contain a NUL character'
        WHEN json_typeof(plain -> 'receivers') = 'object' THEN posthouse.inbox_receivers_problem(plain -> 'receivers')
    END;
END $$;

-- POST /v1/events with one event inside the caller's transaction; its id.
CREATE FUNCTION posthouse.record(event json) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = posthouse, pg_temp AS $$
DECLARE
    problem text := CASE WHEN event IS NULL THEN 'body: must be an object, not null'
                         ELSE posthouse.inbox_event_problem(event) END;
    body text := event::text;
    id text;
BEGIN
    PERFORM posthouse.inbox_open();
    IF problem IS NOT NULL THEN
        PERFORM posthouse.inbox_refuse(problem, NULL);
    END IF;
    id := event ->> 'id';
    IF id IS NULL THEN
        IF EXISTS (SELECT FROM json_object_keys(event) AS t(name) WHERE name = 'id') THEN
            PERFORM posthouse.inbox_refuse('id: leave it out, or give one', NULL);
        END IF;
        id := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
              || right(replace(gen_random_uuid()::text, '-', ''), 12);
        body := regexp_replace(body, '^\s*\{', '{"id":"' || id || '",');
    END IF;
    INSERT INTO posthouse.inbox (kind, subject, body) VALUES (4, id, body);
    RETURN id;
END $$;

REVOKE ALL ON FUNCTION posthouse.record(json), posthouse.inbox_event_problem(json),
    posthouse.inbox_receivers_problem(json) FROM PUBLIC;

DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION posthouse.record(json) TO posthouse_app;
EXCEPTION WHEN undefined_object THEN
    NULL;
END $$;
