/*
 * post.h - work that travels between threads by a route.
 *
 *     static const struct hop import_route[] = {
 *         { import_commit, THREAD_WRITER }, // joins the writer's next transaction
 *         { import_reply, THREAD_CALLER },  // back on the loop that owns the connection
 *         { 0 },
 *     };
 *
 * A post owns its op and arena while it travels; exactly one thread holds it at
 * a time. Embed struct post as the first member of the command's own struct,
 * which lives in the post's arena. After the last hop nobody touches the post:
 * the last function frees the arena (and the post with it) or hands it back to
 * the request that owns it.
 *
 * The writer sets `tx` for its hops and releases the post to the next hop only
 * after the commit is durable, with `err` telling what became of it. A writer
 * hop must be repeatable: when another command of the group fails late, the
 * group is rolled back and this hop runs again; so it reads its inputs, writes
 * its outputs, and changes nothing else.
 */
#pragma once

#include "base/op.h"

struct tx;
struct post;

enum thread_role {
    THREAD_CALLER = 1, /* where the post came from: its `home` */
    THREAD_WRITER,     /* inside the group's transaction */
    THREAD_READER,     /* inside a short read transaction of the reader pool */
    THREAD_DOOR        /* the same on a connection that only redirects use: people wait for it */
};

struct hop {
    enum err (*run)(struct post *post); /* the result is kept in post->err; NULL ends the route */
    enum thread_role thread;
    void (*ahead)(struct post *post); /* writer hops: says what the hop will ask the store, before any command of its
                                         group runs; changes nothing, may be NULL */
    bool bulk; /* writer hops: holds much work that nobody waits for: it leaves others their time (store/writer.c) */
};

struct post {
    struct post *next;               /* link of whatever mailbox holds it */
    const struct hop *hop;           /* the hop to run next */
    void (*home)(struct post *post); /* delivers the post to the caller's thread; called on any thread */
    void *home_data;                 /* for `home`: the loop */
    struct tx *tx;                   /* set on THREAD_WRITER and THREAD_READER */
    bool held; /* set by a writer hop that found nothing yet: the post is not sent on, whoever keeps it does that later,
                  after clearing this (post_release) */
    bool urgent;  /* a person waits: the writer takes it before others (store/writer.c) */
    bool crowded; /* set by the writer: others want it, too. Of bulk less should be sent at once, and what is urgent has
                     to wait in any case, so that it may as well wait for more */
    enum err err; /* result of the newest hop; a store failure is ERR_UNAVAILABLE */
    struct op op; /* last, see post_init */
};

/* Everything zero but the texts of the op, of which only the first byte is: most commands never fail, and these are
 * most of a post. */
void post_init(struct post *post, struct arena *arena, int64_t now_us);

/* Sends the post to the thread of its hop. The store installs the writer's and readers' ends at start. */
void post_send(struct post *post);

/* Runs the post's hop on this thread and moves it to the next one, without sending: the ends call it. */
void post_run(struct post *post);

/* Sends a held post on to its next hop with this result. In the thread that held it. */
void post_release(struct post *post, enum err err);

/* Where posts for a role go: installed once by the store (writer, readers). */
void post_install(enum thread_role role, void (*deliver)(void *end, struct post *post), void *end);
