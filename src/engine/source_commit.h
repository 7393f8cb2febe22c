/*
 * source_commit.h - the writer's side of a source: what a page leaves behind.
 *
 * One transaction per page (SRC-14): every event's dedupe key and effect, the
 * counts, the coverage and the lane's position stand or fall together. So a
 * crash finds the lane either before the page or behind it, and what is read
 * again is recognised.
 *
 * A lane runs under a lease (source_lease.h). Each page carries the epoch it was
 * read under; a page of a lapsed lease is refused whole.
 */
#pragma once

#include "engine/ledger.h"
#include "engine/source_config.h"
#include "engine/source_lease.h"
#include "engine/warnings.h"

#define SOURCE_MARKS_MAX        4
#define SOURCE_NOTES_MAX        4
#define SOURCE_FUTURE_US        INT64_C(60000000)      /* an item dated later than this is left for later (SRC-16) */
#define SOURCE_COVERAGE_KEEP_US INT64_C(3024000000000) /* 35 d, as long as dedupe keys: older history is merged */

/* A warning that a lane saw begin or end. */
struct warning_note {
    enum warning_code code;
    bool on;
    int64_t number;
    struct str detail;
};

/* Everything a lane wants kept: a page, or only a new state of affairs. Texts live in the command's arena. */
struct source_save {
    uint64_t ticket; /* of the machine that made it (source.h) */
    uint32_t source_no;
    uint32_t tenant_no;
    struct str source_id;
    uint64_t epoch;        /* 0 = no lease is checked: tools */
    struct node_self node; /* whose lease it is; its life must not be over either */
    enum lane lane;
    struct timing timing;
    int64_t first_begin_us;

    const struct provider_event *events; /* in the page's order */
    size_t event_count;
    int64_t dated_us; /* now, for what events are dated (source_now); 0: the op's */

    struct coverage_mark marks[SOURCE_MARKS_MAX];
    int mark_count;
    struct warning_note notes[SOURCE_NOTES_MAX];
    int note_count;

    /* The lane's row afterwards. A backfill whose row holds another window than `read_*` was cancelled meanwhile. */
    bool has_lane;
    enum lane_state state;
    int64_t window_begin_us; /* STORE_NO_INSTANT: none under way */
    int64_t window_end_us;
    int64_t position_us;
    int64_t next_run_at_us;
    struct str last_error; /* not given: well */
    int64_t read_begin_us; /* backfill: the window the row must still hold */
    int64_t read_end_us;
};

struct source_result {
    int64_t count[RESULT_COUNT]; /* every item in exactly one, but those left for later */
    int64_t left_count;          /* dated in the future and left for later */
    int64_t future_count;        /* these, and those taken as of now because there is no later */
    int64_t last_event_us;       /* STORE_NO_INSTANT: none */
    bool is_stopped;             /* backfill: it was cancelled meanwhile; what the page held is kept */
};

/* Applies a save. ERR_CONFLICT when the lease lapsed: nothing of it is kept. */
enum err source_commit(struct op *op, struct tx *tx, const struct source_save *save, struct source_result *ret);

/* ------------------------------------------------------------------------------------------------------- webhooks */

enum hook_outcome {
    HOOK_TAKEN,   /* 200 */
    HOOK_REPEAT,  /* 200: token and body were here before, nothing changed */
    HOOK_REPLAYED /* 401: a known token with another body (SRC-28) */
};

struct source_hook_save {
    uint32_t source_no;
    uint32_t tenant_no;
    struct str source_id;
    const struct provider_event *events;
    size_t event_count;
    struct str replay_token;  /* not given: this provider signs the body */
    const uint8_t *body_hash; /* STORE_BODY_HASH_BYTES, with replay_token */
    int64_t replay_until_us;
};

/* Applies an authentic webhook in one transaction; the answer may leave after its commit (SRC-27). */
enum err source_hook_commit(struct op *op, struct tx *tx, const struct source_hook_save *save,
                            enum hook_outcome *ret_outcome, struct source_result *ret);

/* Notes a webhook with a missing or wrong signature (warning hook_refused). Callers post it at most once a minute and
 * source, with the number refused since. */
enum err source_hook_refused(struct op *op, struct tx *tx, uint32_t source_no, int64_t count);

/* ------------------------------------------------------------------------------------------------------- backfill */

/* POST .../backfill (SRC-11). ERR_INVALID with pointer, ERR_CONFLICT while one is under way or the source cannot be
 * polled, ERR_NOT_FOUND. */
enum err source_backfill_start(struct op *op, struct tx *tx, struct str source_id, int64_t begin_us, int64_t end_us);

/* DELETE .../backfill: also OK when none runs. ERR_NOT_FOUND when there is no such source. */
enum err source_backfill_stop(struct op *op, struct tx *tx, struct str source_id);
