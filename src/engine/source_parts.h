/*
 * source_parts.h - the inside of the machine of source.h, shared by source.c, source_next.c, source_page.c and
 * source_fail.c only.
 */
#pragma once

#include "engine/segment.h"
#include "engine/source.h"
#include "engine/turns.h"

/* A lane under way: its window and the segments that read it. */
struct lane_run {
    enum lane lane;
    struct segment segments[SOURCE_SEGMENTS];
    bool is_open;
    bool is_stopping;                       /* backfill: cancelled, the page in hand is still kept */
    bool had_items;                         /* in this window */
    bool is_end_saved;                      /* a page's save already said that the window is done */
    int64_t window_begin_us, window_end_us; /* of the present or last window; STORE_NO_INSTANT: none */
    int64_t asked_begin_us, asked_end_us;   /* backfill: the window as the row holds it, until it is done */
    int64_t opened_at_us;                   /* by our clock: the pause counts from here */
    int64_t read_at_us;                     /* by the earlier clock: t of SRC-3 */
    int64_t round_us;    /* recheck: what was due then is read before anything that became due later; 0 = no round */
    int64_t position_us; /* as in the row */
    int64_t next_run_at_us;

    enum fault_kind fault;
    int fails; /* in a row, for the backoff */
    int loops; /* runs in a row that ended so */
    int64_t retry_at_us;
    int64_t token_at_us; /* last time a page token was given up */
    char error[STORE_LANE_ERROR_MAX];

    bool is_dirty;   /* the row does not show how it stands */
    uint64_t saving; /* ticket of a save without a page, 0 = none */
};

/* A warning to be noted with the next save. */
struct note {
    bool is_set;
    bool on;
    int64_t number;
    char detail[STORE_LANE_ERROR_MAX];
};

/* Whether a warning is known to be on or off in the rows; after a start nobody knows. */
enum noted { NOTED_UNKNOWN, NOTED_OFF, NOTED_ON };

/* A save on its way to the writer: its texts, and what to do once it is durable. */
struct pending {
    struct pending *next;
    uint64_t ticket;
    struct coverage_mark marks[SOURCE_MARKS_MAX];
    int mark_count;
    struct note notes[SOURCE_NOTES_MAX];
    enum warning_code codes[SOURCE_NOTES_MAX];
    int note_count;
    char error[STORE_LANE_ERROR_MAX];
};

struct source {
    uint32_t no;
    uint32_t tenant_no;
    char *id;
    bool is_logs;
    struct segment_form form;
    struct timing timing;
    int64_t first_begin_us;
    uint64_t epoch;
    int64_t newest_sent_us;

    struct coverage maps[CLASS_COUNT];
    struct lane_run lanes[LANE_COUNT];
    struct turns turns;
    struct rng rng;
    uint64_t tickets;
    int flights;              /* requests whose answer the driver still owes */
    struct pending *pending;  /* saves under way */
    int64_t save_retry_at_us; /* the store failed: no save without a page before this */

    /* Of the whole source: every lane waits. */
    int64_t wait_until_us;
    enum fault_kind wait_fault;
    char wait_error[STORE_LANE_ERROR_MAX];
    int rate_fails;
    int64_t skew_us; /* how far our clock runs ahead of the earlier one (SRC-6); below 0: it stepped back by so much */
    bool has_date;   /* the provider says what time it is */
    int64_t skew_noted_at_us;
    enum noted skew_noted, rate_noted, refused_noted;
    struct note notes[WARN_COUNT];
    bool is_fenced;
    bool is_held;
};

/* The earlier of our clock and the provider's; a step back within this run does not count. */
static inline int64_t source_safe_now(const struct source *source, int64_t now_us)
{
    return now_us - source->skew_us;
}

/* Remembers a warning for the next save. */
void source_note(struct source *source, enum warning_code code, bool on, int64_t number, const char *detail);

/* Puts what is to be noted, the lane's row as it stands and the ticket into a save, and remembers it. */
struct pending *source_save_begin(struct source *source, struct lane_run *run, struct source_save *ret_save);
void source_save_lane(struct source *source, const struct lane_run *run, int64_t now_us, struct pending *pending,
                      struct source_save *save);
void source_save_mark(struct pending *pending, struct source_save *save, enum mark_kind kind, unsigned classes,
                      int64_t begin_us, int64_t end_us, int64_t at_us);

/* A save that moves a segment up to its next_position: marks it and says how the lane stands then. */
void source_save_step(struct source *source, struct lane_run *run, struct segment *segment, enum mark_kind kind,
                      int64_t now_us, struct source_save *ret_save);

/* What a lane's window follows from, as of now_us of the earlier clock. */
struct lane_view source_view(const struct source *source, int64_t safe_now_us);

/* Ends a lane's run: its segments go, the committed position stays. */
void lane_run_end(struct lane_run *run);

/* Takes a good answer as the end of troubles. */
void source_recover(struct source *source, struct lane_run *run, int64_t now_us);

/* The save of a page was refused by the store: back to the committed position, after a while. */
void source_not_kept(struct source *source, struct lane_run *run, struct segment *segment, int64_t now_us);

/* A page was a loop: the run ends, the position is kept (SRC-19). */
void source_loops(struct source *source, struct lane_run *run, int64_t now_us);

/* How the lane stands (SRC-12). */
enum lane_state source_lane_state(const struct source *source, const struct lane_run *run, int64_t now_us,
                                  int64_t *ret_next_run_at_us);
