-- inbox_jobs.sql - jobs pushed inside the application's own transaction (PostgreSQL only); see inbox.sql.
--
--     SELECT posthouse.push('mail', 'welcome', '[42]', '{"key":"t-7"}');                   -- the jid
--     SELECT posthouse.push_many('[{"jobtype":"a","args":[1]},{"jobtype":"b","args":[]}]'); -- 2
--
-- Rows of kind 3: subject is the jid when one was given or made, body the job object as its caller wrote it. What stands
-- inside `custom`, and whether a batch is known, is the node's to say.

-- Milliseconds of "90s"; NULL when the text is no duration.
CREATE FUNCTION posthouse.inbox_duration(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT part[1]::bigint * CASE part[2] WHEN 'ms' THEN 1 WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000
                                          WHEN 'd' THEN 86400000 ELSE 604800000 END
    FROM regexp_match(value, '^([0-9]{1,9})(ms|s|m|h|d|w)$') AS part
$$;

CREATE FUNCTION posthouse.inbox_text_problem(value json, name text, bytes_max int, has_nul bool) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN json_typeof(value) = 'null' THEN NULL
        WHEN json_typeof(value) <> 'string' THEN name || ' must be a text'
        WHEN octet_length(value #>> '{}') > bytes_max THEN format('%s must have at most %s bytes', name, bytes_max)
        WHEN has_nul AND strpos(value #>> '{}', U&'\FFFF') > 0 THEN name || ' must not hold a NUL character'
    END
$$;

CREATE FUNCTION posthouse.inbox_duration_problem(value json, name text, least_s bigint, most_s bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(posthouse.inbox_text_problem(value, name, 32, false),
                    CASE WHEN json_typeof(value) = 'string'
                              AND coalesce(posthouse.inbox_duration(value #>> '{}'), -1) NOT BETWEEN least_s * 1000 AND most_s * 1000
                         THEN format('%s must be a duration from %s s to %s s, like "90s"', name, least_s, most_s) END)
$$;

-- An integer within the range, or null.
CREATE FUNCTION posthouse.inbox_int_is(value json, at_least numeric, at_most numeric) RETURNS bool
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE json_typeof(value) WHEN 'null' THEN true
                WHEN 'number' THEN value::text ~ '^-?[0-9]{1,18}$' AND value::text::numeric BETWEEN at_least AND at_most
                ELSE false END
$$;

CREATE FUNCTION posthouse.inbox_word_problem(value json, name text, words text[]) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(posthouse.inbox_text_problem(value, name, 32, false),
                    CASE WHEN json_typeof(value) = 'string' AND value #>> '{}' <> ALL (words)
                         THEN format('%s is not one of its words, beginning with "%s"', name, words[1]) END)
$$;

CREATE FUNCTION posthouse.inbox_unique_problem(value json, has_nul bool) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    member record;
    problem text;
BEGIN
    IF json_typeof(value) <> 'object' THEN
        RETURN 'unique must be an object';
    END IF;
    FOR member IN SELECT t.key, t.value FROM json_each(value) t LOOP
        problem := CASE member.key
            WHEN 'for' THEN posthouse.inbox_duration_problem(member.value, 'unique/for', 1, 2592000)
            WHEN 'until' THEN posthouse.inbox_word_problem(member.value, 'unique/until', '{success,start,expiry}')
            WHEN 'on_conflict' THEN posthouse.inbox_word_problem(member.value, 'unique/on_conflict', '{reject,return,replace,extend}')
            WHEN 'key' THEN posthouse.inbox_text_problem(member.value, 'unique/key', 256, has_nul)
            WHEN 'states' THEN
                CASE WHEN json_typeof(member.value) = 'null' THEN NULL
                     WHEN json_typeof(member.value) <> 'array' THEN 'unique/states must be an array of states'
                     WHEN EXISTS (SELECT FROM json_array_elements(member.value) AS t(state)
                                  WHERE json_typeof(state) <> 'string' OR state #>> '{}' NOT IN
                                        ('scheduled', 'ready', 'leased', 'retry', 'blocked', 'dead', 'done'))
                         THEN 'unique/states holds an unknown state' END
            ELSE format('unique has no member "%s"', member.key)
        END;
        IF problem IS NOT NULL THEN
            RETURN problem;
        END IF;
    END LOOP;
    RETURN CASE WHEN value ->> 'for' IS NULL THEN 'unique needs "for", from 1s to 30d' END;
END $$;

-- The first problem of a job object, as POST /v1/jobs tells it; NULL when there is none. `job` has no escaped NUL.
CREATE FUNCTION posthouse.inbox_job_problem(job json, has_nul bool) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    member record;
    problem text;
    size int := octet_length(job::text);
BEGIN
    IF size > 1048576 THEN
        RETURN format('job too big: %s bytes', size);
    ELSIF json_typeof(job) <> 'object' THEN
        RETURN 'a job is an object';
    END IF;
    FOR member IN SELECT t.key, t.value FROM json_each(job) t LOOP
        problem := CASE
            WHEN member.key IN ('jid', 'batch') THEN posthouse.inbox_text_problem(member.value, member.key, 128, has_nul)
            WHEN member.key IN ('jobtype', 'mutex', 'key') THEN posthouse.inbox_text_problem(member.value, member.key, 256, has_nul)
            WHEN member.key IN ('at', 'created_at', 'expires_at') THEN posthouse.inbox_text_problem(member.value, member.key, 64, has_nul)
            WHEN member.key = 'queue' THEN posthouse.inbox_text_problem(member.value, 'queue', 4096, has_nul)
            WHEN member.key = 'timeout' THEN posthouse.inbox_duration_problem(member.value, 'timeout', 1, 86400)
            WHEN member.key = 'args' AND json_typeof(member.value) NOT IN ('array', 'null') THEN 'args must be an array'
            WHEN member.key = 'custom' AND json_typeof(member.value) NOT IN ('object', 'null') THEN 'custom must be an object'
            WHEN member.key = 'retry' AND NOT posthouse.inbox_int_is(member.value, -1, 100000) THEN 'retry must be an integer, -1 or more'
            WHEN member.key = 'reserve_for' AND NOT posthouse.inbox_int_is(member.value, -2147483648, 2147483647)
                THEN 'reserve_for must be an integer'
            WHEN member.key = 'priority' AND NOT posthouse.inbox_int_is(member.value, 1, 9)
                THEN 'priority must be an integer from 1 to 9'
        END;
        IF problem IS NOT NULL THEN
            RETURN problem;
        END IF;
    END LOOP;
    problem := CASE
        WHEN octet_length(job ->> 'jid') < 8 THEN 'jid must have 8 to 128 bytes'
        WHEN coalesce(job ->> 'jobtype', '') = '' THEN 'jobs must have a jobtype parameter'
        WHEN starts_with(job ->> 'jobtype', 'posthouse.') THEN 'jobtypes beginning with posthouse. are Posthouse''s own'
        WHEN job ->> 'args' IS NULL THEN 'jobs must have an args parameter'
        WHEN (job ->> 'reserve_for')::bigint > 86400 THEN 'jobs cannot be reserved for more than one day'
        WHEN coalesce(job ->> 'at', '') <> '' AND posthouse.inbox_instant(job ->> 'at') IS NULL
            THEN 'at must be an instant like 2026-11-21T19:00:00Z'
        WHEN coalesce(job ->> 'expires_at', '') <> '' AND posthouse.inbox_instant(job ->> 'expires_at') IS NULL
            THEN 'expires_at must be an instant like 2026-11-21T19:00:00Z'
    END;
    IF problem IS NULL AND json_typeof(job -> 'unique') <> 'null' THEN
        problem := posthouse.inbox_unique_problem(job -> 'unique', has_nul);
    END IF;
    RETURN CASE
        WHEN problem IS NOT NULL THEN problem
        WHEN coalesce(job ->> 'queue', '') <> '' AND job ->> 'queue' !~ '^[A-Za-z0-9._-]{1,128}$'
            THEN 'queue must match [A-Za-z0-9._-]{1,128}'
    END;
END $$;

-- One job into the inbox, refused when it is none; its jid, NULL when the node will make one.
CREATE FUNCTION posthouse.inbox_push(job json, place text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    has_nul bool := position('\u0000' IN job::text) > 0;
    plain json := CASE WHEN has_nul THEN posthouse.inbox_without_nul(job) ELSE job END;
    problem text := posthouse.inbox_job_problem(plain, has_nul);
BEGIN
    IF problem IS NOT NULL THEN
        PERFORM posthouse.inbox_refuse(problem, place);
    END IF;
    INSERT INTO posthouse.inbox (kind, subject, body) VALUES (3, coalesce(plain ->> 'jid', ''), job::text);
    RETURN plain ->> 'jid';
END $$;

-- POST /v1/jobs inside the caller's transaction; the jid. `options` are further members of the job.
CREATE FUNCTION posthouse.push(queue text, jobtype text, args json, options json DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = posthouse, pg_temp AS $$
DECLARE
    given json := CASE WHEN position('\u0000' IN options::text) > 0 THEN posthouse.inbox_without_nul(options) ELSE options END;
    inside text;
    again text;
    jid text := '"jid":"' || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
                || right(replace(gen_random_uuid()::text, '-', ''), 12) || '",';
BEGIN
    PERFORM posthouse.inbox_open();
    IF given IS NOT NULL AND json_typeof(given) <> 'null' THEN
        IF json_typeof(given) <> 'object' THEN
            PERFORM posthouse.inbox_refuse('options must be an object', NULL);
        END IF;
        again := (SELECT t.key FROM json_each(given) t WHERE t.key IN ('queue', 'jobtype', 'args') LIMIT 1);
        IF again IS NOT NULL THEN
            PERFORM posthouse.inbox_refuse(again || ': is given twice', 'options');
        END IF;
        inside := btrim(options::text, E' \t\r\n');
        inside := btrim(substr(inside, 2, length(inside) - 2), E' \t\r\n');
        IF given ->> 'jid' IS NOT NULL THEN
            jid := '';
        END IF;
    END IF;
    RETURN posthouse.inbox_push(('{' || jid || '"queue":' || coalesce(to_json(queue)::text, 'null')
        || ',"jobtype":' || coalesce(to_json(jobtype)::text, 'null') || ',"args":' || coalesce(args::text, 'null')
        || CASE WHEN inside <> '' THEN ',' || inside ELSE '' END || '}')::json, NULL);
END $$;

-- An array of job objects; how many. One that is none refuses the call.
CREATE FUNCTION posthouse.push_many(jobs json) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = posthouse, pg_temp AS $$
BEGIN
    PERFORM posthouse.inbox_open();
    IF jobs IS NULL OR json_typeof(jobs) <> 'array' THEN
        PERFORM posthouse.inbox_refuse('jobs must be a JSON array', NULL);
    END IF;
    RETURN (SELECT count(*) FROM (SELECT posthouse.inbox_push(t.job, 'line ' || t.number)
                                  FROM json_array_elements(jobs) WITH ORDINALITY AS t(job, number) OFFSET 0) AS pushed);
END $$;

REVOKE ALL ON FUNCTION posthouse.push(text, text, json, json), posthouse.push_many(json), posthouse.inbox_push(json, text),
    posthouse.inbox_job_problem(json, bool), posthouse.inbox_unique_problem(json, bool),
    posthouse.inbox_word_problem(json, text, text[]), posthouse.inbox_int_is(json, numeric, numeric),
    posthouse.inbox_duration_problem(json, text, bigint, bigint), posthouse.inbox_text_problem(json, text, int, bool),
    posthouse.inbox_duration(text) FROM PUBLIC;

DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION posthouse.push(text, text, json, json), posthouse.push_many(json) TO posthouse_app;
EXCEPTION WHEN undefined_object THEN
    NULL;
END $$;
