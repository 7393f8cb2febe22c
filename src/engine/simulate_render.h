/*
 * simulate_render.h - an item of the simulated lists as the provider writes it,
 * or, for benches and the simulation harness, as the parser would read it.
 */
#pragma once

#include "engine/simulate.h"

enum sim_style {
    SIM_STYLE_EVENTS, /* Events API: "timestamp" in seconds, 6 or 7 decimals */
    SIM_STYLE_LOGS    /* Logs API: "@timestamp" in ms, variables as JSON text, severity sometimes left out (SRC-35) */
};

/* Appends the item as JSON, about 1.2 KB. The bytes are the same every time. */
void sim_render_item(const struct sim *sim, const struct sim_event *event, enum sim_style style, struct buf *buf);

/* What a webhook of the provider is signed with (SRC-28). */
struct sim_seal {
    struct str key, token;
    int64_t timestamp_s;
};

/* Appends the item as the body of a signed webhook. */
void sim_render_hook(const struct sim *sim, const struct sim_event *event, const struct sim_seal *seal,
                     struct buf *buf);

/* Appends the recipient's line for POST /v1/mailings/{id}/messages, with its line feed. */
void sim_render_message(const struct sim *sim, uint32_t no, struct buf *buf);

/* The same item as the Mailgun parser would hand it to the ledger, without its key (provider_event_key). Texts live in
 * the arena or the sim. ERR_TOO_LARGE when the arena is full. */
enum err sim_provider_event(struct op *op, const struct sim *sim, const struct sim_event *event,
                            struct provider_event *ret);
