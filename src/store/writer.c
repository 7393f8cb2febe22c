/*
 * writer.c - the one thread that changes the store, or another in its place.
 *
 * It takes all that waits, runs it as groups, and only after a group is on
 * disk sends its posts on. Idle, a single command commits at once. Under load
 * groups grow by themselves; before one begins the writer waits a little for
 * commands that are about to come (gather.h).
 *
 * A thread that lends itself (store_lend) runs the group in place of the writer's:
 * one at a time, whoever holds `turn`. Mail is taken only by who holds it, so
 * commands of one sender stay in order.
 *
 * Urgent commands, of people who wait, go before others, and fill at most half of
 * a group while others wait, so that neither starves. Bulk - pages of events,
 * imports, clicks that are answered already - goes in groups of its own. Both
 * leave others their share of the writer's time (shares.h).
 *
 * What the copier leaves of the WAL is moved here, after the answers of a group
 * have left: small and often, and once more when nobody waits. While the store cannot write, a small
 * commit each second finds out when it can again.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "store/core.h"
#include "store/gather.h"
#include "store/shares.h"

#define IDLE_US             1000000 /* without work for so long: tidy up */
#define WRITER_OP_BYTES_MAX (64 * 1024 * 1024)
#define LENT_MAX            256    /* more commands than this are worth a thread of their own */
#define LENT_BYTES          131072 /* and so are heavier ones */
#define QUEUED_EVERY_US     20000  /* between two looks of a thread at how long it stood in line for a processor */
#define LENT_TURN_US        5000   /* that a thread which lends itself waits for its turn */

/* Commands taken and not run, oldest first. */
struct line {
    struct mail *first, **last;
    int64_t count;
};

struct writer {
    struct store *store;
    struct mailbox box;
    pthread_mutex_t turn; /* of everything below, and of the store's state */
    struct line urgent, others, bulk;
    struct shares shares;
    atomic_uint_fast64_t groups; /* of others, so far */
    int64_t probed_us;
    struct arena *arena;
    struct op op;
    struct gather gather;
    atomic_bool tidy; /* the writer's own thread has a checkpoint to make: nobody else begins */
    struct thread thread;
    bool started;
    atomic_bool stop;
};

/* The commands of a thread that lends itself, until store_lend. */
static _Thread_local struct {
    struct writer *writer; /* NULL = it does not */
    struct mail *first, **last;
    int64_t count;
    size_t bytes;
    int64_t until_us; /* when they have waited long enough for more; 0 = they do not wait */
} lent;

enum err writer_new(struct op *op, struct store *store, struct writer **ret_writer)
{
    (void)op;
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        abort();
    writer->store = store;
    writer->urgent.last = &writer->urgent.first;
    writer->others.last = &writer->others.first;
    writer->bulk.last = &writer->bulk.first;
    writer->arena = arena_new(WRITER_OP_BYTES_MAX);
    mailbox_init(&writer->box, WRITER_QUEUE_MAX, NULL, NULL);
    pthread_mutex_init(&writer->turn, NULL);
    *ret_writer = writer;
    return OK;
}

static void writer_post(struct writer *writer, struct post *post)
{
    if (mailbox_post(&writer->box, (struct mail *)(void *)post))
        return;
    post_refuse(post, ERR_BUSY, "too many changes are waiting", 1);
    post_send(post);
}

void writer_deliver(void *end, struct post *post)
{
    struct writer *writer = end;
    if (lent.writer != writer) {
        writer_post(writer, post);
        return;
    }
    struct mail *mail = (struct mail *)(void *)post;
    mail->next = NULL;
    *lent.last = mail;
    lent.last = &mail->next;
    lent.count++;
    lent.bytes += post->op.arena ? arena_used(post->op.arena) : 0;
}

int64_t writer_waiting(const struct writer *writer)
{
    return mailbox_depth(&writer->box);
}

static bool writer_may_bulk(const struct writer *writer)
{
    return writer->bulk.first && !shares_rests(&writer->shares, SHARES_OF_BULK, clock_mono_us());
}

static bool writer_may_urgent(const struct writer *writer)
{
    return writer->urgent.first && !shares_rests(&writer->shares, SHARES_OF_PEOPLE, clock_mono_us());
}

/* How many of those held may go now. */
static int64_t writer_due(const struct writer *writer)
{
    int64_t urgent = writer_may_urgent(writer) ? writer->urgent.count : 0;
    int64_t bulk = writer_may_bulk(writer) ? writer->bulk.count : 0;
    return writer->others.count + urgent + bulk;
}

static int64_t writer_held(const struct writer *writer)
{
    return writer->urgent.count + writer->others.count + writer->bulk.count;
}

/* Some of them wait for others, to whom they leave the writer. */
static bool writer_rests(const struct writer *writer)
{
    return writer->bulk.first || writer->urgent.first;
}

static struct line *line_of(struct writer *writer, const struct mail *mail)
{
    const struct post *post = (const struct post *)(const void *)mail;
    return post->urgent ? &writer->urgent : post->hop->bulk ? &writer->bulk : &writer->others;
}

