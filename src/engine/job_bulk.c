#include "engine/job_bulk.h"

#include "base/instant.h"
#include "engine/job_walk.h"
#include "engine/jobs_own.h"

#include <string.h>

#define JOB_BYTES_A_LOOK ((size_t)256 << 20)

/* --- what is asked for -------------------------------------------------------- */

struct bulk_raw {
    struct str action, filter;
    bool all;
};

struct filter_raw {
    struct str state, queue, type, key, text, errtype, before;
    struct json_strs jids;
};

#define TEXT(word, max)                                                                                                \
    {                                                                                                                  \
#word, JSON_FIELD_STR, offsetof(struct filter_raw, word), max, JSON_NULLABLE, 1, 0                             \
    }

static enum err read_filter(struct op *op, struct str text, struct job_bulk *ret, struct json_seen *seen,
                            struct json_problems *problems)
{
    static const struct json_field fields[] = {
        TEXT(state, 16),
        TEXT(queue, JOB_QUEUE_BYTES_MAX),
        TEXT(type, JOB_TYPE_BYTES_MAX),
        TEXT(key, JOB_KEY_BYTES_MAX),
        TEXT(text, 1024),
        TEXT(errtype, JOB_ERRTYPE_BYTES_MAX),
        TEXT(before, 64),
        { "jids", JSON_FIELD_STRS, offsetof(struct filter_raw, jids), JOB_JID_BYTES_MAX, JSON_NULLABLE, 1,
          BULK_JIDS_MAX },
    };
    struct filter_raw raw = { 0 };
    TRY(json_read_nested(op, text, "/filter", fields, sizeof fields / sizeof *fields, &raw, seen, problems));
    if (str_given(raw.state) && (!job_state_of(raw.state, &ret->state) || ret->state == JOB_DONE))
        return json_problem(op, problems, "/filter/state",
                            "state must be one of scheduled, ready, leased, retry, blocked, dead");
    if (str_given(raw.before) && !instant_parse(raw.before, &ret->before_us))
        return json_problem(op, problems, "/filter/before", "before must be an instant like 2026-11-21T19:00:00Z");
    ret->queue = raw.queue;
    ret->type = raw.type;
    ret->key = raw.key;
    ret->text = raw.text;
    ret->errtype = raw.errtype;
    ret->jids = raw.jids;
    ret->by_jids = raw.jids.count > 0;
    return OK;
}

static bool action_of(struct str name, enum job_action *ret)
{
    static const char *const names[] = {
        [ACTION_RETRY] = "retry", [ACTION_RUN] = "run", [ACTION_KILL] = "kill", [ACTION_CANCEL] = "cancel"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(name, str_of(names[i]))) {
            *ret = (enum job_action)i;
            return true;
        }
    return false;
}

enum err job_bulk_read(struct op *op, struct str body, struct job_bulk *ret, struct json_problems *problems)
{
    static const struct json_field fields[] = {
        { "action", JSON_FIELD_STR, offsetof(struct bulk_raw, action), 16, JSON_REQUIRED, 1, 0 },
        { "filter", JSON_FIELD_OBJECT, offsetof(struct bulk_raw, filter), 0, JSON_NULLABLE, 0, 0 },
        { "all", JSON_FIELD_BOOL, offsetof(struct bulk_raw, all), 0, JSON_NULLABLE, 0, 0 },
    };
    struct bulk_raw raw = { 0 };
    struct json_seen seen = { 0 };
    *ret = (struct job_bulk){ 0 };
    TRY(json_read_body(op, body, fields, sizeof fields / sizeof *fields, &raw, NULL, problems));
    if (!action_of(raw.action, &ret->action))
        return json_problem(op, problems, "/action", "action must be one of retry, kill, cancel, run");
    if (str_given(raw.filter))
        TRY(read_filter(op, raw.filter, ret, &seen, problems));
    if ((seen.given & ~seen.null) == 0 && !raw.all)
        return json_problem(op, problems, "/filter", "a filter that is empty means all jobs, and needs \"all\":true");
    return OK;
}

