#include "engine/job_lanes.h"
#include "store/store_ready.h"
#include "store_test.h"

/* Windows of lanes over rows that stand in `ready` already: what is in RAM, and that nothing is lost by it. */

#define QUEUE_NO 7
#define ROWS_MAX 5000

static struct fixture f;
static int64_t ids;      /* places in RAM, as the machine counts them */
static int64_t most_ids; /* the most there were */

static enum err nothing_pending(struct op *op, struct tx *tx, void *data)
{
    (void)op, (void)tx, (void)data;
    return OK;
}

static int64_t weight_of(void *data, uint64_t key)
{
    (void)data, (void)key;
    return 1;
}

static bool may_start(struct op *op, struct tx *tx, void *data, uint64_t key)
{
    (void)op, (void)tx, (void)data, (void)key;
    return true;
}

static struct lanes *lanes_for_test(bool empty)
{
    struct lanes_host host = { NULL, QUEUE_NO, &ids, nothing_pending, weight_of, may_start };
    return lanes_new(&host, empty);
}

struct filling {
    struct lanes *lanes; /* NULL: rows only, as of a run before */
    int rows, keys;      /* rows go round the keys 1, 2, ..; no keys: the one without */
};

static enum err fill(struct op *op, struct tx *tx, void *arg)
{
    const struct filling *filling = arg;
    for (int i = 0; i < filling->rows; i++) {
        uint64_t key = filling->keys ? (uint64_t)(1 + i % filling->keys) : 0;
        struct ready_row row = { QUEUE_NO, 0, key, (uint64_t)i + 1, 0 };
        TRY(store_ready_add(op, tx, &row));
        if (filling->lanes)
            lanes_add(filling->lanes, 0, key, &(struct lane_place){ row.ord, 0 });
        most_ids = ids > most_ids ? ids : most_ids;
    }
    return OK;
}

struct emptying {
    struct lanes *lanes;
    uint64_t ords[ROWS_MAX];
    int count;
};

/* Takes all there is, each row going as its turn comes. */
static enum err empty_all(struct op *op, struct tx *tx, void *arg)
{
    struct emptying *emptying = arg;
    for (emptying->count = 0; emptying->count < ROWS_MAX; emptying->count++) {
        struct lane_pick pick;
        bool found;
        TRY(lanes_pick(op, tx, emptying->lanes, 0, 0, -1, &pick, &found));
        most_ids = ids > most_ids ? ids : most_ids;
        if (!found)
            return OK;
        struct ready_row row = { QUEUE_NO, 0, pick.key, pick.place.ord, 0 };
        lanes_take(emptying->lanes, &pick);
        TRY(store_ready_delete(op, tx, &row));
        emptying->ords[emptying->count] = row.ord;
    }
    return OK;
}

static struct emptying emptying;

/* The oldest place is known whatever comes and goes, as jobs of many keys have their turns. */
static enum err oldest_is_known(struct op *op, struct tx *tx, void *arg)
{
    struct lanes *lanes = arg;
    struct lane_pick pick;
    bool found;
    TRY(lanes_pick(op, tx, lanes, 0, 0, -1, &pick, &found)); /* key 1: places 1, 4, 7, .. */
    EQ(lanes_oldest(lanes), 1);
    lanes_take(lanes, &pick);
    EQ(lanes_oldest(lanes), 2);
    lanes_remove(lanes, 0, 3, 3);
    lanes_remove(lanes, 0, 2, 2);
    EQ(lanes_oldest(lanes), 4);
    lanes_return(lanes, 0, 1, &(struct lane_place){ 1, 0 });
    EQ(lanes_oldest(lanes), 1);
    return OK;
}

static void begin(void)
{
    fixture_start(&f);
    ids = most_ids = 0;
}

static void end(struct lanes *lanes, int64_t ids_before)
{
    lanes_free(lanes);
    EQ(ids, ids_before);
    fixture_end(&f);
}

/* Every row came, each key's in its order. */
static void all_came(int rows, int keys)
{
    uint64_t last[8] = { 0 };
    EQ(emptying.count, rows);
    for (int i = 0; i < rows; i++) {
        uint64_t ord = emptying.ords[i], key = keys ? (ord - 1) % (uint64_t)keys : 0;
        YES(ord > last[key]);
        last[key] = ord;
    }
}

TEST(job_lanes, keeps_a_window_in_ram_and_hands_out_all_of_it_in_order)
{
    begin();
    struct lanes *lanes = lanes_for_test(true);
    WRITES(&f, fill, (&(struct filling){ lanes, 4000, 0 }));
    EQ(most_ids, LANE_WINDOW);
    emptying.lanes = lanes;
    WRITES(&f, empty_all, &emptying);
    all_came(4000, 0);
    YES(most_ids <= LANE_WINDOW * 5 / 4); /* a refill comes on top of the last quarter */
    end(lanes, 0);
}

TEST(job_lanes, reads_a_backlog_as_it_goes_not_when_it_starts)
{
    begin();
    WRITES(&f, fill, (&(struct filling){ NULL, 4000, 0 }));
    struct lanes *lanes = lanes_for_test(false);
    EQ(ids, 0);
    emptying.lanes = lanes;
    WRITES(&f, empty_all, &emptying);
    all_came(4000, 0);
    YES(most_ids <= LANE_WINDOW * 5 / 4);
    end(lanes, 0);
}

static enum err asks_ahead(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    *(bool *)arg = tx_asks_ahead(tx);
    return OK;
}

/* Whoever fetches waits for the read: a long one would be seen by all of them. */
TEST(job_lanes, reads_a_few_places_at_once_where_a_read_is_no_trip)
{
    bool trips;
    begin();
    WRITES(&f, fill, (&(struct filling){ NULL, 4000, 0 }));
    WRITES(&f, asks_ahead, &trips);
    struct lanes *lanes = lanes_for_test(false);
    emptying.lanes = lanes;
    WRITES(&f, empty_all, &emptying);
    all_came(4000, 0);
    EQ(most_ids, (trips ? LANE_WINDOW : LANE_PIECE) * 5 / 4);
    end(lanes, 0);
}

TEST(job_lanes, gives_keys_smaller_windows_and_hides_none)
{
    begin();
    struct lanes *lanes = lanes_for_test(true);
    WRITES(&f, fill, (&(struct filling){ lanes, 3000, 3 }));
    EQ(most_ids, 3 * LANE_KEY_WINDOW);
    emptying.lanes = lanes;
    WRITES(&f, empty_all, &emptying);
    all_came(3000, 3);
    YES(most_ids <= 3 * LANE_KEY_WINDOW * 5 / 4);
    end(lanes, 0);
}

/* QUE-8. */
TEST(job_lanes, know_their_oldest_place)
{
    begin();
    struct lanes *lanes = lanes_for_test(true);
    EQ(lanes_oldest(lanes), 0);
    WRITES(&f, fill, (&(struct filling){ lanes, 30, 3 }));
    WRITES(&f, oldest_is_known, lanes);
    end(lanes, 0);
}

TEST(job_lanes, holds_next_to_nothing_when_all_lanes_together_are_full)
{
    begin();
    ids = most_ids = LANE_IDS_MAX; /* of other queues */
    struct lanes *lanes = lanes_for_test(true);
    WRITES(&f, fill, (&(struct filling){ lanes, 500, 0 }));
    emptying.lanes = lanes;
    WRITES(&f, empty_all, &emptying);
    all_came(500, 0);
    YES(most_ids <= LANE_IDS_MAX + 4);
    end(lanes, LANE_IDS_MAX);
}
