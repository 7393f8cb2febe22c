/*
 * sim_click.c - every click that was answered is counted exactly once (LNK-11, LNK-12, LNK-42).
 *
 * A node gives clicks their numbers and stores them as serve/click_line.c does:
 * by the writer while that works, else, or always where the spool is the
 * journal, in a real spool file from which they are stored later. Disks refuse, commits are lost, known too late or
 * never, processes die between any two steps. People double-click and come back, scanners fetch all links of a mail or
 * a hidden one, browsers prefetch, destinations change while clicks are on their way, deliveries become known long
 * after. In the end every figure must be what the clicks themselves say when all of them are looked at together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/zone.h"
#include "engine/classify.h"
#include "engine/click.h"
#include "engine/import.h"
#include "engine/ledger.h"
#include "engine/links.h"
#include "engine/tenants.h"
#include "machine.h"
#include "store/block.h"
#include "store/spool.h"
#include "store/store_click.h"
#include "store/store_member.h"
#include "store/store_message.h"
#include "store/tally.h"

#define SECOND        INT64_C(1000000)
#define HOUR          (3600 * SECOND)
#define START_US      (INT64_C(1710000000) * SECOND)
#define MAILINGS      2
#define MEMBERS       8
#define TEST_MEMBER   6 /* his messages are tests */
#define BUSY_MEMBER   7 /* clicks one link without end */
#define MESSAGES      (MAILINGS * MEMBERS)
#define VISITORS      6
#define CLICKERS      (MESSAGES + VISITORS)
#define LINKS_MAILING 5 /* the last one is hidden */
#define LINKS_FREE    4 /* of no mailing */
#define LINKS         (MAILINGS * LINKS_MAILING + LINKS_FREE)
#define CLICKS_MAX    4000
#define PLACES        4096 /* of the spool */
#define BATCHES_MAX   4
#define BATCH_CLICKS  16
#define TOUCHES_EXACT 56 /* of one clicker; beyond it alike ones are counted together */

struct said {
    struct click click;
    int clicker, link;
    bool is_answered;
};

struct clicker {
    uint64_t message_no;
    uint32_t member_no;
    int mailing; /* -1: a visitor */
    int touches;
    int64_t sent_us, delivered_us; /* 0: not known */
};

struct batch {
    struct command command; /* first */
    uint64_t after, first;
    size_t count;
};

struct change {
    struct command command; /* first */
    int which;
    struct str url;
    struct provider_event event;
    enum event_result result;
    struct link link;
    bool made;
};

static struct plan {
    struct machine machine;
    struct rng rng;
    struct arena *arena; /* of the seed */
    uint32_t tenant_no, mailing_no[MAILINGS];
    struct link links[LINKS];
    struct clicker clickers[CLICKERS];

    /* The node: clicks by number, [1, newest]. */
    struct said *said;
    uint64_t newest, stored;
    bool journal; /* new clicks always go to the spool */
    bool in_spool;
    uint64_t kept; /* clicks up to this number are in the spool; those above `stored` are still to be stored */
    char spool_path[96];
    struct spool *spool;
    struct batch batches[BATCHES_MAX];
    int crashes; /* that the node knows of */
    int64_t spooled, replayed;
} plan;

/* -------------------------------------------------------------------------------------------------------- the world */

static enum err add_mailing(struct op *op, struct tx *tx, int m)
{
    struct mailing mailing;
    struct import_line lines[MEMBERS];
    struct mailing_put put = { .tenant = S("acme"), .track_clicks = true };
    TRY(mailing_store(op, tx, arena_fmt(op->arena, "m%d", m), &put, &mailing));
    plan.mailing_no[m] = mailing.no;
    for (int i = 0; i < MEMBERS; i++) {
        struct clicker *who = &plan.clickers[m * MEMBERS + i];
        struct str sent = S(""), test = i == TEST_MEMBER ? S(",\"key\":\"test\"") : S("");
        if (rng_chance(&plan.rng, 0.5)) {
            int minute = (int)rng_below(&plan.rng, 60);
            who->sent_us = START_US + minute * 60 * SECOND;
            sent = arena_fmt(op->arena, ",\"sent_at\":\"2024-03-09T16:%02d:00Z\"", minute);
        }
        struct str text = arena_fmt(op->arena, "{\"recipient\":\"p%d@x.example\",\"member\":\"p%d\"%.*s%.*s}", i, i,
                                    STR(sent), STR(test));
        struct json_line line = { i + 1, text, false };
        import_line_parse(op, IMPORT_MAILING, &line, &lines[i]);
    }
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .lines = lines, .count = MEMBERS, .mailing = mailing.id };
    TRY(import_apply(op, tx, &chunk));
    return chunk.accepted == MEMBERS ? OK : fail(op, ERR_BUG, "messages were not accepted");
}

