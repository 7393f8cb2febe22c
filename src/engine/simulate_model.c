/*
 * simulate_model.c - what happens to one recipient, thrown with his dice: every event, with its instant and its
 * client.
 */
#include "engine/simulate_own.h"
#include "engine/simulate_fact.h"

#include <assert.h>

/*
 * One recipient's life, thrown with his own dice. Offsets are microseconds of
 * model time since sending; life_at makes instants of them.
 */
struct life {
    const struct sim *sim;
    struct sim_dice dice;
    int64_t start_us;
    uint32_t no;
    struct sim_event *events;
    size_t count;
};

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define LAST   (24 * HOUR) /* nothing happens later, but a burst may run out */

/* Image proxies of people open this long after delivery, so that they are never "soon" (less than 10 s). */
#define PROXY_AFTER_US (15 * SECOND)

static int64_t life_at(const struct life *life, int64_t offset_us)
{
    return life->start_us + sim_compressed(life->sim, offset_us < LAST ? offset_us : LAST);
}

static struct sim_event *add(struct life *life, enum sim_type type, int64_t at_us)
{
    assert(life->count < SIM_EVENTS_MAX);
    struct sim_event *event = &life->events[life->count];
    *event = (struct sim_event){ .at_us = at_us, .no = life->no, .n = (uint8_t)life->count, .type = (uint8_t)type };
    life->count++;
    return event;
}

static void add_touch(struct life *life, enum sim_type type, int64_t at_us, int client, uint32_t link, bool machine)
{
    struct sim_event *event = add(life, type, at_us);
    event->client = (uint8_t)client;
    event->detail = (uint8_t)link;
    event->flags = machine ? SIM_MACHINE : 0;
}

/* A row of a failure table by its weight. */
static uint8_t throw_failure(struct life *life, enum sim_failure_table first, const struct sim_failure *table,
                             uint8_t count)
{
    uint32_t sum = 0;
    for (uint8_t i = 0; i < count; i++)
        sum += table[i].weight;
    uint32_t left = sim_dice_below(&life->dice, sum);
    uint8_t i = 0;
    while (left >= table[i].weight)
        left -= table[i++].weight;
    return (uint8_t)(first + i);
}

/* Temporary failures from *offset on; *offset becomes the time of the next attempt. */
static void live_attempts(struct life *life, int64_t *offset_us, int attempts)
{
    uint8_t detail = throw_failure(life, SIM_TEMPORARY, sim_temporary, sim_temporary_count);
    for (int i = 0; i < attempts; i++) {
        struct sim_event *event = add(life, SIM_DELAYED, life_at(life, *offset_us));
        event->detail = detail;
        event->attempt = (uint8_t)(i + 1);
        *offset_us += (i + 1) * sim_dice_between(&life->dice, 5 * MINUTE, 12 * MINUTE);
    }
}

static void live_failure(struct life *life, int64_t offset_us)
{
    bool rejected = sim_dice_share(&life->dice, 50000);
    uint8_t detail = rejected ? throw_failure(life, SIM_REJECTION, sim_rejection, sim_rejection_count)
                              : throw_failure(life, SIM_PERMANENT, sim_permanent, sim_permanent_count);
    add(life, rejected ? SIM_REJECTED : SIM_FAILED, life_at(life, offset_us))->detail = detail;
}

static uint32_t link_count(const struct life *life)
{
    const struct sim_posting *posting = sim_posting_of(life->sim, life->no);
    return posting && posting->link_count ? (uint32_t)posting->link_count : SIM_LINKS_MAX;
}

/* Which program opens for a person. One in eight reads through an image proxy, where that cannot be taken for a
 * scanner's; the choice moves no figure. */
static int throw_reader(struct life *life, int64_t delivered_at_us, int64_t at_us)
{
    int person = (int)sim_dice_below(&life->dice, SIM_PEOPLE_COUNT);
    int proxy = SIM_IMAGE_PROXY + (int)sim_dice_below(&life->dice, 2);
    bool proxied = sim_dice_share(&life->dice, 125000);
    return proxied && at_us - delivered_at_us >= PROXY_AFTER_US ? proxy : person;
}

