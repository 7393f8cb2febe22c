/*
 * source_fail.c - what the machine of source.h does about a failed request (section 4 of the rules).
 */
#include "engine/source_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void keep_error(char error[STORE_LANE_ERROR_MAX], const char *text)
{
    struct str clipped = str_clip(str_of(text), STORE_LANE_ERROR_MAX - 1);
    memcpy(error, clipped.p, clipped.n);
    error[clipped.n] = '\0';
}

void source_note(struct source *source, enum warning_code code, bool on, int64_t number, const char *detail)
{
    struct note *note = &source->notes[code];
    note->is_set = true;
    note->on = on;
    note->number = number;
    keep_error(note->detail, detail);
}

/* Every lane waits; those that have something to say get their row written. */
static void block_all(struct source *source, const struct source_fault *fault, int64_t until_us)
{
    if (until_us > source->wait_until_us)
        source->wait_until_us = until_us;
    source->wait_fault = fault->kind;
    keep_error(source->wait_error, fault->text);
    for (int i = 0; i < LANE_COUNT; i++)
        source->lanes[i].is_dirty |= source->lanes[i].is_open;
}

static void fail_rate(struct source *source, const struct source_fault *fault, int64_t now_us)
{
    int64_t wait_us = fault_rate_wait(&source->rng, fault->wait_us, source->rate_fails++);
    if (source->rate_noted != NOTED_ON)
        source_note(source, WARN_RATE_LIMITED, true, 0, "the provider answers 429");
    source->rate_noted = NOTED_ON;
    block_all(source, fault, now_us + wait_us);
}

static void fail_blocked(struct source *source, const struct source_fault *fault, int64_t now_us)
{
    if (fault->kind == FAULT_CREDENTIALS && source->refused_noted != NOTED_ON) {
        source_note(source, WARN_CREDENTIALS_REFUSED, true, 0, fault->text);
        source->refused_noted = NOTED_ON;
    }
    block_all(source, fault, now_us + FAULT_AGAIN_US);
}

static void fail_lane(struct source *source, struct lane_run *run, const struct source_fault *fault, int64_t now_us)
{
    run->fault = fault->kind;
    keep_error(run->error, fault->text);
    run->retry_at_us = now_us + fault_backoff(&source->rng, run->fails++);
    run->is_dirty = true;
}

/* The provider forgot the page: begin again at the position, at most once per minute. */
static void fail_token(struct lane_run *run, struct segment *segment, const struct source_fault *fault, int64_t now_us)
{
    segment_restart(segment);
    run->fault = fault->kind;
    keep_error(run->error, fault->text);
    int64_t earliest_us = run->token_at_us ? run->token_at_us + FAULT_TOKEN_US : now_us;
    run->retry_at_us = earliest_us > now_us ? earliest_us : now_us;
    run->token_at_us = run->retry_at_us;
    run->is_dirty = true;
}

static void fail_unreadable(struct source *source, struct lane_run *run, struct segment *segment,
                            const struct source_fault *fault, int64_t now_us)
{
    run->fault = FAULT_UNREADABLE;
    keep_error(run->error, fault->text);
    run->is_dirty = true;
    segment_unreadable(segment, &source->form, &source->rng, fault->kind == FAULT_TOO_LARGE, now_us);
}

static void fail_request(struct source *source, struct lane_run *run, struct segment *segment,
                         const struct source_fault *fault, int64_t now_us)
{
    segment->asked = 0;
    switch (fault->kind) {
    case FAULT_RATE:
        fail_rate(source, fault, now_us);
        return;
    case FAULT_CREDENTIALS:
    case FAULT_UNKNOWN:
    case FAULT_REDIRECT:
        fail_blocked(source, fault, now_us);
        return;
    case FAULT_TOKEN:
        fail_token(run, segment, fault, now_us);
        return;
    case FAULT_UNREADABLE:
    case FAULT_TOO_LARGE:
        fail_unreadable(source, run, segment, fault, now_us);
        return;
    case FAULT_NONE:
    case FAULT_PROVIDER:
    case FAULT_REFUSED:
    case FAULT_LOOP:
        break;
    }
    fail_lane(source, run, fault, now_us);
}

