#include "store/seq.h"
#include "store/tally.h"
#include "store_test.h"

static struct fixture f;

struct taken {
    uint64_t n;
    uint64_t first;
    uint64_t newest;
    bool write;
    bool fail;
};

static enum err take(struct op *op, struct tx *tx, void *arg)
{
    struct taken *taken = arg;
    taken->first = store_seq_take(tx, SEQ_HISTORY, taken->n);
    taken->newest = store_seq_newest(tx, SEQ_HISTORY);
    if (taken->write)
        store_mailing_count(tx, 1, MAILING_MESSAGES, 1);
    return taken->fail ? fail(op, ERR_INVALID, "no") : OK;
}

TEST(seq, begins_at_one_and_goes_on_after_a_restart)
{
    fixture_start_file(&f);
    struct taken taken = { .n = 1, .write = true };
    WRITES(&f, take, &taken);
    EQ(taken.first, 1);
    taken.n = 10;
    WRITES(&f, take, &taken);
    EQ(taken.first, 2);
    EQ(taken.newest, 11);
    fixture_reopen(&f);
    WRITES(&f, take, &taken);
    EQ(taken.first, 12);
    fixture_end(&f);
}

TEST(seq, gives_numbers_back_after_a_rollback)
{
    fixture_start(&f);
    struct taken taken = { .n = 3, .write = true, .fail = true };
    EQ(store_write(&f.op, f.store, take, &taken), ERR_INVALID);
    EQ(taken.first, 1);
    taken.fail = false;
    WRITES(&f, take, &taken);
    EQ(taken.first, 1);
    fixture_end(&f);
}

TEST(seq, gives_numbers_back_that_nothing_was_written_with)
{
    fixture_start(&f);
    struct taken taken = { .n = 3 };
    WRITES(&f, take, &taken);
    taken.write = true;
    WRITES(&f, take, &taken);
    EQ(taken.first, 1);
    fixture_end(&f);
}
