#include "engine/warnings.h"

#include <assert.h>

#include "base/instant.h"

static const char *const warning_names[WARN_COUNT] = {
    [WARN_NO_EVENTS] = "no_events",
    [WARN_LAGGING] = "lagging",
    [WARN_RATE_LIMITED] = "rate_limited",
    [WARN_CREDENTIALS_REFUSED] = "credentials_refused",
    [WARN_CLOCK_SKEW] = "clock_skew",
    [WARN_UNREAD_GAP] = "unread_gap",
    [WARN_RETENTION_EXCEEDED] = "retention_exceeded",
    [WARN_PARKED] = "parked",
    [WARN_MALFORMED] = "malformed",
    [WARN_UNCOVERED_MAILING] = "uncovered_mailing",
    [WARN_HOOK_REFUSED] = "hook_refused",
    [WARN_LOG_RESET] = "log_reset",
    [WARN_SYNC_LOST] = "sync_lost",
    [WARN_FALLING_BEHIND] = "falling_behind",
};

const char *warning_name(enum warning_code code)
{
    assert(code < WARN_COUNT);
    return warning_names[code];
}

/* ----------------------------------------------------------------------------------------------------------- ring */

#define BUCKET_ITEMS 100

void ring_add(struct ring *ring, bool is_parked, bool is_malformed)
{
    if (ring->in_it == BUCKET_ITEMS) {
        ring->at = (uint8_t)((ring->at + 1) % STORE_RING_BUCKETS);
        ring->full |= ring->at == 0;
        ring->in_it = 0;
        ring->parked[ring->at] = ring->malformed[ring->at] = 0;
    }
    ring->in_it++;
    ring->parked[ring->at] = (uint8_t)(ring->parked[ring->at] + is_parked);
    ring->malformed[ring->at] = (uint8_t)(ring->malformed[ring->at] + is_malformed);
}

void ring_sum(const struct ring *ring, int64_t *ret_items, int64_t *ret_parked, int64_t *ret_malformed)
{
    int64_t whole = ring->full ? STORE_RING_BUCKETS - 1 : ring->at;
    *ret_items = whole * BUCKET_ITEMS + ring->in_it;
    *ret_parked = *ret_malformed = 0;
    for (int i = 0; i < STORE_RING_BUCKETS; i++) {
        *ret_parked += ring->parked[i];
        *ret_malformed += ring->malformed[i];
    }
}

/* -------------------------------------------------------------------------------------------------------- finding */

/* The warnings found so far. */
struct finding {
    struct op *op;
    const struct warning_facts *facts;
    struct warning *ret;
    size_t n;
};

static const struct warning_row *noted(const struct finding *f, enum warning_code code)
{
    for (size_t i = 0; i < f->facts->noted_count; i++)
        if (f->facts->noted[i].code == code)
            return &f->facts->noted[i];
    return NULL;
}

/* Says that a code is in force; it began when somebody first noted it, or at since_us. */
static void found(struct finding *f, enum warning_code code, int64_t since_us, struct str detail)
{
    const struct warning_row *row = noted(f, code);
    f->ret[f->n++] = (struct warning){ code, row ? row->since_us : since_us, detail };
}

static struct str stretch_text(struct op *op, int64_t begin_us, int64_t end_us)
{
    char begin[INSTANT_TEXT_BYTES], end[INSTANT_TEXT_BYTES];
    return arena_fmt(op->arena, "%.*s to %.*s", STR(instant_text(begin_us, 3, begin)),
                     STR(instant_text(end_us, 3, end)));
}

static void find_silence(struct finding *f)
{
    if (f->facts->silent_sent < WARN_SILENCE_SENT)
        return;
    for (int i = 0; i < STORE_LANES; i++)
        for (int k = 0; k < STORE_RESULTS; k++)
            if (f->facts->lanes[i].count[k])
                return;
    found(f, WARN_NO_EVENTS, f->op->now_us,
          S("100 or more messages were sent over 2 h ago and this source never reported anything"));
}

static void find_lag(struct finding *f)
{
    const struct warning_facts *facts = f->facts;
    int64_t now_us = f->op->now_us;
    struct lane_view view = { facts->maps, facts->timing, facts->first_begin_us, now_us };
    for (int lane = LANE_OPENS; lane <= LANE_OTHERS; lane++) {
        int64_t lag_us = lane_lag(&view, (enum lane)lane);
        if (lag_us <= WARN_LAG_US)
            continue;
        /* A lane that has not moved is at least as long behind as its lag tells, whoever noted it. */
        int64_t since_us = now_us - (lag_us - WARN_LAG_US), behind_us = facts->lanes[lane].behind_since_us;
        if (behind_us != STORE_NO_INSTANT && behind_us < since_us)
            since_us = behind_us;
        if (now_us - since_us < WARN_LAG_FOR_US)
            continue;
        found(f, WARN_LAGGING, since_us,
              arena_fmt(f->op->arena, "lane %s is %lld s behind", lane_name((enum lane)lane),
                        (long long)(lag_us / 1000000)));
        return;
    }
}

