/*
 * gather.h - for how many commands a group waits before it begins, and how long.
 *
 * Clients that wait for their answers send again when they have it. Ten of them
 * easily split into two halves that alternate: while one half is being
 * committed the other has sent and waits, and each commit, for half as many,
 * takes as long as one for all. So a group waits a little while fewer are here
 * than the newest group had; that keeps together what is together. And every
 * sixteenth one waits for as many as the two newest groups had: halves that
 * both come in that time are one from then on.
 *
 * A little is 100 us, time enough for a client on the same machine; or a quarter
 * of what groups take of late, where that is more: on a slow disk, or a busy
 * machine, clients are late and a commit too many is dear. That is so only
 * while one group follows the other: when nothing came for as long as a group
 * takes, nobody is about to answer. A client that is alone waits for nobody.
 *
 * Thread: any; figures of several may mix, which costs a wait.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GATHER_US         100
#define GATHER_US_MAX     1000
#define GATHER_JOIN_EVERY 16 /* groups */
#define GATHER_JOIN_MIN   4  /* commands of two groups that are worth joining */

struct gather {
    atomic_int_fast64_t group, before; /* commands in the newest group, and in the one before */
    atomic_int_fast64_t groups;        /* ever */
    atomic_int_fast64_t took_us;       /* by groups of late */
    atomic_int_fast64_t ended_us;      /* the newest */
};

/* A group is through; zero-filled before the first. Times are monotonic. */
void gather_note(struct gather *gather, int64_t commands, int64_t began_us, int64_t now_us);

/* So many commands are worth no more waiting. */
int64_t gather_wanted(const struct gather *gather);

/* How long to wait for them, from the first command on, which is there now. */
int64_t gather_patience_us(const struct gather *gather, int64_t now_us);
