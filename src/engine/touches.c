#include "engine/touches.h"

#include <string.h>

#include "base/day.h"
#include "base/instant.h"
#include "base/siphash.h"
#include "engine/link_figures.h"
#include "store/block.h"
#include "store/store_client_key.h"
#include "store/store_touch.h"

static size_t touch_count(const struct message_engagement *engagement)
{
    return (size_t)engagement->open_human + engagement->open_machine + engagement->click_human +
           engagement->click_machine;
}

uint16_t *touches_class_counter(struct message_engagement *engagement, enum touch_kind kind, uint32_t bits)
{
    bool machine = classify_is_machine(bits);
    if (kind == TOUCH_OPEN)
        return machine ? &engagement->open_machine : &engagement->open_human;
    if (kind == TOUCH_CLICK)
        return machine ? &engagement->click_machine : &engagement->click_human;
    return NULL;
}

static void count_class(struct message_engagement *engagement, enum touch_kind kind, uint32_t bits, int by)
{
    uint16_t *counter = touches_class_counter(engagement, kind, bits);
    if (counter)
        *counter = (uint16_t)(*counter + by);
}

enum err touches_read(struct op *op, struct tx *tx, uint64_t seq, struct touch **ret, size_t *ret_count)
{
    size_t room = 4, count = 0; /* most messages have few */
    struct touch *touches;
    TRY(op_alloc(op, room * sizeof *touches, &touches));
    while (seq) {
        struct touch_row row;
        TRY(store_touch_get(op, tx, seq, &row));
        if (count == room) {
            struct touch *wider;
            TRY(op_alloc(op, 2 * room * sizeof *wider, &wider));
            memcpy(wider, touches, count * sizeof *touches);
            touches = wider;
            room *= 2;
        }
        touches[count++] = (struct touch){ .seq = row.seq,
                                           .kind = (enum touch_kind)row.kind,
                                           .at_us = row.at_us,
                                           .link_no = row.link_no,
                                           .version = row.version,
                                           .repeats = row.repeats,
                                           .bits = row.bits,
                                           .client = row.client };
        seq = row.prev;
    }
    *ret = touches;
    *ret_count = count;
    return OK;
}

enum err touches_reclassify(struct op *op, struct subject *subject)
{
    subject->reclassify = false;
    struct touch *touches;
    size_t count;
    TRY(touches_read(op, subject->tx, subject->engagement->touch_last, &touches, &count));
    if (count == 0)
        return OK;

    uint32_t *bits_before;
    TRY(op_alloc(op, count * sizeof *bits_before, &bits_before));
    for (size_t i = 0; i < count; i++)
        bits_before[i] = touches[i].bits;
    if (classify_touches(touches, count, subject_soon_base(subject)) == 0)
        return OK;

    struct message_engagement *engagement = subject->engagement;
    for (size_t i = 0; i < count; i++) {
        if (touches[i].bits == bits_before[i])
            continue;
        TRY(store_touch_set_bits(op, subject->tx, touches[i].seq, touches[i].bits));
        count_class(engagement, touches[i].kind, bits_before[i], -1);
        count_class(engagement, touches[i].kind, touches[i].bits, 1);
    }
    store_block_dirty(subject->tx, BLOCK_MESSAGE_ENGAGEMENT, subject->no);
    return link_figures_move(op, subject->tx, touches, count, bits_before);
}

/* Whether the message clicked this link before: only clicks are looked at, and only when there are any. */
static enum err clicked_before(struct op *op, const struct subject *subject, uint32_t link_no, bool *ret_before)
{
    *ret_before = false;
    const struct message_engagement *engagement = subject->engagement;
    if (engagement->click_human + engagement->click_machine == 0)
        return OK;
    struct touch *touches;
    size_t count;
    TRY(touches_read(op, subject->tx, engagement->touch_last, &touches, &count));
    for (size_t i = 0; i < count && !*ret_before; i++)
        *ret_before = touches[i].kind == TOUCH_CLICK && touches[i].link_no == link_no;
    return OK;
}

enum err touches_add(struct op *op, struct subject *subject, struct touch *touch, bool *ret_first_of_link)
{
    struct message_engagement *engagement = subject->engagement;
    bool clicked = false;
    if (touch->kind == TOUCH_CLICK)
        TRY(clicked_before(op, subject, touch->link_no, &clicked));
    *ret_first_of_link = !clicked;
    if (touch_count(engagement) >= TOUCHES_PER_MESSAGE_MAX)
        return OK;

    int64_t base_us = subject_soon_base(subject);
    if (base_us != INT64_MIN && touch->at_us < base_us + SOON_US)
        touch->bits |= BIT_SOON;
    struct touch_row row = { .message_no = subject->no,
                             .prev = engagement->touch_last,
                             .at_us = touch->at_us,
                             .kind = touch->kind,
                             .link_no = touch->link_no,
                             .bits = touch->bits,
                             .client = touch->client };
    TRY(store_touch_add(op, subject->tx, &row));
    engagement->touch_last = row.seq;
    count_class(engagement, touch->kind, touch->bits, 1);

    /* Only clicks make bursts, so opens alone never need a second look. */
    int clicks = engagement->click_human + engagement->click_machine;
    subject->reclassify |= clicks >= BURST_LINKS;
    store_block_dirty(subject->tx, BLOCK_MESSAGE_ENGAGEMENT, subject->no);
    return OK;
}

int64_t touches_client_of(const uint8_t key[16], struct str ip, struct str agent)
{
    if (!str_given(ip))
        return 0;
    struct siphash hash;
    siphash_init64(&hash, siphash_key_from(key));
    siphash_add_str(&hash, ip);
    siphash_add_str(&hash, agent);
    int64_t client = (int64_t)siphash_end64(&hash);
    return client ? client : 1;
}

enum err touches_client(struct op *op, struct tx *tx, struct str ip, struct str agent, int64_t at_us,
                        int64_t *ret_client)
{
    *ret_client = 0;
    if (!str_given(ip))
        return OK;
    uint8_t key[SIPHASH_KEY_BYTES];
    TRY(store_client_key(op, tx, (int32_t)(at_us / 86400000000), key));
    *ret_client = touches_client_of(key, ip, agent);
    return OK;
}
