/*
 * simulate.h - a mailing nobody has to believe: every event decided by a seed.
 *
 * The stand-in provider (serve/simulate_mailgun.h), demo, benches and the
 * simulation harness play the same model. Who opens, clicks, bounces or
 * complains follows from (seed, recipient number) alone, so any recipient's
 * events can be made again at any moment and a million of them cost no memory:
 *
 *   97 %    delivered, 4 % of them after temporary failures
 *           45 % opened by a person, half of those again    12 % clicked
 *           0.2 % unsubscribed   0.05 % complained   8 % read by scanners
 *    2 %    failed for good (a twentieth of these had been delivered first)
 *    1 %    only ever failed temporarily; the remaining 0.1 % stays silent
 *
 * Seed decides figures, never the speed: delays are lognormal within 24 h and
 * divided by compress, and the classes stay unambiguous however short they get.
 * A person uses one client, clicks at most two different links and reads through
 * an image proxy only 15 s or more after delivery; a scanner has clients of its
 * own and keeps the pace of its burst (3 to 9 links within 1.2 s), which is not
 * divided. Which items are late, listed twice or garbage comes from dice of its
 * own, so those shares change no figure either.
 *
 * Ids repeat on purpose (SRC-13): all types of a recipient share theirs, and on
 * the next UTC day the neighbour has them. Within one type and day they differ.
 *
 * Reads no clock. Thread: one owner; after sim_open everything but sim_post and
 * sim_issue only reads, so without these any thread may look.
 */
#pragma once

#include "base/buf.h"
#include "engine/provider_event.h"

#define SIM_RECIPIENTS_MAX 10000000
#define SIM_EVENTS_MAX     96   /* items of one recipient: events, their second listings, garbage */
#define SIM_LINKS_MAX      12   /* links of a mailing */
#define SIM_ITEM_BYTES_MAX 4096 /* of one rendered item of our own mailing */
#define SIM_ID_BYTES       22   /* an event id */
#define SIM_MAILING_MAX    128
#define SIM_DOMAIN_MAX     128
#define SIM_ISSUED_MAX     1000 /* by sim_issue */

struct sim;

struct sim_config {
    uint64_t seed;
    struct str mailing;     /* id; not given: no mailing of our own, only what sim_post brings */
    struct str domain;      /* not given: mg.sim.example */
    uint32_t recipients;    /* of the mailing */
    int64_t start_us;       /* instant of sending; cut to the millisecond */
    int64_t compress_milli; /* delays are divided by this / 1000; 0 = 1000 */
    int64_t late_ppm;       /* share of events that become visible late, in millionths */
    int64_t late_by_us;     /* how much later; divided like every delay */
    int64_t duplicate_ppm;  /* share of events listed twice */
    int64_t garbage_ppm;    /* malformed or unknown items per event */
};

/* The provider's words. Two kinds of "failed", because they act differently. */
enum sim_type {
    SIM_ACCEPTED, /* only for what sim_post brought */
    SIM_DELIVERED,
    SIM_DELAYED, /* "failed", severity temporary */
    SIM_FAILED,  /* "failed", severity permanent */
    SIM_REJECTED,
    SIM_OPENED,
    SIM_CLICKED,
    SIM_UNSUBSCRIBED,
    SIM_COMPLAINED,
    SIM_TYPES
};

#define SIM_TYPES_ALL ((1u << SIM_TYPES) - 1)

enum sim_flag {
    SIM_LATE = 1,    /* visible late_by after its time */
    SIM_AGAIN = 2,   /* the second listing of an event */
    SIM_GARBAGE = 4, /* malformed or of an unknown type; `type` is the list it hides in */
    SIM_MACHINE = 8, /* the model means this open or click to be a machine's */
    SIM_SLOW = 16    /* visible longer after its time than the usual seconds (late, or listed again later) */
};

/* One item of the provider's lists. */
struct sim_event {
    int64_t at_us;         /* event time */
    int64_t visible_at_us; /* from here on the lists show it */
    uint32_t no;           /* recipient, from 0 */
    uint8_t n;             /* place among the recipient's items */
    uint8_t type;          /* enum sim_type */
    uint8_t flags;         /* enum sim_flag */
    uint8_t detail;        /* failures: row of sim_failures; clicks: link; garbage: kind */
    uint8_t client;        /* opens, clicks, unsubscribed: row of sim_clients */
    uint8_t id_n;          /* which of the recipient's ids */
    uint8_t twist;         /* enum sim_twist: an odd but usable shape */
    uint8_t attempt;       /* temporary failures: 1, 2, ... */
};