static enum err find_clickers(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < CLICKERS; i++) {
        struct clicker *who = &plan.clickers[i];
        struct member member;
        who->mailing = i < MESSAGES ? i / MEMBERS : -1;
        if (i >= MESSAGES)
            continue;
        TRY(store_member_get(op, tx, plan.tenant_no, arena_fmt(op->arena, "p%d", i % MEMBERS), &member));
        who->member_no = member.no;
        TRY(store_message_find_member(op, tx, plan.mailing_no[who->mailing], member.no, &who->message_no));
    }
    return OK;
}

static int mailing_of(int link)
{
    return link < MAILINGS * LINKS_MAILING ? link / LINKS_MAILING : -1;
}

static bool is_hidden(int link)
{
    return mailing_of(link) >= 0 && link % LINKS_MAILING == LINKS_MAILING - 1;
}

static enum err put_link(struct op *op, struct tx *tx, int i, struct str url, struct link *ret)
{
    bool made;
    struct link_put put = { .url = url, .tenant = S("acme"), .honeypot = is_hidden(i) };
    if (mailing_of(i) >= 0)
        put.mailing = arena_fmt(op->arena, "m%d", mailing_of(i));
    return link_store(op, tx, arena_fmt(op->arena, "link%d", i), &put, 0, ret, &made);
}

static enum err prepare(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant;
    struct tenant_put put = { .timezone = S("Europe/London") };
    TRY(tenant_store(op, tx, S("acme"), &put, &tenant));
    plan.tenant_no = tenant.no;
    for (int m = 0; m < MAILINGS; m++)
        TRY(add_mailing(op, tx, m));
    for (int i = 0; i < LINKS; i++)
        TRY(put_link(op, tx, i, S("https://x.example/0"), &plan.links[i]));
    return OK;
}

/* --------------------------------------------------------------------------------------------------------- the node */

static enum err read_mark(struct op *op, struct tx *tx, void *arg)
{
    return store_click_mark(op, tx, S("sim"), arg);
}

static void answer(uint64_t first, uint64_t last)
{
    for (uint64_t no = first; no <= last; no++)
        plan.said[no].is_answered = true;
}

/* The newest number in the file. What is not stored yet must be there without a hole; before it may stand what was
 * stored meanwhile. */
static uint64_t newest_of_spool(size_t count)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < count; i++) {
        struct click click;
        SIM_OK(&plan.machine.op, spool_read(&plan.machine.op, plan.spool, i, &click, sizeof click));
        uint64_t before = newest > plan.stored ? newest : plan.stored;
        SIM_YES(click.number > newest && click.number <= before + 1, "the spool has a hole before %llu",
                (unsigned long long)click.number);
        SIM_YES(memcmp(&click, &plan.said[click.number].click, sizeof click) == 0, "the spool has another click %llu",
                (unsigned long long)click.number);
        newest = click.number;
    }
    return newest;
}

/* The front of the spool that is stored is given up, in RAM only: a new process sees it again. */
static void drop_stored(void)
{
    struct click click;
    while (spool_count(plan.spool) > 0) {
        SIM_OK(&plan.machine.op, spool_read(&plan.machine.op, plan.spool, 0, &click, sizeof click));
        if (click.number > plan.stored)
            break;
        spool_drop(plan.spool, 1);
    }
}

