/*
 * world.h - a small platform made from a seed: tenants, mailings, people and what providers say about them.
 *
 * Nothing in it is likely, all of it is possible: events of every kind fall on
 * a message in any number, at equal times, under every reference a provider may
 * use, for messages that come late or never. What the ledger must make of it is
 * counted here a second time, by looking at all events of a message at once.
 */
#pragma once

#include "base/random.h"
#include "engine/import.h"
#include "engine/provider_event.h"
#include "engine/tenants.h"
#include "store/tally.h"

#define WORLD_TENANTS  3
#define WORLD_MAILINGS 4
#define WORLD_LETTERS  40
#define WORLD_EVENTS   400

struct letter { /* a message */
    int tenant;
    int mailing;     /* -1: none */
    struct str line; /* of its import */
    struct str id, address, provider_id;
    struct str sent_later, provider_id_later; /* come by PATCH; not given: came with the line or never */
    bool is_test;
    bool is_stranger; /* never imported */
};

struct told {                    /* an event */
    struct provider_event event; /* without its key */
    int letter;
    int source; /* 0: speaks for every tenant; 1: for the first tenant alone */
};

struct world {
    struct rng *rng;
    struct arena *arena;
    int64_t start_us, end_us; /* all events happen between */
    bool has_bursts;          /* classes may change afterwards */
    struct str tenant[WORLD_TENANTS], zone[WORLD_TENANTS];
    struct str mailing[WORLD_MAILINGS];
    int mailing_tenant[WORLD_MAILINGS];
    bool mailing_tracks[WORLD_MAILINGS];
    struct letter letters[WORLD_LETTERS];
    int letter_count;
    struct told told[WORLD_EVENTS];
    int told_count;
    uint32_t tenant_no[WORLD_TENANTS]; /* in the store prepared last */
    uint32_t source_no[2];
};

void world_make(struct world *world, struct rng *rng, struct arena *arena);

/* For store_write: tenants, mailings and sources. */
enum err world_prepare(struct op *op, struct tx *tx, void *arg);

extern const char *const world_source_ids[2];

/* Figures of a mailing counted over whole lives; only those that need no classes. */
void world_figures(const struct world *world, int mailing, int64_t ret_figure[MAILING_FIGURES]);
