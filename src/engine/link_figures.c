#include "engine/link_figures.h"

#include <assert.h>

#include "store/block.h"
#include "store/store_link.h"

/* What one message says of one link; each 0 or 1. */
struct said {
    int members, human, machine;
};

static void say(struct said *said, uint32_t bits)
{
    bool machine = classify_is_machine(bits);
    said->members = 1;
    said->human |= !machine;
    said->machine |= machine;
}

static bool is_tracked(const struct touch *touch)
{
    return touch->kind == TOUCH_CLICK && touch->version > 0;
}

static bool named_before(const struct touch *touches, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (touches[i].link_no == touches[at].link_no && is_tracked(&touches[i]))
            return true;
    return false;
}

static void move(uint32_t *figure, int before, int after)
{
    assert(after >= before || *figure > 0);
    *figure += (uint32_t)(after - before);
}

static void move_all(uint32_t *members, uint32_t *human, uint32_t *machine, const struct said *before,
                     const struct said *after)
{
    move(members, before->members, after->members);
    move(human, before->human, after->human);
    move(machine, before->machine, after->machine);
}

static enum err link_move(struct op *op, struct tx *tx, const struct touch *touches, size_t count,
                          const uint32_t *bits_before, uint32_t link_no)
{
    struct link_state *state;
    struct said before = { 0 }, after = { 0 }, all_before = { 0 }, all_after = { 0 };
    TRY(store_block_edit_alone(op, tx, BLOCK_LINK, link_no, &state));
    for (size_t i = 0; i < count; i++) {
        if (touches[i].link_no != link_no || !is_tracked(&touches[i]))
            continue;
        bool now = touches[i].version == state->version;
        say(&all_after, touches[i].bits);
        if (now)
            say(&after, touches[i].bits);
        if (bits_before[i] == BITS_NEW) {
            state->all_clicks++;
            state->clicks += now;
            continue;
        }
        say(&all_before, bits_before[i]);
        if (now)
            say(&before, bits_before[i]);
    }
    move_all(&state->members, &state->human, &state->machine, &before, &after);
    move_all(&state->all_members, &state->all_human, &state->all_machine, &all_before, &all_after);
    return OK;
}

/* Where no touch of a link changed its figures stand, and its record need not be looked at. */
static bool link_changed(const struct touch *touches, size_t count, const uint32_t *bits_before, uint32_t link_no)
{
    for (size_t i = 0; i < count; i++)
        if (touches[i].link_no == link_no && touches[i].bits != bits_before[i])
            return true;
    return false;
}

enum err link_figures_move(struct op *op, struct tx *tx, const struct touch *touches, size_t count,
                           const uint32_t *bits_before)
{
    for (size_t i = 0; i < count; i++)
        if (is_tracked(&touches[i]) && !named_before(touches, i) &&
            link_changed(touches, count, bits_before, touches[i].link_no))
            TRY(link_move(op, tx, touches, count, bits_before, touches[i].link_no));
    return OK;
}

enum err link_figures_repeat(struct op *op, struct tx *tx, uint32_t link_no, uint32_t version)
{
    struct link_state *state;
    TRY(store_block_edit_alone(op, tx, BLOCK_LINK, link_no, &state));
    state->all_clicks++;
    state->clicks += version == state->version;
    return OK;
}
