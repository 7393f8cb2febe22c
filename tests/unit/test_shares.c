/* How bulk and all others divide the writer: time by hand. */
#include "store/shares.h"
#include "test.h"

#define MS 1000

static struct shares shares;

static void fresh(void)
{
    shares = (struct shares){ 0 };
}

/* A group of bulk beside others. Returns when it was through. */
static int64_t crowded_bulk(int64_t at_us, int commands, int64_t took_us)
{
    shares_bulk_ran(&shares, true, commands, at_us, at_us + took_us);
    return at_us + took_us;
}

TEST(shares, bulk_has_the_writer_to_itself_while_nobody_else_comes)
{
    fresh();
    shares_come(&shares, SHARES_OF_BULK, 1000 * MS);
    NO(shares_is_crowded(&shares, SHARES_OF_BULK, 1000 * MS));
    EQ(shares_bulk(&shares, false, 512), 512);
    shares_bulk_ran(&shares, false, 512, 1000 * MS, 1050 * MS);
    NO(shares_rests(&shares, SHARES_OF_BULK, 1050 * MS));
}

TEST(shares, others_are_remembered_for_a_tenth_of_a_second)
{
    fresh();
    shares_come(&shares, SHARES_OF_WORKERS, 1000 * MS);
    YES(shares_is_crowded(&shares, SHARES_OF_BULK, 1100 * MS));
    NO(shares_is_crowded(&shares, SHARES_OF_BULK, 1101 * MS));
}

TEST(shares, bulk_beside_others_begins_with_one_command)
{
    fresh();
    EQ(shares_bulk(&shares, true, 512), 1);
}

TEST(shares, bulk_beside_others_is_as_much_as_eight_milliseconds_hold)
{
    fresh();
    crowded_bulk(1000 * MS, 1, 2 * MS);
    EQ(shares_bulk(&shares, true, 512), 4);
    EQ(shares_bulk(&shares, true, 3), 3);
    fresh();
    crowded_bulk(1000 * MS, 1, 20 * MS);
    EQ(shares_bulk(&shares, true, 512), 1);
}

TEST(shares, what_a_command_takes_is_known_by_its_groups)
{
    fresh();
    crowded_bulk(1000 * MS, 4, 8 * MS);
    EQ(shares.each_us, 2 * MS);
    for (int i = 0; i < 50; i++)
        crowded_bulk(2000 * MS, 1, 4 * MS);
    YES(shares.each_us > 3900);
    EQ(shares_bulk(&shares, true, 512), 2);
}

/* LNK-41 */
TEST(shares, bulk_rests_two_thirds_longer_than_it_took)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 6 * MS);
    YES(shares_rests(&shares, SHARES_OF_BULK, at_us + 10 * MS - 1));
    NO(shares_rests(&shares, SHARES_OF_BULK, at_us + 10 * MS));
}

TEST(shares, a_long_command_does_not_make_bulk_rest_for_ever)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 500 * MS);
    YES(shares_rests(&shares, SHARES_OF_BULK, at_us + SHARES_REST_US_MAX - 1));
    NO(shares_rests(&shares, SHARES_OF_BULK, at_us + SHARES_REST_US_MAX));
}

TEST(shares, a_rest_that_nobody_uses_ends)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 4 * MS);
    shares_unused(&shares);
    NO(shares_rests(&shares, SHARES_OF_BULK, at_us));
}

/* Groups of people of 3 ms, one behind the other. Returns when they first rest, or 0 if they did not in a second. */
static int64_t people_until_they_rest(int64_t at_us, int64_t pause_us)
{
    for (int64_t now_us = at_us; now_us < at_us + 1000 * MS; now_us += pause_us) {
        shares_come(&shares, SHARES_OF_PEOPLE, now_us);
        shares_people_ran(&shares, now_us, now_us + 3 * MS);
        now_us += 3 * MS;
        if (shares_rests(&shares, SHARES_OF_PEOPLE, now_us))
            return now_us;
        shares_come(&shares, SHARES_OF_WORKERS, now_us);
    }
    return 0;
}

TEST(shares, people_that_nobody_waits_beside_never_rest)
{
    fresh();
    for (int64_t now_us = 1000 * MS; now_us < 2000 * MS; now_us += 3 * MS) {
        shares_come(&shares, SHARES_OF_PEOPLE, now_us);
        shares_people_ran(&shares, now_us, now_us + 3 * MS);
        NO(shares_rests(&shares, SHARES_OF_PEOPLE, now_us + 3 * MS));
    }
    NO(shares_rested(&shares, SHARES_OF_PEOPLE, 2000 * MS));
}

/* LNK-41 */
TEST(shares, people_rest_beside_others_when_they_had_more_than_their_part)
{
    fresh();
    shares_come(&shares, SHARES_OF_WORKERS, 1000 * MS);
    EQ(people_until_they_rest(1000 * MS, 0), 1006 * MS);
    int64_t charged_until_us = 1000 * MS + 2 * 3 * MS * SHARES_PEOPLE_PERCENT / 100;
    NO(shares_rests(&shares, SHARES_OF_PEOPLE, charged_until_us - SHARES_PEOPLE_FREE_US));
    YES(shares_rested(&shares, SHARES_OF_PEOPLE, 1100 * MS));
    fresh();
    shares_come(&shares, SHARES_OF_WORKERS, 1000 * MS);
    EQ(people_until_they_rest(1000 * MS, 3 * MS * (SHARES_PEOPLE_PERCENT - 100) / 100), 0);
}

