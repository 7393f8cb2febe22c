/*
 * session.c - how workers join, beat, leave and are lost. The table of them is session_table.c.
 */
#include "engine/session.h"

#include <stdlib.h>
#include <string.h>

#include "engine/job_log.h"
#include "store/seq.h"

#define REVOKED_MAX 1000
#define SIGN_US     INT64_C(10000000) /* between two signs of life that other nodes are told of */

const char *session_state_name(enum session_state state)
{
    static const char *const names[] = { "running", "quiet", "terminate" };
    return names[state];
}

/* --- joining and leaving --- */

static enum err session_write(struct op *op, struct tx *tx, struct jobs *jobs, const struct session *session)
{
    struct session_row row = {
        .no = session->no,
        .epoch = session->epoch,
        .state = (int)session->state,
        .http = session->http,
        .pid = session->pid,
        .since_us = session->since_us,
        .name = session->name,
        .hostname = session->hostname,
        .labels = session->labels,
    };
    log_session(jobs, &row);
    return store_session_put(op, tx, &row);
}

static enum err session_register(struct op *op, struct tx *tx, struct jobs *jobs, const struct session_info *info,
                                 struct session **ret)
{
    if (info->name.n == 0 || info->name.n > SESSION_NAME_BYTES_MAX)
        return fail(op, ERR_INVALID, "a worker's name must have 1 to %d bytes", SESSION_NAME_BYTES_MAX);
    if (jobs->session_count >= SESSIONS_MAX)
        return fail(op, ERR_BUSY, "there are %d workers, no more can join", SESSIONS_MAX);
    jobs_touch(jobs, tx);
    struct session_row row = {
        .no = (uint32_t)store_seq_next(tx, SEQ_SESSION),
        .epoch = 1,
        .http = info->http,
        .pid = info->pid,
        .since_us = jobs_engine_us(jobs, tx),
        .name = info->name,
        .hostname = str_clip(info->hostname, SESSION_INFO_BYTES_MAX),
        .labels = info->labels.n <= SESSION_INFO_BYTES_MAX ? info->labels : (struct str){ 0 },
    };
    struct session *session = session_new(jobs, &row);
    session->seen_us = row.since_us;
    *ret = session;
    return session_write(op, tx, jobs, session);
}

void session_sign(struct jobs *jobs, struct tx *tx, struct session *session)
{
    if (!session)
        return;
    session->seen_us = jobs_engine_us(jobs, tx);
    session->suspect = false;
    if (!jobs->log.on || session->seen_us - session->told_us < SIGN_US)
        return;
    session->told_us = session->seen_us;
    log_seen(jobs, session);
    jobs_touch(jobs, tx);
}

void session_heard(struct tx *tx, struct session_id id)
{
    struct jobs *jobs = jobs_of(tx);
    if (jobs->loaded)
        session_sign(jobs, tx, session_of(jobs, id));
}

enum err session_join(struct op *op, struct tx *tx, const struct session_info *info, struct session_id *ret_id)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct session *session = session_find(jobs, info->name);
    if (!session)
        TRY(session_register(op, tx, jobs, info, &session));
    session->told_us = 0; /* another node may have seen it leave */
    session_sign(jobs, tx, session);
    session->left_us = NEVER_US;
    session_count_socket(jobs, session, 1);
    *ret_id = (struct session_id){ session->no, session->epoch };
    jobs_due(jobs, session->seen_us + SESSION_SILENCE_US);
    return OK;
}

enum err session_leave(struct op *op, struct tx *tx, struct session_id id)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct session *session = session_of(jobs, id);
    if (!session || session->sockets == 0)
        return OK;
    session_count_socket(jobs, session, -1);
    if (session->sockets > 0)
        return OK;
    session->left_us = jobs_engine_us(jobs, tx);
    jobs_due(jobs, session->left_us + SESSION_SILENCE_US);
    return OK;
}

/* --- beats --- */

void session_revoked(struct jobs *jobs, struct session *session, const struct lease *lease)
{
    log_revoked(jobs, lease);
    if (!session || !session->http || session->revoked_count == REVOKED_MAX)
        return;
    struct job_lease token = { lease->id, lease->number, lease->jid_hash };
    char text[LEASE_TOKEN_BYTES];
    struct str name = job_token(&token, text);
    session->revoked = realloc(session->revoked, (session->revoked_count + 1) * sizeof *session->revoked);
    char *copy = malloc(name.n);
    if (!session->revoked || !copy)
        abort();
    memcpy(copy, name.p, name.n);
    session->revoked[session->revoked_count++] = (struct str){ copy, name.n };
    /* cppcheck-suppress memleak ; the session owns it */
}