static void writer_hold(struct writer *writer, struct mail *mail)
{
    while (mail) {
        struct line *line = line_of(writer, mail);
        struct mail *next = mail->next;
        mail->next = NULL;
        *line->last = mail;
        line->last = &mail->next;
        line->count++;
        mail = next;
    }
}

static struct post *line_pop(struct line *line)
{
    struct mail *mail = line->first;
    line->first = mail->next;
    if (!line->first)
        line->last = &line->first;
    line->count--;
    return (struct post *)(void *)mail;
}

static void writer_put_back(struct writer *writer, struct post *post)
{
    struct mail *mail = (struct mail *)(void *)post;
    struct line *line = line_of(writer, mail);
    mail->next = line->first;
    if (!line->first)
        line->last = &mail->next;
    line->first = mail;
    line->count++;
}

/* How many commands are worth a wait. */
static int64_t group_wanted(const struct writer *writer)
{
    int64_t want = gather_wanted(&writer->gather);
    return want < GROUP_MAX ? want : GROUP_MAX;
}

/* Waits shortly for the rest (gather.h). */
static void writer_gather(struct writer *writer)
{
    int64_t want = group_wanted(writer), now_us = clock_mono_us();
    int64_t end_us = now_us + gather_patience_us(&writer->gather, now_us);
    while (writer_due(writer) < want) {
        int64_t left_us = end_us - clock_mono_us();
        if (left_us <= 0)
            break;
        writer_hold(writer, mailbox_wait(&writer->box, left_us));
    }
}

/* Whoever runs groups needs a processor, and a machine may have too few. */
static void note_queued(struct store *store)
{
    static _Thread_local int64_t looked_us, queued_us;
    int64_t now_us = clock_mono_us();
    if (now_us - looked_us < QUEUED_EVERY_US)
        return;
    struct thread_times times;
    if (thread_times(gettid(), &times)) {
        if (looked_us)
            atomic_fetch_add(&store->queued_us, times.queued_us - queued_us);
        queued_us = times.queued_us;
    }
    looked_us = now_us;
}

/* Runs posts as one group and sends them on. Returns how many; the rest is held again. */
static int writer_run_group(struct writer *writer, struct post **posts, int n)
{
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
    note_queued(writer->store);
    return ran;
}

/* The oldest of those held that are no bulk, with people or while these rest. */
static int writer_group(struct writer *writer, bool with_urgent)
{
    struct post *posts[GROUP_MAX];
    int n = 0, urgent;
    while (with_urgent && writer->urgent.first && n < (writer->others.first ? GROUP_MAX / 2 : GROUP_MAX))
        posts[n++] = line_pop(&writer->urgent);
    urgent = n;
    while (writer->others.first && n < GROUP_MAX)
        posts[n++] = line_pop(&writer->others);
    if (n == 0)
        return 0;
    int64_t began_us = clock_mono_us();
    atomic_fetch_add(&writer->groups, 1);
    if (n > urgent)
        shares_come(&writer->shares, SHARES_OF_WORKERS, began_us);
    if (urgent > 0)
        shares_come(&writer->shares, SHARES_OF_PEOPLE, began_us);
    for (int i = 0; i < urgent; i++)
        posts[i]->crowded = shares_rested(&writer->shares, SHARES_OF_PEOPLE, began_us);
    int ran = writer_run_group(writer, posts, n);
    int64_t now_us = clock_mono_us();
    if (urgent > 0)
        shares_people_ran(&writer->shares, began_us, now_us);
    gather_note(&writer->gather, ran, began_us, now_us);
    return ran;
}

static bool writer_has_others(const struct writer *writer)
{
    return writer->urgent.first || writer->others.first;
}

