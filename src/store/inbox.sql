-- inbox.sql - what an application says inside its own transaction (PostgreSQL only).
--
--     SELECT posthouse.put_mailing('m-1', '{"tenant":"t-1","subject":"Autumn"}');
--     SELECT posthouse.add_messages('m-1', '[{"recipient":"a@example.org"}]');   -- 1
--
-- Each call leaves rows in `inbox`, which a node takes out after the caller's commit (store_inbox.h). The functions
-- lock nothing that others use, notify nobody and keep nothing in the session, so that they cost the application a
-- plain INSERT and work behind any pooler. They say at once what the API would answer, with SQLSTATE 22023 and the
-- same sentence; what only the node can know is decided there, and a row that loses stands in `inbox_refused`.
--
-- This file is one step of the schema: a change of a function is a new step with CREATE OR REPLACE.

-- kind 1: a mailing, subject is its id; kind 2: one line of messages, subject is its mailing. Numbers are given when a
-- row is written and not when it is committed, so nobody may go through them with a cursor.
CREATE TABLE posthouse.inbox (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind bigint NOT NULL,
    at_us bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    subject text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off);
CREATE INDEX inbox_mailing ON posthouse.inbox (subject) WHERE kind = 1;

-- Rows that could not become what they ask for, with the API's sentence.
CREATE TABLE posthouse.inbox_refused (
    no bigint PRIMARY KEY,
    kind bigint NOT NULL,
    at_us bigint NOT NULL,
    refused_at_us bigint NOT NULL,
    subject text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL
);

-- JSON whose escaped NUL characters, which no text here can hold, are U+FFFF instead.
CREATE FUNCTION posthouse.inbox_without_nul(value json) RETURNS json
LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(value::text, '(?<!\\)((?:\\\\)*)\\u0000', '\1\uFFFF', 'g')::json
$$;

