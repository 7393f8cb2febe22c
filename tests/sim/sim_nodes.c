/*
 * sim_nodes.c - nodes that freeze, crash, beat late and lose their database (NODE-1, NODE-2, SRC-10).
 *
 * A few nodes live on one store, whose clock is the only true one. Each beats,
 * takes the lanes of one source, and sends pages and the leader's work on their
 * way long before they arrive: in between it may freeze for minutes, be called
 * lost, crash and start again, or nobody can reach the store for a while.
 *
 * Whatever happens, a page is committed only as the successor of the one before
 * it, each term of the leader belongs to one life, what a lost life sent is
 * refused, and nobody is called lost for a store that was away. When all is
 * well again one leads and the source is read.
 */
#include <string.h>

#include "base/random.h"
#include "engine/node.h"
#include "engine/source_commit.h"
#include "engine/tenants.h"
#include "seeds.h"
#include "test_database.h"

#define SEC     INT64_C(1000000)
#define NODES   4
#define PENDING 6
#define STEPS   1500
#define FEWER   5 /* times on a server, where each of them takes its time */

static const struct node_timing timing = { NODE_BEAT_US, NODE_LOST_US, NODE_LEAD_US };

/* What was sent under a lease and has not arrived. */
struct sent {
    struct node_life life;
    uint64_t epoch;      /* of the lanes; 0 = work of the leader */
    int64_t position_us; /* of the page */
};

struct one {
    struct node_identity identity;
    struct node_life life;
    int64_t offset_us;
    int64_t asleep_until_us;
    int64_t silent_us; /* while the store could be reached */
    uint64_t epoch;    /* of its lanes; 0 = it has none */
    int64_t position_us;
    struct sent sent[PENDING];
    int sent_n;
};

static struct stage {
    struct store *store;
    struct arena *arena;
    struct op op;
    struct rng rng;
    struct one nodes[NODES];
    int count;
    int64_t away_until_us; /* nobody reaches the store */
    uint32_t source_no;
    int64_t position_us;      /* in the row, as committed last */
    uint64_t term, term_life; /* the newest term that kept something, and the life it belongs to */
    int pages, leads, refusals;
} s;

static int64_t between(int64_t low, int64_t high)
{
    return rng_between(&s.rng, low, high);
}

static enum err write_with(enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    s.op.error[0] = '\0';
    return store_write(&s.op, s.store, fn, arg);
}

/* ------------------------------------------------------------------------------------------------------- commands */

static enum err prepare_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant;
    struct tenant_put put = { .timezone = S("UTC") };
    struct source_row row;
    struct str name;
    bool created;
    TRY(tenant_store(op, tx, S("t"), &put, &tenant));
    TRY(source_config_parse(op, S("mg"),
                            S("{\"type\":\"mailgun\",\"base_url\":\"https://api.mailgun.net\",\"domain\":\"x.org\","
                              "\"api_key\":\"k\",\"tenant\":\"t\"}"),
                            NULL, &row, &name));
    TRY(source_put(op, tx, &row, name, &created));
    s.source_no = row.no;
    return OK;
}

static enum err begin_run(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    return node_register(op, tx, &one->identity, &timing, one->offset_us, &one->life);
}

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    bool watch;
    TRY(node_beat(op, tx, &timing, &one->life, one->offset_us, &one->life, &watch));
    return watch ? node_watch(op, tx, &timing, &one->life, &one->life) : OK;
}

static enum err take_run(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    struct node_self self = node_self(&one->life);
    struct lane_row row;
    TRY(source_lease_take(op, tx, s.source_no, &self, &one->epoch));
    TRY(store_lane_get_one(op, tx, s.source_no, LANE_OPENS, &row));
    one->position_us = row.position_us == STORE_NO_INSTANT ? 0 : row.position_us;
    return OK;
}

static enum err renew_run(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    struct node_self self = node_self(&one->life);
    return source_lease_renew(op, tx, s.source_no, &self, one->epoch);
}

