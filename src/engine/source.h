/*
 * source.h - the machine that reads one source: four lanes, one provider.
 *
 *                     +-- source_next: what now? --+
 *                     |                            |
 *     FETCH: ask for this page            SAVE: keep this        WAIT: until then
 *        |             |                     |
 *   source_page   source_failed              |
 *        |                                   |
 *        +--> a save ------------------------+--> source_commit (writer)
 *                                                       |
 *                              source_saved <-----------+
 *
 * It owns no socket, no row and no clock: a driver (relay/poller.c, or the
 * simulation) fetches, commits and tells how it went. What was committed is in
 * the rows; the machine can be thrown away at any moment and made again from
 * them, and reading goes on at the committed position (SRC-14).
 *
 * A lane reads its window in segments: stretches with a chain of page tokens
 * of their own. When a lane is behind, its segment is split in two that are
 * read side by side, because a chain is bound by the provider's latency. At
 * most SOURCE_FLIGHTS requests are under way, shared out by turns.h. While a
 * page is being committed the next one of its chain may be fetched, never
 * committed: hold its answer until source_can_take says so.
 *
 *   segment:  READY --next--> ASKED --page--> SAVING --saved--> READY ... --empty page--> done
 *               ^               |
 *               +--- failed ----+   later, smaller, or around the hole (SRC-18)
 *
 * Thread: the driver's.
 */
#pragma once

#include "engine/provider.h"
#include "engine/source_commit.h"
#include "engine/source_fault.h"

#define SOURCE_FLIGHTS      2
#define SOURCE_SEGMENTS     2 /* per lane */
#define SOURCE_EVENTS_LIMIT 300
#define SOURCE_LOGS_LIMIT   100
#define SOURCE_LOGS_PAGES   1000 /* per chain of the Logs API */

struct source;

/* Everything a machine is made from; texts in the op's arena that source_load was given. */
struct source_setup {
    struct source_row row;
    struct timing timing;
    struct lane_row lanes[STORE_LANES];
    struct interval *intervals[CLASS_COUNT];
    size_t interval_count[CLASS_COUNT];
    int64_t newest_sent_us; /* of the tenant's mailings; STORE_NO_INSTANT: none */
    uint64_t epoch;         /* of the newest lease; the caller must have taken it */
};

/* Reads a source's rows. ERR_NOT_FOUND. */
enum err source_load(struct op *op, struct tx *tx, uint32_t source_no, struct source_setup *ret);

/* A machine; seed feeds jitter and backoff. Copies what it keeps. */
struct source *source_new(const struct source_setup *setup, uint64_t seed);
void source_free(struct source *source);

/* The rows changed (PUT, backfill): takes them over. Pages under way are still taken; what failed is tried at once. */
void source_reload(struct source *source, const struct source_setup *setup, int64_t now_us);

/*
 * Our clock stepped by so much, as a monotonic clock tells: now_us of the next call is that much off what it would have
 * been. What the machine waits for moves with it, neither earlier nor later, and reading goes on from where the clock
 * was until the provider's Date header says who is right.
 */
void source_stepped(struct source *source, int64_t by_us);

/* Now, for judging what an item is dated: our clock, or where it was before it stepped back. */
int64_t source_now(const struct source *source, int64_t now_us);

/* A mailing was sent: the pause may be shorter now. */
void source_news(struct source *source, int64_t newest_sent_us, int64_t now_us);

enum source_step { SOURCE_FETCH, SOURCE_SAVE, SOURCE_WAIT };

struct source_request {
    uint64_t ticket; /* names the request; give it back with the answer */
    enum lane lane;
    unsigned classes; /* bits 1 << enum event_class */
    int64_t begin_us; /* of the chain: items before it or at end_us and later are dropped */
    int64_t end_us;
    struct str token; /* of the page; not given: the first one. Stays until the machine is called again */
    int limit;
};

struct source_todo {
    enum source_step step;
    struct source_request request; /* SOURCE_FETCH */
    struct source_save save;       /* SOURCE_SAVE; texts stay until source_saved */
    int64_t wake_us;               /* SOURCE_WAIT: nothing before this, INT64_MAX while only answers are awaited */
    bool wants_page;               /* SOURCE_WAIT of a machine that is held: it would ask for a page */
};

/* What to do next. Ask again after each answer and when wake_us has come. */
void source_next(struct source *source, int64_t now_us, struct source_todo *ret);

/* A held machine asks for no page: its driver has no request to spare. It says so instead (wants_page). */
void source_hold(struct source *source, bool is_held);

/* False while the page before is being committed: keep the answer and ask again after source_saved. */
bool source_can_take(const struct source *source, uint64_t ticket);

/*
 * A page was fetched and parsed. True: commit *ret_save, then call source_saved with its ticket. False: nothing to
 * keep (a probe, or a request given up meanwhile). date_us: the provider's Date header, 0 without; asked_us: when the
 * request was sent.
 */
bool source_page(struct source *source, uint64_t ticket, const struct provider_page *page, int64_t asked_us,
                 int64_t date_us, int64_t now_us, struct source_save *ret_save);

/* The request failed. */
void source_failed(struct source *source, uint64_t ticket, const struct source_fault *fault, int64_t now_us);

/* The save of this ticket is durable (OK), or was refused: ERR_CONFLICT (lease lost) stops the machine until
 * source_reload; any other error sends the lane back to its committed position. result may be NULL when err is not OK.
 */
void source_saved(struct source *source, uint64_t ticket, enum err err, const struct source_result *result,
                  int64_t now_us);

/* Somebody else saw that the lease was lost. */
void source_fence(struct source *source);

/* The lease was lost: only source_reload with a new epoch brings it back to life. */
bool source_is_fenced(const struct source *source);

/* No request and no save under way. */
bool source_is_quiet(const struct source *source);
