#include "store/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX    ((size_t)1 << 31)
#define NOT_GIVEN    INT64_MIN
#define LENGTH_SHIFT 32

void rows_init(struct rows *rows, const char *types)
{
    *rows = (struct rows){ .types = types, .columns = (int)strlen(types) };
    assert(rows->columns <= ROWS_COLUMNS_MAX);
    buf_init(&rows->bytes, BYTES_MAX);
}

void rows_done(struct rows *rows)
{
    for (int i = 0; i < rows->columns; i++)
        free(rows->values[i]);
    free(rows->texts);
    buf_done(&rows->bytes);
}

void rows_clear(struct rows *rows)
{
    rows->count = 0;
    rows->column = rows->columns;
    buf_reset(&rows->bytes);
}

void rows_begin(struct rows *rows)
{
    assert(rows->count == 0 || rows->column == rows->columns); /* the row before is whole */
    if (rows->count == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 64;
        for (int i = 0; i < rows->columns; i++) {
            rows->values[i] = realloc(rows->values[i], rows->room * sizeof *rows->values[i]);
            if (!rows->values[i])
                abort();
        }
    }
    rows->count++;
    rows->column = 0;
}

static void put(struct rows *rows, int64_t value)
{
    assert(rows->column < rows->columns);
    rows->values[rows->column++][rows->count - 1] = value;
}

void rows_int(struct rows *rows, int64_t value)
{
    assert(rows->types[rows->column] == 'i');
    put(rows, value);
}

void rows_str(struct rows *rows, struct str value)
{
    assert(rows->types[rows->column] != 'i');
    if (!str_given(value)) {
        put(rows, NOT_GIVEN);
        return;
    }
    put(rows, (int64_t)((uint64_t)value.n << LENGTH_SHIFT | rows->bytes.n));
    buf_add(&rows->bytes, value.p, value.n);
}

int64_t rows_int_at(const struct rows *rows, size_t row, int column)
{
    assert(row < rows->count && rows->types[column] == 'i');
    return rows->values[column][row];
}

void rows_int_set(struct rows *rows, size_t row, int column, int64_t value)
{
    assert(row < rows->count && rows->types[column] == 'i');
    rows->values[column][row] = value;
}

struct str rows_str_at(const struct rows *rows, size_t row, int column)
{
    int64_t value = rows->values[column][row];
    assert(row < rows->count && rows->types[column] != 'i');
    if (value == NOT_GIVEN)
        return (struct str){ NULL, 0 };
    size_t n = (size_t)(value >> LENGTH_SHIFT);
    return (struct str){ n ? buf_str(&rows->bytes).p + (uint32_t)value : "", n };
}

void rows_remove(struct rows *rows, size_t row)
{
    assert(row < rows->count && rows->column == rows->columns);
    rows->count--;
    for (int i = 0; i < rows->columns; i++)
        rows->values[i][row] = rows->values[i][rows->count];
}

static void bind_texts(struct stmt *stmt, struct rows *rows, int column)
{
    if (rows->texts_room < rows->count) {
        free(rows->texts);
        rows->texts_room = rows->room;
        rows->texts = calloc(rows->room, sizeof *rows->texts);
        if (!rows->texts)
            abort();
    }
    for (size_t i = 0; i < rows->count; i++)
        rows->texts[i] = rows_str_at(rows, i, column);
    if (rows->types[column] == 't')
        bind_strs(stmt, column + 1, rows->texts, rows->count);
    else
        bind_blobs(stmt, column + 1, rows->texts, rows->count);
}

enum err rows_write(struct op *op, struct tx *tx, struct rows *rows, const struct sql *sql)
{
    struct stmt *stmt;
    if (rows->count == 0)
        return OK;
    assert(rows->column == rows->columns && !rows->bytes.full);
    TRY(tx_stmt(op, tx, sql, &stmt));
    for (int i = 0; i < rows->columns; i++) {
        if (rows->types[i] == 'i')
            bind_ints(stmt, i + 1, rows->values[i], rows->count);
        else
            bind_texts(stmt, rows, i);
    }
    TRY(stmt_later(op, stmt));
    rows_clear(rows);
    return OK;
}
