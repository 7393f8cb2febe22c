/*
 * click.h - a person clicked a tracked link: what that changes.
 *
 * A click is known by numbers when it gets here: the door has looked up link,
 * message and member (serve/redirect.h). One transaction holds its touch, the
 * figures of its link, those of its mailing, and when its member was last seen
 * (LNK-11, LNK-17); nothing of it is counted later. What one more click says about the
 * earlier ones - a burst, a hidden link fetched - changes them in the same
 * transaction (LED-23, LNK-30).
 *
 * Everything is found by number, so a click costs the same among a thousand
 * links and a million.
 */
#pragma once

#include "store/tx.h"

/* Touches of one message that are kept one by one; beyond it clicks that are like one that stands are counted with
 * it. A person never gets there. */
#define CLICK_ROWS_KEPT 64
#define CLICK_ROWS_MAX  1000 /* beyond it the client does not matter any more for being alike */

enum click_flag {
    CLICK_HONEYPOT = 1, /* a hidden link: evidence, in no figure */
    CLICK_TEST = 2      /* a test message: in no figure of its mailing */
};

struct click {
    uint64_t number; /* of this node, in the order they are stored (store/store_click.h) */
    int64_t at_us;
    uint64_t message_no;  /* 0: the link belongs to no mailing */
    int64_t visitor_hash; /* then: keyed hash of who clicked */
    int64_t client;       /* LED-24; 0 = unknown */
    uint32_t link_no;
    uint32_t version; /* of the destination it was sent to */
    uint32_t tenant_no;
    uint32_t mailing_no;
    uint32_t member_no; /* 0 = none */
    uint16_t bits;      /* evidence that the request itself carries */
    uint16_t flags;     /* enum click_flag */
};

enum err click_apply(struct op *op, struct tx *tx, const struct click *click);

/* Applies clicks in order and notes the newest as stored. `after` is the number of the click that must be the newest
 * stored before them: when it is not, an earlier one was not stored and nothing is applied (ERR_UNAVAILABLE), so that
 * what is stored of a node has no holes. */
enum err click_apply_all(struct op *op, struct tx *tx, struct str node, uint64_t after, const struct click *clicks,
                         size_t count);
