#include "test.h"

static struct op *fresh(void)
{
    static struct op op;
    memset(&op, 0xFF, sizeof op);
    op_init(&op, NULL, 1500000);
    return &op;
}

TEST(op, starts_without_an_error)
{
    struct op *op = fresh();
    EQ(op_now_ms(op), 1500);
    STR_EQ(str_of(op->error), "");
    STR_EQ(str_of(op->pointer), "");
    EQ(op->retry_after_s, 0);
    EQ(op->trace, 0);
}

TEST(op, keeps_the_sentence_and_the_pointer_of_the_newest_failure)
{
    struct op *op = fresh();
    EQ(fail_at(op, ERR_INVALID, "/sent_at", "year %d is too early", 1969), ERR_INVALID);
    STR_EQ(str_of(op->error), "year 1969 is too early");
    STR_EQ(str_of(op->pointer), "/sent_at");
    EQ(fail(op, ERR_CONFLICT, "taken"), ERR_CONFLICT);
    STR_EQ(str_of(op->error), "taken");
    STR_EQ(str_of(op->pointer), "");
}

TEST(op, may_quote_the_former_error_and_pointer)
{
    struct op *op = fresh();
    fail_at(op, ERR_INVALID, "/a", "too long");
    fail_at(op, ERR_INVALID, op->pointer, "line 3: %s", op->error);
    STR_EQ(str_of(op->error), "line 3: too long");
    STR_EQ(str_of(op->pointer), "/a");
}

TEST(op, inherits_all_that_a_failure_within_it_said)
{
    struct op *op = fresh(), own;
    op_init(&own, NULL, op->now_us);
    fail(op, ERR_IO, "of long ago");
    EQ(op_inherit(op, OK, &own), OK);
    STR_EQ(str_of(op->error), "of long ago");

    own.retry_after_s = 7;
    EQ(op_inherit(op, fail_at(&own, ERR_BUSY, "/queue", "is full"), &own), ERR_BUSY);
    STR_EQ(str_of(op->error), "is full");
    STR_EQ(str_of(op->pointer), "/queue");
    EQ(op->retry_after_s, 7);
}

TEST(op, cuts_long_sentences_between_characters)
{
    struct op *op = fresh();
    char euros[3 * 300 + 1] = "";
    for (int i = 0; i < 300; i++)
        memcpy(euros + 3 * i, "\xE2\x82\xAC", 4);
    fail_at(op, ERR_INVALID, euros, "x%s", euros);
    EQ(strlen(op->error), 1 + 3 * 170);
    YES(str_is_utf8(str_of(op->error)));
    EQ(strlen(op->pointer), 126);
    YES(str_is_utf8(str_of(op->pointer)));
}

TEST(op, allocates_in_its_arena_until_that_is_full)
{
    struct op *op = fresh();
    op->arena = arena_new(1000);
    char *p = NULL;
    SUCCEEDS(op, op_alloc(op, 600, &p));
    EQ(p[599], 0);
    char *before = p;
    EQ(op_alloc(op, 600, &p), ERR_TOO_LARGE);
    YES(p == before);
    YES(str_starts(str_of(op->error), S("out of memory for this operation: 608 bytes used")));
    arena_free(op->arena);
}

static enum err passes_on(struct op *op, bool *ret_went_on)
{
    TRY(fail(op, ERR_BUSY, "later"));
    *ret_went_on = true;
    return OK;
}

TEST(op, try_hands_the_error_up_at_once)
{
    struct op *op = fresh();
    bool went_on = false;
    EQ(passes_on(op, &went_on), ERR_BUSY);
    NO(went_on);
}

TEST(op, names_every_error)
{
    STR_EQ(str_of(err_name(OK)), "ok");
    for (int err = OK; err <= ERR_BUG; err++)
        NO(str_eq(str_of(err_name((enum err)err)), S("unknown")));
    STR_EQ(str_of(err_name((enum err)99)), "unknown");
}