/* The oldest bulk, as much as others leave it. */
static int writer_bulk(struct writer *writer)
{
    struct post *posts[GROUP_MAX];
    int64_t began_us = clock_mono_us();
    bool crowded = writer_has_others(writer) || shares_is_crowded(&writer->shares, SHARES_OF_BULK, began_us);
    int n = 0, most = shares_bulk(&writer->shares, crowded, GROUP_MAX);
    while (writer->bulk.first && n < most)
        posts[n++] = line_pop(&writer->bulk);
    if (n == 0)
        return 0;
    shares_come(&writer->shares, SHARES_OF_BULK, began_us);
    for (int i = 0; i < n; i++)
        posts[i]->crowded = crowded || n > 1;
    int ran = writer_run_group(writer, posts, n);
    int64_t now_us = clock_mono_us();
    shares_bulk_ran(&writer->shares, crowded, ran, began_us, now_us);
    if (!crowded) /* beside others it says nothing of how these come */
        gather_note(&writer->gather, ran, began_us, now_us);
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

/* One group, and what is to be done between groups. Returns how long nothing is to be done, us. */
static int64_t writer_round(struct writer *writer)
{
    if (writer_due(writer) == 0) {
        writer_hold(writer, mailbox_take_all(&writer->box));
        if (writer_due(writer) > 0)
            writer_gather(writer);
    }
    if (writer_held(writer) < GROUP_MAX) /* the rest waits in the box, where it is counted and bounded */
        writer_hold(writer, mailbox_take_all(&writer->box));
    int ran = writer_may_bulk(writer) ? writer_bulk(writer) : writer_group(writer, writer_may_urgent(writer));
    group_checkpoint(writer->store, ran == 0 && !writer_rests(writer));
    atomic_store(&writer->tidy, false);
    writer_probe(writer);
    if (writer_due(writer) > 0)
        return 0;
    return writer_rests(writer) ? SHARES_SILENCE_US : IDLE_US;
}

static void writer_run(void *context)
{
    struct writer *writer = context;
    int64_t wait_us = IDLE_US;
    while (wait_us != IDLE_US || !atomic_load(&writer->stop)) {
        uint64_t groups = atomic_load(&writer->groups);
        if (wait_us > 0)
            mailbox_await(&writer->box, wait_us);
        pthread_mutex_lock(&writer->turn);
        if (wait_us == SHARES_SILENCE_US && groups == atomic_load(&writer->groups) && mailbox_depth(&writer->box) == 0)
            shares_unused(&writer->shares);
        wait_us = writer_round(writer);
        pthread_mutex_unlock(&writer->turn);
    }
}

int writer_turn(struct writer *writer)
{
    pthread_mutex_lock(&writer->turn);
    writer_hold(writer, mailbox_take_all(&writer->box));
    int ran = writer_has_others(writer) ? writer_group(writer, true) : writer_bulk(writer);
    if (ran > 0)
        group_checkpoint(writer->store, false);
    pthread_mutex_unlock(&writer->turn);
    return store_is_dead(writer->store) ? 0 : ran;
}

/* --- in another thread --- */

void writer_borrow(struct writer *writer)
{
    assert(!lent.writer);
    lent.writer = writer;
    lent.last = &lent.first;
}

static struct mail *lent_take(void)
{
    struct mail *mail = lent.first;
    lent.first = NULL;
    lent.last = &lent.first;
    lent.count = 0;
    lent.bytes = 0;
    lent.until_us = 0;
    return mail;
}

/* To the writer's own thread. */
static void lent_pass_on(struct writer *writer)
{
    struct mail *mail = lent_take();
    while (mail) {
        struct mail *next = mail->next;
        writer_post(writer, (struct post *)(void *)mail);
        mail = next;
    }
}

void writer_give_back(struct writer *writer)
{
    if (lent.writer != writer)
        return;
    lent.writer = NULL;
    lent_pass_on(writer);
}

/* How long to look for more commands, as many as came last time; negative: long enough. The first look is always taken:
 * a client that has gone since it asked should be known to have gone before it gets a job. */
static int64_t lent_patience(struct writer *writer)
{
    int64_t now_us = clock_mono_us();
    bool first = !lent.until_us;
    if (first)
        lent.until_us = now_us + gather_patience_us(&writer->gather, now_us);
    if (lent.count >= group_wanted(writer))
        return first ? 0 : -1;
    return lent.until_us > now_us ? lent.until_us - now_us : -1;
}

/* The group, with what came before it. Whoever holds more or sees the WAL grown leaves that to the writer's thread,
 * which looks by itself whether those who rest may go, once it knows that there are some. */
static void lent_group(struct writer *writer)
{
    bool rested = writer_rests(writer);
    writer_hold(writer, mailbox_take_all(&writer->box));
    writer_hold(writer, lent_take());
    writer_group(writer, writer_may_urgent(writer));
    bool tidy = group_wants_checkpoint(writer->store);
    atomic_store(&writer->tidy, tidy);
    if (tidy || writer_due(writer) > 0 || (writer_rests(writer) && !rested))
        mailbox_nudge(&writer->box);
}

/* It may be somebody else's, who is soon through: a page of events takes a few milliseconds, and to hand over commands
 * and answers costs as much where processors are scarce. False when that takes longer. (The only lock with a time that
 * thread checkers know goes by the wall clock; one that steps makes this wait for a turn that ends anyway.) */
static bool turn_take(struct writer *writer)
{
    if (pthread_mutex_trylock(&writer->turn) == 0)
        return true;
    int64_t until_us = clock_wall_us() + LENT_TURN_US;
    struct timespec until = { until_us / 1000000, until_us % 1000000 * 1000 };
    return pthread_mutex_timedlock(&writer->turn, &until) == 0;
}

int64_t writer_lent(struct writer *writer)
{
    if (lent.writer != writer || lent.count == 0)
        return LEND_NOTHING;
    bool heavy = lent.count > LENT_MAX || lent.bytes > LENT_BYTES;
    int64_t wait_us = heavy ? -1 : lent_patience(writer);
    if (wait_us >= 0)
        return wait_us;
    if (heavy || atomic_load(&writer->tidy) || !turn_take(writer)) {
        lent_pass_on(writer);
        return LEND_DONE;
    }
    lent_group(writer);
    pthread_mutex_unlock(&writer->turn);
    return LEND_DONE;
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
    pthread_mutex_destroy(&writer->turn);
    arena_free(writer->arena);
    free(writer);
}
