#include "engine/lanes.h"

#include <inttypes.h>

#include "base/instant.h"

#define MINUTE_US INT64_C(60000000)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)

static const char *const lane_names[] = { "opens", "others", "recheck", "backfill", "webhook" };
static const char *const lane_state_names[] = { "idle", "running", "waiting", "error" };

const char *lane_name(enum lane lane)
{
    assert(lane <= LANE_HOOK);
    return lane_names[lane];
}

const char *lane_state_name(enum lane_state state)
{
    assert(state <= LANE_ERROR);
    return lane_state_names[state];
}

unsigned lane_classes(enum lane lane)
{
    if (lane == LANE_OPENS)
        return 1u << CLASS_OPENS;
    if (lane == LANE_OTHERS)
        return 1u << CLASS_OTHERS;
    return 1u << CLASS_OPENS | 1u << CLASS_OTHERS;
}

void timing_default(struct timing *timing)
{
    *timing = (struct timing){
        .every_us = TIMING_EVERY_US,
        .retention_us = TIMING_RETENTION_US,
        .margin_us = TIMING_MARGIN_US,
        .plan = { 3, { TIMING_MARGIN_US, 30 * MINUTE_US, DAY_US } },
    };
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t lane_first_begin(int64_t created_at_us, int64_t oldest_sent_us, int64_t now_us, int64_t retention_us)
{
    int64_t begin_us = created_at_us - 30 * MINUTE_US;
    if (oldest_sent_us != STORE_NO_INSTANT)
        begin_us = earlier(begin_us, oldest_sent_us);
    return later(begin_us, now_us - retention_us);
}

static const struct coverage *live_map(const struct lane_view *view, enum lane lane)
{
    assert(lane == LANE_OPENS || lane == LANE_OTHERS);
    return &view->maps[lane == LANE_OPENS ? CLASS_OPENS : CLASS_OTHERS];
}

int64_t lane_through(const struct lane_view *view, enum lane lane)
{
    if (lane == LANE_RECHECK)
        return earlier(lane_through(view, LANE_OPENS), lane_through(view, LANE_OTHERS));
    return coverage_through(live_map(view, lane), view->first_begin_us);
}

bool lane_window(const struct lane_view *view, enum lane lane, int64_t *ret_begin_us, int64_t *ret_end_us)
{
    if (lane == LANE_RECHECK) {
        struct coverage_due due;
        if (!coverage_due(view->maps, &view->timing->plan, view->now_us, lane_through(view, LANE_RECHECK), &due))
            return false;
        *ret_begin_us = due.begin_us;
        *ret_end_us = due.end_us;
        return true;
    }
    return coverage_unread(live_map(view, lane), view->first_begin_us, view->now_us - view->timing->margin_us,
                           ret_begin_us, ret_end_us);
}

bool lane_lost(const struct lane_view *view, enum lane lane, int64_t *ret_begin_us, int64_t *ret_end_us)
{
    /* A first reading begins exactly at the limit; the time until its first page must not look like a loss. */
    int64_t slack_us = earlier(MINUTE_US, view->timing->retention_us / 10);
    int64_t kept_from_us = view->now_us - view->timing->retention_us;
    int64_t begin_us, end_us;
    if (!coverage_unread(live_map(view, lane), view->first_begin_us, kept_from_us, &begin_us, &end_us))
        return false;
    if (begin_us >= kept_from_us - slack_us)
        return false;
    *ret_begin_us = begin_us;
    *ret_end_us = end_us;
    return true;
}

int64_t lane_lag(const struct lane_view *view, enum lane lane)
{
    int64_t since_us = lane_through(view, lane);
    if (lane == LANE_RECHECK)
        since_us = coverage_next_due(view->maps, &view->timing->plan, since_us);
    return since_us < view->now_us ? view->now_us - since_us : 0;
}

/* A multiple of the pause, never above what the unset pause would give and never below the pause itself. */
static int64_t slower(int64_t every_us, int64_t times, int64_t most_us)
{
    return later(every_us, earlier(every_us * times, most_us));
}

int64_t lane_pause(const struct timing *timing, int64_t newest_sent_us, bool had_events, int64_t now_us)
{
    bool is_sent = newest_sent_us != STORE_NO_INSTANT;
    if (had_events || (is_sent && now_us - newest_sent_us < DAY_US))
        return timing->every_us;
    if (is_sent && now_us - newest_sent_us < 30 * DAY_US)
        return slower(timing->every_us, 10, 5 * MINUTE_US);
    return slower(timing->every_us, 120, HOUR_US);
}

enum err lane_backfill_window(struct op *op, const struct timing *timing, int64_t begin_us, int64_t end_us,
                              int64_t now_us, int64_t *ret_end_us)
{
    if (begin_us >= end_us)
        return fail_at(op, ERR_INVALID, "/end", "end must be later than begin");
    int64_t last_us = now_us - timing->margin_us;
    if (begin_us >= last_us) {
        char text[INSTANT_TEXT_BYTES];
        return fail_at(op, ERR_INVALID, "/begin", "nothing to read yet: begin must be before %.*s",
                       STR(instant_text(last_us, 3, text)));
    }
    *ret_end_us = earlier(end_us, last_us);
    return OK;
}
