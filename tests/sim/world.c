#include "world.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/instant.h"
#include "engine/source_config.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

const char *const world_source_ids[2] = { "mg", "own" };

static const char *const zones[] = { "UTC",          "Europe/London",       "America/New_York",
                                     "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia" };

/* Days on which clocks are moved, and some on which nothing happens; 00:00Z. */
static const int64_t days[] = { 1648339200, 1667088000, 1709164800, 1700000000 / 86400 * 86400, 1735603200 };

static struct str chance_case(struct world *world, struct str text)
{
    struct str copy = arena_str(world->arena, text);
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        if (rng_chance(world->rng, 0.2))
            p[i] = (char)toupper((unsigned char)p[i]);
    return copy;
}

static struct str instant_of(struct world *world, int64_t at_us)
{
    char text[INSTANT_TEXT_BYTES];
    return arena_str(world->arena, instant_text(at_us, 3, text));
}

/* ------------------------------------------------------------------------------------------------------ messages */

static void put_text(struct buf *buf, const char *name, struct str value)
{
    if (str_given(value))
        buf_add_fmt(buf, ",\"%s\":\"%.*s\"", name, STR(value));
}

static void make_line(struct world *world, struct letter *letter, struct str sent_at, struct str provider_id)
{
    struct rng *rng = world->rng;
    struct buf buf;
    buf_init_arena(&buf, world->arena, 4096);
    buf_add_fmt(&buf, "{\"recipient\":\"%.*s\"", STR(chance_case(world, letter->address)));
    put_text(&buf, "id", letter->id);
    put_text(&buf, "provider_message_id", provider_id);
    put_text(&buf, "sent_at", sent_at);
    put_text(&buf, "created_at", instant_of(world, world->start_us - rng_between(rng, 0, 2 * DAY)));
    if (rng_chance(rng, 0.7))
        put_text(&buf, "member", arena_fmt(world->arena, "p%d", (int)rng_below(rng, 8)));
    if (rng_chance(rng, 0.2))
        put_text(&buf, "template", rng_chance(rng, 0.5) ? S("welcome") : S("digest"));
    if (letter->is_test)
        put_text(&buf, "key", S("test"));
    else if (rng_chance(rng, 0.1))
        put_text(&buf, "key", S("team"));
    if (letter->mailing < 0) {
        put_text(&buf, "tenant", world->tenant[letter->tenant]);
        put_text(&buf, "channel", S("email"));
    }
    buf_add_char(&buf, '}');
    letter->line = buf_str(&buf);
}

static void make_letter(struct world *world, int no)
{
    struct rng *rng = world->rng;
    struct letter *letter = &world->letters[no];
    struct str provider_id = { 0 }, sent_at = { 0 };
    *letter = (struct letter){ .mailing = (int)rng_below(rng, WORLD_MAILINGS + 1) - 1 };
    letter->tenant = letter->mailing < 0 ? (int)rng_below(rng, WORLD_TENANTS) : world->mailing_tenant[letter->mailing];
    letter->is_stranger = rng_chance(rng, 0.08);
    letter->is_test = rng_chance(rng, 0.06);
    /* In mailings an address may come again in another mailing, in a single message with another id. */
    int who = letter->is_stranger ? 1000 + no : letter->mailing < 0 ? (int)rng_below(rng, 12) : 100 + no;
    if (letter->mailing >= 0 && !letter->is_stranger && rng_chance(rng, 0.3)) {
        who = (int)rng_below(rng, 6);
        for (int i = 0; i < no; i++)
            if (world->letters[i].mailing == letter->mailing &&
                str_eq(world->letters[i].address, arena_fmt(world->arena, "ann%d@k.example", who)))
                who = 100 + no;
    }
    letter->address = arena_fmt(world->arena, "ann%d@k.example", who);
    if (letter->mailing < 0 || rng_chance(rng, 0.4))
        letter->id = arena_fmt(world->arena, "id-%d", no);
    if (rng_chance(rng, 0.7)) {
        letter->provider_id = arena_fmt(world->arena, "%d.wire@k.example", no);
        if (rng_chance(rng, 0.4))
            letter->provider_id_later = letter->provider_id;
        else
            provider_id = letter->provider_id;
    }
    if (rng_chance(rng, 0.6)) {
        sent_at = instant_of(world, world->start_us + rng_between(rng, 0, 3600 * SECOND));
        if (rng_chance(rng, 0.3)) {
            letter->sent_later = sent_at;
            sent_at = (struct str){ 0 };
        }
    }
    make_line(world, letter, sent_at, provider_id);
}

