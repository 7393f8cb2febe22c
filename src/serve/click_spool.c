#include "serve/click_spool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "store/spool.h"

_Static_assert(sizeof(struct click) <= SPOOL_PAYLOAD_BYTES, "a click fits a record");

struct click_spool {
    struct loop *loop;
    char *path;
    struct spool *file; /* the thread's; NULL until it is made */
    struct mailbox box;
    struct thread thread;
    atomic_bool stop, clear, make;
    bool wanted;        /* click_spool_make was called */
    struct click *kept; /* durable and not stored, oldest first: [head, count) */
    size_t head, count, room;
    uint64_t newest;
    atomic_int_fast64_t left;
};

/* --- what is kept ------------------------------------------------------------------ */

static void note_left(struct click_spool *spool)
{
    atomic_store(&spool->left, (int64_t)(spool->count - spool->head));
}

static void keep(struct click_spool *spool, const struct click *clicks, size_t count)
{
    if (spool->count + count > spool->room) {
        spool->room = 2 * (spool->count + count);
        spool->kept = realloc(spool->kept, spool->room * sizeof *spool->kept);
        if (!spool->kept)
            abort();
    }
    memcpy(spool->kept + spool->count, clicks, count * sizeof *clicks);
    spool->count += count;
    if (count)
        spool->newest = clicks[count - 1].number;
    note_left(spool);
}

size_t click_spool_peek(const struct click_spool *spool, struct click *ret_clicks, size_t room)
{
    size_t n = spool->count - spool->head;
    n = n < room ? n : room;
    if (n)
        memcpy(ret_clicks, spool->kept + spool->head, n * sizeof *ret_clicks);
    return n;
}

void click_spool_drop(struct click_spool *spool, uint64_t stored)
{
    while (spool->head < spool->count && spool->kept[spool->head].number <= stored)
        spool->head++;
    note_left(spool);
    if (spool->head < spool->count || !spool->kept)
        return;
    free(spool->kept);
    spool->kept = NULL;
    spool->head = spool->count = spool->room = 0;
}

uint64_t click_spool_newest(const struct click_spool *spool)
{
    return spool->newest;
}

int64_t click_spool_left(const struct click_spool *spool)
{
    return atomic_load(&spool->left);
}

/* --- the thread -------------------------------------------------------------------- */

static enum err file_make(struct op *op, struct click_spool *spool)
{
    size_t count;
    return spool->file ? OK : spool_open(op, spool->path, &spool->file, &count);
}

static void job_write(struct click_spool *spool, struct op *op, struct click_spool_job *job)
{
    job->err = file_make(op, spool);
    for (size_t i = 0; i < job->count && job->err == OK; i++)
        job->err = spool_append(op, spool->file, &job->clicks[i], sizeof *job->clicks);
    if (job->err != OK)
        snprintf(job->reason, sizeof job->reason, "%s", op->error);
}

static void job_home(struct errand *errand)
{
    struct click_spool_job *job = MAIL_OF(errand, struct click_spool_job, errand);
    struct click_spool *spool = job->spool;
    if (job->err == OK)
        keep(spool, job->clicks, job->count);
    job->done(job);
}

/* All jobs at hand in one sync. */
static void write_all(struct click_spool *spool, struct mail *mail)
{
    struct op op;
    op_init(&op, NULL, 0);
    for (struct mail *m = mail; m; m = m->next)
        job_write(spool, &op, MAIL_OF(m, struct click_spool_job, mail));
    enum err synced = mail && spool->file ? spool_sync(&op, spool->file) : OK;
    while (mail) {
        struct click_spool_job *job = MAIL_OF(mail, struct click_spool_job, mail);
        mail = mail->next;
        if (synced != OK && job->err == OK) {
            job->err = synced;
            snprintf(job->reason, sizeof job->reason, "%s", op.error);
        }
        loop_send(spool->loop, &job->errand);
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
    if (file_make(&op, spool) != OK)
        log_warn("clicks have no spool: they are refused while the store cannot take them", LOG_ERROR_OF(&op));
}

static void spool_run(void *context)
{
    struct click_spool *spool = context;
    while (!atomic_load(&spool->stop)) {
        struct mail *mail = mailbox_wait(&spool->box, -1);
        if (atomic_exchange(&spool->make, false))
            make_ahead(spool);
        if (atomic_exchange(&spool->clear, false))
            clear_file(spool); /* what is at hand was sent after it: nothing is sent before it is done */
        write_all(spool, mail);
    }
    write_all(spool, mailbox_take_all(&spool->box));
}

void click_spool_send(struct click_spool *spool, struct click_spool_job *job)
{
    job->spool = spool;
    job->errand.run = job_home;
    mailbox_post_always(&spool->box, &job->mail);
}

void click_spool_make(struct click_spool *spool)
{
    if (spool->wanted)
        return;
    spool->wanted = true;
    atomic_store(&spool->make, true);
    mailbox_nudge(&spool->box);
}

void click_spool_clear(struct click_spool *spool)
{
    atomic_store(&spool->clear, true);
    mailbox_nudge(&spool->box);
}

/* --- open -------------------------------------------------------------------------- */

static enum err read_all(struct op *op, struct click_spool *spool, size_t count, uint64_t stored)
{
    for (size_t i = 0; i < count; i++) {
        struct click click;
        TRY(spool_read(op, spool->file, i, &click, sizeof click));
        if (click.number > stored)
            keep(spool, &click, 1);
        else
            spool->newest = click.number;
    }
    return OK;
}

enum err click_spool_open(struct op *op, struct loop *loop, const char *path, uint64_t stored,
                          struct click_spool **ret_spool)
{
    struct click_spool *spool = calloc(1, sizeof *spool);
    size_t count = 0;
    if (!spool)
        abort();
    spool->loop = loop;
    mailbox_init(&spool->box, INT64_MAX, NULL, NULL);
    spool->path = strdup(path);
    enum err err = access(path, F_OK) == 0 ? spool_open(op, path, &spool->file, &count) : OK;
    if (err == OK)
        err = read_all(op, spool, count, stored);
    if (err == OK)
        err = thread_start(op, &spool->thread, "spool", spool_run, spool);
    if (err != OK) {
        spool_close(spool->file);
        free(spool->kept);
        free(spool->path);
        free(spool);
        return err;
    }
    *ret_spool = spool;
    return OK;
}

void click_spool_close(struct click_spool *spool)
{
    if (!spool)
        return;
    atomic_store(&spool->stop, true);
    mailbox_nudge(&spool->box);
    thread_join(&spool->thread);
    spool_close(spool->file);
    free(spool->kept);
    free(spool->path);
    free(spool);
}