static int64_t count_in(const struct queue_counts *counts, enum job_state state)
{
    const int64_t by_state[JOB_STATES] = {
        [JOB_SCHEDULED] = counts->scheduled, [JOB_READY] = counts->ready,     [JOB_LEASED] = counts->leased,
        [JOB_RETRY] = counts->retry,         [JOB_BLOCKED] = counts->blocked, [JOB_DEAD] = counts->dead,
    };
    int64_t sum = 0;
    for (int i = 0; i < JOB_STATES; i++)
        sum += by_state[i];
    return state == JOB_NONE ? sum : by_state[state];
}

static int64_t at_most(struct jobs *jobs, const struct job_bulk *bulk)
{
    int64_t sum = 0;
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        const struct queue *queue = jobs->by_no[i];
        if (queue && !queue->own && (!str_given(bulk->queue) || str_eq(bulk->queue, queue->name)))
            sum += count_in(&queue->counts, bulk->state);
    }
    return bulk->by_jids && sum > (int64_t)bulk->jids.count ? (int64_t)bulk->jids.count : sum;
}

enum err job_bulk_push(struct op *op, struct tx *tx, struct str body, const struct job_bulk *bulk, struct str *ret_jid,
                       int64_t *ret_at_most)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    *ret_at_most = at_most(jobs, bulk);
    uint64_t newest = jobs_stamp(jobs, tx);
    struct str args = arena_fmt(op->arena, "[%.*s,%llu,%lld,%lld]", STR(str_trim(body)), (unsigned long long)newest,
                                (long long)op->now_us, (long long)*ret_at_most);
    return own_push(op, tx, BULK_TYPE, args, ret_jid);
}

/* --- where it stands ------------------------------------------------------------ */

struct bulk_run {
    struct op *op;
    struct tx *tx;
    struct jobs *jobs;
    struct own_work *work;
    struct job_bulk bulk;
    uint64_t newest;  /* ids and places above are none of ours */
    int64_t begun_us; /* wall */
    uint64_t key_hash;
    struct job_place at; /* along the rows of the state; of named jobs: at.a of them were looked at */
    int64_t moved, skipped, refused;
    struct str refusals;  /* JSON items with commas between */
    struct arena *memory; /* of one job */
};

static bool bookmark_read(struct bulk_run *run, struct str text)
{
    struct job_place *at = &run->at;
    int64_t *const parts[] = { &at->a, &at->b, &at->c, &at->d, &run->moved, &run->skipped, &run->refused };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!str_to_int(str_cut(&text, ','), INT64_MIN, INT64_MAX, parts[i]))
            return false;
    return true;
}

static enum err run_read(struct bulk_run *run)
{
    struct op *op = run->op;
    struct json j;
    struct str body = { 0 }, numbers[3] = { { 0 } }, text = run->work->at.bookmark;
    int64_t newest = 0;
    json_init(&j, op->arena, run->work->args, JSON_STRICT);
    bool ok = json_enter_array(&j) && json_next_item(&j) && json_raw(&j, &body);
    for (int i = 0; ok && i < 3; i++)
        ok = json_next_item(&j) && json_raw(&j, &numbers[i]);
    ok = ok && str_to_int(numbers[0], 0, INT64_MAX, &newest) && str_to_int(numbers[1], 0, INT64_MAX, &run->begun_us) &&
         str_to_int(numbers[2], 0, INT64_MAX, &run->work->at.total);
    if (!ok)
        return fail(op, ERR_INVALID, "the args of the bulk action cannot be read");
    TRY(job_bulk_read(op, body, &run->bulk, NULL));
    run->newest = (uint64_t)newest;
    run->key_hash = str_given(run->bulk.key) ? job_key_hash(run->jobs->key, run->bulk.key, 'k') : 0;
    run->at.a =
        run->bulk.state == JOB_DEAD || run->bulk.state == JOB_SCHEDULED || run->bulk.state == JOB_RETRY ? INT64_MIN : 0;
    if (!str_given(text))
        return OK;
    if (!bookmark_read(run, str_cut(&text, '\n')))
        return fail(op, ERR_IO, "the bookmark of the bulk action cannot be read");
    run->refusals = text;
    return OK;
}