/* -------------------------------------------------------------------------------------------------------- events */

static enum event_kind chance_kind(struct rng *rng)
{
    static const enum event_kind kinds[] = { EVENT_SENDING,    EVENT_DELIVERED, EVENT_DELIVERED,  EVENT_FAILED,
                                             EVENT_DELAYED,    EVENT_DELAYED,   EVENT_GAVE_UP,    EVENT_REFUSED,
                                             EVENT_OPENED,     EVENT_OPENED,    EVENT_OPENED,     EVENT_CLICKED,
                                             EVENT_CLICKED,    EVENT_CLICKED,   EVENT_COMPLAINED, EVENT_UNSUBSCRIBED,
                                             EVENT_SUPPRESSED, EVENT_UNHANDLED, EVENT_MALFORMED };
    return kinds[rng_below(rng, sizeof kinds / sizeof *kinds)];
}

/* Under which of its references the provider speaks of a message; several at once, or only one. */
static void refer(struct world *world, const struct letter *letter, struct provider_event *event)
{
    struct rng *rng = world->rng;
    bool by_id = str_given(letter->id) && rng_chance(rng, 0.5);
    bool by_mailing = letter->mailing >= 0 && rng_chance(rng, 0.5);
    bool by_provider = str_given(letter->provider_id) && rng_chance(rng, 0.5);
    if (!by_id && !by_mailing && !by_provider) {
        by_mailing = letter->mailing >= 0;
        by_id = !by_mailing;
    }
    if (by_id)
        event->message = letter->id;
    if (by_mailing)
        event->mailing = world->mailing[letter->mailing];
    if (by_provider)
        event->provider_message_id = letter->provider_id;
    if (by_mailing || rng_chance(rng, 0.5)) {
        event->recipient = chance_case(world, letter->address);
        event->folded = letter->address;
    }
}

static void make_touch(struct world *world, struct provider_event *event)
{
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1" };
    static const char *const agents[] = { "Mozilla/5.0 (X11)", "Scanner/2" };
    struct rng *rng = world->rng;
    if (rng_chance(rng, 0.8)) {
        event->ip = str_of(addresses[rng_below(rng, 3)]);
        event->agent = str_of(agents[rng_below(rng, 2)]);
    }
    if (rng_chance(rng, 0.2))
        event->bits = rng_chance(rng, 0.5) ? BIT_AGENT : BIT_MAIL_PROXY;
    if (world->has_bursts && event->kind == EVENT_OPENED && rng_chance(rng, 0.3))
        event->bits |= BIT_IMAGE_PROXY;
    if (event->kind == EVENT_CLICKED && rng_chance(rng, 0.9))
        event->url = world->has_bursts ? arena_fmt(world->arena, "https://k.example/%d", (int)rng_below(rng, 5))
                                       : S("https://k.example/");
}

static void make_failure(struct world *world, struct provider_event *event)
{
    struct rng *rng = world->rng;
    event->code = rng_chance(rng, 0.3) ? EVENT_CODE_NONE : (int)rng_between(rng, 400, 560);
    if (rng_chance(rng, 0.6))
        event->enhanced = rng_chance(rng, 0.5) ? S("5.1.1") : S("4.2.2");
    event->text = arena_fmt(world->arena, "no luck %d", (int)rng_below(rng, 4));
    if (event->kind == EVENT_FAILED && rng_chance(rng, 0.5))
        event->suppress = SUPPRESS_BOUNCE;
}

