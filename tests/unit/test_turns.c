#include "test.h"

#include "engine/turns.h"

static const bool all[LANE_COUNT] = { true, true, true, true };

static void count(struct turns *turns, const bool work[LANE_COUNT], int n, int ret[LANE_COUNT + 1])
{
    memset(ret, 0, (LANE_COUNT + 1) * sizeof *ret);
    for (int i = 0; i < n; i++)
        ret[turns_take(turns, work, work)]++;
}

TEST(turns, share_twelve_pages_six_three_two_one)
{
    struct turns turns;
    int got[LANE_COUNT + 1];
    turns_init(&turns);
    for (int round = 0; round < 1000; round++) {
        count(&turns, all, 12, got);
        EQ(got[LANE_OPENS], 6);
        EQ(got[LANE_OTHERS], 3);
        EQ(got[LANE_RECHECK], 2);
        EQ(got[LANE_BACKFILL], 1);
    }
}

TEST(turns, a_lane_without_work_gives_its_turns_away)
{
    struct turns turns;
    int got[LANE_COUNT + 1];
    turns_init(&turns);
    count(&turns, (const bool[LANE_COUNT]){ true, true, false, false }, 12, got);
    EQ(got[LANE_OPENS], 8);
    EQ(got[LANE_OTHERS], 4);
}

TEST(turns, a_backfill_gets_one_page_in_twelve_whichever_live_lane_has_work)
{
    struct turns turns;
    int got[LANE_COUNT + 1];
    turns_init(&turns);
    count(&turns, (const bool[LANE_COUNT]){ true, true, false, true }, 1200, got);
    EQ(got[LANE_BACKFILL], 100);
    YES(got[LANE_OTHERS] >= 366 && got[LANE_OTHERS] <= 368);
    turns_init(&turns);
    count(&turns, (const bool[LANE_COUNT]){ true, false, false, true }, 1200, got);
    EQ(got[LANE_BACKFILL], 100);
    turns_init(&turns);
    count(&turns, (const bool[LANE_COUNT]){ false, false, true, true }, 1200, got);
    EQ(got[LANE_BACKFILL], 400); /* nobody is waiting for a figure */
}

TEST(turns, nobody_saves_up_turns_while_idle)
{
    struct turns turns;
    int got[LANE_COUNT + 1];
    turns_init(&turns);
    count(&turns, (const bool[LANE_COUNT]){ true, false, false, false }, 1000, got);
    count(&turns, all, 12, got);
    YES(got[LANE_OPENS] >= 5);
    YES(got[LANE_BACKFILL] <= 2);
}

TEST(turns, a_lane_that_waits_for_its_own_page_keeps_its_place)
{
    struct turns turns;
    turns_init(&turns);
    const bool work[LANE_COUNT] = { true, true, false, false };
    const bool only_opens[LANE_COUNT] = { true, false, false, false };
    for (int i = 0; i < 6; i++)
        EQ(turns_take(&turns, work, only_opens), LANE_OPENS);
    EQ(turns_take(&turns, work, work), LANE_OTHERS);
}

TEST(turns, a_live_lane_takes_a_turn_that_is_not_used_and_does_not_pay_for_it)
{
    struct turns turns;
    int got[LANE_COUNT + 1];
    turns_init(&turns);
    const bool work[LANE_COUNT] = { true, true, false, false };
    const bool only_others[LANE_COUNT] = { false, true, false, false };
    EQ(turns_take(&turns, work, work), LANE_OPENS);
    for (int i = 0; i < 100; i++)
        EQ(turns_take(&turns, work, only_others), LANE_OTHERS);
    count(&turns, work, 12, got);
    YES(got[LANE_OTHERS] >= 3);
}

TEST(turns, recheck_and_backfill_wait_while_a_live_lane_waits_for_its_page)
{
    struct turns turns;
    int pages = 0, behind = 0;
    turns_init(&turns);
    const bool spare[LANE_COUNT] = { false, false, true, true };
    for (int i = 0; i < 1200; i++) { /* the live lanes are ready every other time */
        enum lane next = turns_next(&turns, all, i % 2 ? all : spare);
        enum lane lane = turns_take(&turns, all, i % 2 ? all : spare);
        EQ(next, lane);
        pages += lane != LANE_COUNT;
        behind += lane == LANE_RECHECK || lane == LANE_BACKFILL;
    }
    YES(pages >= 600);
    YES(behind * 12 >= 3 * pages - 12);
    YES(behind * 12 <= 3 * pages + 12);
}

TEST(turns, nobody_ready_is_nobodys_turn)
{
    struct turns turns;
    turns_init(&turns);
    EQ(turns_take(&turns, all, (const bool[LANE_COUNT]){ false }), LANE_COUNT);
}
