#include "store/outcome_rows.h"

#include <stdlib.h>

#include "base/sort.h"
#include "store/changes.h"
#include "store/families.h"

#define DIRTY_MAX 4096      /* rows that wait; more are written behind the command under way */
#define BYTES_MAX (4 << 20) /* of their texts */
#define READ_MAX  ROWS_FULL /* rows read ahead; what is beyond is asked one by one */

/* A provider's code may be absent, and as a row it is a number; so is an instant that is not known. */
#define NO_CODE "-2147483648"

SQL_ONLY_POSTGRES(failure_rows,
                  "INSERT INTO failure(message_no, mailing_no, severity, code, enhanced, text, at_us, event_id)"
                  " SELECT message_no, mailing_no, severity, nullif(code, " NO_CODE "), enhanced, text, at_us, event_id"
                  " FROM unnest(?1" PG_INTS ",?2" PG_INTS ",?3" PG_INTS ",?4" PG_INTS ",?5" PG_TEXTS ",?6" PG_TEXTS
                  ",?7" PG_INTS ",?8" PG_TEXTS ") AS"
                  " r(message_no, mailing_no, severity, code, enhanced, text, at_us, event_id)"
                  " ON CONFLICT(message_no) DO UPDATE SET mailing_no = excluded.mailing_no,"
                  " severity = excluded.severity, code = excluded.code, enhanced = excluded.enhanced,"
                  " text = excluded.text, at_us = excluded.at_us, event_id = excluded.event_id");
SQL_ONLY_POSTGRES(word_rows, "INSERT INTO message_word(message_no, complained_at_us, unsubscribed_at_us)"
                             " SELECT message_no, nullif(complained_at_us, 0), nullif(unsubscribed_at_us, 0)"
                             " FROM unnest(?1" PG_INTS ",?2" PG_INTS ",?3" PG_INTS ") AS"
                             " r(message_no, complained_at_us, unsubscribed_at_us)"
                             " ON CONFLICT(message_no) DO UPDATE SET complained_at_us = excluded.complained_at_us,"
                             " unsubscribed_at_us = excluded.unsubscribed_at_us");
SQL_ONLY_POSTGRES(failures_wanted, "SELECT message_no, mailing_no, severity, coalesce(code, " NO_CODE
                                   "), enhanced, text, at_us, event_id"
                                   " FROM failure WHERE message_no = ANY (?1)");
SQL_ONLY_POSTGRES(words_wanted, "SELECT message_no, coalesce(complained_at_us, 0), coalesce(unsubscribed_at_us, 0)"
                                " FROM message_word WHERE message_no = ANY (?1)");

/* Of one table. */
struct known {
    struct changes read, dirty; /* a row that is in both counts as it is in dirty */
};

struct outcomes {
    struct known failures, words;
};

/* --- the family --- */

static void known_init(struct known *known, const char *types)
{
    changes_init(&known->read, types);
    changes_init(&known->dirty, types);
}

static void known_done(struct known *known)
{
    changes_done(&known->read);
    changes_done(&known->dirty);
}

static enum err outcomes_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct outcomes *outcomes = calloc(1, sizeof *outcomes);
    if (!outcomes)
        abort();
    known_init(&outcomes->failures, "iiiittit");
    known_init(&outcomes->words, "iii");
    *ret_state = outcomes;
    return OK;
}

static void outcomes_close(void *state)
{
    struct outcomes *outcomes = state;
    known_done(&outcomes->failures);
    known_done(&outcomes->words);
    free(outcomes);
}

static void outcomes_forget(void *state)
{
    struct outcomes *outcomes = state;
    changes_clear(&outcomes->failures.read);
    changes_clear(&outcomes->failures.dirty);
    changes_clear(&outcomes->words.read);
    changes_clear(&outcomes->words.dirty);
}

static enum err outcomes_write(struct op *op, struct tx *tx, void *state)
{
    struct outcomes *outcomes = state;
    TRY(changes_write(op, tx, &outcomes->failures.dirty, NULL, &failure_rows));
    return changes_write(op, tx, &outcomes->words.dirty, NULL, &word_rows);
}

static enum err outcomes_trim(struct op *op, struct tx *tx, void *state)
{
    const struct outcomes *outcomes = state;
    const struct rows *failures = &outcomes->failures.dirty.added;
    bool full = failures->count >= DIRTY_MAX || failures->bytes.n >= BYTES_MAX ||
                outcomes->words.dirty.added.count >= DIRTY_MAX;
    return full ? outcomes_write(op, tx, state) : OK;
}

const struct family outcome_family = {
    .name = "failures and words",
    .open = outcomes_open,
    .close = outcomes_close,
    .flush = outcomes_write,
    .trim = outcomes_trim,
    .kept = outcomes_forget,
    .drop = outcomes_forget,
};

/* NULL where rows are written one by one. */
static struct outcomes *outcomes_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &outcome_family) : NULL;
}

enum err outcome_settle(struct op *op, struct tx *tx)
{
    struct outcomes *outcomes = outcomes_of(tx);
    return outcomes ? outcomes_write(op, tx, outcomes) : OK;
}

/* --- one row --- */

static bool known_find(const struct known *known, uint64_t message_no, const struct rows **ret_rows, size_t *ret_row)
{
    const struct changes *all[] = { &known->dirty, &known->read };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (changes_find(all[i], (int64_t)message_no, ret_row) == CHANGE_ADDED) {
            *ret_rows = &all[i]->added;
            return true;
        }
    return false;
}

