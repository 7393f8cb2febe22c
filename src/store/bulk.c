/* bulk.c - what both engines' halves of bulk.h have in common. */
#include "store/bulk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"

#define NAME_TEXT_MAX 40 /* bytes of a text in the name of a row */

enum err bulk_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk)
{
    return store->engine->shared ? bulk_postgres_open(op, store, writing, ret_bulk)
                                 : bulk_sqlite_open(op, store, writing, ret_bulk);
}

void bulk_close(struct bulk *bulk)
{
    if (!bulk)
        return;
    struct arena *arena = bulk->arena;
    bulk->engine->close(bulk);
    arena_free(arena);
}

/* --- what tables there are --- */

static int by_name(const void *a, const void *b)
{
    const struct bulk_table *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void column_swap(struct bulk_table *table, int a, int b)
{
    __typeof__(table->column[0]) column = table->column[a];
    table->column[a] = table->column[b];
    table->column[b] = column;
    for (int i = 0; i < table->keys; i++)
        table->key[i] = table->key[i] == a ? b : table->key[i] == b ? a : table->key[i];
}

/* Columns stand in the order in which a table was altered, which may differ between engines. */
static void columns_sort(struct bulk_table *table)
{
    for (int i = 0; i < table->columns; i++)
        for (int j = i + 1; j < table->columns; j++)
            if (strcmp(table->column[j].name, table->column[i].name) < 0)
                column_swap(table, i, j);
}

enum err bulk_tables(struct op *op, struct bulk *bulk, const struct bulk_table **ret_tables, size_t *ret_count)
{
    if (!bulk->tables) {
        struct bulk_table *tables = arena_alloc(bulk->arena, BULK_TABLES_MAX * sizeof *tables);
        assert(tables); /* the arena is made for them */
        TRY(bulk->engine->tables(op, bulk, tables, &bulk->table_count));
        for (size_t i = 0; i < bulk->table_count; i++)
            columns_sort(&tables[i]);
        qsort(tables, bulk->table_count, sizeof *tables, by_name);
        bulk->tables = tables;
    }
    *ret_tables = bulk->tables;
    *ret_count = bulk->table_count;
    return OK;
}

const struct bulk_table *bulk_find(const struct bulk_table *tables, size_t count, const char *name)
{
    struct bulk_table wanted = { .name = name };
    return bsearch(&wanted, tables, count, sizeof *tables, by_name);
}

bool bulk_is_like(const struct bulk_table *a, const struct bulk_table *b)
{
    bool alike = a->columns == b->columns && a->keys == b->keys;
    for (int i = 0; alike && i < a->columns; i++)
        alike = strcmp(a->column[i].name, b->column[i].name) == 0 && a->column[i].type == b->column[i].type;
    for (int i = 0; alike && i < a->keys; i++)
        alike = a->key[i] == b->key[i];
    return alike;
}

/* --- texts --- */

const char *bulk_columns(struct bulk *bulk, const struct bulk_table *table)
{
    struct str list = S("");
    for (int i = 0; i < table->columns; i++)
        list = arena_fmt(bulk->arena, "%.*s%s\"%s\"", STR(list), i ? ", " : "", table->column[i].name);
    return list.p;
}

const char *bulk_key_columns(struct bulk *bulk, const struct bulk_table *table, const char *behind_each)
{
    struct str list = S("");
    for (int i = 0; i < table->keys; i++)
        list = arena_fmt(bulk->arena, "%.*s%s\"%s\"%s", STR(list), i ? ", " : "", table->column[table->key[i]].name,
                         behind_each);
    return list.p;
}

enum err bulk_count(struct op *op, struct bulk *bulk, const struct bulk_table *table, int64_t *ret_count)
{
    return bulk_int(op, bulk, arena_fmt(op->arena, "SELECT count(*) FROM \"%s\"", table->name).p, ret_count);
}

enum err bulk_int(struct op *op, struct bulk *bulk, const char *text, int64_t *ret_value)
{
    struct str value;
    TRY(bulk_text(op, bulk, text, &value));
    return str_to_int(value, INT64_MIN, INT64_MAX, ret_value) ? OK : fail(op, ERR_NOT_FOUND, "no number: %s", text);
}

/* --- rows --- */

static int value_cmp(enum bulk_type type, struct bulk_value a, struct bulk_value b)
{
    if (type == BULK_INT)
        return sort_cmp_i64(bulk_int_of(a), bulk_int_of(b));
    return str_cmp((struct str){ a.p, (size_t)a.n }, (struct str){ b.p, (size_t)b.n });
}

int bulk_key_cmp(const struct bulk_table *table, const struct bulk_row *a, const struct bulk_row *b)
{
    int order = 0;
    for (int i = 0; order == 0 && i < table->keys; i++) {
        int at = table->key[i];
        order = value_cmp(table->column[at].type, a->value[at], b->value[at]);
    }
    return order;
}

struct str bulk_name(struct op *op, const struct bulk_table *table, const struct bulk_row *row)
{
    struct str name = str_of(table->name);
    for (int i = 0; i < table->keys; i++) {
        struct bulk_value value = row->value[table->key[i]];
        const char *comma = i ? "," : "";
        struct str text = { value.p, (size_t)value.n };
        if (table->column[table->key[i]].type == BULK_INT)
            name = arena_fmt(op->arena, "%.*s%s %" PRId64, STR(name), comma, bulk_int_of(value));
        else if (table->column[table->key[i]].type == BULK_TEXT)
            name = arena_fmt(op->arena, "%.*s%s '%.*s'", STR(name), comma, STR(str_clip(text, NAME_TEXT_MAX)));
        else
            name = arena_fmt(op->arena, "%.*s%s (bytes)", STR(name), comma);
    }
    return name;
}

/* --- the engine's --- */

enum err bulk_newest(struct op *op, struct bulk *bulk, const struct bulk_table *table, struct bulk_row *ret_row,
                     bool *ret_found)
{
    return bulk->engine->newest(op, bulk, table, ret_row, ret_found);
}

enum err bulk_read(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *after)
{
    return bulk->engine->read(op, bulk, table, after);
}

enum err bulk_next(struct op *op, struct bulk *bulk, struct bulk_row *ret_row, bool *ret_found)
{
    return bulk->engine->next(op, bulk, ret_row, ret_found);
}

enum err bulk_put(struct op *op, struct bulk *bulk, const struct bulk_table *table, const struct bulk_row *row)
{
    assert(bulk->writing);
    return bulk->engine->put(op, bulk, table, row);
}

enum err bulk_empty(struct op *op, struct bulk *bulk, const struct bulk_table *table)
{
    assert(bulk->writing);
    return bulk->engine->empty(op, bulk, table);
}

enum err bulk_begin(struct op *op, struct bulk *bulk, bool durable)
{
    return bulk->engine->begin(op, bulk, durable);
}

enum err bulk_commit(struct op *op, struct bulk *bulk)
{
    return bulk->engine->commit(op, bulk);
}

enum err bulk_exec(struct op *op, struct bulk *bulk, const char *text)
{
    return bulk->engine->exec(op, bulk, text);
}

enum err bulk_text(struct op *op, struct bulk *bulk, const char *text, struct str *ret_text)
{
    return bulk->engine->text(op, bulk, text, ret_text);
}
