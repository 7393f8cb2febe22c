#include "store/ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

extern const struct family ahead_family;

#define SLOTS_MIN 256
#define UNKNOWN   (-1) /* count of an answer that was forgotten */

struct slot {
    struct ahead_key key; /* kind AHEAD_NOTHING: free */
    struct ahead_answer answer;
};

struct answers {
    struct slot *slots;
    size_t room, used; /* room is a power of two */
};

static struct slot *slot_of(const struct answers *answers, struct ahead_key key)
{
    uint64_t hash = ((uint64_t)key.a * 0x9E3779B97F4A7C15u ^ (uint64_t)key.b ^ key.kind) * 0xD6E8FEB86659FD93u;
    for (size_t i = hash >> 20;; i++) {
        struct slot *slot = &answers->slots[i & (answers->room - 1)];
        bool same = slot->key.kind == key.kind && slot->key.a == key.a && slot->key.b == key.b;
        if (same || slot->key.kind == AHEAD_NOTHING)
            return slot;
    }
}

static void answers_resize(struct answers *answers, size_t room)
{
    struct answers wider = { .room = room, .used = answers->used };
    wider.slots = calloc(room, sizeof *wider.slots);
    if (!wider.slots)
        abort();
    for (size_t i = 0; i < answers->room; i++)
        if (answers->slots[i].key.kind != AHEAD_NOTHING)
            *slot_of(&wider, answers->slots[i].key) = answers->slots[i];
    free(answers->slots);
    *answers = wider;
}

/* --- the family --- */

static enum err ahead_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct answers *answers = calloc(1, sizeof *answers);
    if (!answers)
        abort();
    answers_resize(answers, SLOTS_MIN);
    *ret_state = answers;
    return OK;
}

static void ahead_close(void *state)
{
    struct answers *answers = state;
    free(answers->slots);
    free(answers);
}

static void ahead_clear(void *state)
{
    struct answers *answers = state;
    if (answers->used > 0)
        memset(answers->slots, 0, answers->room * sizeof *answers->slots);
    answers->used = 0;
}

const struct family ahead_family = {
    .name = "answers read ahead",
    .open = ahead_open,
    .close = ahead_close,
    .kept = ahead_clear,
    .drop = ahead_clear,
};

/* --- the calls --- */

/* NULL where nothing is read ahead. */
static struct answers *answers_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &ahead_family) : NULL;
}

struct ahead_key ahead_text(const struct tx *tx, enum ahead_kind kind, uint32_t tenant_no, struct str text)
{
    struct hash128 hash = siphash128(siphash_key_from(tx_hash_key(tx)), text.p, text.n);
    struct ahead_key key = { .kind = kind };
    memcpy(&key.a, &hash, sizeof key.a);
    memcpy(&key.b, (const char *)&hash + sizeof key.a, sizeof key.b);
    key.b ^= tenant_no;
    return key;
}

bool ahead_find(struct tx *tx, struct ahead_key key, struct ahead_answer *ret_answer)
{
    struct answers *answers = answers_of(tx);
    if (!answers || answers->used == 0)
        return false;
    const struct slot *slot = slot_of(answers, key);
    if (slot->key.kind == AHEAD_NOTHING || slot->answer.count == UNKNOWN)
        return false;
    *ret_answer = slot->answer;
    return true;
}

void ahead_put(struct tx *tx, struct ahead_key key, struct ahead_answer answer)
{
    struct answers *answers = answers_of(tx);
    if (!answers)
        return;
    struct slot *slot = slot_of(answers, key);
    bool is_new = slot->key.kind == AHEAD_NOTHING;
    if (is_new && answers->used == AHEAD_MAX)
        return;
    *slot = (struct slot){ key, answer };
    answers->used += is_new;
    if (2 * answers->used > answers->room)
        answers_resize(answers, 2 * answers->room);
}

void ahead_forget(struct tx *tx, struct ahead_key key)
{
    struct answers *answers = answers_of(tx);
    struct slot *slot = answers && answers->used > 0 ? slot_of(answers, key) : NULL;
    if (slot && slot->key.kind != AHEAD_NOTHING)
        slot->answer.count = UNKNOWN;
}
