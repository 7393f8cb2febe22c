/*
 * test_database.h - a PostgreSQL database of its own for a test.
 *
 * With POSTHOUSE_TEST_DATABASE=postgres://... (tools/with-postgres sets it)
 * tests that need a store run on that server instead of SQLite. Its user must
 * be one that may make databases. The schema is made once for a process, and
 * every test begins with a copy.
 */
#pragma once

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/op.h"
#include "store/tx.h"
#include "test.h"

struct test_database {
    char url[512]; /* "" without POSTHOUSE_TEST_DATABASE */
    char name[64];
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
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        print_error("%s: %s", text, PQerrorMessage(conn));
    YES(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(result);
    PQfinish(conn);
}

static inline void test_database_url(char *out, size_t room, const char *name)
{
    const char *server = test_server(), *path = strchr(strstr(server, "://") + 3, '/');
    size_t n = path ? (size_t)(path - server) : strlen(server);
    snprintf(out, room, "%.*s/%s", (int)n, server, name);
}

static char test_template[64];

static inline void test_template_drop(void)
{
    char text[128];
    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", test_template);
    test_sql(NULL, text);
}

static inline void test_template_make(void)
{
    char text[512];
    struct op op;
    struct store *store;
    snprintf(test_template, sizeof test_template, "t_%d_template", (int)getpid());
    snprintf(text, sizeof text, "CREATE DATABASE %s", test_template);
    test_sql(NULL, text);
    atexit(test_template_drop);
    test_database_url(text, sizeof text, test_template);
    op_init(&op, arena_new(1 << 20), 0);
    struct store_config config = { .url = text };
    SUCCEEDS(&op, store_open(&op, &config, &store));
    store_close(store);
    arena_free(op.arena);
}

static inline void test_database_make(struct test_database *database)
{
    static int made;
    char text[256];
    if (!test_server())
        return;
    if (!test_template[0])
        test_template_make();
    snprintf(database->name, sizeof database->name, "t_%d_%d", (int)getpid(), ++made);
    snprintf(text, sizeof text, "CREATE DATABASE %s TEMPLATE %s", database->name, test_template);
    test_sql(NULL, text);
    test_database_url(database->url, sizeof database->url, database->name);
}

static inline void test_database_drop(struct test_database *database)
{
    char text[256];
    if (!database->name[0])
        return;
    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", database->name);
    test_sql(NULL, text);
    database->name[0] = '\0';
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
