/*
 * job_follow.c - rows of other nodes (job_log.h), laid over RAM.
 */
#include "engine/job_log.h"

#include <string.h>

#include "store/store_job_log.h"

struct reading {
    struct op *op;
    struct tx *tx;
    struct jobs *jobs;
    const char *p, *end;
    uint64_t next; /* number of the row to come */
    bool broken, gap, all;
    bool delivered_only;
    bool based; /* it is known which numbers were open before what is read now */
    int64_t since_us;
};

static uint64_t take(struct reading *r)
{
    uint64_t value = 0;
    if ((size_t)(r->end - r->p) < sizeof value) {
        r->broken = true;
        r->p = r->end;
        return 0;
    }
    memcpy(&value, r->p, sizeof value);
    r->p += sizeof value;
    return value;
}

static struct str take_text(struct reading *r)
{
    uint64_t n = take(r);
    if (n == UINT64_MAX || r->broken)
        return (struct str){ 0 };
    if (n > (uint64_t)(r->end - r->p)) {
        r->broken = true;
        return (struct str){ 0 };
    }
    struct str text = { r->p, n };
    r->p += n;
    return text;
}

static void follow_place(struct reading *r, char letter)
{
    uint64_t lane = take(r), key = take(r);
    struct lane_place place = { take(r), 0 };
    place.job = take(r);
    struct queue *queue = queue_by_no(r->jobs, (uint32_t)(lane >> 8));
    int level = (int)(lane & 0xFF);
    if (r->delivered_only || r->broken)
        return;
    if (!queue || level >= LEVELS) {
        r->all = true;
        return;
    }
    if (letter == 'r')
        lanes_add(queue_lanes(r->jobs, queue), level, key, &place);
    else if (letter == 'R')
        lanes_return(queue_lanes(r->jobs, queue), level, key, &place);
    else
        lanes_remove(queue_lanes(r->jobs, queue), level, key, place.ord);
    if (letter == 'r')
        meter_add(&queue->in, jobs_engine_us(r->jobs, r->tx), 1);
    queue_wants(r->jobs, queue);
}

static void follow_lease(struct reading *r)
{
    struct lease_row row = { .id = take(r), .number = take(r) };
    uint64_t queue = take(r), level = take(r);
    struct job_opts opts = { .key = take(r), .mutex = take(r), .level = (int)(level >> 32) };
    row.ord = take(r);
    uint64_t session = take(r);
    row.session_no = (uint32_t)(session >> 32);
    row.session_epoch = (uint32_t)session;
    row.started_us = (int64_t)take(r);
    row.until_us = (int64_t)take(r);
    row.hard_us = (int64_t)take(r);
    row.attempt = (int)(uint32_t)level;
    struct job_row job = { .id = row.id, .queue_no = (uint32_t)(queue >> 32), .flags = (uint32_t)queue };
    job.jid = take_text(r);
    job.type = take_text(r);
    row.worker = take_text(r);
    if (r->delivered_only || r->broken)
        return;
    if (!queue_by_no(r->jobs, job.queue_no)) {
        r->all = true;
        return;
    }
    lease_follow(r->jobs, lease_new(r->jobs, &row, &job, &opts));
}

static void follow_of_lease(struct reading *r, char letter)
{
    uint64_t jid_hash = take(r), id = take(r), value = take(r);
    struct lease *lease = r->delivered_only || r->broken ? NULL : lease_find(r->jobs, jid_hash);
    if (!lease || lease->id != id)
        return;
    if (letter == 'x')
        lease->until_us = (int64_t)value;
    else if (letter == 'o')
        lease_leave_session(lease);
    else if (letter == 'a')
        lease_follow_aside(lease);
    else if (letter == 'V')
        session_revoked(r->jobs, lease->session, lease);
    else
        lease_follow_end(r->jobs, lease);
}

static void follow_finished(struct reading *r)
{
    uint64_t jid_hash = take(r), id = take(r);
    int64_t end_us = (int64_t)take(r);
    uint64_t rest = take(r);
    if (r->delivered_only || r->broken)
        return;
    struct queue *queue = queue_by_no(r->jobs, (uint32_t)(rest >> 32));
    finished_follow(r->jobs, jid_hash, id, end_us, (int)(uint32_t)rest);
    if (queue)
        meter_add(&queue->out, jobs_engine_us(r->jobs, r->tx), 1);
}

static void follow_session(struct reading *r)
{
    uint64_t no = take(r), state = take(r);
    struct session_row row = { .no = (uint32_t)(no >> 32), .epoch = (uint32_t)no };
    row.state = (int)(state >> 1);
    row.http = state & 1;
    row.pid = (int64_t)take(r);
    row.since_us = (int64_t)take(r);
    row.name = take_text(r);
    row.hostname = take_text(r);
    row.labels = take_text(r);
    if (!r->delivered_only && !r->broken)
        session_follow(r->jobs, r->tx, &row);
}

static void follow_budget(struct reading *r)
{
    struct str id = take_text(r);
    int64_t tat_ns = (int64_t)take(r);
    struct budget *budget = r->delivered_only ? NULL : budget_find(r->jobs, id);
    if (budget)
        budget->tat_ns = tat_ns;
}

static void follow_key_rate(struct reading *r)
{
    uint64_t queue_no = take(r), key = take(r);
    int64_t tat_ns = (int64_t)take(r);
    struct queue *queue = r->delivered_only ? NULL : queue_by_no(r->jobs, (uint32_t)queue_no);
    if (queue)
        queue_key_use(queue, key, true)->tat_ns = tat_ns;
}

static void follow_timer(struct jobs *jobs, int64_t due_us)
{
    first_timer_is(&jobs->first, due_us);
    jobs_due(jobs, due_us - jobs->lag_us);
}

