#include "engine/job_delivered.h"

#include <stdlib.h>

#include "engine/job_log.h"
#include "store/seq.h"

void undelivered_init(struct undelivered *u)
{
    *u = (struct undelivered){ 0 };
    pthread_mutex_init(&u->lock, NULL);
}

void undelivered_done(struct undelivered *u)
{
    free(u->told);
    free(u->over);
    pthread_mutex_destroy(&u->lock);
}

/* --- what doors tell --- */

void job_delivered(struct jobs *jobs, uint64_t lease)
{
    struct undelivered *u = &jobs->undelivered;
    pthread_mutex_lock(&u->lock);
    if (u->told_count == u->told_room) {
        u->told_room = u->told_room ? u->told_room * 2 : 256;
        u->told = realloc(u->told, u->told_room * sizeof *u->told);
        if (!u->told)
            abort();
    }
    u->told[u->told_count++] = lease;
    pthread_mutex_unlock(&u->lock);
}

bool jobs_has_untold(struct jobs *jobs)
{
    struct undelivered *u = &jobs->undelivered;
    pthread_mutex_lock(&u->lock);
    bool has = jobs->log.on && u->told_count > 0;
    pthread_mutex_unlock(&u->lock);
    return has;
}

/* --- the window --- */

static uint8_t *over_at(const struct undelivered *u, uint64_t number)
{
    return &u->over[(number - 1) & (u->room - 1)];
}

static void number_over(struct undelivered *u, uint64_t number)
{
    if (number > u->first && number <= u->newest)
        *over_at(u, number) = 1;
}

static void window_widen(struct undelivered *u, uint64_t newest)
{
    struct undelivered wider = { .room = u->room ? u->room : 1024 };
    while (wider.room < newest - u->first)
        wider.room *= 2;
    wider.over = calloc(wider.room, 1);
    if (!wider.over)
        abort();
    for (uint64_t n = u->first + 1; n <= u->newest; n++)
        *over_at(&wider, n) = *over_at(u, n);
    free(u->over);
    u->over = wider.over;
    u->room = wider.room;
}

static void numbers_reach(struct undelivered *u, uint64_t newest)
{
    if (newest <= u->newest)
        return;
    if (newest - u->first > u->room)
        window_widen(u, newest);
    for (uint64_t n = u->newest + 1; n <= newest; n++)
        *over_at(u, n) = 0;
    u->newest = newest;
}

/* The newest number up to which all are over. */
static uint64_t mark_of(const struct undelivered *u)
{
    uint64_t mark = u->first;
    while (mark < u->newest && *over_at(u, mark + 1))
        mark++;
    return mark;
}

void lease_number_begun(struct jobs *jobs, uint64_t number)
{
    numbers_reach(&jobs->undelivered, number);
}

void lease_number_over(struct jobs *jobs, uint64_t number)
{
    number_over(&jobs->undelivered, number);
}

bool lease_number_is_over(const struct jobs *jobs, uint64_t number)
{
    const struct undelivered *u = &jobs->undelivered;
    return number <= u->first || (number <= u->newest && *over_at(u, number));
}

void lease_numbers_settle(struct jobs *jobs, uint64_t newest, const uint64_t *open, size_t count)
{
    struct undelivered *u = &jobs->undelivered;
    size_t at = 0;
    for (uint64_t n = u->first + 1; n <= newest && n <= u->newest; n++) {
        while (at < count && open[at] < n)
            at++;
        if (at == count || open[at] != n)
            number_over(u, n);
    }
}

/* A single process knows of each lease it hands out what became of it; what is open is from before its start. */
int64_t lease_due_us(const struct jobs *jobs, const struct lease *lease)
{
    bool is_watched = jobs->log.on || lease->number <= jobs->undelivered.boot;
    if (!is_watched || lease_number_is_over(jobs, lease->number))
        return lease->until_us;
    int64_t since_us = lease->started_us > jobs->heard_us ? lease->started_us : jobs->heard_us;
    return since_us + UNDELIVERED_US < lease->until_us ? since_us + UNDELIVERED_US : lease->until_us;
}

/* --- with the rows --- */

/* Numbers up to `newest` whose leases are not there are over; of leases that are, what was known stays. */
static void numbers_of_leases(struct jobs *jobs, uint64_t newest)
{
    struct undelivered *u = &jobs->undelivered;
    enum { OPEN = 0, OVER = 1, LIVE = 2 };
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (const struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next)
            if (!lease_number_is_over(jobs, lease->number) && lease->number <= newest)
                *over_at(u, lease->number) = LIVE;
    for (uint64_t n = u->first + 1; n <= newest; n++)
        *over_at(u, n) = *over_at(u, n) == LIVE ? OPEN : OVER;
}

enum err undelivered_load(struct op *op, struct tx *tx, struct jobs *jobs, bool first)
{
    struct undelivered *u = &jobs->undelivered;
    uint64_t newest = store_seq_newest(tx, SEQ_LEASE);
    int64_t since_us = INT64_MIN; /* what was told of leases that began earlier, nobody can read any more */
    if (first) {
        u->first = u->newest = store_seq_newest(tx, SEQ_DELIVERED);
        u->boot = newest;
    }
    if (!first && !jobs->log.on)
        return OK;
    numbers_reach(u, newest);
    numbers_of_leases(jobs, newest);
    if (jobs->log.on)
        TRY(log_find_delivered(op, tx, jobs, first ? 0 : jobs->log.no, &since_us));
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (const struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next)
            if (lease->started_us < since_us)
                number_over(u, lease->number);
    return OK;
}

/* A number that a group took and gave back is used again: it is over only once it was told after that. */
void undelivered_flush(struct tx *tx, struct jobs *jobs)
{
    struct undelivered *u = &jobs->undelivered;
    numbers_reach(u, store_seq_newest(tx, SEQ_LEASE));
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->told_count; i++) {
        number_over(u, u->told[i]);
        log_delivered(jobs, u->told[i]);
    }
    u->told_count = 0;
    pthread_mutex_unlock(&u->lock);
    store_seq_reach(tx, SEQ_DELIVERED, mark_of(u));
}

void undelivered_kept(struct jobs *jobs)
{
    jobs->undelivered.first = mark_of(&jobs->undelivered);
}
