/*
 * writer.c - the one thread that changes the store.
 *
 * It takes all that waits, runs it as groups, and only after a group is on
 * disk sends its posts on. Idle, a single command commits at once. Under load
 * groups grow by themselves; when fewer commands came than last time the
 * writer waits up to 100 us for the rest, because otherwise ten clients split
 * into two half groups that alternate, each paying a sync.
 *
 * Checkpoints are made here, after the answers of a group have left: small and
 * often, and once more when nobody waits. While the store cannot write, a small
 * commit each second finds out when it can again.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "store/core.h"

#define GATHER_US           100
#define IDLE_US             1000000 /* without work for so long: tidy up */
#define WRITER_OP_BYTES_MAX (64 * 1024 * 1024)

struct writer {
    struct store *store;
    struct mailbox box;
    struct mail *first, **last; /* taken and not run, oldest first */
    int64_t held;
    int64_t group; /* commands in the newest group */
    int64_t probed_us;
    struct thread thread;
    bool started;
    atomic_bool stop;
    struct arena *arena;
    struct op op;
};

enum err writer_new(struct op *op, struct store *store, struct writer **ret_writer)
{
    (void)op;
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        abort();
    writer->store = store;
    writer->last = &writer->first;
    writer->arena = arena_new(WRITER_OP_BYTES_MAX);
    mailbox_init(&writer->box, WRITER_QUEUE_MAX, NULL, NULL);
    *ret_writer = writer;
    return OK;
}

void writer_deliver(void *end, struct post *post)
{
    struct writer *writer = end;
    if (mailbox_post(&writer->box, (struct mail *)(void *)post))
        return;
    post_refuse(post, ERR_BUSY, "too many changes are waiting", 1);
    post_send(post);
}

int64_t writer_waiting(const struct writer *writer)
{
    return mailbox_depth(&writer->box);
}

static void writer_hold(struct writer *writer, struct mail *mail)
{
    for (; mail; mail = mail->next) {
        *writer->last = mail;
        writer->last = &mail->next;
        writer->held++;
    }
}

static struct post *writer_pop(struct writer *writer)
{
    struct mail *mail = writer->first;
    writer->first = mail->next;
    if (!writer->first)
        writer->last = &writer->first;
    writer->held--;
    return (struct post *)(void *)mail;
}

static void writer_put_back(struct writer *writer, struct post *post)
{
    struct mail *mail = (struct mail *)(void *)post;
    mail->next = writer->first;
    if (!writer->first)
        writer->last = &mail->next;
    writer->first = mail;
    writer->held++;
}

/* Waits shortly while fewer commands are here than the newest group had. */
static void writer_gather(struct writer *writer)
{
    int64_t want = writer->group < GROUP_MAX ? writer->group : GROUP_MAX;
    int64_t end_us = clock_mono_us() + GATHER_US;
    while (writer->held < want) {
        int64_t left_us = end_us - clock_mono_us();
        if (left_us <= 0)
            break;
        writer_hold(writer, mailbox_wait(&writer->box, left_us));
    }
}

/* Runs the oldest of those held as one group and sends them on. Returns how many. */
static int writer_group(struct writer *writer)
{
    struct post *posts[GROUP_MAX];
    int n = 0;
    while (n < GROUP_MAX && writer->first)
        posts[n++] = writer_pop(writer);
    if (n == 0)
        return 0;

    arena_reset(writer->arena);
    op_init(&writer->op, writer->arena, posts[n - 1]->op.now_us);
    int ran = group_run(writer->store, &writer->op, posts, n);
    for (int i = n - 1; i >= ran; i--)
        writer_put_back(writer, posts[i]);
    if (!store_is_dead(writer->store)) /* a process that "died" answers nobody */
        for (int i = 0; i < ran; i++)
            if (!posts[i]->held)
                post_send(posts[i]);
    return ran;
}

static void writer_probe(struct writer *writer)
{
    int64_t now_us = clock_mono_us();
    if (store_is_ready(writer->store) || now_us - writer->probed_us < PROBE_INTERVAL_US)
        return;
    writer->probed_us = now_us;
    struct op op;
    arena_reset(writer->arena);
    op_init(&op, writer->arena, 0);
    group_probe(&op, writer->store);
}

static void writer_run(void *context)
{
    struct writer *writer = context;
    while (!atomic_load(&writer->stop) || writer->first) {
        if (!writer->first) {
            writer_hold(writer, mailbox_wait(&writer->box, IDLE_US));
            if (writer->first)
                writer_gather(writer);
        }
        if (writer->held < GROUP_MAX) /* the rest waits in the box, where it is counted and bounded */
            writer_hold(writer, mailbox_take_all(&writer->box));
        int ran = writer_group(writer);
        if (ran > 0)
            writer->group = ran;
        group_checkpoint(writer->store, ran == 0);
        writer_probe(writer);
    }
}

int writer_turn(struct writer *writer)
{
    writer_hold(writer, mailbox_take_all(&writer->box));
    int ran = writer_group(writer);
    if (ran > 0)
        group_checkpoint(writer->store, false);
    return store_is_dead(writer->store) ? 0 : ran;
}

enum err writer_start(struct op *op, struct writer *writer)
{
    TRY(thread_start(op, &writer->thread, "writer", writer_run, writer));
    writer->started = true;
    return OK;
}

void writer_stop(struct writer *writer)
{
    if (!writer->started)
        return;
    atomic_store(&writer->stop, true);
    mailbox_nudge(&writer->box);
    thread_join(&writer->thread);
    writer->started = false;
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    assert(!writer->started);
    arena_free(writer->arena);
    free(writer);
}
