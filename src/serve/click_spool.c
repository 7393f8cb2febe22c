#include "serve/click_spool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "store/spool.h"

#define KEPT_ROOM 8192 /* clicks whose memory stays: half a megabyte; a power of two */

_Static_assert(sizeof(struct click) <= SPOOL_PAYLOAD_BYTES, "a click fits a record");

struct click_spool {
    struct loop *loop;
    char *path, *node;
    struct spool *file; /* the thread's; NULL until it is made */
    struct mailbox box;
    struct thread thread;
    atomic_bool stop, clear, make;
    atomic_size_t dropped; /* records that the thread may drop */
    bool wanted;           /* click_spool_make was called */
    size_t under_way;      /* clicks */
    struct errand made;    /* the file is there now */
    bool is_made;
    void (*made_told)(void *data);
    void *made_data;
    struct click *kept;       /* a ring of those durable and not stored, the oldest at head */
    size_t head, count, room; /* room: 0 or a power of two */
    uint64_t newest;
    atomic_int_fast64_t left;
};

/* --- what is kept ------------------------------------------------------------------ */

static void note_left(struct click_spool *spool)
{
    atomic_store(&spool->left, (int64_t)spool->count);
}

static struct click *kept_at(const struct click_spool *spool, size_t i)
{
    return &spool->kept[(spool->head + i) & (spool->room - 1)];
}

/* The ring in another size; what it holds fits. */
static void ring_resize(struct click_spool *spool, size_t room)
{
    struct click *wider = malloc(room * sizeof *wider);
    if (!wider)
        abort();
    for (size_t i = 0; i < spool->count; i++)
        wider[i] = *kept_at(spool, i);
    free(spool->kept);
    spool->kept = wider;
    spool->head = 0;
    spool->room = room;
}

static void keep(struct click_spool *spool, const struct click *clicks, size_t count)
{
    size_t room = spool->room ? spool->room : KEPT_ROOM;
    while (room < spool->count + count)
        room *= 2;
    if (room != spool->room)
        ring_resize(spool, room);
    for (size_t i = 0; i < count; i++)
        *kept_at(spool, spool->count + i) = clicks[i];
    spool->count += count;
    if (count)
        spool->newest = clicks[count - 1].number;
    note_left(spool);
}

size_t click_spool_peek(const struct click_spool *spool, struct click *ret_clicks, size_t room)
{
    size_t n = spool->count < room ? spool->count : room;
    for (size_t i = 0; i < n; i++)
        ret_clicks[i] = *kept_at(spool, i);
    return n;
}

void click_spool_drop(struct click_spool *spool, uint64_t stored)
{
    size_t n = 0;
    while (n < spool->count && kept_at(spool, n)->number <= stored)
        n++;
    if (n == 0)
        return;
    spool->head = (spool->head + n) & (spool->room - 1);
    spool->count -= n;
    atomic_fetch_add(&spool->dropped, n);
    note_left(spool);
    if (spool->count == 0 && spool->room > KEPT_ROOM)
        ring_resize(spool, KEPT_ROOM); /* after a burst the memory goes, too */
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
    return spool->count + spool->under_way;
}

bool click_spool_is_made(const struct click_spool *spool)
{
    return spool->is_made;
}

/* --- the thread -------------------------------------------------------------------- */

static enum err file_make(struct op *op, struct click_spool *spool)
{
    size_t count;
    return spool->file ? OK : spool_open(op, spool->path, str_of(spool->node), &spool->file, &count);
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
    spool->under_way -= job->count;
    if (job->err == OK)
        keep(spool, job->clicks, job->count);
    job->done(job);
}

/* All jobs at hand in one sync. */
static void write_all(struct click_spool *spool, struct mail *mail)
{
    struct op op;
    op_init(&op, NULL, 0);
    if (mail && spool->file)
        spool_drop(spool->file, atomic_exchange(&spool->dropped, 0));
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
    atomic_store(&spool->dropped, 0);
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
    else
        loop_send(spool->loop, &spool->made);
}

static void spool_made(struct errand *errand)
{
    struct click_spool *spool = MAIL_OF(errand, struct click_spool, made);
    spool->is_made = true;
    spool->made_told(spool->made_data);
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
    if (atomic_load(&spool->clear))
        clear_file(spool);
}

void click_spool_send(struct click_spool *spool, struct click_spool_job *job)
{
    job->spool = spool;
    job->errand.run = job_home;
    spool->under_way += job->count;
    mailbox_post_always(&spool->box, &job->mail);
}

void click_spool_make(struct click_spool *spool, void (*made)(void *data), void *data)
{
    if (spool->wanted || spool->is_made)
        return;
    spool->wanted = true;
    spool->made_told = made;
    spool->made_data = data;
    atomic_store(&spool->make, true);
    mailbox_nudge(&spool->box);
}

void click_spool_clear(struct click_spool *spool)
{
    atomic_store(&spool->clear, true);
    mailbox_nudge(&spool->box);
}

/* --- open -------------------------------------------------------------------------- */

/* Keeps what is to be stored; what was refused after all may stand behind newer ones. */
static void read_all(struct op *op, struct click_spool *spool, size_t count, uint64_t stored)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        struct click click;
        if (spool_read(op, spool->file, i, &click, sizeof click) != OK || click.number <= spool->newest)
            continue;
        if (click.number > stored)
            keep(spool, &click, 1);
        else
            before = i + 1;
        spool->newest = click.number;
    }
    if (spool->file)
        spool_drop(spool->file, before);
}

enum err click_spool_open(struct op *op, struct loop *loop, const char *path, struct str node, uint64_t stored,
                          struct click_spool **ret_spool)
{
    struct click_spool *spool = calloc(1, sizeof *spool);
    size_t count = 0;
    if (!spool)
        abort();
    spool->loop = loop;
    mailbox_init(&spool->box, INT64_MAX, NULL, NULL);
    spool->path = strdup(path);
    spool->node = strndup(node.p, node.n);
    enum err err = access(path, F_OK) == 0 ? spool_open(op, path, node, &spool->file, &count) : OK;
    if (err == OK)
        read_all(op, spool, count, stored);
    spool->is_made = spool->file != NULL;
    spool->made.run = spool_made;
    if (err == OK)
        err = thread_start(op, &spool->thread, "spool", spool_run, spool);
    if (err != OK) {
        spool_close(spool->file);
        free(spool->kept);
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
    free(spool->kept);
    free(spool->path);
    free(spool->node);
    free(spool);
}