/* A recipient as the application knows it. Texts live in the sim or in this struct, so it is not copied. */
struct sim_recipient {
    struct str address;
    struct str member;              /* "" for posted ones */
    struct str provider_message_id; /* without <> */
    int64_t start_us;
    char address_text[64], member_text[24], message_text[SIM_DOMAIN_MAX + 64];
};

/* Makes the mailing and the list of its items in time order (16 bytes an item). Copies the config's texts.
 * ERR_INVALID names the value that makes no sense. */
enum err sim_open(struct op *op, const struct sim_config *config, struct sim **ret_sim);
void sim_close(struct sim *sim);
const struct sim_config *sim_config(const struct sim *sim);

/* Recipients so far, our own mailing's first. */
uint32_t sim_recipients(const struct sim *sim);
void sim_recipient(const struct sim *sim, uint32_t no, struct sim_recipient *ret);

/* All items of a recipient, whether visible or not; returns how many. The same every time. */
size_t sim_events(const struct sim *sim, uint32_t no, struct sim_event ret_events[SIM_EVENTS_MAX]);

/* Place of an item in the order of the lists: by time, then recipient and n. Zeros come before every item. */
struct sim_place {
    int64_t at_us;
    uint32_t no;
    uint32_t n; /* counted from 1, 0 = before the first */
};

struct sim_query {
    int64_t begin_us, end_us; /* [begin, end) */
    uint32_t types;           /* bit per enum sim_type */
    bool descending;
    bool from_place; /* go on behind `place` (before it when descending) */
    struct sim_place place;
    struct str tags[8]; /* all of them must be there */
    size_t tag_count;
    struct str recipient; /* not given: any; compares without ASCII case */
};

/* The next items of a list as it looks at now_us, at most max; returns how many. */
size_t sim_page(struct sim *sim, const struct sim_query *query, int64_t now_us, struct sim_event *ret_events,
                size_t max);
struct sim_place sim_place_of(const struct sim_event *event);

/* Items of these types that became visible in (after_us, until_us], in no special order; calls back for each. */
void sim_became_visible(struct sim *sim, uint32_t types, int64_t after_us, int64_t until_us,
                        void (*take)(void *data, const struct sim_event *event), void *data);

/* The provider's id of an event; ret_id gets SIM_ID_BYTES characters. */
struct str sim_event_id(const struct sim *sim, const struct sim_event *event, char ret_id[SIM_ID_BYTES]);

/* "delivered"; "failed" for both kinds. */
struct str sim_type_word(enum sim_type type);

/* "0.05" with 6 places is 50000: shares in millionths, factors in thousandths. At most `places` decimals; false for
 * anything that is not such a number in [0, max]. */
bool sim_parse_decimal(struct str text, int places, int64_t max, int64_t *ret);

/* What is sent by an application: one message to many. Texts are copied. */
struct sim_posting {
    struct str message_id; /* without <> */
    struct str from, subject;
    struct str tags; /* JSON array text */
    struct str links[SIM_LINKS_MAX];
    size_t link_count; /* 0: the links of our own mailing */
    int64_t start_us;
};

struct sim_posted_to {
    struct str address;
    struct str variables; /* JSON object text: what the events carry as user-variables */
};

/* One more event of a recipient, by hand: what a test needs at a moment of its own choosing. From now on it belongs to
 * the model, truth included. The instant is cut to the millisecond; opens and clicks are a person's, a failure is the
 * first row of its table. ERR_NOT_FOUND for an unknown recipient, ERR_TOO_LARGE above SIM_ISSUED_MAX. */
enum err sim_issue(struct op *op, struct sim *sim, uint32_t no, enum sim_type type, int64_t at_us,
                   int64_t visible_at_us);

/* Plays the message to these recipients too. ERR_TOO_LARGE above SIM_RECIPIENTS_MAX. */
enum err sim_post(struct op *op, struct sim *sim, const struct sim_posting *posting, const struct sim_posted_to *to,
                  size_t count);
