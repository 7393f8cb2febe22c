#include "engine/status.h"

#include <assert.h>
#include <string.h>

static const char *const status_names[STATUS_COUNT] = {
    [STATUS_NONE] = "",
    [STATUS_CREATED] = "created",
    [STATUS_SENDING] = "sending",
    [STATUS_PENDING] = "pending",
    [STATUS_SENT] = "sent",
    [STATUS_DELIVERED] = "delivered",
    [STATUS_TEMPORARY_FAILURE] = "temporary-failure",
    [STATUS_PERMANENT_FAILURE] = "permanent-failure",
    [STATUS_TECHNICAL_FAILURE] = "technical-failure",
    [STATUS_CANCELLED] = "cancelled",
    [STATUS_RETURNED_LETTER] = "returned-letter",
    [STATUS_PENDING_VIRUS_CHECK] = "pending-virus-check",
    [STATUS_VIRUS_SCAN_FAILED] = "virus-scan-failed",
    [STATUS_VALIDATION_FAILED] = "validation-failed",
};

static const char *const channel_names[CHANNEL_COUNT] = {
    [CHANNEL_EMAIL] = "email",
    [CHANNEL_SMS] = "sms",
    [CHANNEL_LETTER] = "letter",
};

static const char *const key_names[KEY_COUNT] = {
    [KEY_NORMAL] = "normal",
    [KEY_TEAM] = "team",
    [KEY_TEST] = "test",
};

static const char *const switch_names[] = {
    [SWITCH_NEVER] = "never",
    [SWITCH_EMAIL] = "email",
    [SWITCH_LETTER] = "letter",
    [SWITCH_ALWAYS] = "always",
};

/* Columns in the order of the picture; absent = never. */
#define TO_SENDING   [STATUS_SENDING] = SWITCH_ALWAYS
#define TO_PENDING   [STATUS_PENDING] = SWITCH_ALWAYS
#define TO_SENT      [STATUS_SENT] = SWITCH_ALWAYS
#define TO_DELIVERED [STATUS_DELIVERED] = SWITCH_ALWAYS
#define TO_TEMPORARY [STATUS_TEMPORARY_FAILURE] = SWITCH_ALWAYS
#define TO_PERMANENT [STATUS_PERMANENT_FAILURE] = SWITCH_ALWAYS
#define TO_TECHNICAL [STATUS_TECHNICAL_FAILURE] = SWITCH_ALWAYS
#define TO_CANCELLED [STATUS_CANCELLED] = SWITCH_ALWAYS
#define TO_RETURNED  [STATUS_RETURNED_LETTER] = SWITCH_LETTER

static const uint8_t status_table[STATUS_COUNT][STATUS_COUNT] = {
    [STATUS_CREATED] = { TO_SENDING, TO_PENDING, TO_SENT, TO_DELIVERED, TO_TEMPORARY, TO_PERMANENT, TO_TECHNICAL,
                         TO_CANCELLED },
    [STATUS_SENDING] = { TO_PENDING, TO_SENT, TO_DELIVERED, TO_TEMPORARY, TO_PERMANENT, TO_TECHNICAL, TO_RETURNED },
    [STATUS_PENDING] = { TO_DELIVERED, TO_TEMPORARY, TO_PERMANENT, TO_TECHNICAL },
    [STATUS_SENT] = { TO_DELIVERED, TO_TEMPORARY, TO_PERMANENT, TO_TECHNICAL },
    [STATUS_TEMPORARY_FAILURE] = { TO_DELIVERED, TO_PERMANENT, TO_TECHNICAL },
    [STATUS_TECHNICAL_FAILURE] = { TO_DELIVERED, TO_PERMANENT, TO_RETURNED },
    [STATUS_DELIVERED] = { [STATUS_PERMANENT_FAILURE] = SWITCH_EMAIL, TO_RETURNED },
    [STATUS_PENDING_VIRUS_CHECK] = { [STATUS_CREATED] = SWITCH_ALWAYS,
                                     [STATUS_VIRUS_SCAN_FAILED] = SWITCH_ALWAYS,
                                     [STATUS_VALIDATION_FAILED] = SWITCH_ALWAYS,
                                     TO_TECHNICAL,
                                     TO_CANCELLED },
};

