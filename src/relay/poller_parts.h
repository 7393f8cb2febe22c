/*
 * poller_parts.h - the inside of the poller, shared by poller.c, task_runner.c and poll_*.c only.
 */
#pragma once

#include <stdatomic.h>

#include "engine/source.h"
#include "net/busy.h"
#include "relay/poll_host.h"
#include "relay/poll_mailgun.h"
#include "relay/poller.h"

struct polled;

struct poller {
    struct poller_config config;
    struct polled *sources;
    struct polled **by_no; /* the same, by number */
    size_t by_no_room;
    struct poll_host *hosts;
    struct timer sweep_timer;
    struct errand ring; /* of source_signal */
    bool is_sweeping, is_rung, is_stopping;
    int64_t news_at_ms;        /* when sweeps last asked for the newest mailings, by the steady clock */
    atomic_bool is_ringing;    /* the errand is on its way */
    int64_t wall_less_mono_us; /* what the wall clock shows more than the monotonic one; another value: it stepped */
    struct polled *watched;    /* whose warnings are looked at next; NULL: the round is over */
    struct timer watch_timer;
    struct task_runner *tasks;

    struct busy busy; /* posts and fetches */
};

/* One source of this node. */
struct polled {
    struct poll_turn turn; /* first: the line of the host knows turns only */
    struct polled *next;
    struct poller *poller;
    uint32_t no;
    char *id;
    uint64_t version; /* as loaded */
    bool is_polled;
    bool is_hook;          /* only hears: no lease, the leader looks after its warnings */
    bool is_given;         /* leaving: the lease is on its way back */
    bool is_leaving;       /* asks for no page; what is in hand is kept, then the lease is given back */
    int64_t free_since_ms; /* since when nobody is seen to read it; 0 = somebody does */
    int64_t given_at_ms;   /* when this node gave it up, 0 = never */

    struct source *machine; /* NULL until loaded */
    struct arena *account_arena;
    struct poll_account account;
    struct poll_host *host;
    uint64_t epoch;
    struct node_life life; /* under which the lease was taken */
    bool is_loading;
    struct timer timer; /* the machine wants to be asked again, or the lease to be tried */
    struct timer renew_timer;
    struct trip *held;      /* answers that came before their page could be taken, oldest first */
    struct trip *under_way; /* fetches */
};

/* A request and what became of it: a fetch, a parsed page, a commit. Lives in its own arena. */
struct trip {
    struct post post; /* first */
    struct polled *source;
    struct trip *next, *before;
    struct fetch fetch;
    struct poll_host *host; /* whose slot it has */
    bool is_fetched;
    bool had_token;
    uint64_t ticket;
    int64_t begin_us, end_us;
    int64_t asked_us;
    struct provider_page page;
    struct node_life life; /* whose page it is */
    struct source_save save;
    struct source_result result;
};

/* The wall clock of the loop's turn. When it stepped against the monotonic one, every source is told first. */
int64_t poller_now_us(struct poller *poller);

/* busy_post_new by the poller's clock. */
void *poller_post_new(struct poller *poller, size_t bytes, size_t arena_bytes);
void poller_post_free(struct poller *poller, struct post *post);

/* --- poll_lease.c --- */

/* A source begins or goes on: takes the lease when it has none, reads the rows, drives the machine. */
void polled_load(struct polled *source);
void polled_renew(struct timer *timer);
void polled_post_give(struct polled *source);

/* --- poll_trip.c --- */

/* Sends a request for a page; a slot of the host was taken for it. */
void polled_fetch(struct polled *source, const struct source_request *request);

/* Commits what the machine wants kept without a page. */
void polled_save(struct polled *source, const struct source_save *save);

/* Hands the machine the answers that had to wait for the page before them. */
void polled_take_held(struct polled *source);
void trip_free(struct trip *trip);

/* --- poll_source.c --- */

/* Gives free slots of a host to those in line. */
void poller_pump(struct poller *poller, struct poll_host *host);

struct polled *polled_new(struct poller *poller, uint32_t no, struct str id);

/* The wall clock stepped by so much: machine and requests under way are told. */
void polled_stepped(struct polled *source, int64_t by_us);

/* Asks the machine what to do until it waits. */
void polled_drive(struct polled *source);

/* Whether this node reads it, or is about to. */
bool polled_is_held(const struct polled *source);

/* Another node shall read it. */
void polled_leave(struct polled *source);

/* Cancels what is being fetched; saves under way end by themselves. */
void polled_stop(struct polled *source);

/* Gives the lease back, when it has one. */
void polled_give(struct polled *source);
void polled_free(struct polled *source);

/* Looks which sources there are, what changed, and which are this node's to read; again after a while (poll_sweep.c).
 */
void sweep_start(struct poller *poller);

/* Keeps the warnings and gauges of one source after the other up to date, once a minute (poll_watch.c). */
void watch_start(struct poller *poller);
void watch_stop(struct poller *poller);