static void run_write(struct bulk_run *run)
{
    const struct job_place *at = &run->at;
    struct own_work *work = run->work;
    long long moved = run->moved, skipped = run->skipped, refused = run->refused;
    work->at.done = run->moved + run->skipped + run->refused;
    work->at.bookmark =
        arena_fmt(run->op->arena, "%lld,%lld,%lld,%lld,%lld,%lld,%lld\n%.*s", (long long)at->a, (long long)at->b,
                  (long long)at->c, (long long)at->d, moved, skipped, refused, STR(run->refusals));
    if (work->is_over)
        work->result =
            arena_fmt(run->op->arena, "{\"moved\":%lld,\"skipped\":%lld,\"refused\":%lld,\"refusals\":[%.*s]}", moved,
                      skipped, refused, STR(run->refusals));
}

/* --- one job -------------------------------------------------------------------- */

static bool errtype_is(struct op *op, struct str failure, struct str wanted)
{
    struct json j;
    struct str name, errtype = { 0 };
    json_init(&j, op->arena, str_given(failure) ? failure : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, S("errtype")))
                json_string(&j, &errtype);
    return str_eq(errtype, wanted);
}

static bool text_is_in(const struct job_known *job, struct str text)
{
    return str_search(job->row.jid, text) < job->row.jid.n || str_search(job->row.type, text) < job->row.type.n ||
           str_search(job->row.body, text) < job->row.body.n;
}

static bool is_wanted(struct op *op, const struct bulk_run *run, const struct job_known *job)
{
    const struct job_bulk *bulk = &run->bulk;
    return !job->queue->own && job->row.id < run->newest && (bulk->state == JOB_NONE || job->state == bulk->state) &&
           (!str_given(bulk->queue) || str_eq(bulk->queue, job->queue->name)) &&
           (!str_given(bulk->type) || str_eq(bulk->type, job->row.type)) &&
           (!run->key_hash || job->opts.key == run->key_hash) &&
           (!bulk->before_us || jobs_wall_us(run->jobs, (int64_t)job->row.id) < bulk->before_us) &&
           (!str_given(bulk->text) || text_is_in(job, bulk->text)) &&
           (!str_given(bulk->errtype) || errtype_is(op, job->aside.failure, bulk->errtype));
}

/* A job that failed again since we began was moved by us before, or came into the state later. */
static enum err is_new_failure(struct op *op, struct tx *tx, const struct bulk_run *run, const struct job_known *job,
                               bool *ret)
{
    int64_t ended_us;
    *ret = false;
    if ((job->state != JOB_RETRY && job->state != JOB_SCHEDULED) || !job->aside.attempts)
        return OK;
    TRY(store_attempt_newest(op, tx, job->row.id, &ended_us));
    *ret = ended_us > run->begun_us;
    return OK;
}

static void note_refusal(struct bulk_run *run, struct str jid, struct str detail)
{
    struct buf buf;
    struct json_writer w;
    if (run->refused++ >= BULK_REFUSALS_MAX)
        return;
    buf_init_arena(&buf, run->op->arena, run->refusals.n + 4096);
    buf_add_str(&buf, run->refusals);
    if (buf.n)
        buf_add_char(&buf, ',');
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "jid", jid);
    json_member_str(&w, "detail", detail);
    json_object_end(&w);
    run->refusals = buf_str(&buf);
}

static enum err move(struct op *op, struct bulk_run *run, struct job_known *job)
{
    enum job_action action = run->bulk.action;
    if ((action == ACTION_KILL && job->state == JOB_DEAD) || (action == ACTION_RUN && job->state == JOB_READY))
        return OK; /* it is there already */
    if (job->state == JOB_LEASED && run->bulk.state != JOB_LEASED) {
        run->skipped++;
        return OK;
    }
    enum err err = job_act_known(op, run->tx, run->jobs, job, action);
    if (err != ERR_CONFLICT && err != ERR_NOT_FOUND) {
        run->moved += err == OK;
        return err;
    }
    note_refusal(run, job->row.jid, str_of(op->error));
    return OK;
}

/* Memory of the job is given back, so that a step needs no more than its largest one. */
static enum err consider(struct bulk_run *run, uint64_t id)
{
    struct op own;
    struct job_known job;
    bool found = false, is_new = false;
    arena_reset(run->memory);
    op_init(&own, run->memory, run->op->now_us);
    enum err err = job_know(&own, run->tx, run->jobs, id, &job, &found);
    if (err == OK && found && job.state != JOB_NONE && is_wanted(&own, run, &job)) {
        err = is_new_failure(&own, run->tx, run, &job, &is_new);
        if (err == OK && !is_new)
            err = move(&own, run, &job);
    }
    return op_inherit(run->op, err, &own);
}

