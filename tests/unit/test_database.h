/*
 * test_database.h - a PostgreSQL database of its own for a test.
 *
 * With POSTHOUSE_TEST_DATABASE=postgres://... (tools/with-postgres sets it)
 * tests that need a store run on that server instead of SQLite. Its user must
 * be one that may make databases. A process has one database; every test begins
 * with its rows as the steps of the schema left them, which takes a tenth of
 * the time of a copy.
 */
#pragma once

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/op.h"
#include "store/tx.h"

struct test_database {
    char url[512]; /* "" without POSTHOUSE_TEST_DATABASE */
};

static inline const char *test_server(void)
{
    const char *server = getenv("POSTHOUSE_TEST_DATABASE");
    return server && *server ? server : NULL;
}

/* Runs a text on the server or, with a URL, in one database. */
static inline void test_sql(const char *url, const char *text)
{
    PGconn *conn = PQconnectdb(url ? url : test_server());
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%.80s: %s", text, PQerrorMessage(conn));
        abort();
    }
    PQclear(result);
    PQfinish(conn);
}

static inline void test_database_url(char *out, size_t room, const char *name)
{
    const char *server = test_server(), *path = strchr(strstr(server, "://") + 3, '/');
    size_t n = path ? (size_t)(path - server) : strlen(server);
    snprintf(out, room, "%.*s/%s", (int)n, server, name);
}

static char test_name[64]; /* of the database of this process; "" = not made yet */

static inline void test_database_end(void)
{
    char text[128];
    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", test_name);
    test_sql(NULL, text);
}

/* Ends the connections of stores to the database of this process; others are tested beside it. */
static inline void test_end_links(void)
{
    char text[192];
    snprintf(text, sizeof text,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'posthouse'"
             " AND datname = '%s'",
             test_name);
    test_sql(NULL, text);
}

/* Puts every row and number back to what the steps of the schema made. */
static const char test_reset_function[] =
    "CREATE SCHEMA seed;"
    "CREATE FUNCTION seed.reset() RETURNS void LANGUAGE plpgsql AS $$"
    "DECLARE t text; BEGIN"
    " PERFORM pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
    "  WHERE datname = current_database() AND pid <> pg_backend_pid();"
    " FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'posthouse' AND tablename <> 'schema_version' LOOP"
    "  EXECUTE format('DELETE FROM posthouse.%I', t);"
    "  IF to_regclass(format('seed.%I', t)) IS NOT NULL THEN"
    "   EXECUTE format('INSERT INTO posthouse.%I OVERRIDING SYSTEM VALUE TABLE seed.%I', t, t); END IF;"
    " END LOOP;"
    " FOR t IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'posthouse' LOOP"
    "  EXECUTE format('ALTER SEQUENCE posthouse.%I RESTART', t); END LOOP;"
    "END $$;"
    "DO $$ DECLARE t text; filled boolean; BEGIN"
    " FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'posthouse' AND tablename <> 'schema_version' LOOP"
    "  EXECUTE format('SELECT EXISTS (SELECT FROM posthouse.%I)', t) INTO filled;"
    "  IF filled THEN EXECUTE format('CREATE TABLE seed.%I AS TABLE posthouse.%I', t, t); END IF;"
    " END LOOP;"
    "END $$";

/* The schema, before the program's first group: the hash key is the test's own. */
static inline void test_database_begin(char *url, size_t room)
{
    char text[128];
    struct op op;
    struct store *store;
    snprintf(test_name, sizeof test_name, "t_%d", (int)getpid());
    snprintf(text, sizeof text, "CREATE DATABASE %s", test_name);
    test_sql(NULL, text);
    atexit(test_database_end);
    test_database_url(url, room, test_name);
    op_init(&op, arena_new(1 << 20), 0);
    struct store_config config = { .url = url };
    if (store_open(&op, &config, &store) != OK) {
        fprintf(stderr, "%s\n", op.error);
        abort();
    }
    store_close(store);
    arena_free(op.arena);
    test_sql(url, "DELETE FROM posthouse.group_log; DELETE FROM posthouse.meta WHERE name <> 'probe'");
    test_sql(url, test_reset_function);
}

/* An empty database; the same one for every test of the process, so one after the other. */
static inline void test_database_make(struct test_database *database)
{
    if (!test_server())
        return;
    if (test_name[0]) {
        test_database_url(database->url, sizeof database->url, test_name);
        test_sql(database->url, "SELECT seed.reset()");
    } else {
        test_database_begin(database->url, sizeof database->url);
    }
}

/* For tests of what only one engine has. */
#define ONLY_SQLITE()                                                                                                  \
    do {                                                                                                               \
        if (test_server())                                                                                             \
            SKIP("SQLite only");                                                                                       \
    } while (0)
#define ONLY_POSTGRES()                                                                                                \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("PostgreSQL only");                                                                                   \
    } while (0)