TEST(shares, a_long_group_of_people_does_not_make_them_rest_for_ever)
{
    fresh();
    shares_come(&shares, SHARES_OF_WORKERS, 1490 * MS);
    shares_people_ran(&shares, 1000 * MS, 1500 * MS);
    YES(shares_rests(&shares, SHARES_OF_PEOPLE, 1500 * MS + SHARES_REST_US_MAX - 1));
    NO(shares_rests(&shares, SHARES_OF_PEOPLE, 1500 * MS + SHARES_REST_US_MAX));
}

TEST(shares, a_rest_of_people_that_nobody_uses_ends)
{
    fresh();
    shares_come(&shares, SHARES_OF_WORKERS, 1000 * MS);
    int64_t now_us = people_until_they_rest(1000 * MS, 0);
    shares_unused(&shares);
    NO(shares_rests(&shares, SHARES_OF_PEOPLE, now_us));
}

/* --- promise 5, in time that is made up ----------------------------------------------- */

/* Clients that all wait for their answers: their groups take so long, and so long after one all are back. */
struct clients {
    int64_t group_us, back_us, ready_us, groups;
};

struct crowd {
    struct clients workers, people;
    int64_t page_us, commit_us, pages;
    int there; /* pages, always */
};

static void run_clients(struct clients *clients, enum shares_kind kind, int64_t *now_us)
{
    int64_t began_us = *now_us;
    shares_come(&shares, kind, began_us);
    *now_us += clients->group_us;
    if (kind == SHARES_OF_PEOPLE)
        shares_people_ran(&shares, began_us, *now_us);
    clients->ready_us = *now_us + clients->back_us;
    clients->groups++;
}

static bool is_there(const struct clients *clients, int64_t now_us)
{
    return clients->group_us && clients->ready_us <= now_us;
}

static void run_bulk(struct crowd *crowd, int64_t *now_us)
{
    bool waited = is_there(&crowd->workers, *now_us) || is_there(&crowd->people, *now_us);
    bool crowded = waited || shares_is_crowded(&shares, SHARES_OF_BULK, *now_us);
    int64_t began_us = *now_us;
    int n = shares_bulk(&shares, crowded, crowd->there);
    shares_come(&shares, SHARES_OF_BULK, began_us);
    *now_us += crowd->commit_us + n * crowd->page_us;
    shares_bulk_ran(&shares, crowded, n, began_us, *now_us);
    crowd->pages += n;
}

/* A second of the writer, as writer.c has it: bulk unless it rests, else whoever is there. */
static void run_second(struct crowd *crowd)
{
    int64_t now_us = 1000 * MS, end_us = now_us + 1000 * MS;
    fresh();
    while (now_us < end_us) {
        if (crowd->page_us && !shares_rests(&shares, SHARES_OF_BULK, now_us))
            run_bulk(crowd, &now_us);
        else if (is_there(&crowd->people, now_us) && !shares_rests(&shares, SHARES_OF_PEOPLE, now_us))
            run_clients(&crowd->people, SHARES_OF_PEOPLE, &now_us);
        else if (is_there(&crowd->workers, now_us))
            run_clients(&crowd->workers, SHARES_OF_WORKERS, &now_us);
        else
            now_us += 50;
    }
}

/* SQLite: pages of 1.5 ms and 0.5 ms for each commit, workers with groups of 0.3 ms who are back 0.2 ms later. */
TEST(shares, workers_and_pages_that_both_never_rest_have_at_least_a_third_of_what_they_have_alone)
{
    struct crowd workers = { .workers = { 300, 200, 0, 0 } }, pages = { .page_us = 1500, .commit_us = 500, .there = 4 };
    struct crowd both = { .workers = { 300, 200, 0, 0 }, .page_us = 1500, .commit_us = 500, .there = 4 };
    run_second(&workers);
    run_second(&pages);
    run_second(&both);
    YES(both.workers.groups * 3 >= workers.workers.groups);
    YES(both.pages * 3 >= pages.pages);
}

/* PostgreSQL: groups of clicks take 4 ms, and whoever clicked is back after 3; pages come one by one. */
TEST(shares, people_workers_and_pages_that_never_rest_have_at_least_a_third_each)
{
    struct crowd workers = { .workers = { 450, 350, 0, 0 } }, people = { .people = { 4 * MS, 3 * MS, 0, 0 } };
    struct crowd pages = { .page_us = 4 * MS, .commit_us = 500, .there = 1 }, all = workers;
    all.people = people.people;
    all.page_us = pages.page_us;
    all.commit_us = pages.commit_us;
    all.there = pages.there;
    run_second(&workers);
    run_second(&people);
    run_second(&pages);
    run_second(&all);
    YES(all.workers.groups * 3 >= workers.workers.groups);
    YES(all.people.groups * 3 >= people.people.groups);
    YES(all.pages * 3 >= pages.pages);
}