void source_failed(struct source *source, uint64_t ticket, const struct source_fault *fault, int64_t now_us)
{
    assert(source->flights > 0);
    source->flights--;
    for (int i = 0; i < LANE_COUNT; i++)
        for (int k = 0; k < SOURCE_SEGMENTS; k++) {
            struct segment *segment = &source->lanes[i].segments[k];
            if (!segment->is_open || segment->asked != ticket)
                continue;
            fail_request(source, &source->lanes[i], segment, fault, now_us);
            return;
        }
}

void source_loops(struct source *source, struct lane_run *run, int64_t now_us)
{
    struct source_fault fault =
        source_fault_make(FAULT_LOOP, "the provider's pages repeat themselves; reading begins again at the position");
    lane_run_end(run);
    run->fails = run->loops++; /* each of its pages was good by itself */
    fail_lane(source, run, &fault, now_us);
    run->next_run_at_us = run->retry_at_us;
}

void source_not_kept(struct source *source, struct lane_run *run, struct segment *segment, int64_t now_us)
{
    struct source_fault fault = source_fault_make(FAULT_PROVIDER, "the store could not keep the page");
    segment_restart(segment);
    fail_lane(source, run, &fault, now_us);
}

/* A good answer to an older request must not end a wait that a newer one was told. */
static void recover_source(struct source *source, int64_t now_us)
{
    if (source->wait_until_us > now_us)
        return;
    source->wait_until_us = 0;
    source->wait_fault = FAULT_NONE;
    source->wait_error[0] = '\0';
    source->rate_fails = 0;
    if (source->rate_noted != NOTED_OFF)
        source_note(source, WARN_RATE_LIMITED, false, 0, "");
    if (source->refused_noted != NOTED_OFF)
        source_note(source, WARN_CREDENTIALS_REFUSED, false, 0, "");
    source->rate_noted = source->refused_noted = NOTED_OFF;
}

void source_recover(struct source *source, struct lane_run *run, int64_t now_us)
{
    run->fault = FAULT_NONE;
    run->fails = 0;
    run->retry_at_us = 0;
    run->error[0] = '\0';
    recover_source(source, now_us);
}

/* The earliest time at which one of the lane's segments goes on, when all of them wait. */
static int64_t segments_wait(const struct lane_run *run)
{
    int64_t until_us = INT64_MAX;
    for (int k = 0; k < SOURCE_SEGMENTS; k++) {
        const struct segment *segment = &run->segments[k];
        if (!segment->is_open)
            continue;
        int64_t at_us = segment->asked ? 0 : segment->retry_at_us;
        until_us = at_us < until_us ? at_us : until_us;
    }
    return until_us == INT64_MAX ? 0 : until_us;
}

/* Faults that do not pass by waiting: the state says error, not only waiting. */
static bool is_lasting(enum fault_kind kind)
{
    return kind == FAULT_CREDENTIALS || kind == FAULT_UNKNOWN || kind == FAULT_REDIRECT || kind == FAULT_REFUSED ||
           kind == FAULT_LOOP;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum lane_state source_lane_state(const struct source *source, const struct lane_run *run, int64_t now_us,
                                  int64_t *ret_next_run_at_us)
{
    int64_t wait_us = later(source->wait_until_us, later(run->retry_at_us, segments_wait(run)));
    bool is_active = run->is_open || run->fault != FAULT_NONE;
    if (wait_us > now_us && (is_active || run->next_run_at_us <= wait_us)) {
        *ret_next_run_at_us = wait_us;
        bool is_source = source->wait_until_us > now_us;
        return is_lasting(is_source ? source->wait_fault : run->fault) ? LANE_ERROR : LANE_WAITING;
    }
    if (is_active) {
        *ret_next_run_at_us = STORE_NO_INSTANT;
        return run->fault == FAULT_NONE ? LANE_RUNNING : LANE_ERROR;
    }
    *ret_next_run_at_us = run->next_run_at_us == INT64_MAX ? STORE_NO_INSTANT : run->next_run_at_us;
    return LANE_IDLE;
}
