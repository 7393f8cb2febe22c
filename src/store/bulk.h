/*
 * bulk.h - whole tables out of one store and into another, whichever engines they are.
 *
 * Private to src/store, used by move.c. What tables there are is asked of the
 * database itself, so that no new family can be forgotten. A row is its values
 * as PostgreSQL's binary COPY writes them (integers big-endian), which is what
 * both engines give and take here and what is compared byte by byte.
 *
 *     struct bulk_row row;
 *     TRY(bulk_read(op, from, table, NULL));
 *     for (bool found = true; found;) {
 *         TRY(bulk_next(op, from, &row, &found));
 *         if (found)
 *             TRY(bulk_put(op, to, table, &row));
 *     }
 *
 * A bulk that reads sees one snapshot from its opening to its end. One that
 * writes has the database to itself and commits when it is told to.
 */
#pragma once

#include "base/buf.h"
#include "store/core.h"

#define BULK_COLUMNS_MAX 48
#define BULK_KEYS_MAX    6
#define BULK_TABLES_MAX  256
#define BULK_ARENA_BYTES (16u << 20)

enum bulk_type { BULK_INT, BULK_TEXT, BULK_BLOB, BULK_REAL };

struct bulk_table {
    const char *name;
    int columns;
    struct {
        const char *name;
        enum bulk_type type;
    } column[BULK_COLUMNS_MAX]; /* in order of name, the same on both engines */
    int keys;
    int key[BULK_KEYS_MAX]; /* places of the primary key's columns, in its order; none: the table cannot be moved */
};

struct bulk_value {
    const char *p;
    int32_t n; /* -1 = NULL */
};

struct bulk_row {
    struct bulk_value value[BULK_COLUMNS_MAX];
};

struct bulk;

/* A way into an open store whose threads do not run. `writing`: the store's own writer must stay idle meanwhile. */
enum err bulk_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk);

/* A transaction under way is rolled back. */
void bulk_close(struct bulk *bulk);

/* All tables in order of name, in the bulk's memory. ERR_BUG for a column whose type this program does not know. */
enum err bulk_tables(struct op *op, struct bulk *bulk, const struct bulk_table **ret_tables, size_t *ret_count);

/* The table of this name, NULL when there is none. */
const struct bulk_table *bulk_find(const struct bulk_table *tables, size_t count, const char *name);

/* The same columns, types and key? */
bool bulk_is_like(const struct bulk_table *a, const struct bulk_table *b);

enum err bulk_count(struct op *op, struct bulk *bulk, const struct bulk_table *table, int64_t *ret_count);

/* The row with the highest key: how far an interrupted copy has come. Borrowed until the next call. */
enum err bulk_newest(struct op *op, struct bulk *bulk, const struct bulk_table *table, struct bulk_row *ret_row,
                     bool *ret_found);

/* Begins reading a table in the order of its key, behind the key of `after` or from the start (NULL). */
enum err bulk_read(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *after);

/* The next row, borrowed until the next call. */
enum err bulk_next(struct op *op, struct bulk *bulk, struct bulk_row *ret_row, bool *ret_found);

/* Adds a row; many of one table together, inside a transaction. */
enum err bulk_put(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *row);

/* Takes all rows out, inside a transaction. */
enum err bulk_empty(struct op *op, struct bulk *bulk, const struct bulk_table *table);

/* `durable` false: the commit may be lost with the server's machine, but then so is every later one. */
enum err bulk_begin(struct op *op, struct bulk *bulk, bool durable);
enum err bulk_commit(struct op *op, struct bulk *bulk);

/* One statement without rows; inside a transaction when it changes something. */
enum err bulk_exec(struct op *op, struct bulk *bulk, const char *text);

/* First column of its first row: not given when that is NULL or there is no row. In the op's arena. */
enum err bulk_text(struct op *op, struct bulk *bulk, const char *text, struct str *ret_text);
enum err bulk_int(struct op *op, struct bulk *bulk, const char *text, int64_t *ret_value);

/* Compares two rows by their keys: <0, 0, >0 as memcmp. */
int bulk_key_cmp(const struct bulk_table *table, const struct bulk_row *a, const struct bulk_row *b);

/* "message 17" or "coverage 3, 1, 1700000000000000": where a row is, for sentences. In the op's arena. */
struct str bulk_name(struct op *op, const struct bulk_table *table, const struct bulk_row *row);

/* --- for the engines' halves --- */

struct bulk_engine {
    void (*close)(struct bulk *bulk);
    enum err (*tables)(struct op *op, struct bulk *bulk, struct bulk_table *tables, size_t *count);
    enum err (*newest)(struct op *op, struct bulk *bulk, const struct bulk_table *table, struct bulk_row *ret_row,
                       bool *ret_found);
    enum err (*read)(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *after);
    enum err (*next)(struct op *op, struct bulk *bulk, struct bulk_row *ret_row, bool *ret_found);
    enum err (*put)(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *row);
    enum err (*empty)(struct op *op, struct bulk *bulk, const struct bulk_table *table);
    enum err (*begin)(struct op *op, struct bulk *bulk, bool durable);
    enum err (*commit)(struct op *op, struct bulk *bulk);
    enum err (*exec)(struct op *op, struct bulk *bulk, const char *text);
    enum err (*text)(struct op *op, struct bulk *bulk, const char *text, struct str *ret_text);
};

struct bulk {
    const struct bulk_engine *engine;
    struct store *store;
    struct arena *arena; /* texts that live as long as the bulk */
    struct bulk_table *tables;
    size_t table_count;
    bool writing;
};

enum err bulk_sqlite_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk);
enum err bulk_postgres_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk);

/* "a, b, c": the columns, or those of the key. In the bulk's memory. */
const char *bulk_columns(struct bulk *bulk, const struct bulk_table *table);
const char *bulk_key_columns(struct bulk *bulk, const struct bulk_table *table, const char *behind_each);

/* Integers as they travel. */
static inline int64_t bulk_int_of(struct bulk_value value)
{
    uint64_t big;
    memcpy(&big, value.p, sizeof big);
    return (int64_t)__builtin_bswap64(big);
}
