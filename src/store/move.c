/*
 * move.c - how a move begins, goes on and ends: marks on both sides, and what they hold. Its rows are move_rows.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "store/move_parts.h"
#include "store/store_delta.h"
#include "store/store_inbox.h"
#include "store/store_node.h"
#include "store/store_queue.h"

#define FOLD_ROWS 5000
#define SILENT_US INT64_C(30000000) /* a node that beat later than that may be using the store */

/* Tables that do not travel row by row, and why. A test compares the rest with the schemas of both engines. */
static const struct {
    const char *name;
    const char *why;
} stay[] = {
    { "move", "is about this very thing" },
    { "seq", "numbers travel as one value" },
    { "job_log", "what one node's RAM tells another's; its counters are folded before" },
    { "group_log", "groups belong to a database; its numbers travel as one value" },
    { "schema_version", "each database has its own" },
    { "node", "a life of a process in this store" },
    { "duty", "held by such a life" },
    { "mailing_stats_delta", "added up before" },
    { "fact_delta", "added up before" },
    { "mailing_link_delta", "added up before" },
    { "parked_count_delta", "added up before" },
    { "lane_delta", "folded before" },
    { "coverage_delta", "folded before" },
    { "source_ring_delta", "folded before" },
    { "parked_count", "counted again where it is kept" },
    { "delta_fold", "how far adding up has come" },
};

bool move_stays(const char *table)
{
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        if (strcmp(stay[i].name, table) == 0)
            return true;
    return false;
}

enum err move_each_table(struct op *op, struct move *move,
                         enum err (*fn)(struct op *op, struct move *move, const struct bulk_table *from,
                                        const struct bulk_table *to))
{
    struct moving *m = move->moving;
    struct arena *outer = op->arena;
    for (size_t i = 0; i < m->table_count; i++) {
        const struct bulk_table *from = &m->tables[i];
        if (move_stays(from->name))
            continue;
        arena_reset(m->memory);
        op->arena = m->memory;
        enum err err = fn(op, move, from, bulk_find(m->copies, m->copy_count, from->name));
        op->arena = outer;
        TRY(err);
    }
    return OK;
}

/* --- beginning ------------------------------------------------------------- */

static enum err fold(struct op *op, struct tx *tx, void *arg)
{
    TRY(store_queue_fold(op, tx));
    return store_delta_fold(op, tx, FOLD_ROWS, arg);
}

/* On SQLite the lock tells that nobody uses the store; where there are nodes, their beats. */
static enum err nodes_rest(struct op *op, struct tx *tx, void *arg)
{
    const struct move *move = arg;
    struct node_row *nodes;
    size_t count;
    int64_t now_us;
    if (!tx_is_shared(tx))
        return OK;
    TRY(store_clock_us(op, tx, &now_us));
    TRY(store_node_list(op, tx, &nodes, &count));
    for (size_t i = 0; i < count; i++)
        if (!nodes[i].is_lost && nodes[i].beat_at_us > now_us - SILENT_US)
            return fail(op, ERR_CONFLICT,
                        "%s is in use by node %.*s: stop it first; one that was killed is silent soon", move->from_name,
                        STR(nodes[i].id));
    return OK;
}

struct marking {
    struct move *move;
    struct move_mark away;
    int64_t group;
};

static enum err mark_read(struct op *op, struct tx *tx, void *arg)
{
    struct marking *marking = arg;
    TRY(store_move_group(op, tx, &marking->group));
    return store_move_get(op, tx, MOVE_AWAY, &marking->away);
}

static enum err mark_source(struct op *op, struct tx *tx, void *arg)
{
    struct marking *marking = arg;
    TRY(store_move_get(op, tx, MOVE_AWAY, &marking->away));
    bool same = marking->away.mark[0] && str_eq(marking->away.peer, str_of(marking->move->to_name));
    if (same)
        return OK;
    uint8_t bytes[MOVE_MARK_BYTES / 2];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, marking->away.mark);
    marking->away.mark[MOVE_MARK_BYTES] = '\0';
    marking->away.peer = str_of(marking->move->to_name);
    marking->away.at_ms = op_now_ms(op);
    marking->away.done = false;
    return store_move_put(op, tx, MOVE_AWAY, &marking->away);
}