/* A process begins: what it knows is in the store and in the spool. A number above both was never answered. */
static void node_begin(void)
{
    struct machine *machine = &plan.machine;
    size_t count;
    bool was_calm = machine->is_calm;
    machine->is_calm = true;
    arena_reset(machine->arena);
    spool_close(plan.spool);
    plan.spool = NULL;
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, read_mark, &plan.stored));
    SIM_OK(&machine->op, spool_open(&machine->op, plan.spool_path, S("sim"), PLACES, &plan.spool, &count));
    machine->is_calm = was_calm;
    plan.kept = newest_of_spool(count);
    drop_stored();
    uint64_t newest = plan.kept > plan.stored ? plan.kept : plan.stored;
    for (uint64_t no = newest + 1; no <= plan.newest; no++) {
        SIM_YES(!plan.said[no].is_answered, "click %llu was answered and is nowhere", (unsigned long long)no);
        plan.clickers[plan.said[no].clicker].touches--;
    }
    plan.newest = newest;
    plan.in_spool = plan.kept > plan.stored;
    plan.crashes = machine->crashes;
}

/* True when the process died since it was last asked; then it has begun again. */
static bool node_died(void)
{
    if (plan.machine.crashes == plan.crashes)
        return false;
    node_begin();
    return true;
}

static bool dies_here(double chance)
{
    if (plan.machine.is_calm || !rng_chance(&plan.rng, chance))
        return false;
    machine_kill(&plan.machine);
    return node_died();
}

static enum err run_batch(struct op *op, struct tx *tx, struct command *command)
{
    const struct batch *batch = (const struct batch *)(void *)command;
    struct click clicks[BATCHES_MAX * BATCH_CLICKS];
    for (size_t i = 0; i < batch->count; i++)
        clicks[i] = plan.said[batch->first + i].click;
    return click_apply_all(op, tx, S("sim"), batch->after, clicks, batch->count);
}

static void batch_send(struct batch *batch, uint64_t after, uint64_t first, size_t count)
{
    batch->command.run = run_batch;
    batch->after = after;
    batch->first = first;
    batch->count = count;
    machine_send(&plan.machine, &batch->command);
}

/* Clicks up to the newest go to the spool and are answered when it is synced; false when the process died. */
static bool spool_rest(void)
{
    struct op *op = &plan.machine.op;
    uint64_t first = plan.kept > plan.stored ? plan.kept + 1 : plan.stored + 1, last = plan.newest;
    plan.in_spool = true;
    for (uint64_t no = first; no <= last; no++)
        SIM_OK(op, spool_append(op, plan.spool, &plan.said[no].click, sizeof(struct click)));
    if (dies_here(0.02))
        return false;
    SIM_OK(op, spool_sync(op, plan.spool));
    plan.kept = last > plan.kept ? last : plan.kept;
    plan.spooled += (int64_t)(last + 1 - first);
    if (dies_here(0.02))
        return false;
    answer(first, last);
    return true;
}

/* What the writer made of the batches, in order. */
static void settle_batches(int count)
{
    for (int i = 0; i < count; i++) {
        struct batch *batch = &plan.batches[i];
        SIM_YES(batch->command.is_answered, "the writer lost clicks");
        enum err err = batch->command.post.err;
        SIM_YES(err == OK || err == ERR_UNAVAILABLE, "clicks ended with %s: %s", err_name(err),
                batch->command.post.op.error);
        if (err != OK)
            continue;
        uint64_t last = batch->first + batch->count - 1;
        SIM_YES(batch->after == plan.stored, "clicks were stored behind a hole");
        plan.stored = last;
        if (dies_here(0.01))
            return;
        answer(batch->first, last);
    }
    if (plan.stored < plan.newest && !plan.in_spool)
        spool_rest();
}

/* Everything above `stored` was said in this turn: in batches to the writer, which may be slow. */
static void store_new(void)
{
    int count = 0;
    uint64_t next = plan.stored + 1, after = plan.stored;
    for (; next <= plan.newest && count < BATCHES_MAX;) {
        uint64_t left = plan.newest + 1 - next;
        size_t n = count + 1 == BATCHES_MAX ? (size_t)left : (size_t)rng_between(&plan.rng, 1, BATCH_CLICKS);
        n = n < left ? n : (size_t)left;
        batch_send(&plan.batches[count++], after, next, n);
        next += n;
        after = next - 1;
        if (rng_chance(&plan.rng, 0.3)) /* a group of its own: the next is sent before its outcome is known */
            machine_turn(&plan.machine);
        if (node_died())
            return;
    }
    if (rng_chance(&plan.rng, 0.1) && !spool_rest()) /* the commit is not back after a second */
        return;
    machine_turn(&plan.machine);
    if (!node_died())
        settle_batches(count);
}