static enum err tell_revoked(struct op *op, struct session *session, struct str **ret, size_t *ret_count)
{
    *ret_count = 0;
    if (session->revoked_count == 0)
        return OK;
    TRY(op_alloc(op, session->revoked_count * sizeof **ret, ret));
    for (size_t i = 0; i < session->revoked_count; i++)
        (*ret)[(*ret_count)++] = arena_str(op->arena, session->revoked[i]);
    session_forget_revoked(session);
    return OK;
}

enum err session_beat(struct op *op, struct tx *tx, const struct session_info *info, enum session_state wish,
                      int64_t rss_kb, enum session_state *ret_state, struct str **ret_revoked, size_t *ret_count)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct session *session = session_find(jobs, info->name);
    if (!session && info->http)
        TRY(session_register(op, tx, jobs, info, &session));
    if (!session || (!info->http && session->sockets == 0))
        return fail(op, ERR_NOT_FOUND, "unknown worker %.*s", STR(info->name));
    session_sign(jobs, tx, session);
    session->rss_kb = rss_kb;
    jobs_due(jobs, session->seen_us + SESSION_SILENCE_US);
    if (wish > session->state) {
        jobs_touch(jobs, tx);
        session->state = wish;
        TRY(session_write(op, tx, jobs, session));
    }
    *ret_state = session->state;
    return ret_revoked ? tell_revoked(op, session, ret_revoked, ret_count) : OK;
}

enum err session_tell(struct op *op, struct tx *tx, struct str name, enum session_state state)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct session *session = session_find(jobs, name);
    if (!session)
        return fail(op, ERR_NOT_FOUND, "unknown worker %.*s", STR(name));
    if (state <= session->state)
        return OK;
    jobs_touch(jobs, tx);
    session->state = state;
    return session_write(op, tx, jobs, session);
}

/* --- views --- */

static struct session_view view_of(struct op *op, const struct jobs *jobs, const struct session *session)
{
    return (struct session_view){
        .id = { session->no, session->epoch },
        .name = arena_str(op->arena, session->name),
        .hostname = arena_str(op->arena, session->hostname),
        .labels = arena_str(op->arena, session->labels),
        .pid = session->pid,
        .rss_kb = session->rss_kb,
        .since_us = jobs_wall_us(jobs, session->since_us),
        .seen_us = jobs_wall_us(jobs, session->seen_us),
        .state = session->state,
        .suspect = session->suspect,
        .http = session->http,
        .sockets = session->sockets,
        .leased = session->lease_count,
    };
}

static int by_name(const void *a, const void *b)
{
    const struct session *const *x = a, *const *y = b;
    return str_cmp((*x)->name, (*y)->name);
}

enum err session_list(struct op *op, struct tx *tx, struct str after, int max, struct session_view **ret,
                      size_t *ret_count)
{
    struct jobs *jobs;
    struct session **sorted;
    size_t n = 0;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(op_alloc(op, (jobs->session_count + 1) * sizeof(struct session *), &sorted));
    TRY(op_alloc(op, (size_t)max * sizeof **ret, ret));
    for (struct session *session = jobs->all_sessions; session; session = session->all_next)
        if (after.n == 0 || str_cmp(session->name, after) > 0)
            sorted[n++] = session;
    qsort(sorted, n, sizeof(struct session *), by_name);
    *ret_count = n < (size_t)max ? n : (size_t)max;
    for (size_t i = 0; i < *ret_count; i++)
        (*ret)[i] = view_of(op, jobs, sorted[i]);
    return OK;
}

enum err session_get(struct op *op, struct tx *tx, struct str name, struct session_view *ret)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    const struct session *session = session_find(jobs, name);
    if (!session)
        return fail(op, ERR_NOT_FOUND, "unknown worker %.*s", STR(name));
    *ret = view_of(op, jobs, session);
    return OK;
}

int64_t session_count(struct tx *tx)
{
    return (int64_t)jobs_of(tx)->session_count;
}