/* A person's clicks: at most two different links, so that no speed makes a burst of them. */
static int64_t live_clicks(struct life *life, int64_t offset_us)
{
    static const uint32_t again_ppm[] = { 0, 300000, 250000, 100000 };
    int client = (int)sim_dice_below(&life->dice, SIM_NO_CLIENT_INFO);
    uint32_t links[2] = { sim_dice_below(&life->dice, link_count(life)),
                          sim_dice_below(&life->dice, link_count(life)) };
    for (int i = 0; i < 4; i++) {
        if (i && !sim_dice_share(&life->dice, again_ppm[i]))
            break;
        offset_us += sim_dice_lognormal(&life->dice, 40 * SECOND, 1000);
        add_touch(life, SIM_CLICKED, life_at(life, offset_us), client, links[i % 2], false);
    }
    return offset_us;
}

static void live_person(struct life *life, int64_t delivered_us)
{
    bool opens = sim_dice_share(&life->dice, 450000);
    bool again = sim_dice_share(&life->dice, 500000);
    /* 24 % of 45 % and 2.1818 % of 55 %: together 12 % of all, some of them with images switched off. */
    bool clicks = sim_dice_share(&life->dice, opens ? 240000 : 21818);
    bool unsubscribes = sim_dice_share(&life->dice, 2000);
    bool complains = sim_dice_share(&life->dice, 500);
    int64_t first_us = delivered_us + sim_dice_lognormal(&life->dice, 44 * MINUTE, 1100);
    int64_t delivered_at_us = life_at(life, delivered_us);
    int64_t last_us = first_us;

    if (opens)
        add_touch(life, SIM_OPENED, life_at(life, first_us),
                  throw_reader(life, delivered_at_us, life_at(life, first_us)), 0, false);
    if (clicks)
        last_us = live_clicks(life, first_us);
    if (unsubscribes) /* often the click itself: one instant and one id under two types */
        add(life, SIM_UNSUBSCRIBED, life_at(life, last_us));
    if (complains)
        add(life, SIM_COMPLAINED, life_at(life, last_us + sim_dice_between(&life->dice, 5 * SECOND, 30 * MINUTE)));
    if (opens && again) {
        int64_t left_us = first_us < LAST ? LAST - first_us : 0;
        int64_t at_us = life_at(life, first_us + left_us * sim_dice_between(&life->dice, 1, 1000) / 1000);
        add_touch(life, SIM_OPENED, at_us, throw_reader(life, delivered_at_us, at_us), 0, false);
    }
}

/* A security gateway: one open, then three to nine links at its own pace, which no compression changes. */
static void live_burst(struct life *life, int64_t at_us)
{
    int client = SIM_GATEWAY_BURST + (int)sim_dice_below(&life->dice, 2);
    uint32_t links = link_count(life);
    uint32_t first = sim_dice_below(&life->dice, links);
    uint32_t fetched = 3 + sim_dice_below(&life->dice, 7);
    int64_t gap_us = sim_dice_between(&life->dice, 20000, 130000); /* nine links within 1.2 s */
    int64_t click_us = at_us + sim_dice_between(&life->dice, 100000, 900000);

    /* The daily key of clients (LED-24) would make two of one: a burst does not run over midnight. */
    if (at_us / SIM_DAY_US != (click_us + 2 * SECOND) / SIM_DAY_US) {
        at_us += 5 * SECOND;
        click_us += 5 * SECOND;
    }
    add_touch(life, SIM_OPENED, at_us, client, 0, true);
    for (uint32_t i = 0; i < fetched && i < links; i++)
        add_touch(life, SIM_CLICKED, click_us + gap_us * i, client, (first + i) % links, true);
}

/* Machines that give themselves away by what they say, not by what they do. */
static void live_named_machine(struct life *life, int64_t at_us, int client, bool clicks)
{
    add_touch(life, SIM_OPENED, at_us, client, 0, true);
    if (clicks)
        add_touch(life, SIM_CLICKED, at_us + SECOND, client, sim_dice_below(&life->dice, link_count(life)), true);
}

/* The provider's own prefetch: an image proxy within 3 s of delivery, two weak signs that make one strong. */
static void live_prefetch(struct life *life, int64_t delivered_at_us)
{
    int client = SIM_IMAGE_PROXY + (int)sim_dice_below(&life->dice, 2);
    int64_t at_us = delivered_at_us + sim_dice_between(&life->dice, 200000, 3 * SECOND);
    add_touch(life, SIM_OPENED, at_us, client, 0, true);
}

