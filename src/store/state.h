/*
 * state.h - the fixed-size records that provider events touch.
 *
 * What bounds the intake of events is pages written per event, so what an event
 * changes is kept apart from what people read: small records, many to a page,
 * found by message number (block.h). A record never written is all zeros, and
 * zero instants mean "not known".
 *
 * The bytes are little-endian and stored as they lie in memory: never move a
 * field, never change a size.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

/* Set once when the message is made; read by every event. */
struct message_fixed {
    uint32_t mailing_no; /* 0 = belongs to no mailing */
    uint32_t cohort_no;  /* tenant, local day, channel, key and template in one number; 0 = no such message */
    uint32_t member_no;  /* 0 = names no member */
    uint32_t spare;
    int64_t sent_at_us; /* 0 = not known; the mailing's where the line gave none */
};

enum failure_kind { FAILURE_NONE = 0, FAILURE_TEMPORARY = 1, FAILURE_PERMANENT = 2 };

enum word_flag { WORD_COMPLAINED = 1, WORD_UNSUBSCRIBED = 2 };

/* What the providers said about the way there. */
struct message_delivery {
    uint8_t status;       /* enum status */
    uint8_t failure;      /* enum failure_kind: severity of the failure row */
    uint8_t words;        /* enum word_flag: which instants store_word holds */
    uint8_t spare;
    uint32_t history_no;  /* newest history entry within the message's own list: entries besides the first */
    uint64_t history_seq; /* newest history row, 0 = only the first entry, which is not stored */
    int64_t delivered_at_us;
    int64_t failed_at_us;
};

/* What people and machines did with it. */
struct message_engagement {
    int64_t opened_at_us;
    int64_t clicked_at_us;
    uint64_t touch_seq; /* newest row of the touch log, 0 = none */
    uint16_t open_human;
    uint16_t open_machine;
    uint16_t click_human;
    uint16_t click_machine;
};

struct member_state {
    uint32_t messages;
    uint32_t opened;
    uint32_t tracked;
    uint32_t tracked_opened;
    int64_t last_seen_us;
};

static_assert(sizeof(struct message_fixed) == 24, "stored layout");
static_assert(sizeof(struct message_delivery) == 32, "stored layout");
static_assert(sizeof(struct message_engagement) == 32, "stored layout");
static_assert(sizeof(struct member_state) == 24, "stored layout");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are stored little-endian");
