#include "serve/click_spool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/spool.h"

#define QUICK_US 1000 /* a group that takes longer is worth a change of threads */
#define SMOOTHED 8    /* groups, one like the other */

_Static_assert(sizeof(struct click) <= SPOOL_PAYLOAD_BYTES, "a click fits a record");

struct click_spool {
    struct loop *loop;
    char *path, *node;
    size_t places;
    struct spool *file;          /* NULL until it is made, by the thread */
    pthread_mutex_t turn;        /* of the file: the thread's, or a loop's in its place */
    atomic_int_fast64_t took_us; /* to write and sync a group, of late */
    struct mail *jobs, **last;   /* that nobody has taken yet */
    size_t sent;                 /* clicks in them */
    bool writing;                /* a loop does, in the thread's place */
    struct mailbox box;
    struct thread thread;
    atomic_bool stop, clear, make;
    atomic_uint_fast64_t dropped; /* records below this number the thread may drop */
    struct errand *made;          /* tells that the file is there; NULL: click_spool_make was not called */
    atomic_bool is_made;
    size_t under_way;     /* clicks of jobs that are not done, those not taken included */
    uint64_t first, next; /* records that are durable and not stored: [first, next) */
    uint64_t newest;      /* click in them, or ever */
    atomic_int_fast64_t left;
};

/* --- what is kept ------------------------------------------------------------------ */

static void keep(struct click_spool *spool, uint64_t from, uint64_t to, uint64_t newest)
{
    if (spool->first == spool->next)
        spool->first = from;
    spool->next = to;
    spool->newest = newest;
    atomic_store(&spool->left, (int64_t)(spool->next - spool->first));
}

struct click_records click_spool_oldest(const struct click_spool *spool, size_t most)
{
    uint64_t count = spool->next - spool->first;
    return (struct click_records){ spool->first, spool->first + (count < most ? count : most) };
}

struct reading {
    uint64_t above;
    struct click *clicks;
    size_t count;
};

/* What was refused after all may stand behind newer ones. */
static void read_one(uint64_t number, const void *payload, void *arg)
{
    (void)number;
    struct reading *reading = arg;
    struct click *click = &reading->clicks[reading->count];
    memcpy(click, payload, sizeof *click);
    if (click->number <= reading->above)
        return;
    reading->above = click->number;
    reading->count++;
}

enum err click_spool_read(struct op *op, const struct click_spool *spool, struct click_records records, uint64_t above,
                          struct click *ret_clicks, size_t *ret_count)
{
    struct reading reading = { .above = above, .clicks = ret_clicks };
    TRY(spool_each(op, spool->file, records.from, records.to, sizeof(struct click), read_one, &reading));
    *ret_count = reading.count;
    return OK;
}

void click_spool_drop(struct click_spool *spool, struct click_records records)
{
    assert(records.from == spool->first && records.to <= spool->next);
    spool->first = records.to;
    atomic_store(&spool->dropped, records.to);
    atomic_store(&spool->left, (int64_t)(spool->next - spool->first));
}

uint64_t click_spool_newest(const struct click_spool *spool)
{
    return spool->newest;
}

int64_t click_spool_left(const struct click_spool *spool)
{
    return atomic_load(&spool->left);
}

size_t click_spool_used(const struct click_spool *spool)
{
    return (size_t)(spool->next - spool->first) + spool->under_way;
}

size_t click_spool_room(const struct click_spool *spool)
{
    return click_spool_is_made(spool) ? spool_places(spool->file) : spool->places;
}

bool click_spool_is_made(const struct click_spool *spool)
{
    return atomic_load(&spool->is_made);
}

/* --- the file, for whoever has the turn --------------------------------------------- */

static enum err file_make(struct op *op, struct click_spool *spool)
{
    size_t count;
    return spool->file ? OK : spool_open(op, spool->path, str_of(spool->node), spool->places, &spool->file, &count);
}

