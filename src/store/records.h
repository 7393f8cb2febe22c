/*
 * records.h - the layout of the records that state blocks hold.
 *
 * These bytes are the file format: a field may be added only where `unused`
 * stands. Little-endian; instants are microseconds UTC, 0 = not yet.
 */
#pragma once

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records lie in the file as they lie in memory");

/* Set when the message is made. */
struct message_fixed {
    uint32_t mailing_no; /* 0 = none */
    uint32_t cohort_no;  /* the day's figure it counts in */
    uint32_t member_no;  /* 0 = none */
    uint32_t flags;      /* MESSAGE_* of the ledger */
    int64_t sent_at_us;
};

enum failure_kind { FAILURE_NONE = 0, FAILURE_TEMPORARY = 1, FAILURE_PERMANENT = 2 };

enum word_flag { WORD_COMPLAINED = 1, WORD_UNSUBSCRIBED = 2 };

/* What delivery events change. */
struct message_delivery {
    uint64_t status : 8;        /* enum of the status machine */
    uint64_t failure : 4;       /* enum failure_kind: severity of its failure row */
    uint64_t words : 4;         /* enum word_flag: which instants its word row holds */
    uint64_t history_last : 48; /* newest row of the history log, 0 = none */
    int64_t delivered_at_us;
    int64_t failed_at_us;
};

/* What opens and clicks change. */
struct message_engagement {
    int64_t opened_at_us;
    int64_t clicked_at_us;
    uint64_t touch_last; /* newest row of the touch log, 0 = none */
    uint16_t open_human; /* opens classed human, and so on; they stay at 65,535 once there */
    uint16_t open_machine;
    uint16_t click_human;
    uint16_t click_machine;
};

/* Counters of a member over all its messages (LED-17). */
struct member_state {
    uint32_t messages;
    uint32_t opened;
    uint32_t tracked;
    uint32_t tracked_opened;
    int64_t last_seen_us;
};

/* Counters of a tracked link: since its destination changed, and over all its time. */
struct link_state {
    uint32_t clicks, members, human, machine;
    uint32_t all_clicks, all_members, all_human, all_machine;
    uint32_t version; /* 0 = no such link */
    uint32_t unused;
};

_Static_assert(sizeof(struct link_state) == 40, "file format");
_Static_assert(sizeof(struct message_fixed) == 24, "file format");
_Static_assert(sizeof(struct message_delivery) == 24, "file format");
_Static_assert(sizeof(struct message_engagement) == 32, "file format");
_Static_assert(sizeof(struct member_state) == 24, "file format");