/* The row to be filled; what was known of this message is no longer true. */
static struct rows *known_put(struct known *known, uint64_t message_no)
{
    size_t row;
    struct changes *all[] = { &known->dirty, &known->read };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (changes_find(all[i], (int64_t)message_no, &row) == CHANGE_ADDED)
            changes_delete(all[i], (int64_t)message_no);
    return changes_add(&known->dirty, (int64_t)message_no);
}

bool outcome_failure_find(struct op *op, struct tx *tx, uint64_t message_no, struct failure_row *ret)
{
    const struct outcomes *outcomes = outcomes_of(tx);
    const struct rows *rows;
    size_t row;
    if (!outcomes || !known_find(&outcomes->failures, message_no, &rows, &row))
        return false;
    *ret = (struct failure_row){ .message_no = message_no,
                                 .mailing_no = (uint32_t)rows_int_at(rows, row, 1),
                                 .severity = (uint8_t)rows_int_at(rows, row, 2),
                                 .code = (int32_t)rows_int_at(rows, row, 3),
                                 .enhanced = arena_str(op->arena, rows_str_at(rows, row, 4)),
                                 .text = arena_str(op->arena, rows_str_at(rows, row, 5)),
                                 .at_us = rows_int_at(rows, row, 6),
                                 .event_id = arena_str(op->arena, rows_str_at(rows, row, 7)) };
    return true;
}

static void failure_fill(struct rows *rows, const struct failure_row *row)
{
    rows_int(rows, row->mailing_no);
    rows_int(rows, row->severity);
    rows_int(rows, row->code);
    rows_str(rows, row->enhanced);
    rows_str(rows, row->text);
    rows_int(rows, row->at_us);
    rows_str(rows, row->event_id);
}

bool outcome_failure_put(struct tx *tx, const struct failure_row *row)
{
    struct outcomes *outcomes = outcomes_of(tx);
    if (!outcomes)
        return false;
    failure_fill(known_put(&outcomes->failures, row->message_no), row);
    tx_wrote(tx);
    return true;
}

bool outcome_word_find(struct tx *tx, uint64_t message_no, struct word_row *ret)
{
    const struct outcomes *outcomes = outcomes_of(tx);
    const struct rows *rows;
    size_t row;
    if (!outcomes || !known_find(&outcomes->words, message_no, &rows, &row))
        return false;
    *ret = (struct word_row){ rows_int_at(rows, row, 1), rows_int_at(rows, row, 2) };
    return true;
}

static void word_fill(struct rows *rows, const struct word_row *row)
{
    rows_int(rows, row->complained_at_us);
    rows_int(rows, row->unsubscribed_at_us);
}

bool outcome_word_put(struct tx *tx, uint64_t message_no, const struct word_row *row)
{
    struct outcomes *outcomes = outcomes_of(tx);
    if (!outcomes)
        return false;
    word_fill(known_put(&outcomes->words, message_no), row);
    tx_wrote(tx);
    return true;
}

/* --- reading ahead --- */

/* Begins the statement that asks for what is not known yet, each once and in order; NULL: nothing is. */
static enum err ask(struct op *op, struct tx *tx, const struct sql *sql, const struct known *known,
                    const uint64_t *message_nos, size_t count, struct stmt **ret_stmt)
{
    int64_t *wanted;
    size_t n = 0, row;
    const struct rows *rows;
    *ret_stmt = NULL;
    TRY(op_alloc(op, (count + 1) * sizeof *wanted, &wanted));
    for (size_t i = 0; i < count; i++)
        if (message_nos[i] && !known_find(known, message_nos[i], &rows, &row))
            wanted[n++] = (int64_t)message_nos[i];
    if (n == 0 || known->read.added.count + n > READ_MAX)
        return OK;
    n = sort_unique_i64(wanted, n);
    TRY(tx_stmt(op, tx, sql, ret_stmt));
    bind_ints(*ret_stmt, 1, wanted, n);
    return OK;
}

static struct rows *read_row(struct known *known, struct stmt *stmt)
{
    return changes_add(&known->read, col_int(stmt, 0));
}

enum err store_failure_prefetch(struct op *op, struct tx *tx, const uint64_t *message_nos, size_t count)
{
    struct outcomes *outcomes = outcomes_of(tx);
    struct stmt *stmt;
    if (!outcomes)
        return OK;
    TRY(ask(op, tx, &failures_wanted, &outcomes->failures, message_nos, count, &stmt));
    for (bool found = stmt != NULL; found;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        struct failure_row row = { .mailing_no = (uint32_t)col_int(stmt, 1),
                                   .severity = (uint8_t)col_int(stmt, 2),
                                   .code = (int32_t)col_int(stmt, 3),
                                   .enhanced = col_str_borrowed(stmt, 4),
                                   .text = col_str_borrowed(stmt, 5),
                                   .at_us = col_int(stmt, 6),
                                   .event_id = col_str_borrowed(stmt, 7) };
        failure_fill(read_row(&outcomes->failures, stmt), &row);
    }
    return OK;
}

enum err store_word_prefetch(struct op *op, struct tx *tx, const uint64_t *message_nos, size_t count)
{
    struct outcomes *outcomes = outcomes_of(tx);
    struct stmt *stmt;
    if (!outcomes)
        return OK;
    TRY(ask(op, tx, &words_wanted, &outcomes->words, message_nos, count, &stmt));
    for (bool found = stmt != NULL; found;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        struct word_row row = { col_int(stmt, 1), col_int(stmt, 2) };
        word_fill(read_row(&outcomes->words, stmt), &row);
    }
    return OK;
}