static enum err page_run(struct op *op, struct tx *tx, void *arg)
{
    struct sent *sent = arg;
    struct source_result result;
    struct source_save save = {
        .source_no = s.source_no,
        .source_id = S("mg"),
        .epoch = sent->epoch,
        .node = node_self(&sent->life),
        .lane = LANE_OPENS,
        .has_lane = true,
        .window_begin_us = STORE_NO_INSTANT,
        .window_end_us = STORE_NO_INSTANT,
        .position_us = sent->position_us,
        .next_run_at_us = STORE_NO_INSTANT,
    };
    return source_commit(op, tx, &save, &result);
}

static enum err lead_run(struct op *op, struct tx *tx, void *arg)
{
    struct sent *sent = arg;
    struct duty lead = node_lead(&sent->life);
    return store_duty_check(op, tx, &lead);
}

/* ---------------------------------------------------------------------------------------------------------- life */

static void begin(struct one *one)
{
    SIM_OK(&s.op, write_with(begin_run, one));
    one->silent_us = 0;
    one->epoch = 0;
}

static void beat(struct one *one)
{
    enum err err = write_with(beat_run, one);
    if (err == ERR_CONFLICT) {
        SIM_YES(one->silent_us >= NODE_LOST_US - 3 * NODE_BEAT_US,
                "node %s is called lost after %lld s of its own silence: %s", one->life.id,
                (long long)(one->silent_us / SEC), s.op.error);
        begin(one);
        return;
    }
    SIM_OK(&s.op, err);
    one->silent_us = 0;
}

/* Takes the lanes, or makes them last. */
static void hold(struct one *one)
{
    enum err err = write_with(one->epoch ? renew_run : take_run, one);
    if (err == ERR_CONFLICT)
        one->epoch = 0;
    else
        SIM_OK(&s.op, err);
}

static void send(struct one *one)
{
    if (one->sent_n == PENDING)
        return;
    struct sent *sent = &one->sent[one->sent_n];
    *sent = (struct sent){ .life = one->life };
    if (one->epoch && between(0, 3) > 0) {
        sent->epoch = one->epoch;
        sent->position_us = ++one->position_us;
    } else if (one->life.term == 0) {
        return;
    }
    one->sent_n++;
}

/* A page is kept as the successor of the newest one, or not at all. */
static void page_arrives(struct one *one, struct sent *sent)
{
    enum err err = write_with(page_run, sent);
    if (err == OK) {
        SIM_YES(sent->position_us == s.position_us + 1, "page %lld of node %s was kept behind page %lld",
                (long long)sent->position_us, sent->life.id, (long long)s.position_us);
        s.position_us++;
        s.pages++;
        return;
    }
    SIM_YES(err == ERR_CONFLICT, "a page failed: %s", s.op.error);
    s.refusals++;
    if (one->epoch == sent->epoch)
        one->epoch = 0;
}

static void lead_arrives(struct sent *sent)
{
    enum err err = write_with(lead_run, sent);
    if (err == ERR_CONFLICT) {
        s.refusals++;
        return;
    }
    SIM_OK(&s.op, err);
    SIM_YES(sent->life.term > s.term || (sent->life.term == s.term && sent->life.epoch == s.term_life),
            "node %s kept work of term %llu, and another life leads with term %llu", sent->life.id,
            (unsigned long long)sent->life.term, (unsigned long long)s.term);
    s.term = sent->life.term;
    s.term_life = sent->life.epoch;
    s.leads++;
}

static void arrives(struct one *one)
{
    if (one->sent_n == 0)
        return;
    struct sent sent = one->sent[0];
    memmove(one->sent, one->sent + 1, (size_t)--one->sent_n * sizeof sent);
    if (sent.epoch)
        page_arrives(one, &sent);
    else
        lead_arrives(&sent);
}

/* ---------------------------------------------------------------------------------------------------------- chance */

static bool gone(struct str process)
{
    (void)process;
    return true;
}