/* Stores the next ones of the spool; what was stored by a commit nobody heard of is not stored again. */
static void replay(void)
{
    struct machine *machine = &plan.machine;
    if (plan.stored < plan.kept) {
        uint64_t left = plan.kept - plan.stored;
        size_t n = (size_t)rng_between(&plan.rng, 1, 40);
        n = n < left ? n : (size_t)left;
        batch_send(&plan.batches[0], plan.stored, plan.stored + 1, n);
        machine_turn(machine);
        if (node_died() || plan.batches[0].command.post.err != OK)
            return;
        plan.stored += n;
        plan.replayed += (int64_t)n;
        drop_stored();
    }
    bool goes_on = plan.journal && !plan.machine.is_calm && rng_chance(&plan.rng, 0.8); /* it is not idle for long */
    if (plan.stored < plan.kept || goes_on || dies_here(0.02))
        return;
    SIM_OK(&machine->op, spool_clear(&machine->op, plan.spool));
    plan.kept = 0;
    plan.in_spool = false;
}

static void node_turn(void)
{
    if (!plan.in_spool && !plan.journal)
        store_new();
    else if (plan.newest > plan.kept && plan.newest > plan.stored)
        spool_rest();
    for (int i = 0; i < 8 && plan.in_spool && (plan.machine.is_calm || rng_chance(&plan.rng, 0.4)); i++)
        replay();
}

/* ------------------------------------------------------------------------------------------------- what people do */

static void say(int clicker, int link, int64_t at_us, int64_t client, uint32_t bits)
{
    struct clicker *who = &plan.clickers[clicker];
    const struct link *to = &plan.links[link];
    if (plan.newest + 1 >= CLICKS_MAX || (who->touches >= TOUCHES_EXACT && clicker % MEMBERS != BUSY_MEMBER))
        return;
    struct said *said = &plan.said[++plan.newest];
    memset(said, 0, sizeof *said);
    said->clicker = clicker;
    said->link = link;
    bool late = to->version > 1 && rng_chance(&plan.rng, 0.2); /* on its way when the destination changed */
    said->click.number = plan.newest;
    said->click.at_us = at_us;
    said->click.message_no = who->message_no;
    said->click.visitor_hash = who->message_no ? 0 : 1000 + clicker;
    said->click.client = client;
    said->click.link_no = to->no;
    said->click.version = to->version - late;
    said->click.tenant_no = plan.tenant_no;
    said->click.mailing_no = to->mailing_no;
    said->click.member_no = who->member_no;
    said->click.bits = (uint16_t)bits;
    said->click.flags = (uint16_t)((to->honeypot ? CLICK_HONEYPOT : 0) |
                                   (clicker < MESSAGES && clicker % MEMBERS == TEST_MEMBER ? CLICK_TEST : 0));
    who->touches++;
}

/* A link of the clicker's mailing, or of none; hidden ones on demand. */
static int any_link(int clicker)
{
    if (clicker >= MESSAGES)
        return MAILINGS * LINKS_MAILING + (int)rng_below(&plan.rng, LINKS_FREE);
    return clicker / MEMBERS * LINKS_MAILING + (int)rng_below(&plan.rng, LINKS_MAILING - 1);
}

static void scan(int clicker, int64_t client)
{
    int64_t at_us = plan.machine.now_us;
    int fetched = (int)rng_between(&plan.rng, 2, 8);
    for (int i = 0; i < fetched; i++)
        say(clicker, any_link(clicker), at_us + rng_between(&plan.rng, 0, 22) * SECOND / 10, client, 0);
}