static void live_scanner(struct life *life, int64_t delivered_us)
{
    int64_t at_us = life_at(life, delivered_us + sim_dice_lognormal(&life->dice, 40 * SECOND, 700));
    uint32_t kind = sim_dice_below(&life->dice, 100);
    bool clicks = sim_dice_share(&life->dice, 500000);
    bool can_burst = link_count(life) >= 3;

    if (kind < 40 && can_burst)
        live_burst(life, at_us);
    else if (kind < 60)
        live_named_machine(life, at_us, SIM_APPLE_NAMED, false);
    else if (kind < 75)
        live_named_machine(life, at_us, SIM_APPLE_UNNAMED, false);
    else if (kind < 85)
        live_named_machine(life, at_us, SIM_BOT, clicks);
    else if (kind < 93)
        live_named_machine(life, at_us, SIM_EMPTY_AGENT, clicks);
    else
        live_prefetch(life, life_at(life, delivered_us));
}

static void live_delivered(struct life *life, int64_t delivered_us)
{
    add(life, SIM_DELIVERED, life_at(life, delivered_us));
    live_person(life, delivered_us);
    if (sim_dice_share(&life->dice, 80000))
        live_scanner(life, delivered_us);
}

static void live(struct life *life)
{
    uint32_t fate = sim_dice_below(&life->dice, 1000000);
    int64_t offset_us = sim_dice_lognormal(&life->dice, 20 * SECOND, 1200);

    if (sim_posted_to(life->sim, life->no))
        add(life, SIM_ACCEPTED, life->start_us);
    if (fate < 969000) {
        if (sim_dice_share(&life->dice, 40000))
            live_attempts(life, &offset_us, 1 + (int)sim_dice_below(&life->dice, 3));
        live_delivered(life, offset_us);
    } else if (fate < 970000) { /* delivered, and back after all */
        live_delivered(life, offset_us);
        int64_t back_us = offset_us + sim_dice_between(&life->dice, 10 * MINUTE, 60 * MINUTE);
        add(life, SIM_FAILED, life_at(life, back_us))->detail =
            throw_failure(life, SIM_LATE_BOUNCE, sim_late_bounce, sim_late_bounce_count);
    } else if (fate < 989000) {
        if (sim_dice_share(&life->dice, 100000))
            live_attempts(life, &offset_us, 1 + (int)sim_dice_below(&life->dice, 3));
        live_failure(life, offset_us);
    } else if (fate < 999000) {
        live_attempts(life, &offset_us, 1 + (int)sim_dice_below(&life->dice, 4));
    } /* the rest stays silent */
}

/* Ids count per type and day, so that within these no two events share one. */
static void give_ids(struct life *life)
{
    for (size_t i = 0; i < life->count; i++) {
        struct sim_event *event = &life->events[i];
        struct str word = sim_type_word((enum sim_type)event->type);
        for (size_t k = 0; k < i; k++) {
            const struct sim_event *before = &life->events[k];
            if (before->at_us / SIM_DAY_US == event->at_us / SIM_DAY_US &&
                str_eq(word, sim_type_word((enum sim_type)before->type)))
                event->id_n++;
        }
    }
}

static bool twist_fits(const struct life *life, const struct sim_event *event, enum sim_twist twist)
{
    switch (twist) {
    case TWIST_NO_MESSAGE: /* rejections name their recipient nowhere else */
        return event->type != SIM_REJECTED && sim_reference(life->sim, life->no) != SIM_BY_MESSAGE_ID;
    case TWIST_VARIABLES_SENTENCE:
    case TWIST_OTHER_CASE:
        return !sim_posted_to(life->sim, life->no);
    case TWIST_NULL_STATUS:
        return event->type == SIM_DELIVERED;
    case TWIST_NONE:
    case TWIST_SEVEN_DECIMALS:
    case TWIST_TIME_AS_TEXT:
    case TWIST_MORE_FIELDS:
    case TWISTS:
        break;
    }
    return true;
}

/* Events in the first and last millisecond of the mailing are cut to it: see struct sim. */
static void cut_ends(const struct sim *sim, struct sim_event *event)
{
    int64_t ms = event->at_us / 1000;
    if (ms == sim->first_ms || ms == sim->last_ms)
        event->at_us = ms * 1000;
}

/* When the lists show the event, and in which shape: dice of its own, so that no share changes a figure. */
static void show(struct life *life, struct sim_event *event, struct sim_dice *dice)
{
    const struct sim_config *config = &life->sim->config;
    uint32_t hurry = sim_dice_below(dice, 1000);
    int64_t disorder_us = (int64_t)hurry * hurry * (SIM_LISTING_US / 1000000);
    bool late = sim_dice_share(dice, config->late_ppm);
    enum sim_twist twist = (enum sim_twist)sim_dice_below(dice, 16 * (TWISTS - 1));

    event->visible_at_us = event->at_us + sim_compressed(life->sim, late ? config->late_by_us : disorder_us);
    if (late)
        event->flags |= SIM_LATE | SIM_SLOW;
    if (twist < TWISTS && twist_fits(life, event, twist))
        event->twist = (uint8_t)twist;
}

