/*
 * session_table.c - sessions in RAM: by name, by number, and what of them a group may take back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/chains.h"
#include "engine/jobs_own.h"

static size_t slot_of(const struct jobs *jobs, struct str name)
{
    return jobs_hash(jobs, name) & (jobs->session_slots - 1);
}

struct session *session_find(struct jobs *jobs, struct str name)
{
    struct session *session = jobs->session_slots ? jobs->sessions[slot_of(jobs, name)] : NULL;
    while (session && !str_eq(session->name, name))
        session = session->hash_next;
    return session;
}

static uint64_t hash_of(const void *entry, const void *data)
{
    return jobs_hash(data, ((const struct session *)entry)->name);
}

static void slots_grow(struct jobs *jobs)
{
    static const struct chain chain = { offsetof(struct session, hash_next), hash_of };
    size_t n = jobs->session_slots ? jobs->session_slots * 2 : 64;
    jobs->sessions = chains_move(jobs->sessions, jobs->session_slots, n, &chain, jobs);
    jobs->session_slots = n;
}

static void number_session(struct jobs *jobs, struct session *session)
{
    if (session->no >= jobs->session_no_room) {
        size_t room = jobs->session_no_room ? jobs->session_no_room : 64;
        while (room <= session->no)
            room *= 2;
        jobs->session_by_no = realloc(jobs->session_by_no, room * sizeof(struct session *));
        if (!jobs->session_by_no)
            abort();
        memset(jobs->session_by_no + jobs->session_no_room, 0,
               (room - jobs->session_no_room) * sizeof(struct session *));
        jobs->session_no_room = room;
    }
    jobs->session_by_no[session->no] = session;
}

/* --- what a session that is gone was not told (LEASE-4) --- */

static void revoked_free(struct str *revoked, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)revoked[i].p);
    free(revoked);
}

static void parted_free(struct parted *parted)
{
    free((void *)(uintptr_t)parted->name.p);
    revoked_free(parted->revoked, parted->revoked_count);
    *parted = (struct parted){ 0 };
}

static void part(struct jobs *jobs, struct session *session)
{
    struct parted *parted = &jobs->parted[jobs->parted_next];
    char *name = session->revoked_count ? malloc(session->name.n) : NULL;
    if (!name)
        return;
    memcpy(name, session->name.p, session->name.n);
    parted_free(parted);
    *parted = (struct parted){ { name, session->name.n }, session->revoked, session->revoked_count };
    session->revoked = NULL;
    session->revoked_count = 0;
    jobs->parted_next = (jobs->parted_next + 1) % PARTED_MAX;
}

static void come_back(struct jobs *jobs, struct session *session)
{
    for (size_t i = 0; i < PARTED_MAX; i++) {
        struct parted *parted = &jobs->parted[i];
        if (parted->revoked_count == 0 || !str_eq(parted->name, session->name))
            continue;
        session->revoked = parted->revoked;
        session->revoked_count = parted->revoked_count;
        parted->revoked = NULL;
        parted->revoked_count = 0;
        parted_free(parted);
        return;
    }
}

/* --- making and freeing --- */

struct session *session_new(struct jobs *jobs, const struct session_row *row)
{
    struct session *session = malloc(sizeof *session + row->name.n + row->hostname.n + row->labels.n);
    if (!session)
        abort();
    char *tail = (char *)(session + 1);
    *session = (struct session){
        .no = row->no,
        .epoch = row->epoch,
        .state = (enum session_state)row->state,
        .http = row->http,
        .pid = row->pid,
        .since_us = row->since_us,
        .left_us = NEVER_US,
        .name = tail_str(&tail, row->name),
        .hostname = tail_str(&tail, row->hostname),
        .labels = tail_str(&tail, row->labels),
    };
    session->all_next = jobs->all_sessions;
    jobs->all_sessions = session;
    if (jobs->session_count++ >= jobs->session_slots)
        slots_grow(jobs);
    struct session **slot = &jobs->sessions[slot_of(jobs, session->name)];
    session->hash_next = *slot;
    *slot = session;
    session->listed = true;
    number_session(jobs, session);
    come_back(jobs, session);
    return session;
}