static void come(void)
{
    int clicker = (int)rng_below(&plan.rng, CLICKERS);
    int64_t client = rng_chance(&plan.rng, 0.05) ? 0 : 100 + clicker * 3 + (int64_t)rng_below(&plan.rng, 3);
    int64_t at_us = plan.machine.now_us;
    bool is_busy = clicker < MESSAGES && clicker % MEMBERS == BUSY_MEMBER;
    double how = rng_unit(&plan.rng);
    if (is_busy) {
        for (int i = 0; i < 12; i++)
            say(clicker, clicker / MEMBERS * LINKS_MAILING, at_us + i, 100,
                rng_chance(&plan.rng, 0.1) ? BIT_METHOD : 0);
    } else if (how < 0.2) {
        scan(clicker, client);
    } else if (how < 0.28 && clicker < MESSAGES) {
        say(clicker, clicker / MEMBERS * LINKS_MAILING + LINKS_MAILING - 1, at_us, client, 0);
    } else if (how < 0.38) {
        say(clicker, any_link(clicker), at_us, client, BIT_METHOD);
    } else if (how < 0.5) {
        say(clicker, any_link(clicker), at_us, client, BIT_PROBE);
    } else {
        int link = any_link(clicker);
        for (int i = rng_chance(&plan.rng, 0.3) ? 2 : 1; i > 0; i--)
            say(clicker, link, at_us, client, 0);
    }
}

static enum err run_edit(struct op *op, struct tx *tx, struct command *command)
{
    struct change *change = (struct change *)(void *)command;
    return put_link(op, tx, change->which, change->url, &change->link);
}

static enum err run_delivery(struct op *op, struct tx *tx, struct command *command)
{
    struct change *change = (struct change *)(void *)command;
    struct provider_event event = change->event;
    provider_event_key(&event, tx_hash_key(tx), S("mg"));
    return ledger_apply(op, tx, S("mg"), 1, plan.tenant_no, &event, &change->result);
}

/* Until it is answered, with whatever dies meanwhile. */
static void change_run(struct change *change)
{
    machine_run_one(&plan.machine, &change->command);
    node_died();
}

static void edit(void)
{
    struct change change = { .command.run = run_edit, .which = (int)rng_below(&plan.rng, LINKS) };
    change.url = rng_chance(&plan.rng, 0.5) ? S("https://x.example/0") : S("https://x.example/1");
    change_run(&change);
    plan.links[change.which].version = change.link.version;
}

static void deliver(void)
{
    int i = (int)rng_below(&plan.rng, MESSAGES);
    struct clicker *who = &plan.clickers[i];
    int64_t before_us = rng_chance(&plan.rng, 0.6) ? rng_between(&plan.rng, -2, 15) * SECOND : HOUR;
    struct change change = { .command.run = run_delivery,
                             .event = { .kind = EVENT_DELIVERED,
                                        .type = "delivered",
                                        .at_us = plan.machine.now_us - before_us,
                                        .event_id =
                                            arena_fmt(plan.arena, "d%llu", (unsigned long long)rng_next(&plan.rng)),
                                        .mailing = who->mailing ? S("m1") : S("m0"),
                                        .recipient = arena_fmt(plan.arena, "p%d@x.example", i % MEMBERS),
                                        .code = EVENT_CODE_NONE } };
    change_run(&change);
    SIM_YES(change.result == RESULT_APPLIED || change.result == RESULT_DUPLICATE || change.result == RESULT_UNCHANGED,
            "a delivery was not applied: %d", change.result);
    if (!who->delivered_us || who->delivered_us > change.event.at_us)
        who->delivered_us = change.event.at_us;
}

static void move_clock(void)
{
    double how = rng_unit(&plan.rng);
    if (how < 0.02)
        plan.machine.now_us += rng_chance(&plan.rng, 0.5) ? HOUR : -HOUR;
    plan.machine.now_us += how < 0.9 ? rng_between(&plan.rng, 0, 3 * SECOND) : rng_between(&plan.rng, 0, 6 * HOUR);
}

static void live(void)
{
    int turns = (int)rng_between(&plan.rng, 40, 160);
    for (int i = 0; i < turns; i++) {
        move_clock();
        for (int n = (int)rng_below(&plan.rng, 6); n > 0; n--)
            come();
        node_turn();
        if (rng_chance(&plan.rng, 0.15))
            edit();
        if (rng_chance(&plan.rng, 0.15))
            deliver();
        dies_here(0.02);
    }
}