/* The same item once more: at once, or some minutes later. */
static void show_again(struct life *life, const struct sim_event *event, struct sim_dice *dice)
{
    struct sim_event again = *event;
    bool later = sim_dice_share(dice, 500000);
    if (later) {
        again.visible_at_us += sim_compressed(life->sim, sim_dice_between(dice, 9 * SECOND, 10 * MINUTE));
        again.flags |= SIM_SLOW;
    }
    again.flags |= SIM_AGAIN;
    again.n = (uint8_t)life->count;
    life->events[life->count++] = again;
}

static void show_garbage(struct life *life, const struct sim_event *event, struct sim_dice *dice)
{
    struct sim_event garbage = *event;
    garbage.flags = (uint8_t)(SIM_GARBAGE | (event->flags & SIM_SLOW));
    garbage.twist = TWIST_NONE;
    garbage.detail = (uint8_t)sim_dice_below(dice, GARBAGE_KINDS);
    garbage.n = (uint8_t)life->count;
    life->events[life->count++] = garbage;
}

size_t sim_events(const struct sim *sim, uint32_t no, struct sim_event ret_events[SIM_EVENTS_MAX])
{
    const struct sim_posting *posting = sim_posting_of(sim, no);
    struct life life = {
        .sim = sim,
        .dice = sim_dice_of(sim->config.seed, DICE_LIFE, no, 0),
        .start_us = posting ? posting->start_us : sim->config.start_us,
        .no = no,
        .events = ret_events,
    };
    live(&life);
    give_ids(&life);

    size_t real = life.count;
    for (size_t i = 0; i < real; i++) {
        struct sim_dice dice = sim_dice_of(sim->config.seed, DICE_ITEM, no, i);
        struct sim_event *event = &ret_events[i];
        if (!posting)
            cut_ends(sim, event);
        show(&life, event, &dice);
        if (sim_dice_share(&dice, sim->config.duplicate_ppm))
            show_again(&life, event, &dice);
        if (sim_dice_share(&dice, sim->config.garbage_ppm))
            show_garbage(&life, event, &dice);
    }
    for (size_t i = 0; i < sim->issued_count; i++)
        if (sim->issued[i].no == no)
            ret_events[life.count++] = sim->issued[i];
    return life.count;
}

#define ISSUED_PER_RECIPIENT 16  /* so that SIM_EVENTS_MAX holds */
#define ISSUED_ID            128 /* ids of issued events count from here, far above those of a life */

enum err sim_issue(struct op *op, struct sim *sim, uint32_t no, enum sim_type type, int64_t at_us,
                   int64_t visible_at_us)
{
    struct sim_event events[SIM_EVENTS_MAX];
    uint8_t before = 0;
    if (no >= sim_recipients(sim))
        return fail_at(op, ERR_NOT_FOUND, "/recipient", "there are %u recipients", sim_recipients(sim));
    for (size_t i = 0; i < sim->issued_count; i++)
        before = (uint8_t)(before + (sim->issued[i].no == no));
    if (sim->issued_count == SIM_ISSUED_MAX || before == ISSUED_PER_RECIPIENT)
        return fail(op, ERR_TOO_LARGE, "at most %d events by hand, and %d of one recipient", SIM_ISSUED_MAX,
                    ISSUED_PER_RECIPIENT);

    struct sim_event event = { .at_us = at_us - at_us % 1000, .no = no, .type = (uint8_t)type };
    event.n = (uint8_t)sim_events(sim, no, events);
    event.id_n = (uint8_t)(ISSUED_ID + before);
    event.visible_at_us = visible_at_us > event.at_us ? visible_at_us : event.at_us;
    event.flags = event.visible_at_us > event.at_us ? SIM_SLOW : 0;
    event.attempt = 1;
    event.detail = type == SIM_DELAYED ? SIM_TEMPORARY : type == SIM_REJECTED ? SIM_REJECTION : SIM_PERMANENT;
    sim->issued[sim->issued_count++] = event;
    return sim_list_add_one(op, sim, &event);
}
