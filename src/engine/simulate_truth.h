/*
 * simulate_truth.h - what the figures must become once everything is read.
 *
 * Counted from what the model intended (who opened, which failure, machine or
 * person), never through the ledger's rules: two ways to one figure, and their
 * equality proves both.
 */
#pragma once

#include "engine/simulate.h"

struct sim_truth {
    int64_t messages, delivered, opened, opened_human, opened_machine, clicked, clicked_human, clicked_machine,
        failed_permanent, failed_temporary, complained, unsubscribed;
    int64_t first_event_us, last_event_us; /* meaningful when real > 0 */
    int64_t link_members[SIM_LINKS_MAX];   /* messages in which the link was clicked */
    int64_t link_clicks[SIM_LINKS_MAX];
    int64_t suppressed_bounce, suppressed_complaint, suppressed_unsubscribe; /* addresses, each once */
    int64_t real;      /* events, each once; without "accepted", which nobody counts */
    int64_t late;      /* of these */
    int64_t duplicate; /* second listings */
    int64_t malformed; /* garbage no ledger can use */
    int64_t unhandled; /* garbage of unknown types, and "accepted" */
    int64_t last_visible_us;
};

/* Over all recipients of now; a million takes about a second. */
void sim_truth(const struct sim *sim, struct sim_truth *ret);

/* Appends {"mailing","seed","recipients","stats":{..},"links":{url:{"members","clicks"}},"suppressed":{..},
 * "events":{..},"last_visible_at"}, the figures of GET /v1/mailings/{id}/stats under "stats". */
void sim_truth_json(const struct sim *sim, const struct sim_truth *truth, struct buf *buf);