/* Times crowd: around a delivery, within seconds, at the very same instant, and far away. */
static int64_t chance_time(struct world *world)
{
    struct rng *rng = world->rng;
    switch (rng_below(rng, 4)) {
    case 0:
        return world->start_us + 7200 * SECOND + rng_between(rng, 0, 10) * SECOND;
    case 1:
        return world->start_us + 7200 * SECOND + rng_between(rng, 0, 30 * SECOND);
    default:
        return rng_between(rng, world->start_us, world->end_us - 1);
    }
}

/* How many events of this kind the message has so far. */
static int nth_of_kind(const struct world *world, int letter_no, enum event_kind kind)
{
    int count = 0;
    for (int i = 0; i < world->told_count; i++)
        count += world->told[i].letter == letter_no && world->told[i].event.kind == kind;
    return count;
}

static void make_told(struct world *world, int letter_no)
{
    struct rng *rng = world->rng;
    const struct letter *letter = &world->letters[letter_no];
    struct told *told = &world->told[world->told_count];
    struct provider_event event = {
        .kind = chance_kind(rng), .at_us = chance_time(world), .is_reported = true, .code = EVENT_CODE_NONE
    };
    event.type = event_kind_name(event.kind);
    refer(world, letter, &event);
    /* Ids repeat between types and messages' days, never within one type (SRC-13); some events have none. */
    if (rng_chance(rng, 0.85))
        event.event_id = arena_fmt(world->arena, "%d-%d", letter_no, nth_of_kind(world, letter_no, event.kind));
    else
        event.at_us += world->told_count;
    if (event.kind == EVENT_MALFORMED) {
        event.reason = "no_time";
        event.raw = S("{\"event\":\"opened\"}");
    }
    if (event.kind == EVENT_OPENED || event.kind == EVENT_CLICKED)
        make_touch(world, &event);
    if (event.kind == EVENT_FAILED || event.kind == EVENT_DELAYED || event.kind == EVENT_GAVE_UP ||
        event.kind == EVENT_REFUSED)
        make_failure(world, &event);
    if (event.kind == EVENT_COMPLAINED)
        event.suppress = SUPPRESS_COMPLAINT;
    if (event.kind == EVENT_UNSUBSCRIBED)
        event.suppress = SUPPRESS_UNSUBSCRIBE;
    if (event.kind == EVENT_SUPPRESSED)
        event.suppress = (enum suppression_reason)rng_between(rng, SUPPRESS_BOUNCE, SUPPRESS_UNSUBSCRIBE);
    int source = rng_chance(rng, 0.25);
    if (source == 1 && letter->tenant != 0 && rng_chance(rng, 0.7))
        source = 0;
    *told = (struct told){ event, letter_no, source };
    world->told_count++;
}

static void make_life(struct world *world, int letter_no)
{
    int count = (int)rng_below(world->rng, 10);
    for (int i = 0; i < count && world->told_count < WORLD_EVENTS; i++)
        make_told(world, letter_no);
}

void world_make(struct world *world, struct rng *rng, struct arena *arena)
{
    *world = (struct world){ .rng = rng, .arena = arena };
    world->start_us = days[rng_below(rng, sizeof days / sizeof *days)] * SECOND - rng_between(rng, 0, DAY);
    world->end_us = world->start_us + rng_between(rng, 4 * 3600, 3 * 86400) * SECOND;
    world->has_bursts = rng_chance(rng, 0.5);
    for (int i = 0; i < WORLD_TENANTS; i++) {
        world->tenant[i] = arena_fmt(arena, "t%d", i);
        world->zone[i] = str_of(zones[rng_below(rng, sizeof zones / sizeof *zones)]);
    }
    for (int i = 0; i < WORLD_MAILINGS; i++) {
        world->mailing[i] = arena_fmt(arena, "m%d", i);
        world->mailing_tenant[i] = i % WORLD_TENANTS;
        world->mailing_tracks[i] = rng_chance(rng, 0.7);
    }
    world->letter_count = (int)rng_between(rng, 2, WORLD_LETTERS);
    for (int i = 0; i < world->letter_count; i++)
        make_letter(world, i);
    for (int i = 0; i < world->letter_count; i++)
        make_life(world, i);
}

