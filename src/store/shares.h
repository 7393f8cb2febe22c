/*
 * shares.h - how workers, people and bulk divide the writer.
 *
 *     workers    and the API: microseconds each, and they wait for every one
 *     people     whose clicks wait for their commit (PostgreSQL): milliseconds for
 *                all who wait, and whoever is answered clicks again
 *     bulk       pages of events, imports, clicks that are answered already:
 *                milliseconds a command, and nobody waits
 *
 * Left alone people and bulk would have the writer all the time. So bulk has
 * groups of its own, and what a group of it may be depends on whether others
 * want the writer, too:
 *
 *     nobody came of late    as much as waits
 *     others come            as much as fits in SHARES_BULK_US, then a rest of
 *                            two thirds longer than it took
 *
 * Several commands together cost less each, their commit above all, so bulk is
 * cheaper in few long turns than in many short ones, while others have the same
 * share of the time either way. People go first into whatever group comes next,
 * until the groups they were in took more than their part of the time; then they
 * rest, too, and the others go. A rest in which nobody comes ends early.
 *
 * Thread: whoever has the writer's turn; no lock, it reads no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SHARES_RECENT_US      100000 /* who came within this wants the writer still */
#define SHARES_BULK_US        8000   /* of bulk at once beside others */
#define SHARES_PEOPLE_PERCENT 450    /* of what people's groups take is charged: beside others they have two ninths */
#define SHARES_PEOPLE_FREE_US 12000  /* charged before they rest */
#define SHARES_REST_US_MAX    30000
#define SHARES_SILENCE_US     1000 /* nobody for so long while somebody rests: the rests end */

enum shares_kind { SHARES_OF_WORKERS, SHARES_OF_PEOPLE, SHARES_OF_BULK, SHARES_KINDS };

struct shares {
    int64_t came_us[SHARES_KINDS];       /* when a group with commands of the kind began last; 0 = never */
    int64_t rest_until_us[SHARES_KINDS]; /* they wait until then; workers never do */
    int64_t each_us;                     /* that a command of bulk took of late; 0 = not known */
    int64_t people_us;                   /* until when people have been charged */
};

/* A group with commands of this kind begins. */
void shares_come(struct shares *shares, enum shares_kind kind, int64_t now_us);

/* Another kind wants the writer, or did a moment ago. */
bool shares_is_crowded(const struct shares *shares, enum shares_kind kind, int64_t now_us);

/* How many commands of bulk may go in one group, of at most so many: all of them while it is not crowded. */
int shares_bulk(const struct shares *shares, bool crowded, int most);

/* So many have run, at least one; bulk rests for others when these wanted the writer, too. */
void shares_bulk_ran(struct shares *shares, bool crowded, int ran, int64_t began_us, int64_t now_us);

/* A group with people's commands has run. */
void shares_people_ran(struct shares *shares, int64_t began_us, int64_t now_us);

bool shares_rests(const struct shares *shares, enum shares_kind kind, int64_t now_us);

/* They do, or did a moment ago. */
bool shares_rested(const struct shares *shares, enum shares_kind kind, int64_t now_us);

/* Nobody came for SHARES_SILENCE_US: rests end. */
void shares_unused(struct shares *shares);
