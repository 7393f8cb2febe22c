/* store_duty.c - the table is made by the step of nodes. */
#include "store/store_duty.h"

#include <assert.h>

#include "store/db.h"

SQL(duty_get,
    "SELECT d.node_no, d.node_epoch, d.term, d.until_us, n.id, n.epoch, n.lost FROM duty d"
    " LEFT JOIN node n ON n.no = d.node_no WHERE d.name = ?1",
    NULL);
SQL(duty_put,
    "INSERT INTO duty (name, node_no, node_epoch, term, until_us) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (name) DO UPDATE SET node_no = excluded.node_no, node_epoch = excluded.node_epoch,"
    " term = excluded.term, until_us = excluded.until_us",
    NULL);
SQL(duty_longer, "UPDATE duty SET until_us = ?5 WHERE name = ?1 AND node_epoch = ?2 AND term = ?3 AND until_us >= ?4",
    NULL);
SQL(duty_end, "UPDATE duty SET until_us = 0 WHERE name = ?1 AND node_epoch = ?2 AND term = ?3", NULL);
SQL_SCAN(duty_all,
         "SELECT d.name, d.node_no, d.node_epoch, d.term, d.until_us, n.id FROM duty d JOIN node n ON n.no = d.node_no"
         " AND n.epoch = d.node_epoch WHERE d.until_us >= ?1 AND n.lost = 0 ORDER BY d.name",
         NULL);

struct holding {
    struct duty duty;
    bool is_alive; /* the life that holds it is the node's newest and not lost */
};

/* term 0 when it was never held. */
static enum err duty_read(struct op *op, struct tx *tx, struct str name, struct holding *ret)
{
    struct stmt *stmt;
    bool found;
    *ret = (struct holding){ .duty.name = name };
    TRY(tx_stmt(op, tx, &duty_get, &stmt));
    bind_str(stmt, 1, name);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    ret->duty.self = (struct node_self){ col_str(op, stmt, 4), (uint32_t)col_int(stmt, 0), (uint64_t)col_int(stmt, 1) };
    ret->duty.term = (uint64_t)col_int(stmt, 2);
    ret->duty.until_us = col_int(stmt, 3);
    ret->is_alive = (uint64_t)col_int(stmt, 5) == ret->duty.self.epoch && col_int(stmt, 6) == 0;
    stmt_reset(stmt);
    return OK;
}

static bool is_same_life(const struct node_self *a, const struct node_self *b)
{
    return a->no == b->no && a->epoch == b->epoch;
}

enum err store_duty_take(struct op *op, struct tx *tx, struct str name, const struct node_self *self, int64_t for_us,
                         struct duty *ret)
{
    assert(name.n <= DUTY_NAME_BYTES_MAX && self->no > 0 && for_us > 0);
    struct holding now;
    struct stmt *stmt;
    bool is_alive;
    int64_t clock_us;
    TRY(store_node_look(op, tx, self, &is_alive, &clock_us));
    if (!is_alive)
        return fail(op, ERR_CONFLICT, "node %.*s was called lost: it must start over", STR(self->id));
    TRY(duty_read(op, tx, name, &now));
    bool is_held = now.duty.term && now.is_alive && now.duty.until_us >= clock_us;
    bool is_mine = is_held && is_same_life(&now.duty.self, self);
    if (is_held && !is_mine)
        return fail(op, ERR_CONFLICT, "the lease %.*s is held by node %.*s", STR(name), STR(now.duty.self.id));
    struct duty taken = { name, *self, is_mine ? now.duty.term : now.duty.term + 1, clock_us + for_us };
    TRY(tx_stmt(op, tx, &duty_put, &stmt));
    bind_str(stmt, 1, name);
    bind_int(stmt, 2, self->no);
    bind_int(stmt, 3, (int64_t)self->epoch);
    bind_int(stmt, 4, (int64_t)taken.term);
    bind_int(stmt, 5, taken.until_us);
    TRY(stmt_done(op, stmt));
    *ret = taken;
    return OK;
}

enum err store_duty_renew(struct op *op, struct tx *tx, const struct duty *duty, int64_t for_us, bool *ret_is_mine)
{
    struct stmt *stmt;
    int64_t clock_us;
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(tx_stmt(op, tx, &duty_longer, &stmt));
    bind_str(stmt, 1, duty->name);
    bind_int(stmt, 2, (int64_t)duty->self.epoch);
    bind_int(stmt, 3, (int64_t)duty->term);
    bind_int(stmt, 4, clock_us);
    bind_int(stmt, 5, clock_us + for_us);
    TRY(stmt_done(op, stmt));
    *ret_is_mine = stmt_changes(stmt) == 1;
    return OK;
}

enum err store_duty_is_free(struct op *op, struct tx *tx, struct str name, bool *ret_is_free)
{
    struct holding now;
    int64_t clock_us;
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(duty_read(op, tx, name, &now));
    *ret_is_free = !now.duty.term || !now.is_alive || now.duty.until_us < clock_us;
    return OK;
}

enum err store_duty_check(struct op *op, struct tx *tx, const struct duty *duty)
{
    struct holding now;
    bool is_alive;
    int64_t clock_us;
    TRY(store_node_look(op, tx, &duty->self, &is_alive, &clock_us));
    if (!is_alive)
        return fail(op, ERR_CONFLICT, "node %.*s was called lost: what it did under the lease %.*s is dropped",
                    STR(duty->self.id), STR(duty->name));
    TRY(duty_read(op, tx, duty->name, &now));
    if (!is_same_life(&now.duty.self, &duty->self) || now.duty.term != duty->term || now.duty.until_us < clock_us)
        return fail(op, ERR_CONFLICT,
                    "node %.*s does not hold the lease %.*s any more: what it did under it is dropped",
                    STR(duty->self.id), STR(duty->name));
    return OK;
}

enum err store_duty_give(struct op *op, struct tx *tx, const struct duty *duty)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &duty_end, &stmt));
    bind_str(stmt, 1, duty->name);
    bind_int(stmt, 2, (int64_t)duty->self.epoch);
    bind_int(stmt, 3, (int64_t)duty->term);
    return stmt_done(op, stmt);
}

enum err store_duty_each(struct op *op, struct tx *tx,
                         enum err (*fn)(struct op *op, const struct duty *duty, void *arg), void *arg)
{
    struct stmt *stmt;
    int64_t clock_us;
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(tx_stmt(op, tx, &duty_all, &stmt));
    bind_int(stmt, 1, clock_us);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct duty duty = {
            .name = col_str(op, stmt, 0),
            .self = { col_str(op, stmt, 5), (uint32_t)col_int(stmt, 1), (uint64_t)col_int(stmt, 2) },
            .term = (uint64_t)col_int(stmt, 3),
            .until_us = col_int(stmt, 4),
        };
        TRY(fn(op, &duty, arg));
    }
    return OK;
}