/* ----------------------------------------------------------------------------------------------------- the promises */

struct counted {
    uint32_t clicks, members, human, machine;
};

static bool in_burst(const struct said *click)
{
    for (uint64_t from = 1; from <= plan.newest; from++) {
        const struct said *first = &plan.said[from];
        if (first->clicker != click->clicker || first->click.client != click->click.client || is_hidden(first->link) ||
            click->click.at_us < first->click.at_us || click->click.at_us > first->click.at_us + 2 * SECOND)
            continue;
        uint32_t links = 0;
        for (uint64_t no = 1; no <= plan.newest; no++) {
            const struct said *other = &plan.said[no];
            if (other->clicker == click->clicker && other->click.client == click->click.client &&
                !is_hidden(other->link) && other->click.at_us >= first->click.at_us &&
                other->click.at_us <= first->click.at_us + 2 * SECOND)
                links |= 1u << other->link;
        }
        if (__builtin_popcount(links) >= 3)
            return true;
    }
    return false;
}

static bool near_hidden(const struct said *click)
{
    for (uint64_t no = 1; no <= plan.newest; no++) {
        const struct said *trap = &plan.said[no];
        if (is_hidden(trap->link) && trap->clicker == click->clicker && trap->click.client == click->click.client &&
            llabs(trap->click.at_us - click->click.at_us) <= 60 * SECOND)
            return true;
    }
    return false;
}

/* By the rules, with every click and delivery in view (LED-22 to LED-24). */
static bool is_machine(const struct said *click)
{
    const struct clicker *who = &plan.clickers[click->clicker];
    int64_t base_us = who->delivered_us ? who->delivered_us : who->sent_us;
    bool soon = base_us && click->click.at_us < base_us + 10 * SECOND;
    if (click->click.bits & BIT_METHOD || (click->click.bits & BIT_PROBE && soon))
        return true;
    return click->click.client && (in_burst(click) || near_hidden(click));
}

static bool *classes; /* of clicks by number */

static struct counted count_link(int link, uint32_t version)
{
    struct counted sum = { 0 };
    int said[CLICKERS] = { 0 };
    for (uint64_t no = 1; no <= plan.newest; no++) {
        const struct said *click = &plan.said[no];
        if (click->link != link || is_hidden(click->link) || (version && click->click.version != version))
            continue;
        sum.clicks++;
        said[click->clicker] |= classes[no] ? 2 : 1;
    }
    for (int i = 0; i < CLICKERS; i++) {
        sum.members += said[i] != 0;
        sum.human += (said[i] & 1) != 0;
        sum.machine += (said[i] & 2) != 0;
    }
    return sum;
}

static enum err links_are(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < LINKS; i++) {
        const struct link_state *state;
        TRY(store_link_state(op, tx, plan.links[i].no, &state));
        struct counted now = count_link(i, plan.links[i].version), all = count_link(i, 0);
        const struct counted said = { state->clicks, state->members, state->human, state->machine };
        const struct counted said_all = { state->all_clicks, state->all_members, state->all_human, state->all_machine };
        if (memcmp(&now, &said, sizeof now) != 0 || memcmp(&all, &said_all, sizeof all) != 0)
            return fail(op, ERR_BUG,
                        "link %d: %u %u %u %u, all %u %u %u %u; its clicks say %u %u %u %u, all %u %u %u %u", i,
                        said.clicks, said.members, said.human, said.machine, said_all.clicks, said_all.members,
                        said_all.human, said_all.machine, now.clicks, now.members, now.human, now.machine, all.clicks,
                        all.members, all.human, all.machine);
    }
    return OK;
}

