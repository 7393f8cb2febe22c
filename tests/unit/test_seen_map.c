#include "store/seen_map.h"

#include "store_test.h"

#define MORNING INT64_C(1700000000000000)
#define DAY     INT64_C(86400000000)
#define FAR     (8192u * 1024) /* members apart that share a place */

static struct fixture f;

struct asked {
    uint32_t tenant_no, member_no;
    int64_t from_us;
    bool known;
};

static enum err note(struct op *op, struct tx *tx, void *arg)
{
    const struct asked *asked = arg;
    (void)op;
    store_seen_note(tx, asked->tenant_no, asked->member_no, asked->from_us);
    tx_wrote(tx);
    return OK;
}

static enum err note_and_fail(struct op *op, struct tx *tx, void *arg)
{
    TRY(note(op, tx, arg));
    return fail(op, ERR_INVALID, "no");
}

static enum err ask(struct op *op, struct tx *tx, void *arg)
{
    struct asked *asked = arg;
    (void)op;
    asked->known = store_seen_known(tx, asked->tenant_no, asked->member_no, asked->from_us);
    return OK;
}

static void seen(uint32_t tenant_no, uint32_t member_no, int64_t from_us)
{
    struct asked asked = { tenant_no, member_no, from_us, false };
    WRITES(&f, note, &asked);
}

static bool known(uint32_t tenant_no, uint32_t member_no, int64_t from_us)
{
    struct asked asked = { tenant_no, member_no, from_us, false };
    WRITES(&f, ask, &asked);
    return asked.known;
}

/* LNK-17 */
TEST(seen_map, knows_who_was_seen_since_an_instant)
{
    fixture_start(&f);
    seen(1, 7, MORNING);
    EQ(known(1, 7, MORNING), true);
    EQ(known(1, 7, MORNING - DAY), true);
    EQ(known(1, 7, MORNING + 1), false);
    EQ(known(1, 8, MORNING), false);
    EQ(known(2, 7, MORNING), false);
    fixture_end(&f);
}

TEST(seen_map, begins_a_new_day_for_all_and_does_not_go_back)
{
    fixture_start(&f);
    seen(1, 7, MORNING);
    seen(1, 8, MORNING + DAY);
    EQ(known(1, 8, MORNING + DAY), true);
    EQ(known(1, 7, MORNING), false);
    seen(1, 9, MORNING);
    EQ(known(1, 9, MORNING), false);
    EQ(known(1, 8, MORNING + DAY), true);
    fixture_end(&f);
}

TEST(seen_map, forgets_members_whose_place_others_need)
{
    fixture_start(&f);
    seen(1, 7, MORNING);
    seen(1, 7 + FAR, MORNING);
    EQ(known(1, 7 + FAR, MORNING), true);
    EQ(known(1, 7, MORNING), false);
    fixture_end(&f);
}

TEST(seen_map, forgets_what_a_rolled_back_transaction_said_and_only_then)
{
    fixture_start(&f);
    seen(1, 7, MORNING);
    EQ(known(1, 8, MORNING), false); /* a group that changes nothing */
    EQ(known(1, 7, MORNING), true);
    struct asked asked = { 1, 8, MORNING, false };
    EQ(store_write(&f.op, f.store, note_and_fail, &asked), ERR_INVALID);
    EQ(known(1, 8, MORNING), false);
    fixture_end(&f);
}