/* A noted warning that only counts after, or only within, some time. */
static void find_noted(struct finding *f, enum warning_code code, int64_t after_us, int64_t within_us)
{
    const struct warning_row *row = noted(f, code);
    int64_t now_us = f->op->now_us;
    if (!row || now_us - row->since_us < after_us || (within_us && now_us - row->seen_us >= within_us))
        return;
    struct str detail = row->detail;
    if (code == WARN_HOOK_REFUSED)
        detail = arena_fmt(f->op->arena, "%lld webhooks had a missing or wrong signature", (long long)row->number);
    found(f, code, row->since_us, detail);
}

static void find_holes(struct finding *f)
{
    const struct interval *newest = NULL;
    int64_t count = 0;
    for (int i = 0; i < CLASS_COUNT; i++)
        for (size_t k = 0; k < f->facts->maps[i].count; k++) {
            const struct interval *at = &f->facts->maps[i].at[k];
            if ((at->passes && !at->again_us) || at->tried == COVERAGE_TRIED_ALL ||
                at->end_us < f->op->now_us - WARN_KEEP_US)
                continue;
            count++;
            if (!newest || at->begin_us > newest->begin_us)
                newest = at;
        }
    if (!newest)
        return;
    found(f, WARN_UNREAD_GAP, newest->end_us,
          arena_fmt(f->op->arena, "%lld unreadable, the newest %.*s", (long long)count,
                    STR(stretch_text(f->op, newest->begin_us, newest->end_us))));
}

static bool is_filled(const struct warning_facts *facts, int64_t begin_us, int64_t end_us)
{
    return coverage_has_read(&facts->maps[CLASS_OPENS], begin_us, end_us) &&
           coverage_has_read(&facts->maps[CLASS_OTHERS], begin_us, end_us);
}

static void find_gaps(struct finding *f)
{
    for (size_t i = f->facts->gap_count; i-- > 0;) {
        const struct gap_row *gap = &f->facts->gaps[i];
        if (gap->end_us < f->op->now_us - WARN_KEEP_US || is_filled(f->facts, gap->begin_us, gap->end_us))
            continue;
        found(f, WARN_RETENTION_EXCEEDED, gap->at_us,
              arena_fmt(f->op->arena, "never read, and older than the provider keeps: %.*s",
                        STR(stretch_text(f->op, gap->begin_us, gap->end_us))));
        return;
    }
}

static void find_share(struct finding *f, enum warning_code code, int64_t bad, int64_t items, const char *what)
{
    if (bad * 100 > items)
        found(f, code, f->op->now_us,
              arena_fmt(f->op->arena, "%lld of the last %lld items %s", (long long)bad, (long long)items, what));
}

static void find_uncovered(struct finding *f)
{
    const struct warning_facts *facts = f->facts;
    bool is_before = facts->oldest_sent_us != STORE_NO_INSTANT && facts->oldest_sent_us < facts->first_begin_us;
    if (!is_before || is_filled(facts, facts->oldest_sent_us, facts->first_begin_us))
        return;
    found(f, WARN_UNCOVERED_MAILING, facts->first_begin_us,
          arena_fmt(f->op->arena, "a mailing was sent before the first reading; a backfill reads %.*s",
                    STR(stretch_text(f->op, facts->oldest_sent_us, facts->first_begin_us))));
}

size_t warnings_find(struct op *op, const struct warning_facts *facts, struct warning ret[WARN_COUNT])
{
    struct finding f = { op, facts, ret, 0 };
    bool is_read = facts->is_polled && facts->first_begin_us != STORE_NO_INSTANT;
    int64_t items, parked, malformed;
    ring_sum(facts->ring, &items, &parked, &malformed);

    find_silence(&f);
    if (is_read)
        find_lag(&f);
    find_noted(&f, WARN_RATE_LIMITED, WARN_RATE_FOR_US, 0);
    find_noted(&f, WARN_CREDENTIALS_REFUSED, 0, 0);
    find_noted(&f, WARN_CLOCK_SKEW, 0, WARN_HOOK_US);
    if (is_read) {
        find_holes(&f);
        find_gaps(&f);
    }
    find_share(&f, WARN_PARKED, parked, items, "speak of messages that are not known");
    find_share(&f, WARN_MALFORMED, malformed, items, "could not be understood");
    if (is_read)
        find_uncovered(&f);
    find_noted(&f, WARN_HOOK_REFUSED, 0, WARN_HOOK_US);
    find_noted(&f, WARN_LOG_RESET, 0, 0);
    find_noted(&f, WARN_SYNC_LOST, 0, 0);
    find_noted(&f, WARN_FALLING_BEHIND, 0, 0);
    return f.n;
}
