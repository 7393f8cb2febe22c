/*
 * classify.h - was it a person or a machine that opened or clicked?
 *
 * Evidence is kept as bits with every open and click and is never deleted;
 * the class follows from the bits (LED-22): one strong bit, or two weak ones,
 * is a machine. Three bits depend on what else is known of the message and are
 * computed over all its touches, so the answer is the same in whatever order
 * the touches arrived (LED-9, LED-23):
 *
 *   burst     3 or more distinct links of one message from one client within 2 s
 *             (inclusive), and the opens of that client from 60 s before it
 *   honeypot  clicks of a client from 60 s before to 60 s after it fetched a hidden link of the message
 *   soon      less than 10 s after delivered_at, else after sent_at
 */
#pragma once

#include "engine/provider_event.h"

#define TOUCH_BITS_STRONG                                                                                              \
    (BIT_PROVIDER | BIT_BURST | BIT_HONEYPOT | BIT_METHOD | BIT_AGENT | BIT_RANGE | BIT_MAIL_PROXY)
#define TOUCH_BITS_WEAK (BIT_IMAGE_PROXY | BIT_SOON | BIT_PROBE)

#define BURST_LINKS     3
#define BURST_WINDOW_US 2000000
#define BURST_OPENS_US  60000000
#define HONEYPOT_US     60000000
#define SOON_US         10000000

enum touch_kind {
    TOUCH_OPEN = 1,
    TOUCH_CLICK = 2,
    TOUCH_HONEYPOT = 3 /* evidence only: counts in no figure */
};

struct touch {
    uint64_t seq; /* its place in the log; 0 while it is not written */
    enum touch_kind kind;
    int64_t at_us;
    uint32_t link_no; /* of a click; 0 for opens */
    uint32_t version; /* of a tracked link's destination; 0 = reported by a provider */
    uint32_t repeats; /* further clicks that are counted with this one */
    uint32_t bits;    /* enum touch_bit */
    int64_t client;   /* keyed hash of address and agent (LED-24); 0 = unknown, belongs to no burst */
};

/* True when the bits say machine (LED-22). */
bool classify_is_machine(uint32_t bits);

/* Sets or clears BIT_BURST, BIT_HONEYPOT and BIT_SOON of every touch of one message, whatever their order in the array.
 * base_us is delivered_at, else sent_at, else INT64_MIN (nothing is soon). Returns how many changed. */
size_t classify_touches(struct touch *touches, size_t count, int64_t base_us);