CREATE FUNCTION posthouse.inbox_type(type text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE type WHEN 'object' THEN 'an object' WHEN 'array' THEN 'an array' WHEN 'string' THEN 'text'
                     WHEN 'number' THEN 'a number' WHEN 'boolean' THEN 'true or false' ELSE 'null' END
$$;

-- How a field is named in a sentence: "deliver/queue".
CREATE FUNCTION posthouse.inbox_pointer(base text, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    WHILE octet_length(name) > 64 LOOP
        name := left(name, -1);
    END LOOP;
    RETURN base || replace(replace(name, '~', '~0'), '/', '~1');
END $$;

-- What is wrong with a value; NULL when nothing. The bytes are those of a text, bytes_max also of an object.
CREATE FUNCTION posthouse.inbox_value_problem(value json, kind text, bytes_min int, bytes_max int, has_nul bool)
RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    type text := json_typeof(value);
    size int := octet_length(CASE kind WHEN 'object' THEN value::text ELSE value #>> '{}' END);
BEGIN
    RETURN CASE
        WHEN kind <> type
            THEN format('must be %s, not %s', posthouse.inbox_type(kind), posthouse.inbox_type(type))
        WHEN kind = 'boolean' THEN NULL
        WHEN has_nul AND kind = 'string' AND strpos(value #>> '{}', U&'\FFFF') > 0
            THEN 'must not contain a NUL character'
        WHEN size = 0 AND bytes_min > 0 THEN 'must not be empty'
        WHEN size > bytes_max THEN format('is %s bytes long, at most %s are allowed', size, bytes_max)
    END;
END $$;

-- The first problem of an object that may hold `names` and nothing else, as a sentence; NULL when there is none.
-- Of each field: its json_typeof, the bytes it must and may have, and whether it is (r)equired or (n)ullable.
CREATE FUNCTION posthouse.inbox_fields_problem(body json, base text, names text[], kinds text[], bytes_min int[],
                                               bytes_max int[], flags text[], has_nul bool) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    member record;
    at int;
    given bool[] := array_fill(false, ARRAY[cardinality(names)]);
    problem text;
BEGIN
    IF json_typeof(body) <> 'object' THEN
        RETURN 'body: must be an object, not ' || posthouse.inbox_type(json_typeof(body));
    END IF;
    FOR member IN SELECT key, value FROM json_each(body) LOOP
        at := array_position(names, member.key);
        IF at IS NULL THEN
            problem := 'there is no such field';
        ELSIF given[at] THEN
            problem := 'is given twice';
        ELSE
            given[at] := true;
            IF flags[at] <> 'n' OR json_typeof(member.value) <> 'null' THEN
                problem := posthouse.inbox_value_problem(member.value, kinds[at], bytes_min[at], bytes_max[at], has_nul);
            END IF;
        END IF;
        IF problem IS NOT NULL THEN
            RETURN posthouse.inbox_pointer(base, member.key) || ': ' || problem;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        IF flags[i] = 'r' AND NOT given[i] THEN
            RETURN base || names[i] || ': is required';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Microseconds of an RFC 3339 instant, NULL when the text is none. Decimals beyond microseconds are cut; a leap second
-- is the first instant of the next day.
CREATE FUNCTION posthouse.inbox_instant(value text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part text[] := regexp_match(value, '^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$');
    day_no bigint;
    seconds bigint;
BEGIN
    IF part IS NULL OR part[1]::int < 1 OR part[2]::int NOT BETWEEN 1 AND 12 OR part[3]::int < 1 OR part[4]::int > 23
       OR part[5]::int > 59 OR part[6]::int > 60 OR part[9]::int > 23 OR part[10]::int > 59 THEN
        RETURN NULL;
    END IF;
    day_no := make_date(part[1]::int, part[2]::int, 1) - DATE '1970-01-01' + part[3]::int - 1;
    IF (DATE '1970-01-01' + day_no::int) >= make_date(part[1]::int, part[2]::int, 1) + INTERVAL '1 month' THEN
        RETURN NULL;
    END IF;
    seconds := day_no * 86400 + part[4]::int * 3600 + part[5]::int * 60 + part[6]::int
             - CASE part[8] WHEN '-' THEN -1 ELSE 1 END * (coalesce(part[9], '0')::int * 3600 + coalesce(part[10], '0')::int * 60);
    IF part[6] = '60' THEN
        RETURN CASE WHEN seconds % 86400 = 0 THEN seconds * 1000000 END;
    END IF;
    RETURN seconds * 1000000 + left(coalesce(part[7], '') || '000000', 6)::bigint;
END $$;

-- The first problem of a line of messages, as the API's list of rejected lines tells it; NULL when there is none.
CREATE FUNCTION posthouse.inbox_line_problem(line json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    has_nul bool := position('\u0000' IN line::text) > 0;
    problem text;
    sent bigint;
    created bigint;
BEGIN
    IF octet_length(line::text) > 65536 THEN
        RETURN 'line is longer than 65536 bytes';
    ELSIF has_nul THEN
        line := posthouse.inbox_without_nul(line);
    END IF;
    problem := posthouse.inbox_fields_problem(line, '',
        '{recipient,id,member,provider_message_id,provider,template,reference,channel,key,status,created_at,sent_at,deliver}',
        '{string,string,string,string,string,string,string,string,string,string,string,string,object}',
        '{1,1,1,1,1,1,1,1,1,1,1,1,0}', '{320,128,128,1024,128,128,256,16,16,32,40,40,1024}',
        '{r,n,n,n,n,n,n,n,n,n,n,n,n}', has_nul);
    IF problem IS NOT NULL THEN
        RETURN problem;
    ELSIF btrim(line ->> 'recipient', E' \t\r\n') = '' THEN
        RETURN 'recipient: is empty';
    END IF;
    IF json_typeof(line -> 'deliver') = 'object' THEN
        problem := posthouse.inbox_fields_problem(line -> 'deliver', 'deliver/', '{queue,jobtype}', '{string,string}',
                                                  '{1,1}', '{128,128}', '{r,r}', has_nul);
    END IF;
    sent := posthouse.inbox_instant(line ->> 'sent_at');
    created := posthouse.inbox_instant(line ->> 'created_at');
    RETURN CASE
        WHEN problem IS NOT NULL THEN problem
        WHEN line ->> 'channel' NOT IN ('email', 'sms', 'letter') THEN 'channel: none of email, sms, letter'
        WHEN line ->> 'key' NOT IN ('normal', 'team', 'test') THEN 'key: none of normal, team, test'
        WHEN line ->> 'status' NOT IN ('created', 'sending', 'pending', 'sent', 'delivered', 'temporary-failure',
                                       'permanent-failure', 'technical-failure', 'cancelled', 'returned-letter',
                                       'pending-virus-check', 'virus-scan-failed', 'validation-failed')
            THEN format('status: there is no status ''%s''', line ->> 'status')
        WHEN line ->> 'status' NOT IN ('created', 'sending', 'pending', 'sent')
             AND NOT (line ->> 'status' = 'pending-virus-check' AND line ->> 'channel' IS NOT DISTINCT FROM 'letter')
            THEN format('status: a message cannot begin as %s', line ->> 'status')
        WHEN line ->> 'created_at' IS NOT NULL AND created IS NULL THEN 'created_at: is no RFC 3339 instant'
        WHEN created < 946684800000000 OR created > extract(epoch FROM clock_timestamp()) * 1000000 + 86400000000
            THEN 'created_at: lies outside 2000-01-01 and now + 24 h'
        WHEN line ->> 'sent_at' IS NOT NULL AND coalesce(sent, 0) <= 0 THEN 'sent_at: is no RFC 3339 instant'
    END;
END $$;

CREATE FUNCTION posthouse.inbox_refuse(problem text, place text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF place IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = problem, DETAIL = place;
END $$;

-- What stands against putting this mailing as far as can be seen now, and in which field; NULL when nothing.
CREATE FUNCTION posthouse.inbox_mailing_problem(id text, body json, OUT problem text, OUT place text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    has_nul bool := position('\u0000' IN body::text) > 0;
    owner bigint;
    stands record;
BEGIN
    IF id IS NULL OR octet_length(id) NOT BETWEEN 1 AND 128 THEN
        problem := 'an id is 1 to 128 bytes of UTF-8';
        RETURN;
    ELSIF has_nul THEN
        body := posthouse.inbox_without_nul(body);
    END IF;
    problem := posthouse.inbox_fields_problem(coalesce(body, 'null'), '',
        '{tenant,subject,sent_at,track_opens,track_clicks}', '{string,string,string,boolean,boolean}',
        '{1,0,1,0,0}', '{128,1000,40,0,0}', '{r,n,n,o,o}', has_nul);
    IF problem IS NOT NULL THEN
        RETURN;
    ELSIF body ->> 'sent_at' IS NOT NULL AND posthouse.inbox_instant(body ->> 'sent_at') IS NULL THEN
        problem := 'must be an RFC 3339 instant, e.g. 2026-11-21T19:00:00Z';
        place := 'sent_at';
        RETURN;
    END IF;
    SELECT t.no INTO owner FROM posthouse.tenant t WHERE t.id = body ->> 'tenant';
    IF NOT FOUND THEN
        problem := format('there is no tenant ''%s''; PUT /v1/tenants/{id} makes one', body ->> 'tenant');
        place := 'tenant';
        RETURN;
    END IF;
    SELECT m.no, m.tenant_no, m.track_opens INTO stands FROM posthouse.mailing m WHERE m.id = inbox_mailing_problem.id;
    IF stands.tenant_no <> owner THEN
        problem := format('mailing %s belongs to another tenant for good', id);
    ELSIF (stands.track_opens <> 0) <> coalesce((body ->> 'track_opens')::bool, true)
          AND EXISTS (SELECT FROM posthouse.message WHERE mailing_no = stands.no AND mailing_no > 0) THEN
        problem := format('mailing %s has messages: track_opens cannot change any more, '
                          'its members'' rates rest on it', id);
    END IF;
END $$;

-- A store that has moved elsewhere is the wrong one to talk to.
CREATE FUNCTION posthouse.inbox_open() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    place text := (SELECT peer FROM posthouse.move WHERE role = 1 AND done = 1);
BEGIN
    IF place IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('this store was moved to %s', place);
    END IF;
END $$;

-- Waits for callers that have said something and not committed, so that whoever comes later sees what stands in `move`.
CREATE FUNCTION posthouse.inbox_close() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE posthouse.inbox IN EXCLUSIVE MODE;
END $$;

-- PUT /v1/mailings/{id} inside the caller's transaction.
CREATE FUNCTION posthouse.put_mailing(id text, body json) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = posthouse, pg_temp AS $$
DECLARE
    found record;
BEGIN
    SELECT t.problem, t.place INTO found FROM posthouse.inbox_mailing_problem(id, body) t;
    IF found.problem IS NOT NULL THEN
        PERFORM posthouse.inbox_refuse(found.problem, found.place);
    END IF;
    PERFORM posthouse.inbox_open();
    INSERT INTO posthouse.inbox (kind, subject, body) VALUES (1, id, body::text);
END $$;

-- POST /v1/mailings/{id}/messages inside the caller's transaction; the number of lines. One bad line refuses the call.
CREATE FUNCTION posthouse.add_messages(mailing text, lines json) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = posthouse, pg_temp AS $$
DECLARE
    added bigint;
BEGIN
    PERFORM posthouse.inbox_open();
    IF lines IS NULL OR json_typeof(lines) <> 'array' THEN
        PERFORM posthouse.inbox_refuse('the body must be NDJSON (application/x-ndjson) or a JSON array', NULL);
    ELSIF mailing IS NULL
          OR NOT EXISTS (SELECT FROM posthouse.mailing m WHERE m.id = mailing)
             AND NOT EXISTS (SELECT FROM posthouse.inbox i WHERE i.kind = 1 AND i.subject = mailing) THEN
        PERFORM posthouse.inbox_refuse(format('there is no mailing ''%s''', mailing), NULL);
    END IF;
    INSERT INTO posthouse.inbox (kind, subject, body)
        SELECT 2, mailing, t.line::text
        FROM json_array_elements(lines) WITH ORDINALITY AS t(line, number)
        CROSS JOIN LATERAL posthouse.inbox_line_problem(t.line) AS problem
        WHERE problem IS NULL OR posthouse.inbox_refuse(problem, 'line ' || t.number) IS NULL;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END $$;

-- Gives the space of an empty inbox back, also while an old snapshot keeps vacuum from it. Only when no caller holds an
-- open insert: waiting for one would make every caller behind it wait too.
CREATE FUNCTION posthouse.inbox_shrink() RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
    IF pg_relation_size('posthouse.inbox') < 16 * 1024 * 1024 THEN
        RETURN false;
    END IF;
    LOCK TABLE posthouse.inbox IN ACCESS EXCLUSIVE MODE NOWAIT;
    IF EXISTS (SELECT FROM posthouse.inbox) THEN
        RETURN false;
    END IF;
    TRUNCATE posthouse.inbox;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- The application's login becomes a member: GRANT posthouse_app TO shop. Where Posthouse may not make roles, an
-- administrator makes this one and runs the GRANT lines below.
DO $$
BEGIN
    CREATE ROLE posthouse_app NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE WARNING 'the role posthouse_app cannot be made: %', SQLERRM;
END $$;

REVOKE ALL ON FUNCTION posthouse.put_mailing(text, json), posthouse.add_messages(text, json),
    posthouse.inbox_without_nul(json), posthouse.inbox_type(text), posthouse.inbox_pointer(text, text),
    posthouse.inbox_value_problem(json, text, int, int, bool),
    posthouse.inbox_fields_problem(json, text, text[], text[], int[], int[], text[], bool),
    posthouse.inbox_instant(text),
    posthouse.inbox_line_problem(json), posthouse.inbox_refuse(text, text),
    posthouse.inbox_mailing_problem(text, json), posthouse.inbox_shrink(), posthouse.inbox_open(),
    posthouse.inbox_close() FROM PUBLIC;

DO $$
BEGIN
    GRANT USAGE ON SCHEMA posthouse TO posthouse_app;
    GRANT EXECUTE ON FUNCTION posthouse.put_mailing(text, json), posthouse.add_messages(text, json) TO posthouse_app;
    GRANT SELECT ON posthouse.inbox_refused TO posthouse_app;
EXCEPTION WHEN undefined_object THEN
    NULL;
END $$;
