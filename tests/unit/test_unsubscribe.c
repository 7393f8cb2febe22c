#include "engine/unsubscribe.h"

#include "test.h"

static struct unsubscribe_keys keys_of(const char *text)
{
    struct op op;
    struct unsubscribe_keys keys;
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, unsubscribe_keys_read(&op, str_of(text), &keys));
    return keys;
}

#define FIRST  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define SECOND "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define VECTOR "AQHrZSkzqCe1k380fBFFSHBImZ4sdngzXeYKTmHW9St_PDeL3t4NqPutWt4s-npToHuahnuGh-z4mw"

static const struct unsubscribe ann = { { "t-1", 3 }, { "mailings", 8 }, { "Ann@example.org", 15 } };

TEST(unsubscribe, makes_the_token_of_the_known_vector)
{
    struct op op;
    struct str token;
    struct unsubscribe_keys keys = keys_of(FIRST);
    op_init(&op, arena_new(1 << 20), 0);
    SUCCEEDS(&op, unsubscribe_seal(&op, &keys, &ann, &token));
    STR_EQ(token, VECTOR);
    arena_free(op.arena);
}

TEST(unsubscribe, opens_tokens_of_retired_keys_and_nothing_else)
{
    struct op op;
    struct str token;
    struct unsubscribe got;
    struct unsubscribe_keys keys = keys_of("1 " FIRST "\n2 " SECOND "\n");
    op_init(&op, arena_new(1 << 20), 0);
    YES(unsubscribe_open(&op, &keys, S(VECTOR), &got));
    STR_EQ(got.tenant, "t-1");
    STR_EQ(got.scope, "mailings");
    STR_EQ(got.recipient, "ann@example.org");
    SUCCEEDS(&op, unsubscribe_seal(&op, &keys, &ann, &token));
    YES(unsubscribe_open(&op, &keys, token, &got));
    struct unsubscribe_keys only_new = keys_of("2 " SECOND);
    NO(unsubscribe_open(&op, &only_new, S(VECTOR), &got));
    char broken[] = VECTOR;
    for (size_t i = 0; i < sizeof broken - 1; i++) {
        char before = broken[i];
        broken[i] = before == 'A' ? 'B' : 'A';
        NO(unsubscribe_open(&op, &keys, str_of(broken), &got));
        broken[i] = before;
    }
    NO(unsubscribe_open(&op, &keys, S(""), &got));
    NO(unsubscribe_open(&op, &keys, S("AQ"), &got));
    arena_free(op.arena);
}

TEST(unsubscribe, refuses_what_it_could_not_give_back)
{
    struct op op;
    op_init(&op, NULL, 0);
    struct unsubscribe what = ann;
    SUCCEEDS(&op, unsubscribe_check(&op, &what));
    what.scope = S("all");
    EQ(unsubscribe_check(&op, &what), ERR_INVALID);
    what.scope = S("report:weekly");
    SUCCEEDS(&op, unsubscribe_check(&op, &what));
    what.tenant = S("a\nb");
    EQ(unsubscribe_check(&op, &what), ERR_INVALID);
    struct unsubscribe_keys keys;
    EQ(unsubscribe_keys_read(&op, S("short"), &keys), ERR_INVALID);
}