static void job_write(struct click_spool *spool, struct op *op, struct click_spool_job *job)
{
    job->err = file_make(op, spool);
    if (job->err == OK)
        job->records.from = spool_next(spool->file);
    for (size_t i = 0; i < job->count && job->err == OK; i++)
        job->err = spool_append(op, spool->file, &job->clicks[i], sizeof *job->clicks);
    if (job->err == OK)
        job->records.to = spool_next(spool->file);
    else
        snprintf(job->reason, sizeof job->reason, "%s", op->error);
}

/* What is stored gives room to what comes. */
static void drop_stored(struct click_spool *spool)
{
    uint64_t stored = atomic_load(&spool->dropped), first = spool_first(spool->file);
    if (stored > first)
        spool_drop(spool->file, (size_t)(stored - first));
}

static void note_took(struct click_spool *spool, int64_t us)
{
    int64_t before = atomic_load(&spool->took_us);
    atomic_store(&spool->took_us, before + (us - before) / SMOOTHED);
}

/* All these jobs in one sync. */
static void write_all(struct click_spool *spool, struct mail *first)
{
    struct op op;
    op_init(&op, NULL, 0);
    int64_t began_us = clock_mono_us();
    if (spool->file)
        drop_stored(spool);
    for (struct mail *mail = first; mail; mail = mail->next)
        job_write(spool, &op, click_spool_job_of(mail));
    enum err synced = spool->file ? spool_sync(&op, spool->file) : OK;
    note_took(spool, clock_mono_us() - began_us);
    for (struct mail *mail = first; mail && synced != OK; mail = mail->next) {
        struct click_spool_job *job = click_spool_job_of(mail);
        if (job->err != OK)
            continue;
        job->err = synced;
        snprintf(job->reason, sizeof job->reason, "%s", op.error);
    }
}

static void clear_file(struct click_spool *spool)
{
    struct op op;
    op_init(&op, NULL, 0);
    if (spool->file &&
        spool_clear(&op, spool->file) != OK) /* harmless: the store knows which of its clicks are stored */
        log_warn("the spool of clicks could not be emptied", LOG_ERROR_OF(&op));
}

static void make_ahead(struct click_spool *spool)
{
    struct op op;
    op_init(&op, NULL, 0);
    if (file_make(&op, spool) != OK) {
        log_warn("clicks have no spool: they are refused while the store cannot take them", LOG_ERROR_OF(&op));
        return;
    }
    atomic_store(&spool->is_made, true);
    loop_send(spool->loop, spool->made);
}

/* --- the thread -------------------------------------------------------------------- */

/* What is at hand was sent after the clearing: nothing is sent before it is done. */
static void spool_round(struct click_spool *spool, struct mail *mail)
{
    pthread_mutex_lock(&spool->turn);
    if (atomic_exchange(&spool->make, false))
        make_ahead(spool);
    if (atomic_exchange(&spool->clear, false))
        clear_file(spool);
    if (mail)
        write_all(spool, mail);
    pthread_mutex_unlock(&spool->turn);
    while (mail) {
        struct click_spool_job *job = click_spool_job_of(mail);
        mail = mail->next;
        loop_send(spool->loop, &job->errand);
    }
}

static void spool_run(void *context)
{
    struct click_spool *spool = context;
    while (!atomic_load(&spool->stop))
        spool_round(spool, mailbox_wait(&spool->box, -1));
    spool_round(spool, mailbox_take_all(&spool->box));
}

/* --- the owner --------------------------------------------------------------------- */

void click_spool_send(struct click_spool *spool, struct click_spool_job *job)
{
    job->mail.next = NULL;
    *spool->last = &job->mail;
    spool->last = &job->mail.next;
    spool->sent += job->count;
    spool->under_way += job->count;
}

/* The thread has nothing to do, the disk is quick, and nobody else has the turn: then the loop takes it. */
static bool turn_take(struct click_spool *spool)
{
    bool alone = click_spool_is_made(spool) && spool->sent == spool->under_way;
    if (!alone || atomic_load(&spool->took_us) > QUICK_US || pthread_mutex_trylock(&spool->turn) != 0)
        return false;
    if (!atomic_load(&spool->clear))
        return true;
    pthread_mutex_unlock(&spool->turn);
    return false;
}

