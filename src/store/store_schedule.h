/*
 * store_schedule.h - schedules, and a row for each nominal time they met.
 *
 * A unique index says that one nominal time of one schedule has one row: what
 * two nodes, or a clock that steps back, would do twice happens once (SCHED-3).
 */
#pragma once

#include "store/tx.h"

struct schedule_row {
    uint32_t no;
    struct str id, cron, zone;
    struct str job; /* JSON object of a job */
    int overlap;    /* the engine's words */
    int catch_up;
    int64_t jitter_ms;
    uint32_t after;    /* number of the other schedule; 0 = none */
    int64_t anchor_us; /* wall: where elapsed time counts from */
    int64_t last_us;   /* the newest nominal time that is settled */
    int64_t next_us;   /* the next one; INT64_MAX = none */
    int64_t due_us;    /* when that one fires: with its jitter */
    int64_t skipped;   /* runs left out because the one before had not ended */
    bool paused;       /* next and due: never */
};

/* Makes or replaces by number. */
enum err store_schedule_put(struct op *op, struct tx *tx, const struct schedule_row *row);

/* What a fire moves: last, next, due, skipped. */
enum err store_schedule_move(struct op *op, struct tx *tx, const struct schedule_row *row);
enum err store_schedule_find(struct op *op, struct tx *tx, struct str id, struct schedule_row *ret, bool *ret_found);
enum err store_schedule_get(struct op *op, struct tx *tx, uint32_t no, struct schedule_row *ret, bool *ret_found);
enum err store_schedule_count(struct op *op, struct tx *tx, int64_t *ret);

/* By id behind `after`, at most max. */
enum err store_schedule_list(struct op *op, struct tx *tx, struct str after, int max, struct schedule_row *ret,
                             int *ret_count);

/* Numbers of those that fire by then, the longest due first; *ret_next_us is when the next of the others fires. */
enum err store_schedule_due(struct op *op, struct tx *tx, int64_t by_us, int max, uint64_t *ret, int *ret_count,
                            int64_t *ret_next_us);

/* A schedule that waits for this one; 0 = none. */
enum err store_schedule_behind(struct op *op, struct tx *tx, uint32_t no, uint32_t *ret);

/* With all its rows. */
enum err store_schedule_delete(struct op *op, struct tx *tx, uint32_t no);

/* File format. FIRED_HELD: all that began has ended, and some parts wait for another schedule (keep_run.h). */
enum fired_state { FIRED_WAITS = 1, FIRED_LIVE, FIRED_DONE, FIRED_DEAD, FIRED_SKIPPED, FIRED_MISSED, FIRED_HELD };

struct fired_row {
    uint64_t run;
    uint32_t schedule;
    int64_t nominal_us;
    uint64_t manual; /* 0: of the schedule itself; else its run again, so that those by hand are many */
    int state;
    struct str jid;                     /* not given = never pushed */
    int64_t at_us;                      /* wall: when it was pushed, or left out */
    int64_t ended_us;                   /* wall; 0 = has not */
    int64_t row_count;                  /* that its jobs say to have done; -1 = they say nothing */
    int own_state;                      /* of a run with parts: that of its own job; 0 = it has no parts */
    int64_t children, done, dead, held; /* its parts; those of no other state are live */
    bool told;                          /* that it waits for another schedule for too long */
};

/* *ret_added is false, and nothing changed, when the nominal time has its row. */
enum err store_fired_add(struct op *op, struct tx *tx, const struct fired_row *row, bool *ret_added);

/* All that moves. */
enum err store_fired_put(struct op *op, struct tx *tx, const struct fired_row *row);
enum err store_fired_get(struct op *op, struct tx *tx, uint64_t run, struct fired_row *ret, bool *ret_found);

/* Rows that wait, of all schedules, behind `after`, oldest first. */
enum err store_fired_waiting(struct op *op, struct tx *tx, uint64_t after, int max, struct fired_row *ret,
                             int *ret_count);

/* Those that are live, the same way; for check. */
enum err store_fired_live(struct op *op, struct tx *tx, uint64_t after, int max, struct fired_row *ret, int *ret_count);

/* How many of a schedule wait, and how many are live. */
enum err store_fired_open(struct op *op, struct tx *tx, uint32_t schedule, int *ret_waiting, int *ret_live);

/* The newest that were pushed or wait, of nominal times up to by_us, newest first; */
enum err store_fired_runs(struct op *op, struct tx *tx, uint32_t schedule, int64_t by_us, int max,
                          struct fired_row *ret, int *ret_count);
enum err store_fired_missed(struct op *op, struct tx *tx, uint32_t schedule, int max, struct fired_row *ret,
                            int *ret_count);

/* Their jobs are gone: whatever waited or was live has ended. */
enum err store_fired_end_all(struct op *op, struct tx *tx);

/* Rows that ended, but the newest `keep` of the schedule, go with what is left of their parts. */
enum err store_fired_trim(struct op *op, struct tx *tx, uint32_t schedule, int keep);
