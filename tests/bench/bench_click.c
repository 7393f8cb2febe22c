/*
 * bench_click.c - what a click costs the writer: members and links by chance, in groups.
 *
 *     bench_click [MEMBERS [LINKS [CLICKS [GROUP]]]]
 *
 * Processor time of this process, checkpoints included; doors and caches of the
 * redirect are not here (posthouse bench clicks has them).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "engine/click.h"
#include "engine/tenants.h"
#include "store/block.h"
#include "must.h"

#define GROUP_CLICKS_MAX 65536
#define MADE_AT_ONCE     10000
#define HOUR_US          INT64_C(3600000000)

struct bench {
    uint64_t members, links, from;
    uint32_t tenant_no, mailing_no;
    size_t group;
    uint64_t number;
    struct rng rng;
    struct click clicks[GROUP_CLICKS_MAX];
};

static enum err make_mailing(struct op *op, struct tx *tx, void *arg)
{
    struct bench *b = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put put = { .tenant = S("bench"), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S("bench"), &tenant_put, &tenant));
    TRY(mailing_store(op, tx, S("bench"), &put, &mailing));
    b->tenant_no = mailing.tenant_no;
    b->mailing_no = mailing.no;
    return OK;
}

static enum err make_records(struct op *op, struct tx *tx, void *arg)
{
    const struct bench *b = arg;
    for (uint64_t no = b->from + 1; no <= b->from + MADE_AT_ONCE; no++) {
        struct member_state *member;
        struct link_state *link;
        struct message_engagement *engagement;
        if (no <= b->members) {
            TRY(store_block_edit(op, tx, BLOCK_MEMBER, no, &member));
            member->messages = 1;
            TRY(store_block_edit(op, tx, BLOCK_MESSAGE_ENGAGEMENT, no, &engagement));
        }
        if (no <= b->links) {
            TRY(store_block_edit(op, tx, BLOCK_LINK, no, &link));
            link->version = 1;
        }
    }
    return OK;
}

static enum err click(struct op *op, struct tx *tx, void *arg)
{
    struct bench *b = arg;
    uint64_t after = b->number;
    for (size_t i = 0; i < b->group; i++) {
        uint64_t member = 1 + rng_below(&b->rng, b->members);
        b->clicks[i] = (struct click){ .number = ++b->number,
                                       .at_us = op->now_us + HOUR_US,
                                       .message_no = member,
                                       .client = (int64_t)member,
                                       .link_no = 1 + (uint32_t)rng_below(&b->rng, b->links),
                                       .version = 1,
                                       .tenant_no = b->tenant_no,
                                       .mailing_no = b->mailing_no,
                                       .member_no = (uint32_t)member };
    }
    return click_apply_all(op, tx, S("bench"), after, b->clicks, b->group);
}

static uint64_t number_at(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/posthouse-bench-XXXXXX", command[64];
    static struct bench b;
    b.members = number_at(argc, argv, 1, 1000000);
    b.links = number_at(argc, argv, 2, 100000);
    uint64_t clicks = number_at(argc, argv, 3, 300000);
    b.group = number_at(argc, argv, 4, 512);
    if (b.group < 1 || b.group > GROUP_CLICKS_MAX || !mkdtemp(directory))
        return 1;
    struct arena *arena = arena_new(64 << 20);
    struct store_config config = { .directory = directory };
    struct store *store;
    struct op op;
    op_init(&op, arena, clock_wall_us());
    rng_init(&b.rng, 1);
    must(&op, store_open(&op, &config, &store));
    must(&op, store_write(&op, store, make_mailing, &b));
    uint64_t most = b.members > b.links ? b.members : b.links;
    for (b.from = 0; b.from < most; b.from += MADE_AT_ONCE)
        must(&op, store_write(&op, store, make_records, &b));

    int64_t start_us = clock_mono_us();
    clock_t cpu = clock();
    for (uint64_t done = 0; done < clicks; done += b.group) {
        arena_reset(arena);
        must(&op, store_write(&op, store, click, &b));
    }
    double cpu_us = (double)(clock() - cpu) * 1e6 / CLOCKS_PER_SEC, wall_s = (double)(clock_mono_us() - start_us) / 1e6;
    printf("{\"bench\":\"click\",\"members\":%llu,\"links\":%llu,\"group\":%zu,\"per_second\":%.0f,"
           "\"processor_us_per_click\":%.2f}\n",
           (unsigned long long)b.members, (unsigned long long)b.links, b.group, (double)b.number / wall_s,
           cpu_us / (double)b.number);
    store_close(store);
    arena_free(arena);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
