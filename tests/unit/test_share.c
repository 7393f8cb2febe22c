/* Nodes that look one after the other at the same sources. */
#include "engine/share.h"
#include "test.h"

#define SOURCES 12
#define NODES   4

static int holder[SOURCES]; /* -1 = nobody */
static int64_t free_us[SOURCES];
static int given_by[SOURCES]; /* at its newest look, -1 = nobody */
static bool alive[NODES];
static size_t count;

static size_t held(int node)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += holder[i] == node;
    return n;
}

static int living(void)
{
    int n = 0;
    for (int i = 0; i < NODES; i++)
        n += alive[i];
    return n;
}

static size_t least_of_others(int node)
{
    size_t least = SIZE_MAX;
    for (int i = 0; i < NODES; i++)
        if (i != node && alive[i] && held(i) < least)
            least = held(i);
    return least;
}

/* One node looks and moves. */
static size_t look(int node)
{
    struct share_source sources[SOURCES];
    size_t moves = 0;
    for (size_t i = 0; i < count; i++)
        sources[i] = (struct share_source){
            .holder = holder[i] < 0       ? SHARE_FREE
                      : holder[i] == node ? SHARE_MINE
                                          : SHARE_OTHERS,
            .free_for_us = free_us[i],
            .is_given = given_by[i] == node,
        };
    share_decide(sources, count, living(), least_of_others(node), (uint64_t)node * 5);
    for (size_t i = 0; i < count; i++) {
        if (sources[i].move == SHARE_TAKE) {
            holder[i] = node;
            given_by[i] = -1;
        }
        if (sources[i].move == SHARE_GIVE) {
            holder[i] = -1;
            given_by[i] = node;
            free_us[i] = 0;
        }
        moves += sources[i].move != SHARE_REST;
    }
    return moves;
}

static void looks(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        for (int node = 0; node < NODES; node++)
            if (alive[node])
                look(node);
        for (size_t i = 0; i < count; i++)
            free_us[i] += 5000000;
    }
}

static void begin(size_t sources, int nodes)
{
    count = sources;
    for (int i = 0; i < NODES; i++)
        alive[i] = i < nodes;
    for (size_t i = 0; i < count; i++) {
        holder[i] = given_by[i] = -1;
        free_us[i] = 0;
    }
}

/* Every source is read, and no two living nodes differ by more than one. */
static void is_fair(void)
{
    size_t most = 0, least = SIZE_MAX, sum = 0;
    for (int i = 0; i < NODES; i++) {
        if (!alive[i])
            continue;
        size_t n = held(i);
        sum += n;
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    EQ(sum, count);
    YES(most - least <= 1);
}

TEST(share, a_node_alone_takes_all_at_once)
{
    begin(12, 1);
    EQ(look(0), 12);
    EQ(look(0), 0);
}

TEST(share, every_number_of_sources_and_nodes_becomes_fair_and_then_rests)
{
    for (size_t sources = 0; sources <= SOURCES; sources++)
        for (int nodes = 1; nodes <= NODES; nodes++) {
            begin(sources, nodes);
            looks(6);
            is_fair();
            for (int node = 0; node < nodes; node++)
                EQ(look(node), 0);
        }
}

TEST(share, a_new_node_gets_its_part)
{
    for (size_t sources = 1; sources <= SOURCES; sources++)
        for (int nodes = 1; nodes < NODES; nodes++) {
            begin(sources, nodes);
            looks(6);
            alive[nodes] = true;
            looks(8);
            is_fair();
        }
}

TEST(share, the_part_of_a_dead_node_is_spread_over_the_others)
{
    begin(12, 4);
    looks(6);
    alive[2] = false;
    for (size_t i = 0; i < count; i++)
        if (holder[i] == 2) {
            holder[i] = -1;
            free_us[i] = 0;
        }
    looks(1);
    is_fair();
}

TEST(share, what_nobody_took_for_a_while_is_taken_whatever_the_part)
{
    begin(4, 2);
    struct share_source sources[4] = { { .holder = SHARE_MINE }, { .holder = SHARE_MINE } };
    sources[2].free_for_us = SHARE_STALE_US - 1;
    sources[3].free_for_us = SHARE_STALE_US;
    share_decide(sources, 4, 2, 0, 0);
    EQ(sources[2].move, SHARE_REST);
    EQ(sources[3].move, SHARE_TAKE);
}

TEST(share, what_was_given_up_is_not_taken_back_at_once)
{
    struct share_source sources[3] = { { .holder = SHARE_FREE, .is_given = true },
                                       { .holder = SHARE_MINE },
                                       { .holder = SHARE_OTHERS } };
    share_decide(sources, 3, 2, 1, 0);
    EQ(sources[0].move, SHARE_REST);
    sources[0].free_for_us = SHARE_STALE_US;
    share_decide(sources, 3, 2, 1, 0);
    EQ(sources[0].move, SHARE_TAKE);
}
