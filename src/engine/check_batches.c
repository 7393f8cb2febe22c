/*
 * check_batches.c - batches against their sets, their members and their children.
 */
#include "engine/check_part.h"
#include "engine/job_batch_own.h"

#define PAGE        1000
#define PARENTS_MAX 100000 /* whose children are counted */

/* Children that a batch says it waits for, less those that are found. */
struct kids {
    uint64_t no;
    int64_t complete, success;
};

struct counting {
    struct op *op;
    struct tx *tx;
    struct check *check;
    struct kids *kids;
    size_t count;
};

static enum err check_members(struct counting *c, uint64_t no, struct str bid)
{
    uint64_t ids[PAGE], live[PAGE], after = 0;
    for (int n = PAGE; n == PAGE;) {
        size_t found = 0;
        TRY(store_batch_job_walk(c->op, c->tx, no, after, PAGE, ids, &n));
        if (n == 0)
            break;
        TRY(store_job_there(c->op, c->tx, ids, (size_t)n, live, &found));
        check_claim(c->check, found == (size_t)n, "batch %.*s waits for %d jobs that are gone", STR(bid),
                    n - (int)found);
        after = ids[n - 1];
    }
    return OK;
}

static enum err check_batch(struct counting *c, const struct batch_row *row)
{
    int64_t pending, fresh, failed;
    struct str bid = batch_text(c->op, row->no);
    if (row->phase == BATCH_EXPIRED)
        return OK; /* about to be removed */
    TRY(store_batch_job_count(c->op, c->tx, row->no, &pending, &fresh, &failed));
    check_fact(c->check, row->pending, pending, "batch %.*s pending", STR(bid));
    check_fact(c->check, row->fresh, fresh, "batch %.*s not attempted", STR(bid));
    check_fact(c->check, row->failed, failed, "batch %.*s failed", STR(bid));
    check_claim(c->check, row->total >= row->pending + row->lost, "batch %.*s has more pending jobs than it had",
                STR(bid));
    bool through = row->phase == BATCH_COMMITTED && row->kids_complete == 0 && row->fresh == 0;
    check_claim(c->check, !through || row->complete != PART_WAITS, "batch %.*s was attempted and is not complete",
                STR(bid));
    bool good = through && row->complete == PART_OVER && row->kids_success == 0 && row->pending + row->lost == 0;
    check_claim(c->check, !good || row->success != PART_WAITS, "batch %.*s was done and has no success", STR(bid));
    return check_members(c, row->no, bid);
}

/* Parents are older than their children, so they come first. */
static void count_kid(struct counting *c, const struct batch_row *row)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->kids[middle].no < row->parent)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->count || c->kids[low].no != row->parent)
        return;
    c->kids[low].complete -= row->complete != PART_OVER;
    c->kids[low].success -= row->success != PART_OVER;
}

enum err check_batches(struct op *op, struct tx *tx, struct check *check)
{
    struct counting c = { .op = op, .tx = tx, .check = check };
    struct batch_row *rows;
    uint64_t after = 0;
    TRY(op_alloc(op, PARENTS_MAX * sizeof *c.kids, &c.kids));
    TRY(op_alloc(op, PAGE * sizeof *rows, &rows));
    for (int n = PAGE; n == PAGE;) {
        TRY(store_batch_walk(op, tx, after, PAGE, rows, &n));
        for (int i = 0; i < n; i++) {
            after = rows[i].no;
            TRY(check_batch(&c, &rows[i]));
            if (rows[i].parent)
                count_kid(&c, &rows[i]);
            if (c.count < PARENTS_MAX)
                c.kids[c.count++] = (struct kids){ after, rows[i].kids_complete, rows[i].kids_success };
        }
    }
    for (size_t i = 0; i < c.count && after; i++)
        if (c.kids[i].complete || c.kids[i].success)
            check_claim(check, c.count == PARENTS_MAX, "batch %.*s waits for children that are not there",
                        STR(batch_text(op, c.kids[i].no)));
    return OK;
}