struct mail *click_spool_take(struct click_spool *spool, bool *ret_left)
{
    struct mail *mail = spool->jobs, *next;
    *ret_left = mail && spool->writing;
    if (!mail || spool->writing)
        return NULL;
    spool->writing = turn_take(spool);
    spool->jobs = NULL;
    spool->last = &spool->jobs;
    spool->sent = 0;
    if (spool->writing)
        return mail;
    for (; mail; mail = next) {
        next = mail->next;
        mailbox_post_always(&spool->box, mail);
    }
    return NULL;
}

void click_spool_write(struct click_spool *spool, struct mail *jobs)
{
    write_all(spool, jobs);
    pthread_mutex_unlock(&spool->turn);
}

void click_spool_give(struct click_spool *spool)
{
    spool->writing = false;
}

void click_spool_done(struct click_spool *spool, struct click_spool_job *job)
{
    spool->under_way -= job->count;
    if (job->err == OK)
        keep(spool, job->records.from, job->records.to, job->clicks[job->count - 1].number);
}

void click_spool_make(struct click_spool *spool, struct errand *made)
{
    if (spool->made || click_spool_is_made(spool))
        return;
    spool->made = made;
    atomic_store(&spool->make, true);
    mailbox_nudge(&spool->box);
}

void click_spool_clear(struct click_spool *spool)
{
    atomic_store(&spool->clear, true);
    mailbox_nudge(&spool->box);
}

/* --- open -------------------------------------------------------------------------- */

struct look {
    uint64_t stored, first; /* the first record that is to be stored; 0 = none */
    uint64_t newest;
};

static void look_at(uint64_t number, const void *payload, void *arg)
{
    struct look *look = arg;
    struct click click;
    memcpy(&click, payload, sizeof click);
    if (click.number > look->stored && !look->first)
        look->first = number;
    look->newest = click.number > look->newest ? click.number : look->newest;
}

/* What is to be stored, and the newest click there ever was. */
static enum err look_for_left(struct op *op, struct click_spool *spool, uint64_t stored)
{
    struct look look = { .stored = stored };
    uint64_t next = spool_next(spool->file);
    TRY(spool_each(op, spool->file, spool_first(spool->file), next, sizeof(struct click), look_at, &look));
    spool->first = spool->next = next;
    keep(spool, look.first ? look.first : next, next, look.newest);
    atomic_store(&spool->dropped, spool->first);
    drop_stored(spool);
    return OK;
}

enum err click_spool_open(struct op *op, struct loop *loop, const char *path, struct str node, size_t places,
                          uint64_t stored, struct click_spool **ret_spool)
{
    struct click_spool *spool = calloc(1, sizeof *spool);
    size_t count = 0;
    if (!spool)
        abort();
    spool->loop = loop;
    spool->last = &spool->jobs;
    pthread_mutex_init(&spool->turn, NULL);
    mailbox_init(&spool->box, INT64_MAX, NULL, NULL);
    spool->path = strdup(path);
    spool->node = strndup(node.p, node.n);
    spool->places = places;
    enum err err = access(path, F_OK) == 0 ? spool_open(op, path, node, places, &spool->file, &count) : OK;
    if (err == OK && spool->file)
        err = look_for_left(op, spool, stored);
    atomic_store(&spool->is_made, spool->file != NULL);
    if (err == OK)
        err = thread_start(op, &spool->thread, "spool", spool_run, spool);
    if (err != OK) {
        spool_close(spool->file);
        free(spool->path);
        free(spool->node);
        free(spool);
        return err;
    }
    *ret_spool = spool;
    return OK;
}

void click_spool_stop(struct click_spool *spool)
{
    if (!spool || atomic_exchange(&spool->stop, true))
        return;
    mailbox_nudge(&spool->box);
    thread_join(&spool->thread);
}

void click_spool_close(struct click_spool *spool)
{
    if (!spool)
        return;
    click_spool_stop(spool);
    spool_close(spool->file);
    free(spool->path);
    free(spool->node);
    free(spool);
}
