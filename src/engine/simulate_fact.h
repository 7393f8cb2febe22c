/*
 * simulate_fact.h - the stock of the simulated world: failures, clients, links, garbage.
 *
 * Every row is a shape that providers really send, with what it must mean
 * written beside it; the model picks rows, the renderer prints them, the truth
 * counts what is written here.
 */
#pragma once

#include "engine/simulate.h"

/* One way to fail. NULL texts are left out of the item, except `message`, which becomes null. */
struct sim_failure {
    const char *reason;
    const char *code; /* as printed: 550, "550", "5.1.1" in quotes, null */
    const char *enhanced;
    const char *bounce_code;
    const char *message;
    const char *description;
    int32_t code_seen;         /* what a parser makes of it; EVENT_CODE_NONE without a number */
    const char *enhanced_seen; /* "" without one */
    uint8_t weight;            /* of the table's sum */
    bool severity_needed;      /* it does not follow from the code (SRC-35), so it is always printed */
    enum suppression_reason suppress;
};

extern const struct sim_failure sim_permanent[], sim_temporary[], sim_late_bounce[], sim_rejection[];
extern const uint8_t sim_permanent_count, sim_temporary_count, sim_late_bounce_count, sim_rejection_count;

/* Rows of all four tables under one number, as struct sim_event holds it in `detail`. */
enum sim_failure_table { SIM_PERMANENT = 0, SIM_TEMPORARY = 64, SIM_LATE_BOUNCE = 128, SIM_REJECTION = 192 };
const struct sim_failure *sim_failure_of(uint8_t detail);

/* Who opens and clicks. */
enum sim_address { SIM_HOME, SIM_HOME_V6, SIM_GATEWAY, SIM_GATEWAY_V6, SIM_BROKEN, SIM_PROXY };

struct sim_client {
    const char *agent; /* NULL: the item has no client-info */
    const char *bot;
    const char *name, *os, *device, *type;
    uint8_t address; /* enum sim_address: which kind of ip the item carries */
    uint32_t bits;   /* what the parser must see in it (enum touch_bit) */
};

enum sim_client_row {
    SIM_PEOPLE = 0,       /* people's own programs */
    SIM_PEOPLE_COUNT = 8, /* the last two: an ip that is none, no client-info at all */
    SIM_NO_CLIENT_INFO = 7,
    SIM_IMAGE_PROXY = 8,    /* two rows; a person behind it unless it opens soon */
    SIM_GATEWAY_BURST = 10, /* two rows: scanners that look like browsers and fetch every link */
    SIM_APPLE_NAMED = 12,   /* bot "apple" */
    SIM_APPLE_UNNAMED = 13, /* only the agent gives it away (SRC-41) */
    SIM_BOT = 14,           /* bot "generic" */
    SIM_EMPTY_AGENT = 15,
    SIM_CLIENTS = 16
};
extern const struct sim_client sim_clients[SIM_CLIENTS];

extern const char *const sim_links[SIM_LINKS_MAX];

/* Items no ledger can use; the last ones are of unknown types and not even wrong. */
enum sim_garbage {
    GARBAGE_NO_TYPE,
    GARBAGE_TYPE_NUMBER,
    GARBAGE_TIME_TEXT,
    GARBAGE_TIME_MISSING,
    GARBAGE_TIME_NULL,
    GARBAGE_TIME_OBJECT,
    GARBAGE_MESSAGE_NULL,
    GARBAGE_HEADERS_NULL,
    GARBAGE_VARIABLES_SENTENCE,
    GARBAGE_HEADERS_TEXT,
    GARBAGE_EMPTY_OBJECT,
    GARBAGE_NULL,
    GARBAGE_STRING,
    GARBAGE_NUMBER,
    GARBAGE_ARRAY,
    GARBAGE_UNKNOWN_TYPE, /* first of the unhandled ones */
    GARBAGE_STORED,
    GARBAGE_LIST_MEMBER,
    GARBAGE_KINDS
};

/* Odd shapes of real events, all of them usable. */
enum sim_twist {
    TWIST_NONE,
    TWIST_SEVEN_DECIMALS,
    TWIST_TIME_AS_TEXT,
    TWIST_MORE_FIELDS,
    TWIST_OTHER_CASE,         /* the recipient in capitals */
    TWIST_VARIABLES_SENTENCE, /* found by message id instead */
    TWIST_NO_MESSAGE,         /* message is null, found by the mailing variable */
    TWIST_NULL_STATUS,        /* delivery-status is null (delivered only) */
    TWISTS
};