void session_forget_revoked(struct session *session)
{
    revoked_free(session->revoked, session->revoked_count);
    session->revoked = NULL;
    session->revoked_count = 0;
}

void session_free(struct jobs *jobs, struct session *session)
{
    struct session **link = &jobs->sessions[slot_of(jobs, session->name)];
    while (*link != session)
        link = &(*link)->hash_next;
    *link = session->hash_next;
    for (link = &jobs->all_sessions; *link != session;)
        link = &(*link)->all_next;
    *link = session->all_next;
    for (link = &jobs->touched_sessions; *link && *link != session;)
        link = &(*link)->touched_next;
    if (*link)
        *link = session->touched_next;
    jobs->session_count--;
    part(jobs, session);
    session_forget_revoked(session);
    free(session);
}

struct session *session_of(struct jobs *jobs, struct session_id id)
{
    struct session *session = id.no && id.no < jobs->session_no_room ? jobs->session_by_no[id.no] : NULL;
    return session && session->epoch == id.epoch ? session : NULL;
}

/* --- read from the rows --- */

/* Rows tell who was there; sockets and signs of life are what this process saw and outlive a reading. */
static enum err load_session(void *arg, const struct session_row *row)
{
    struct jobs *jobs = arg;
    struct session *session = session_find(jobs, row->name);
    if (session && session->no == row->no && session->epoch == row->epoch) {
        session->state = (enum session_state)row->state;
        session->listed = true;
        number_session(jobs, session);
    } else {
        if (session)
            session_free(jobs, session);
        session = session_new(jobs, row);
        session->seen_us = jobs->loading_us;
        session->left_us = session->http ? NEVER_US : jobs->loading_us; /* LEASE-9: it has 60 s to come back */
    }
    session->leases = NULL;
    session->lease_count = 0;
    return OK;
}

enum err sessions_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    jobs->loading_us = jobs_engine_us(jobs, tx);
    TRY(store_session_each(op, tx, load_session, jobs));
    for (struct session *session = jobs->all_sessions, *next; session; session = next) {
        next = session->all_next;
        if (!session->listed)
            session_free(jobs, session);
    }
    return OK;
}

void sessions_unload(struct jobs *jobs)
{
    for (struct session *session = jobs->all_sessions; session; session = session->all_next) {
        session->listed = false;
        session->leases = NULL;
        session->lease_count = 0;
    }
    free(jobs->session_by_no);
    jobs->session_by_no = NULL;
    jobs->session_no_room = 0;
}

void sessions_free(struct jobs *jobs)
{
    while (jobs->all_sessions)
        session_free(jobs, jobs->all_sessions);
    for (size_t i = 0; i < PARTED_MAX; i++)
        parted_free(&jobs->parted[i]);
    free(jobs->sessions);
}

/* --- sockets, which a group may count and take back --- */

void session_count_socket(struct jobs *jobs, struct session *session, int change)
{
    session->sockets += change;
    session->sockets_group += change;
    if (session->touched)
        return;
    session->touched = true;
    session->touched_next = jobs->touched_sessions;
    jobs->touched_sessions = session;
}

static void sockets_end(struct jobs *jobs, bool kept)
{
    struct session *session;
    while ((session = jobs->touched_sessions)) {
        jobs->touched_sessions = session->touched_next;
        session->touched = false;
        if (!kept)
            session->sockets -= session->sockets_group;
        session->sockets_group = 0;
    }
}

void sessions_kept(struct jobs *jobs)
{
    sockets_end(jobs, true);
}

void sessions_drop(struct jobs *jobs)
{
    sockets_end(jobs, false);
}
