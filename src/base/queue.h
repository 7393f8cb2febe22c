/*
 * queue.h - a mailbox: many threads post, one takes everything at once.
 *
 * The mail is part of the posted thing itself (intrusive), so posting never
 * allocates and never blocks. The owner takes the whole list in the order of
 * posting, works through it, and comes back: under load batches grow by
 * themselves. A writer thread sleeps in mailbox_wait; an event loop gives a
 * wake call instead (uv_async_send), which is made for the first mail into an
 * empty box, not for each. The box outlives its posters.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any struct that begins with its `next` pointer may be cast to this (struct post does). */
struct mail {
    struct mail *next; /* the mailbox's while posted, the taker's afterwards */
};

/* The thing a mail is part of: MAIL_OF(mail, struct post, mail). */
#define MAIL_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct mailbox {
    _Atomic(struct mail *) newest; /* posted and not taken, newest first */
    _Atomic uint32_t sleeper;      /* futex word: does the owner sleep */
    _Atomic int64_t depth;         /* posted and not taken */
    int64_t max;                   /* bound of depth */
    void (*wake)(void *context);   /* for event loops; NULL: the owner sleeps in mailbox_wait */
    void *context;
};

/* Holds at most max mails (promise 7). `wake` is called on posting threads; NULL for an owner that waits itself. */
void mailbox_init(struct mailbox *box, int64_t max, void (*wake)(void *context), void *context);

/* From any thread. False, and nothing posted, when the box is full. The mail must stay where it is until taken. */
bool mailbox_post(struct mailbox *box, struct mail *mail);

/* As mailbox_post but never refuses: for answers whose number the requests already bound. */
void mailbox_post_always(struct mailbox *box, struct mail *mail);

/* Owner: all mail posted so far as a list, oldest first, NULL at its end; NULL when there is none. Never waits. */
struct mail *mailbox_take_all(struct mailbox *box);

/* Owner: waits until there is mail or timeout_us is over (negative: for ever), then takes all. */
struct mail *mailbox_wait(struct mailbox *box, int64_t timeout_us);

/* Owner: the same without taking: true when there is mail. */
bool mailbox_await(struct mailbox *box, int64_t timeout_us);

/* Ends a wait early, the one under way or else the next (which then has no mail, perhaps), or calls `wake`. */
void mailbox_nudge(struct mailbox *box);

/* Mails waiting now; for metrics and backpressure. */
int64_t mailbox_depth(const struct mailbox *box);
