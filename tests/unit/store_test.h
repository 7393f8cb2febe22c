/*
 * store_test.h - a store to play with: in memory or in a directory of its own,
 * or, with POSTHOUSE_TEST_DATABASE, in a PostgreSQL database of its own.
 *
 * The fixture keeps a fault plan: `fixture.fail_at` lets the n-th statement or
 * commit from now fail, as the simulation does.
 */
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include "base/post.h"
#include "store/db.h"
#include "store/tx.h"
#include "test.h"
#include "test_database.h"

struct fixture {
    char directory[64];
    struct test_database database;
    struct arena *arena;
    struct op op;
    struct store *store;
    struct store_faults faults;
    struct store_clock clock; /* goes with op.now_us */
    enum store_point point;   /* where the next fault is planned */
    enum store_fault fault;
    int64_t countdown; /* 1 = at the next such point; 0 = none planned */
    bool again;        /* and at every one after it */
};

static inline enum store_fault fixture_ask(void *data, enum store_point point)
{
    struct fixture *fixture = data;
    if (point != fixture->point || fixture->countdown == 0)
        return STORE_NO_FAULT;
    if (fixture->countdown > 1) {
        fixture->countdown--;
        return STORE_NO_FAULT;
    }
    if (!fixture->again)
        fixture->countdown = 0;
    return fixture->fault;
}

static inline int64_t fixture_mono_us(void *data)
{
    const struct fixture *fixture = data;
    return fixture->op.now_us;
}

static inline void fixture_plan(struct fixture *fixture, enum store_point point, enum store_fault fault, int64_t nth)
{
    fixture->point = point;
    fixture->fault = fault;
    fixture->countdown = nth;
    fixture->again = false;
}

static inline struct store_config fixture_config(struct fixture *fixture)
{
    fixture->faults = (struct store_faults){ fixture_ask, fixture };
    fixture->clock = (struct store_clock){ fixture_mono_us, fixture };
    return (struct store_config){ .directory = fixture->directory[0] ? fixture->directory : NULL,
                                  .url = fixture->database.url[0] ? fixture->database.url : NULL,
                                  .op_clock = true,
                                  .faults = &fixture->faults,
                                  .clock = &fixture->clock };
}

static inline void fixture_open(struct fixture *fixture)
{
    struct store_config config = fixture_config(fixture);
    SUCCEEDS(&fixture->op, store_open(&fixture->op, &config, &fixture->store));
}

static inline void fixture_reopen(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
    fixture_open(fixture);
}

static inline void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->arena = arena_new(64 << 20);
    op_init(&fixture->op, fixture->arena, 1700000000000000);
    test_database_make(&fixture->database);
}

/* In memory. */
static inline void fixture_start(struct fixture *fixture)
{
    fixture_init(fixture);
    fixture_open(fixture);
}

static inline void fixture_directory(struct fixture *fixture)
{
    fixture_init(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/posthouse-test-XXXXXX");
    YES(mkdtemp(fixture->directory) != NULL);
}

/* In a new directory. */
static inline void fixture_start_file(struct fixture *fixture)
{
    fixture_directory(fixture);
    fixture_open(fixture);
}

static inline void fixture_end(struct fixture *fixture)
{
    if (fixture->store)
        store_close(fixture->store);
    if (fixture->directory[0]) {
        const char *const files[] = { "posthouse.db", "posthouse.db-wal", "posthouse.db-shm", "posthouse.lock" };
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char path[128];
            snprintf(path, sizeof path, "%s/%s", fixture->directory, files[i]);
            unlink(path);
        }
        rmdir(fixture->directory);
    }
    arena_free(fixture->arena);
}

/* Runs fn in a write transaction or over a snapshot; the test fails when it does. */
#define WRITES(fixture, fn, arg) SUCCEEDS(&(fixture)->op, store_write(&(fixture)->op, (fixture)->store, (fn), (arg)))
#define READS(fixture, fn, arg)  SUCCEEDS(&(fixture)->op, store_read(&(fixture)->op, (fixture)->store, (fn), (arg)))