static enum err mailings_are(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int m = 0; m < MAILINGS; m++) {
        struct mailing_stats stats;
        int said[MESSAGES] = { 0 };
        int64_t clicked = 0, human = 0, machine = 0;
        TRY(store_mailing_stats_get(op, tx, plan.mailing_no[m], &stats));
        for (uint64_t no = 1; no <= plan.newest; no++)
            if (mailing_of(plan.said[no].link) == m && !is_hidden(plan.said[no].link))
                said[plan.said[no].clicker] |= classes[no] ? 2 : 1;
        for (int i = 0; i < MESSAGES; i++) {
            if (i % MEMBERS == TEST_MEMBER)
                continue;
            clicked += said[i] != 0;
            human += said[i] & 1;
            machine += said[i] >> 1;
        }
        if (stats.figure[MAILING_CLICKED] != clicked || stats.figure[MAILING_CLICKED_HUMAN] != human ||
            stats.figure[MAILING_CLICKED_MACHINE] != machine)
            return fail(op, ERR_BUG, "mailing %d: %d clicked, %d human, %d machine; its clicks say %d, %d, %d", m,
                        (int)stats.figure[MAILING_CLICKED], (int)stats.figure[MAILING_CLICKED_HUMAN],
                        (int)stats.figure[MAILING_CLICKED_MACHINE], (int)clicked, (int)human, (int)machine);
    }
    return OK;
}

/* Seen on the day of his last click as a person, or later: a class that changes afterwards takes no day back. A probe
 * may have been a machine's when it was stored. */
static enum err members_are(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    const struct zone *zone;
    TRY(store_tenant_zone(op, tx, plan.tenant_no, &zone));
    for (int i = 0; i < MEMBERS; i++) {
        const struct member_state *member;
        int32_t least = INT32_MIN, most = INT32_MIN;
        uint32_t member_no = plan.clickers[i].member_no;
        TRY(store_block_get(op, tx, BLOCK_MEMBER, member_no, &member));
        for (uint64_t no = 1; no <= plan.newest; no++) {
            const struct said *click = &plan.said[no];
            if (click->click.member_no != member_no || is_hidden(click->link))
                continue;
            int32_t day = zone_day_at(zone, click->click.at_us);
            most = day > most ? day : most;
            if (!classes[no] && !(click->click.bits & BIT_PROBE))
                least = day > least ? day : least;
        }
        int32_t seen = member->last_seen_us ? zone_day_at(zone, member->last_seen_us) : INT32_MIN;
        if (seen < least || seen > most)
            return fail(op, ERR_BUG, "member p%d was last seen on day %d, not from %d to %d", i, seen, least, most);
    }
    return OK;
}

static void promises_hold(void)
{
    struct machine *machine = &plan.machine;
    machine_calm(machine);
    machine_kill(machine);
    node_died();
    for (int i = 0; plan.in_spool; i++) {
        SIM_YES(i < CLICKS_MAX, "the spool does not empty itself");
        node_turn();
    }
    SIM_YES(plan.stored == plan.newest, "clicks were left behind");
    for (uint64_t no = 1; no <= plan.newest; no++)
        classes[no] = is_machine(&plan.said[no]);
    arena_reset(machine->arena);
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, links_are, NULL));
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, mailings_are, NULL));
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, members_are, NULL));
    machine_check(&plan.machine);
}

static void one_seed(uint64_t seed)
{
    struct said *said = plan.said ? plan.said : calloc(CLICKS_MAX, sizeof *said);
    classes = classes ? classes : calloc(CLICKS_MAX, sizeof *classes);
    plan = (struct plan){ .said = said, .arena = arena_new(16u << 20) };
    rng_init(&plan.rng, seed);
    struct machine *machine = &plan.machine;
    machine_start(machine, &plan.rng, START_US + HOUR);
    snprintf(plan.spool_path, sizeof plan.spool_path, "%s/click-spool", machine->directory);
    SIM_OK(&machine->op, store_write(&machine->op, machine->store, prepare, NULL));
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, find_clickers, NULL));
    plan.journal = rng_chance(&plan.rng, 0.5);
    node_begin();
    machine_trouble(machine, 0.15, 0.004);
    live();
    promises_hold();
    spool_close(plan.spool);
    unlink(plan.spool_path);
    for (int i = 0; i < BATCHES_MAX; i++)
        arena_free(plan.batches[i].command.post.op.arena);
    machine_stop(machine);
    arena_free(plan.arena);
}

int main(void)
{
    return seeds_run("sim_click", one_seed);
}
