/*
 * simulate_own.h - what the simulate_*.c files share and nobody else sees.
 */
#pragma once

#include "engine/simulate.h"
#include "engine/simulate_dice.h"

/* One item of the lists, in their order. */
struct sim_entry {
    int64_t at_us;
    uint32_t no;
    uint8_t n;
    uint8_t type;
    uint8_t flags;
    uint8_t unused;
};
_Static_assert(sizeof(struct sim_entry) == 16, "a million recipients have about 2.3 million items");

/* Someone a posted message went to; texts in the sim's arena. */
struct sim_posted_recipient {
    struct str address;
    struct str variables;
    uint32_t posted; /* index of the message */
};

struct sim_entries {
    struct sim_entry *items;
    size_t count;
    size_t room;
};

struct sim {
    struct sim_config config;
    struct arena *arena;

    struct sim_entries list;  /* by sim_place */
    struct sim_entries fresh; /* of posted messages, not yet sorted in */
    struct sim_entries slow;  /* those with SIM_SLOW once more; at_us is when they become visible */

    /* Whole milliseconds of the first and last event of our own mailing. Events in these two are cut to the
     * millisecond, so that the Logs API, which shows no more, gives the same first and last instant. */
    int64_t first_ms, last_ms;

    struct sim_event *issued; /* in the order they were; few */
    size_t issued_count;

    struct sim_posting *posted;
    size_t posted_count, posted_room;
    struct sim_posted_recipient *to;
    size_t to_count, to_room;
};

#define SIM_DAY_US INT64_C(86400000000)

/* Normal disorder of the lists: an item shows up within this time after it happened (divided by compress). */
#define SIM_LISTING_US 8000000

/* us of the model's time as it passes here: divided by compress. */
static inline int64_t sim_compressed(const struct sim *sim, int64_t us)
{
    return us * 1000 / sim->config.compress_milli;
}

/* The posted recipient, or NULL for one of our own mailing. */
static inline const struct sim_posted_recipient *sim_posted_to(const struct sim *sim, uint32_t no)
{
    return no < sim->config.recipients ? NULL : &sim->to[no - sim->config.recipients];
}

static inline const struct sim_posting *sim_posting_of(const struct sim *sim, uint32_t no)
{
    const struct sim_posted_recipient *to = sim_posted_to(sim, no);
    return to ? &sim->posted[to->posted] : NULL;
}

/* Link of a click, whole. */
struct str sim_link(const struct sim *sim, const struct sim_event *event);

/* JSON array of the tags its events carry. */
struct str sim_tags(const struct sim *sim, uint32_t no);

/* The address as the event spells it: sometimes in capitals. */
struct str sim_spelled(const struct sim_event *event, struct str address, char text[64]);

/* How the events of a recipient of our own mailing name their message (SRC-25). */
enum sim_reference { SIM_BY_MESSAGE_ID, SIM_BY_EMAIL_ID, SIM_BY_MAILING };
enum sim_reference sim_reference(const struct sim *sim, uint32_t no);

/* Puts the recipients [from, to) into the lists. ERR_TOO_LARGE when there is no memory for it. */
enum err sim_list_add(struct op *op, struct sim *sim, uint32_t from, uint32_t to);

/* Puts one more item into the lists. */
enum err sim_list_add_one(struct op *op, struct sim *sim, const struct sim_event *event);

/* Sorts what is fresh into the list. */
void sim_list_settle(struct sim *sim);
void sim_list_done(struct sim *sim);

/* Purposes of dice. */
enum { DICE_LIFE = 1, DICE_ITEM, DICE_SHAPE, DICE_ID, DICE_ADDRESS };