/* --- along the rows -------------------------------------------------------------- */

/* Both go on behind run->at, look at no more than work->rows and leave there the last one; is_over at the end. */

/* Gone: one that was cancelled may come back. */
static enum err act_on_gone(struct bulk_run *run, struct str jid)
{
    struct op own;
    enum job_state state;
    arena_reset(run->memory);
    op_init(&own, run->memory, run->op->now_us);
    enum err err = job_act(&own, run->tx, jid, run->bulk.action, &state);
    if (err == OK)
        run->moved++;
    else if (err == ERR_CONFLICT || err == ERR_NOT_FOUND)
        note_refusal(run, jid, str_of(own.error));
    else
        return op_inherit(run->op, err, &own);
    return OK;
}

static enum err along_jids(struct bulk_run *run)
{
    const struct json_strs *jids = &run->bulk.jids;
    for (int i = 0; i < run->work->rows && run->at.a < (int64_t)jids->count; i++, run->at.a++) {
        struct str jid = jids->items[run->at.a];
        uint64_t id;
        TRY(store_job_find(run->op, run->tx, jid, &id));
        TRY(id ? consider(run, id) : act_on_gone(run, jid));
    }
    run->work->is_over = run->at.a == (int64_t)jids->count;
    return OK;
}

/* Came into the state after the action began: none of ours, and what lies behind it neither. */
static bool is_behind_all(const struct bulk_run *run, const struct job_step *step)
{
    return run->bulk.state == JOB_DEAD && job_place_died_us(&step->at) > run->begun_us;
}

static bool is_too_young(const struct bulk_run *run, const struct job_step *step)
{
    return run->bulk.state == JOB_READY && job_place_ord(&step->at) >= run->newest;
}

/* Where a look-up is a round trip those of a step are three. */
static enum err ask_ahead(struct bulk_run *run, const struct job_step *steps, int n)
{
    uint64_t ids[OWN_ROWS_MAX];
    for (int i = 0; i < n; i++)
        ids[i] = steps[i].id;
    TRY(store_job_ahead(run->op, run->tx, NULL, 0, ids, (size_t)n));
    TRY(store_aside_ahead(run->op, run->tx, ids, (size_t)n));
    bool may_have_failed = run->bulk.state == JOB_RETRY || run->bulk.state == JOB_SCHEDULED;
    return may_have_failed ? store_attempt_ahead(run->op, run->tx, ids, (size_t)n) : OK;
}

static enum err along_state(struct bulk_run *run)
{
    struct own_work *work = run->work;
    struct job_walk walk = { .state = run->bulk.state,
                             .first_queue = 1,
                             .last_queue = (uint32_t)run->jobs->by_no_room };
    const struct queue *only = str_given(run->bulk.queue) ? queue_find(run->jobs, run->bulk.queue) : NULL;
    struct job_step steps[OWN_ROWS_MAX];
    int n;
    work->is_over = str_given(run->bulk.queue) && !(only && only->no);
    if (work->is_over)
        return OK;
    if (only)
        walk.first_queue = walk.last_queue = only->no;
    TRY(job_walk(run->op, run->tx, &walk, &run->at, work->rows, steps, &n));
    TRY(ask_ahead(run, steps, n));
    work->is_over = n < work->rows;
    for (int i = 0; i < n; i++) {
        if (is_behind_all(run, &steps[i])) {
            work->is_over = true;
            return OK;
        }
        if (!is_too_young(run, &steps[i]))
            TRY(consider(run, steps[i].id));
        run->at = steps[i].at;
    }
    if (run->bulk.state == JOB_NONE && n > 0 && steps[n - 1].id >= run->newest)
        work->is_over = true;
    return OK;
}

enum err job_bulk_step(struct op *op, struct tx *tx, struct own_work *work)
{
    struct bulk_run run = { .op = op, .tx = tx, .work = work, .refusals = S("") };
    TRY(jobs_begin(op, tx, &run.jobs));
    TRY(run_read(&run));
    run.memory = arena_new(JOB_BYTES_A_LOOK);
    enum err err = run.bulk.by_jids ? along_jids(&run) : along_state(&run);
    arena_free(run.memory);
    TRY(err);
    run_write(&run);
    return OK;
}