static void follow_word(struct reading *r, char letter)
{
    uint64_t value = take(r);
    if (letter == 'n' && !r->broken)
        lease_number_over(r->jobs, value);
    if (r->delivered_only || r->broken)
        return;
    if (letter == 'v')
        finished_revive(r->jobs, value);
    else if (letter == 'b')
        store_job_forget(r->tx, value);
    else if (letter == 'T')
        follow_timer(r->jobs, (int64_t)value);
    else if (letter == 'S')
        session_follow_end(r->jobs, (uint32_t)value);
    else if (letter == 'm')
        r->all |= (value & MARK_ALL) != 0;
}

static void follow_seen(struct reading *r)
{
    uint64_t no = take(r);
    int64_t seen_us = (int64_t)take(r);
    if (!r->delivered_only && !r->broken)
        session_follow_seen(r->jobs, (struct session_id){ (uint32_t)(no >> 32), (uint32_t)no }, seen_us);
}

static void follow_open_numbers(struct reading *r)
{
    uint64_t newest = take(r), count = take(r), *open;
    if (r->broken || count > (uint64_t)(r->end - r->p) / sizeof *open ||
        op_alloc(r->op, (count + 1) * sizeof *open, &open) != OK) {
        r->broken = true;
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        open[i] = take(r);
    if (r->based)
        return;
    lease_numbers_settle(r->jobs, newest, open, count);
    r->based = true;
}

static void follow_entry(struct reading *r)
{
    char letter = *r->p++;
    switch (letter) {
    case 'r':
    case 'R':
    case 't':
        follow_place(r, letter);
        break;
    case 'l':
        follow_lease(r);
        break;
    case 'e':
    case 'x':
    case 'o':
    case 'a':
    case 'V':
        follow_of_lease(r, letter);
        break;
    case 'd':
        follow_finished(r);
        break;
    case 's':
        follow_session(r);
        break;
    case 'g':
        follow_seen(r);
        break;
    case 'B':
        follow_budget(r);
        break;
    case 'k':
        follow_key_rate(r);
        break;
    case 'U':
        follow_open_numbers(r);
        break;
    case 'v':
    case 'b':
    case 'n':
    case 'T':
    case 'S':
    case 'm':
        follow_word(r, letter);
        break;
    default:
        r->broken = true;
    }
}

/* The mark stands last, and is needed first: queues that are new must be known before their jobs are. */
static enum err follow_marks(struct reading *r)
{
    uint64_t marks = 0;
    if (r->end - r->p < (ptrdiff_t)sizeof marks)
        return OK;
    memcpy(&marks, r->end - sizeof marks, sizeof marks);
    return marks & MARK_QUEUES && !(marks & MARK_ALL) ? queues_follow(r->op, r->tx, r->jobs) : OK;
}

static void follow_counts(struct reading *r, struct str counts)
{
    struct queue_counts_entry entry;
    for (; counts.n >= sizeof entry; counts.p += sizeof entry, counts.n -= sizeof entry) {
        memcpy(&entry, counts.p, sizeof entry);
        struct queue *queue = entry.no <= UINT32_MAX ? queue_by_no(r->jobs, (uint32_t)entry.no) : NULL;
        if (!queue)
            continue;
        queue->counts = entry.counts;
        queue->logged_no = r->next;
        queue_wants(r->jobs, queue);
    }
}

static enum err follow_row(void *arg, const struct job_log_row *row)
{
    struct reading *r = arg;
    if (r->since_us < 0)
        r->since_us = row->at_us;
    r->gap |= row->no != r->next;
    if (r->gap || r->all || r->broken)
        return OK;
    r->p = row->changes.p;
    r->end = row->changes.p + row->changes.n;
    TRY(follow_marks(r));
    while (r->p < r->end && !r->broken && !r->all)
        follow_entry(r);
    if (r->broken || r->all)
        return OK; /* all of it is read again, and this row for what it says of deliveries */
    follow_counts(r, row->counts);
    r->next++;
    return OK;
}

enum err log_ask(struct op *op, struct tx *tx, const struct jobs *jobs)
{
    return store_job_log_ask(op, tx, jobs->log.no);
}

enum err log_follow(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_whole)
{
    struct reading r = { .op = op, .tx = tx, .jobs = jobs, .next = jobs->log.no + 1, .based = true, .since_us = -1 };
    TRY(store_job_log_each(op, tx, jobs->log.no, follow_row, &r));
    log_know(jobs, r.next - 1);
    *ret_whole = !r.gap && !r.all && !r.broken;
    return OK;
}

static enum err find_row(void *arg, const struct job_log_row *row)
{
    struct reading *r = arg;
    if (r->since_us < 0)
        r->since_us = row->at_us;
    r->based |= row->no == r->next; /* nothing is missing before the first row */
    r->next = 0;
    r->p = row->changes.p;
    r->end = row->changes.p + row->changes.n;
    while (r->p < r->end && !r->broken)
        follow_entry(r);
    return OK;
}

enum err log_find_delivered(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t known, int64_t *ret_since_us)
{
    struct reading r = { .op = op, .tx = tx, .jobs = jobs, .delivered_only = true, .next = known + 1, .since_us = -1 };
    TRY(store_job_log_each(op, tx, known, find_row, &r));
    if (r.since_us < 0) /* no row */
        *ret_since_us = known ? INT64_MIN : INT64_MAX;
    else
        *ret_since_us = r.based ? INT64_MIN : r.since_us;
    return OK;
}

enum err jobs_look(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_news)
{
    uint64_t newest;
    *ret_news = false;
    if (atomic_load(&jobs->held_count) == 0)
        return OK;
    TRY(store_job_log_newest(op, tx, &newest));
    *ret_news = newest > atomic_load(&jobs->log_seen);
    return OK;
}