/* Nothing of what it sent was in a mailbox of the store yet. */
static void crash(struct one *one)
{
    one->sent_n = 0;
    one->identity.is_gone = between(0, 1) ? gone : NULL;
    begin(one);
}

static void misfortune(struct one *one)
{
    switch (between(0, 39)) {
    case 0:
        one->asleep_until_us = s.op.now_us + between(1, 200) * SEC;
        break;
    case 1:
        crash(one);
        break;
    case 2:
        one->offset_us = between(-4, 4) * SEC;
        break;
    case 3:
        s.away_until_us = s.op.now_us + between(1, 100) * SEC;
        break;
    default:
        break;
    }
}

static void lives(struct one *one, bool is_lucky)
{
    if (s.op.now_us - one->life.beat_at_us >= NODE_BEAT_US)
        beat(one);
    if (between(0, 4) == 0)
        hold(one);
    if (between(0, 1))
        send(one);
    if (between(0, 2) > 0)
        arrives(one);
    if (!is_lucky)
        misfortune(one);
}

static void step(bool is_lucky)
{
    int64_t by_us = between(0, 2 * SEC);
    s.op.now_us += by_us;
    arena_reset(s.arena);
    bool is_away = s.op.now_us < s.away_until_us;
    for (int i = 0; i < s.count; i++) {
        struct one *one = &s.nodes[i];
        one->silent_us += is_away ? 0 : by_us;
        if (!is_away && one->asleep_until_us <= s.op.now_us)
            lives(one, is_lucky);
        is_away = s.op.now_us < s.away_until_us;
    }
}

/* --------------------------------------------------------------------------------------------------------- the run */

static void is_well(void)
{
    int leaders = 0, readers = 0;
    for (int i = 0; i < s.count; i++) {
        struct sent lead = { .life = s.nodes[i].life };
        leaders += lead.life.term && write_with(lead_run, &lead) == OK;
        readers += s.nodes[i].epoch && write_with(renew_run, &s.nodes[i]) == OK;
        SIM_YES(s.nodes[i].life.alive == s.count, "node %d sees %d of %d alive", i, s.nodes[i].life.alive, s.count);
    }
    SIM_YES(leaders == 1, "%d nodes lead", leaders);
    SIM_YES(readers == 1, "%d nodes read the source", readers);
}

static void one_seed(uint64_t seed)
{
    static const char *const names[NODES] = { "a", "b", "c", "d" };
    memset(&s, 0, sizeof s);
    rng_init(&s.rng, seed);
    s.arena = arena_new(8 << 20);
    op_init(&s.op, s.arena, INT64_C(1700000000) * SEC);
    struct test_database database = { .url = "" };
    test_database_make(&database);
    struct store_config config = { .op_clock = true, .url = database.url[0] ? database.url : NULL };
    int steps = test_server() ? STEPS / FEWER : STEPS;
    SIM_OK(&s.op, store_open(&s.op, &config, &s.store));
    SIM_OK(&s.op, write_with(prepare_run, NULL));
    s.count = (int)between(2, NODES);
    for (int i = 0; i < s.count; i++) {
        s.nodes[i].identity = (struct node_identity){
            .id = str_of(names[i]), .process = str_of(names[i]), .version = S("1"), .steps = 1
        };
        begin(&s.nodes[i]);
    }
    for (int i = 0; i < steps; i++)
        step(false);
    for (int i = 0; i < s.count; i++)
        s.nodes[i].offset_us = s.nodes[i].asleep_until_us = 0;
    s.away_until_us = 0;
    for (int i = 0; i < 200; i++)
        step(true);
    is_well();
    SIM_YES(s.pages > steps / 30 && s.leads > steps / 75, "only %d pages and %d works of leaders were kept", s.pages,
            s.leads);
    store_close(s.store);
    arena_free(s.arena);
}

int main(void)
{
    return seeds_run("sim_nodes", one_seed);
}