/* -------------------------------------------------------------------------------------------------------- the store */

static enum err prepare_source(struct op *op, struct tx *tx, struct world *world, int i)
{
    struct source_row row;
    struct str tenant;
    bool created;
    struct str body = i == 0
                          ? S("{\"type\":\"mailgun\",\"domain\":\"k.example\",\"api_key\":\"k\",\"signing_key\":\"s\"}")
                          : S("{\"type\":\"mailgun\",\"domain\":\"k.example\",\"api_key\":\"k\",\"signing_key\":\"s\","
                              "\"tenant\":\"t0\"}");
    TRY(source_config_parse(op, str_of(world_source_ids[i]), body, NULL, &row, &tenant));
    TRY(source_put(op, tx, &row, tenant, &created));
    world->source_no[i] = row.no;
    return OK;
}

enum err world_prepare(struct op *op, struct tx *tx, void *arg)
{
    struct world *world = arg;
    for (int i = 0; i < WORLD_TENANTS; i++) {
        struct tenant tenant;
        struct tenant_put put = { .timezone = world->zone[i] };
        TRY(tenant_store(op, tx, world->tenant[i], &put, &tenant));
        world->tenant_no[i] = tenant.no;
    }
    for (int i = 0; i < WORLD_MAILINGS; i++) {
        struct mailing mailing;
        struct mailing_put put = { .tenant = world->tenant[world->mailing_tenant[i]],
                                   .track_opens = world->mailing_tracks[i],
                                   .track_clicks = true };
        TRY(mailing_store(op, tx, world->mailing[i], &put, &mailing));
    }
    for (int i = 0; i < 2; i++)
        TRY(prepare_source(op, tx, world, i));
    return OK;
}

/* ------------------------------------------------------------------------------------------------ counted by lives */

struct life {
    bool delivered, failed, delayed, opened, clicked, complained, unsubscribed;
};

static struct life life_of(const struct world *world, int letter_no)
{
    struct life life = { false };
    for (int i = 0; i < world->told_count; i++) {
        const struct told *told = &world->told[i];
        if (told->letter != letter_no || (told->source == 1 && world->letters[letter_no].tenant != 0))
            continue;
        enum event_kind kind = told->event.kind;
        life.delivered |= kind == EVENT_DELIVERED;
        life.failed |= kind == EVENT_FAILED || kind == EVENT_REFUSED;
        life.delayed |= kind == EVENT_DELAYED || kind == EVENT_GAVE_UP;
        life.opened |= kind == EVENT_OPENED;
        life.clicked |= kind == EVENT_CLICKED;
        life.complained |= kind == EVENT_COMPLAINED;
        life.unsubscribed |= kind == EVENT_UNSUBSCRIBED;
    }
    return life;
}

void world_figures(const struct world *world, int mailing, int64_t ret_figure[MAILING_FIGURES])
{
    memset(ret_figure, 0, MAILING_FIGURES * sizeof *ret_figure);
    for (int i = 0; i < world->letter_count; i++) {
        const struct letter *letter = &world->letters[i];
        if (letter->mailing != mailing || letter->is_stranger || letter->is_test)
            continue;
        struct life life = life_of(world, i);
        ret_figure[MAILING_MESSAGES]++;
        ret_figure[MAILING_DELIVERED] += life.delivered;
        ret_figure[MAILING_FAILED_PERMANENT] += life.failed;
        ret_figure[MAILING_FAILED_TEMPORARY] += life.delayed && !life.delivered && !life.failed;
        ret_figure[MAILING_OPENED] += life.opened;
        ret_figure[MAILING_CLICKED] += life.clicked;
        ret_figure[MAILING_COMPLAINED] += life.complained;
        ret_figure[MAILING_UNSUBSCRIBED] += life.unsubscribed;
    }
}