/* The source at rest: counters in one piece, the mark set, and the number of its newest group. */
static enum err source_rest(struct op *op, struct move *move)
{
    bool more = true;
    struct marking marking = { .move = move };
    while (more)
        TRY(store_write(op, move->source, fold, &more));
    TRY(store_write(op, move->source, mark_source, &marking));
    TRY(store_read(op, move->source, mark_read, &marking));
    move->moving->mark = marking.away;
    move->moving->mark.group = marking.group;
    return OK;
}

/* Each table of one side has its like on the other; what a newer program adds and forgets here is told, not lost. */
static enum err sides_agree(struct op *op, const struct bulk_table *tables, size_t count,
                            const struct bulk_table *others, size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        if (move_stays(tables[i].name))
            continue;
        const struct bulk_table *other = bulk_find(others, other_count, tables[i].name);
        if (!other)
            return fail(op, ERR_BUG, "table %s is known to one engine only", tables[i].name);
        if (!bulk_is_like(&tables[i], other) || tables[i].keys == 0)
            return fail(op, ERR_BUG, "table %s differs between the engines", tables[i].name);
    }
    return OK;
}

enum err move_tables_read(struct op *op, struct moving *m)
{
    TRY(bulk_tables(op, m->from, &m->tables, &m->table_count));
    TRY(bulk_tables(op, m->to, &m->copies, &m->copy_count));
    TRY(sides_agree(op, m->tables, m->table_count, m->copies, m->copy_count));
    return sides_agree(op, m->copies, m->copy_count, m->tables, m->table_count);
}

static enum err count_rows(struct op *op, struct move *move, const struct bulk_table *from, const struct bulk_table *to)
{
    int64_t source, copied;
    TRY(bulk_count(op, move->moving->from, from, &source));
    TRY(bulk_count(op, move->moving->to, to, &copied));
    move->tables++;
    move->rows += source;
    move->moving->done += copied;
    return OK;
}

/* What a new store holds before anybody has used it: a store in memory tells. */
static enum err refuse_other_data(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    struct store_config config = { .use = STORE_TO_MOVE_HERE };
    struct store *blank;
    struct bulk *bulk = NULL;
    TRY(store_open(op, &config, &blank));
    enum err err = bulk_open(op, blank, true, &bulk);
    const struct bulk_table *tables;
    size_t count = 0;
    if (err == OK)
        err = bulk_tables(op, bulk, &tables, &count);
    for (size_t i = 0; err == OK && i < count; i++) {
        int64_t usual = 0, found = 0;
        if (move_stays(tables[i].name))
            continue;
        err = bulk_count(op, bulk, &tables[i], &usual);
        if (err == OK)
            err = bulk_count(op, m->to, bulk_find(m->copies, m->copy_count, tables[i].name), &found);
        if (err == OK && found > usual)
            err = fail(op, ERR_CONFLICT,
                       "%s holds data already (%" PRId64 " rows in table %s): a store moves only to an empty place",
                       move->to_name, found, tables[i].name);
    }
    bulk_close(bulk);
    store_close(blank);
    return err;
}

static enum err empty_copy(struct op *op, struct move *move, const struct bulk_table *from, const struct bulk_table *to)
{
    (void)from;
    return bulk_empty(op, move->moving->to, to);
}

/* 'text', with quotes doubled; neither engine reads backslashes there. */
static struct str quoted(struct op *op, struct str text)
{
    struct buf buf;
    buf_init_arena(&buf, op->arena, SIZE_MAX / 2);
    buf_add_char(&buf, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'')
            buf_add_char(&buf, '\'');
        buf_add_char(&buf, text.p[i]);
    }
    buf_add_char(&buf, '\'');
    return buf_str(&buf);
}

