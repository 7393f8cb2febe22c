/*
 * rows.h - rows of one table, kept in RAM and inserted together.
 *
 * Private to src/store. On PostgreSQL a statement for each row of a page of
 * events costs more than all the rows; so a family whose rows are many collects
 * them, and one statement takes them as arrays, a parameter for each column:
 *
 *     SQL_ONLY_POSTGRES(touch_rows,
 *         "INSERT INTO touch (seq, bits) SELECT * FROM unnest(?1" PG_INTS ", ?2" PG_INTS ")");
 *
 *     rows_begin(&rows);
 *     rows_int(&rows, seq);
 *     rows_int(&rows, bits);
 *     ...
 *     TRY(rows_write(op, tx, &rows, &touch_rows));
 *
 * Whoever reads the table in the same transaction must write first, or look
 * here. Rows that wait are part of the group: rows_clear when it is dropped.
 */
#pragma once

#include "base/buf.h"
#include "store/db.h"

/* Says of a parameter of a text what it is an array of; a plan can be asked for only then. */
#define PG_INTS  "::bigint[]"
#define PG_TEXTS "::text[]"
#define PG_BLOBS "::bytea[]"

#define ROWS_COLUMNS_MAX 24
#define ROWS_FULL        16384 /* rows that wait, above which a family says tx_full, or writes */

struct rows {
    const char *types; /* a letter for each column: i = bigint, t = text, b = bytea */
    int columns, column;
    size_t count, room;
    int64_t *values[ROWS_COLUMNS_MAX]; /* numbers; of texts where they begin, and in the upper half how long they are */
    struct buf bytes;                  /* of the texts */
    struct str *texts;                 /* scratch of rows_write */
    size_t texts_room;
};

void rows_init(struct rows *rows, const char *types);
void rows_done(struct rows *rows);

/* A new row; its values follow in the order of the columns. */
void rows_begin(struct rows *rows);
void rows_int(struct rows *rows, int64_t value);
void rows_str(struct rows *rows, struct str value); /* not given: NULL */

/* Values of a row that waits; texts are borrowed until the next one is added. */
int64_t rows_int_at(const struct rows *rows, size_t row, int column);
struct str rows_str_at(const struct rows *rows, size_t row, int column);
void rows_int_set(struct rows *rows, size_t row, int column, int64_t value);

/* The row goes; the last one takes its place. */
void rows_remove(struct rows *rows, size_t row);

/* Inserts all by `sql`, whose parameters are the columns, and has none any more. Nobody asks for the outcome. */
enum err rows_write(struct op *op, struct tx *tx, struct rows *rows, const struct sql *sql);

void rows_clear(struct rows *rows);
