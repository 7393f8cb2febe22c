/*
 * store_message_list.c - many messages: those of a mailing, of a stretch of numbers, and the list people page through.
 */
#include "store/store_message_own.h"

/* The plus sign keeps the planner from walking the rows of a whole mailing. */
SQL(message_near,
    "SELECT message.no, message.member_no, message.key, member.id FROM message"
    " JOIN member ON member.no = message.member_no"
    " WHERE message.no >= ?1 AND message.no < ?2 AND +message.mailing_no = ?3",
    NULL);
SQL_WALK(message_of_mailing,
         "SELECT no FROM message INDEXED BY message_mailing WHERE mailing_no = ?1 AND mailing_no > 0"
         " ORDER BY created_at_ms, id",
         "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 ORDER BY created_at_ms, id");
SQL(message_range, "SELECT no, id, first_status FROM message WHERE no >= ?1 AND no < ?2 ORDER BY no", NULL);
SQL_WALK(message_list,
         "SELECT " MESSAGE_COLUMNS " FROM message INDEXED BY message_created"
         " WHERE (created_at_ms, id) < (?1, ?2) ORDER BY created_at_ms DESC, id DESC LIMIT ?3",
         "SELECT " MESSAGE_COLUMNS
         " FROM message WHERE (created_at_ms, id) < (?1, ?2) ORDER BY created_at_ms DESC, id DESC LIMIT ?3");
SQL_WALK(message_list_mailing,
         "SELECT " MESSAGE_COLUMNS " FROM message INDEXED BY message_mailing"
         " WHERE mailing_no = ?4 AND mailing_no > 0 AND (created_at_ms, id) < (?1, ?2)"
         " ORDER BY created_at_ms DESC, id DESC LIMIT ?3",
         "SELECT " MESSAGE_COLUMNS
         " FROM message WHERE mailing_no = ?4 AND mailing_no > 0 AND (created_at_ms, id) < (?1, ?2)"
         " ORDER BY created_at_ms DESC, id DESC LIMIT ?3");

enum err store_message_each_near(struct op *op, struct tx *tx, uint32_t mailing_no, uint64_t from_no, uint64_t to_no,
                                 void (*fn)(const struct message_near *near, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &message_near, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    bind_int(stmt, 3, mailing_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_near near = { .no = (uint64_t)col_int(stmt, 0),
                                     .member_no = (uint32_t)col_int(stmt, 1),
                                     .key = (uint8_t)col_int(stmt, 2),
                                     .member = col_str_borrowed(stmt, 3) };
        fn(&near, arg);
    }
}

enum err store_message_each_of_mailing(struct op *op, struct tx *tx, uint32_t mailing_no,
                                       enum err (*fn)(struct op *op, struct tx *tx, uint64_t no, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_of_mailing, &stmt));
    bind_int(stmt, 1, mailing_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        enum err err = fn(op, tx, (uint64_t)col_int(stmt, 0), arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_message_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                            void (*fn)(const struct message_brief *brief, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_range, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_brief brief = { .no = (uint64_t)col_int(stmt, 0),
                                       .id = col_str_borrowed(stmt, 1),
                                       .first_status = (uint8_t)col_int(stmt, 2) };
        fn(&brief, arg);
    }
}

static bool passes(const struct message_filter *filter, const struct message_row *row)
{
    return (!filter->tenant_no || row->tenant_no == filter->tenant_no) &&
           (!filter->channel || row->channel == filter->channel) &&
           (!filter->by_recipient || row->recipient_hash == filter->recipient_hash);
}

static enum err list_begin(struct op *op, struct tx *tx, const struct message_filter *filter, struct stmt **ret_stmt)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, filter->mailing_no ? &message_list_mailing : &message_list, &stmt));
    bind_int(stmt, 1, filter->after ? filter->after_created_at_ms : INT64_MAX);
    bind_str(stmt, 2, filter->after ? filter->after_id : S(""));
    bind_int(stmt, 3, STORE_LIST_SCAN_MAX);
    if (filter->mailing_no)
        bind_int(stmt, 4, filter->mailing_no);
    *ret_stmt = stmt;
    return OK;
}

/* Looks at rows until `limit` are taken and one more is seen, or 10,000 were looked at. */
enum err store_message_list(struct op *op, struct tx *tx, const struct message_filter *filter, int limit,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct message_row *row, bool probe,
                                           bool *ret_take, void *arg),
                            void *arg, bool *ret_more, struct message_row *ret_last)
{
    struct stmt *stmt;
    TRY(list_begin(op, tx, filter, &stmt));
    int taken = 0, looked = 0;
    *ret_more = false;
    for (;;) {
        bool found, take = false;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_row row = message_columns(op, stmt);
        looked++;
        if (passes(filter, &row))
            TRY(fn(op, tx, &row, taken == limit, &take, arg));
        if (take && taken == limit) {
            *ret_more = true; /* one row more exists: what was taken before it is the page */
            break;
        }
        taken += take;
        if (take || looked == STORE_LIST_SCAN_MAX)
            *ret_last = row;
        if (looked == STORE_LIST_SCAN_MAX) {
            *ret_more = true;
            break;
        }
    }
    stmt_reset(stmt);
    return OK;
}
