#include "main/settle.h"

#include <semaphore.h>

#include "base/post.h"

struct settle {
    struct post post; /* first: hops get the post */
    enum err (*fn)(struct op *op, struct tx *tx, void *arg);
    void *arg;
    enum err err;
    sem_t done;
};

static enum err settle_run(struct post *post)
{
    struct settle *settle = (struct settle *)post;
    return settle->fn(&post->op, post->tx, settle->arg);
}

static enum err settle_keep(struct post *post)
{
    return post->err;
}

/* On the thread that answers; the one that waits goes on. */
static void settle_home(struct post *post)
{
    struct settle *settle = (struct settle *)post;
    settle->err = post->err;
    sem_post(&settle->done);
}

static enum err settle_by(const struct hop *route, bool urgent, struct op *op,
                          enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    struct settle settle = { .fn = fn, .arg = arg };
    settle.post.op = *op;
    settle.post.hop = route;
    settle.post.urgent = urgent;
    settle.post.home = settle_home;
    sem_init(&settle.done, 0, 0);
    post_send(&settle.post);
    while (sem_wait(&settle.done) != 0)
        continue; /* a signal */
    sem_destroy(&settle.done);
    *op = settle.post.op;
    return settle.err;
}

static const struct hop writer_route[] = { { settle_run, THREAD_WRITER }, { settle_keep, THREAD_CALLER }, { 0 } };

enum err settle(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    return settle_by(writer_route, false, op, fn, arg);
}

enum err settle_soon(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    return settle_by(writer_route, true, op, fn, arg);
}

enum err settle_read(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    static const struct hop route[] = { { settle_run, THREAD_READER }, { settle_keep, THREAD_CALLER }, { 0 } };
    return settle_by(route, false, op, fn, arg);
}

enum err settle_look(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    static const struct hop route[] = { { settle_run, THREAD_DOOR }, { settle_keep, THREAD_CALLER }, { 0 } };
    return settle_by(route, false, op, fn, arg);
}