/* The table in force: the built-in one with the configured switches over it. Written only before threads start. */
static uint8_t status_override[STATUS_COUNT][STATUS_COUNT]; /* 0 = not configured, else switch + 1 */

static enum status_switch status_switch_of(enum status from, enum status to)
{
    uint8_t configured = status_override[from][to];
    return configured ? (enum status_switch)(configured - 1) : (enum status_switch)status_table[from][to];
}

enum status_answer status_may_move(enum status from, enum status to, enum channel channel)
{
    assert(from < STATUS_COUNT && to < STATUS_COUNT);
    if (from == to)
        return STATUS_STAYS;
    switch (status_switch_of(from, to)) {
    case SWITCH_ALWAYS:
        return STATUS_MOVES;
    case SWITCH_EMAIL:
        return channel == CHANNEL_EMAIL ? STATUS_MOVES : STATUS_REFUSED;
    case SWITCH_LETTER:
        return channel == CHANNEL_LETTER ? STATUS_MOVES : STATUS_REFUSED;
    case SWITCH_NEVER:
        break;
    }
    return STATUS_REFUSED;
}

static bool word_of(const char *const *names, size_t count, struct str name, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] && names[i][0] && str_eq(name, str_of(names[i]))) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static enum err read_move(struct op *op, struct str move, struct str word, uint8_t **ret_at, uint8_t *ret_value)
{
    struct str rest = move;
    struct str from_name = str_cut(&rest, '.');
    enum status from, to;
    if (!status_of(from_name, &from) || !status_of(rest, &to))
        return fail(op, ERR_INVALID, "[status] %.*s names no move; write FROM.TO with two status names", STR(move));
    if (status_table[from][to] == SWITCH_NEVER)
        return fail(op, ERR_INVALID, "[status] %.*s: the table does not know this move, and moves cannot be added",
                    STR(move));
    size_t value;
    if (!word_of(switch_names, sizeof switch_names / sizeof *switch_names, word, &value))
        return fail(op, ERR_INVALID, "[status] %.*s: '%.*s' is none of never, email, letter, always", STR(move),
                    STR(word));
    *ret_at = &status_override[from][to];
    *ret_value = (uint8_t)(value + 1);
    return OK;
}

enum err status_check(struct op *op, struct str move, struct str word)
{
    uint8_t *at, value;
    return read_move(op, move, word, &at, &value);
}

enum err status_configure(struct op *op, struct str move, struct str word)
{
    uint8_t *at, value;
    TRY(read_move(op, move, word, &at, &value));
    *at = value;
    return OK;
}

void status_configure_none(void)
{
    memset(status_override, 0, sizeof status_override);
}

const char *status_name(enum status status)
{
    assert(status < STATUS_COUNT);
    return status_names[status];
}

const char *channel_name(enum channel channel)
{
    assert(channel > 0 && channel < CHANNEL_COUNT);
    return channel_names[channel];
}

const char *message_key_name(enum message_key key)
{
    assert(key > 0 && key < KEY_COUNT);
    return key_names[key];
}

bool status_of(struct str name, enum status *ret_status)
{
    size_t index;
    if (!word_of(status_names, STATUS_COUNT, name, &index))
        return false;
    *ret_status = (enum status)index;
    return true;
}

bool channel_of(struct str name, enum channel *ret_channel)
{
    size_t index;
    if (!word_of(channel_names, CHANNEL_COUNT, name, &index))
        return false;
    *ret_channel = (enum channel)index;
    return true;
}

bool message_key_of(struct str name, enum message_key *ret_key)
{
    size_t index;
    if (!word_of(key_names, KEY_COUNT, name, &index))
        return false;
    *ret_key = (enum message_key)index;
    return true;
}
