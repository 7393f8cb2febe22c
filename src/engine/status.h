/*
 * status.h - which status a message may move to.
 *
 *   pending-virus-check -> created -> sending -> pending -> delivered
 *          |                  |          |                  temporary-failure
 *   virus-scan-failed     cancelled      +-> sent           permanent-failure
 *   validation-failed                                       technical-failure   returned-letter
 *
 * The table is the whole rule (ledger rules, LED-7). A provider's word that a
 * message arrived beats our time-out; a late bounce of an e-mail is real and is
 * kept; permanent-failure never becomes delivered. No path visits a status
 * twice, so a message has fewer than ten moves in its life.
 *
 * The numbers are stored: add at the end, never renumber.
 */
#pragma once

#include "base/op.h"

enum status {
    STATUS_NONE = 0, /* before the first one */
    STATUS_CREATED,
    STATUS_SENDING,
    STATUS_PENDING,
    STATUS_SENT,
    STATUS_DELIVERED,
    STATUS_TEMPORARY_FAILURE,
    STATUS_PERMANENT_FAILURE,
    STATUS_TECHNICAL_FAILURE,
    STATUS_CANCELLED,
    STATUS_RETURNED_LETTER,
    STATUS_PENDING_VIRUS_CHECK,
    STATUS_VIRUS_SCAN_FAILED,
    STATUS_VALIDATION_FAILED,
    STATUS_COUNT
};

enum channel { CHANNEL_EMAIL = 1, CHANNEL_SMS, CHANNEL_LETTER, CHANNEL_COUNT };

enum message_key { KEY_NORMAL = 1, KEY_TEAM, KEY_TEST, KEY_COUNT };

enum status_answer {
    STATUS_MOVES,  /* allowed */
    STATUS_STAYS,  /* wanted is what it is: nothing to do, no history */
    STATUS_REFUSED /* the table says no */
};

/* Which channels a move is open to. */
enum status_switch { SWITCH_NEVER, SWITCH_EMAIL, SWITCH_LETTER, SWITCH_ALWAYS };

/* The answer of the table for a message of this channel. */
enum status_answer status_may_move(enum status from, enum status to, enum channel channel);

/* Narrows or reopens one move that the table knows ("delivered.permanent-failure" = "never"): before the store opens,
 * later in the writer. ERR_INVALID for a move outside the table or an unknown word, with a sentence naming it. */
enum err status_configure(struct op *op, struct str move, struct str word);

/* The same without doing it. */
enum err status_check(struct op *op, struct str move, struct str word);

/* Back to the built-in table. */
void status_configure_none(void);

/* "temporary-failure"; the words of the API and of rows people read. */
const char *status_name(enum status status);
const char *channel_name(enum channel channel);
const char *message_key_name(enum message_key key);

/* The inverse; false when there is no such word. STATUS_NONE has no word. */
bool status_of(struct str name, enum status *ret_status);
bool channel_of(struct str name, enum channel *ret_channel);
bool message_key_of(struct str name, enum message_key *ret_key);