static enum err begin_anew(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    TRY(bulk_begin(op, m->to, true));
    TRY(move_each_table(op, move, empty_copy));
    TRY(bulk_exec(op, m->to, "DELETE FROM move"));
    TRY(bulk_exec(
        op, m->to,
        arena_fmt(op->arena,
                  "INSERT INTO move (role, mark, peer, at_ms, done, at_group) VALUES (%d, '%s', %.*s, %" PRId64
                  ", 0, %" PRId64 ")",
                  MOVE_HERE, m->mark.mark, STR(quoted(op, str_of(move->from_name))), op_now_ms(op), m->mark.group)
            .p));
    return bulk_commit(op, m->to);
}

/* A copy of this very source at this very state goes on; one of an older state begins anew. */
static enum err target_ready(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    struct str mark, peer;
    int64_t group = 0;
    TRY(bulk_text(op, m->to, "SELECT mark FROM move WHERE role = 2", &mark));
    TRY(bulk_text(op, m->to, "SELECT peer FROM move WHERE role = 2", &peer));
    if (!str_given(mark)) {
        TRY(refuse_other_data(op, move));
        return begin_anew(op, move);
    }
    if (!str_eq(peer, str_of(move->from_name)))
        return fail(op, ERR_CONFLICT, "%s holds an unfinished copy of %.*s: finish that one, or remove it",
                    move->to_name, STR(peer));
    TRY(bulk_int(op, m->to, "SELECT at_group FROM move WHERE role = 2", &group));
    move->resumed = str_eq(mark, str_of(m->mark.mark)) && group == m->mark.group;
    return move->resumed ? OK : begin_anew(op, move);
}

static enum err begin(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    struct store_config from = move->from, to = move->to;
    from.use = STORE_TO_MOVE_AWAY;
    to.use = STORE_TO_MOVE_HERE;
    TRY(store_open(op, &from, &move->source));
    TRY(store_read(op, move->source, nodes_rest, move));
    TRY(store_open(op, &to, &move->target));
    TRY(source_rest(op, move));
    TRY(bulk_open(op, move->source, false, &m->from));
    TRY(bulk_open(op, move->target, true, &m->to));
    TRY(move_tables_read(op, m));
    TRY(target_ready(op, move));
    return move_each_table(op, move, count_rows);
}

enum err move_begin(struct op *op, struct move *move)
{
    move->moving = calloc(1, sizeof *move->moving);
    if (!move->moving)
        abort();
    move->moving->memory = arena_new(64u << 20);
    return begin(op, move);
}

/* --- ending -------------------------------------------------------------------- */

/* Nobody has used the source; from now on its SQL functions send callers away. */
static enum err source_close(struct op *op, struct tx *tx, void *arg)
{
    struct marking *marking = arg;
    const struct move_mark *mark = &marking->move->moving->mark;
    TRY(mark_read(op, tx, marking));
    if (strcmp(marking->away.mark, mark->mark) != 0 || marking->group != mark->group)
        return fail(op, ERR_CONFLICT, "%s was used while it was copied: run it again, with nobody using it",
                    marking->move->from_name);
    TRY(store_inbox_close(op, tx));
    marking->away.done = true;
    return store_move_put(op, tx, MOVE_AWAY, &marking->away);
}

enum err move_finish(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    struct marking marking = { .move = move };
    if (move->differ > 0)
        return fail(op, ERR_CONFLICT, "%s is not finished: %" PRId64 " rows differ", move->to_name, move->differ);
    TRY(store_write(op, move->source, source_close, &marking));
    TRY(bulk_open(op, move->source, false, &m->from));
    TRY(bulk_open(op, move->target, true, &m->to));
    TRY(move_tables_read(op, m));
    TRY(move_copy_inbox(op, move)); /* what applications said since it was compared */
    TRY(move_make_beside(op, move));
    TRY(bulk_begin(op, m->to, true));
    TRY(bulk_exec(op, m->to, "DELETE FROM move"));
    return bulk_commit(op, m->to);
}

void move_end(struct move *move)
{
    if (move->moving) {
        bulk_close(move->moving->from);
        bulk_close(move->moving->to);
        arena_free(move->moving->memory);
    }
    free(move->moving);
    if (move->source)
        store_close(move->source);
    if (move->target)
        store_close(move->target);
}