void session_on_suspect(struct jobs *jobs, void (*fn)(void *data, struct session_id id), void *data)
{
    pthread_mutex_lock(&jobs->ears_lock);
    jobs->on_suspect = fn;
    jobs->on_suspect_data = data;
    pthread_mutex_unlock(&jobs->ears_lock);
}

/* --- who is lost (LEASE-6) --- */

#define LOST_STEP 500 /* leases failed in one transaction */

static void tell_suspect(struct jobs *jobs, const struct session *session)
{
    pthread_mutex_lock(&jobs->ears_lock);
    if (session->sockets && jobs->on_suspect)
        jobs->on_suspect(jobs->on_suspect_data, (struct session_id){ session->no, session->epoch });
    pthread_mutex_unlock(&jobs->ears_lock);
}

/* When the session's fate is looked at next; *ret_lost when it is sealed now. */
static int64_t session_fate(struct jobs *jobs, struct session *session, int64_t now_us, bool *ret_lost)
{
    *ret_lost = false;
    if (session->left_us != NEVER_US) {
        *ret_lost = session->left_us + SESSION_SILENCE_US <= now_us;
        return session->left_us + SESSION_SILENCE_US;
    }
    int64_t suspect_us = session->seen_us + SESSION_SILENCE_US, lost_us = suspect_us + SESSION_SILENCE_US;
    if (now_us < suspect_us)
        return suspect_us;
    if (!session->suspect) {
        session->suspect = true;
        tell_suspect(jobs, session);
    }
    *ret_lost = lost_us <= now_us;
    return lost_us;
}

static void session_end(struct jobs *jobs, struct session *session)
{
    while (session->leases) { /* what is not recovered waits for its lease, and belongs to nobody */
        struct lease *lease = session->leases;
        session->leases = lease->next;
        if (lease->next)
            lease->next->link = &session->leases;
        lease->session = NULL;
        lease->next = NULL;
    }
    session->lease_count = 0;
    jobs->session_by_no[session->no] = NULL;
    session_free(jobs, session);
}

/* --- sessions of other nodes --- */

void session_follow(struct jobs *jobs, struct tx *tx, const struct session_row *row)
{
    struct session *session = session_find(jobs, row->name);
    if (session && session->no == row->no && session->epoch == row->epoch) {
        session->state = (enum session_state)row->state;
        return;
    }
    if (session)
        session_end(jobs, session);
    session = session_new(jobs, row);
    session->seen_us = session->told_us = jobs_engine_us(jobs, tx);
}

void session_follow_end(struct jobs *jobs, uint32_t no)
{
    if (no < jobs->session_no_room && jobs->session_by_no[no])
        session_end(jobs, jobs->session_by_no[no]);
}

/* It lives, and maybe on that node only: what was seen here of its sockets does not end it. */
void session_follow_seen(struct jobs *jobs, struct session_id id, int64_t seen_us)
{
    struct session *session = session_of(jobs, id);
    if (!session || seen_us <= session->seen_us)
        return;
    session->seen_us = session->told_us = seen_us;
    session->suspect = false;
    if (session->left_us != NEVER_US && session->left_us < seen_us)
        session->left_us = NEVER_US;
}

static enum err session_lost(struct op *op, struct tx *tx, struct jobs *jobs, struct session *session, int *budget)
{
    jobs_touch(jobs, tx);
    for (struct lease *lease = session->leases, *next; lease && *budget > 0; lease = next) {
        next = lease->next;
        if (!lease->queue->policy.recover_lost_workers)
            continue;
        --*budget;
        session_revoked(jobs, session, lease);
        TRY(lease_lost(op, tx, jobs, lease));
    }
    if (*budget == 0)
        return OK;
    TRY(store_session_delete(op, tx, session->no));
    log_session_end(jobs, session->no);
    session_end(jobs, session);
    return OK;
}

enum err sessions_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us, bool *ret_more)
{
    int budget = LOST_STEP;
    for (struct session *session = jobs->all_sessions, *next; session && budget > 0; session = next) {
        bool lost;
        next = session->all_next;
        int64_t due_us = session_fate(jobs, session, now_us, &lost);
        if (lost)
            TRY(session_lost(op, tx, jobs, session, &budget));
        else
            jobs_due(jobs, due_us);
    }
    *ret_more = budget == 0;
    return OK;
}
