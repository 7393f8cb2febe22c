#include "store/store_token.h"
#include "store_test.h"

static struct fixture f;

static struct token token_like(const char *id, uint8_t hash)
{
    struct token token = { .id = str_of(id), .name = S("backup"), .scopes = TOKEN_READ | TOKEN_WORK };
    memset(token.sha256, hash, sizeof token.sha256);
    return token;
}

static enum err add(struct op *op, struct tx *tx, void *arg)
{
    return store_token_add(op, tx, arg);
}

static enum err end_token(struct op *op, struct tx *tx, void *arg)
{
    return store_token_revoke(op, tx, str_of(arg));
}

struct list {
    uint64_t after_no;
    int max;
    struct token *tokens;
    int count;
};

static enum err list(struct op *op, struct tx *tx, void *arg)
{
    struct list *l = arg;
    return store_token_list(op, tx, l->after_no, l->max, &l->tokens, &l->count);
}

TEST(store_token, keeps_what_a_token_says)
{
    fixture_start_file(&f);
    struct token one = token_like("tok-1", 1);
    one.tenant = S("north");
    WRITES(&f, add, &one);
    fixture_reopen(&f);
    struct list all = { .max = 10 };
    READS(&f, list, &all);
    EQ(all.count, 1);
    struct token seen = all.tokens[0];
    assert_memory_equal(seen.sha256, one.sha256, sizeof seen.sha256);
    STR_EQ(seen.id, "tok-1");
    STR_EQ(seen.name, "backup");
    STR_EQ(seen.tenant, "north");
    NO(str_given(seen.queues));
    EQ(seen.scopes, TOKEN_READ | TOKEN_WORK);
    EQ(seen.created_at_ms, f.op.now_us / 1000);
    EQ(seen.revoked_at_ms, 0);
    fixture_end(&f);
}

TEST(store_token, refuses_an_id_or_hash_a_second_time)
{
    fixture_start(&f);
    struct token one = token_like("tok-1", 1), same_id = token_like("tok-1", 2), same_hash = token_like("tok-2", 1);
    WRITES(&f, add, &one);
    EQ(store_write(&f.op, f.store, add, &same_id), ERR_CONFLICT);
    EQ(store_write(&f.op, f.store, add, &same_hash), ERR_CONFLICT);
    YES(store_is_ready(f.store));
    fixture_end(&f);
}

TEST(store_token, stays_listed_as_of_the_instant_it_was_revoked)
{
    fixture_start(&f);
    struct token one = token_like("tok-1", 1);
    WRITES(&f, add, &one);
    EQ(store_write(&f.op, f.store, end_token, (void *)(uintptr_t) "tok-9"), ERR_NOT_FOUND);
    WRITES(&f, end_token, (void *)(uintptr_t) "tok-1");
    f.op.now_us += 5000000;
    WRITES(&f, end_token, (void *)(uintptr_t) "tok-1");
    struct list all = { .max = 10 };
    READS(&f, list, &all);
    EQ(all.count, 1);
    EQ(all.tokens[0].revoked_at_ms, f.op.now_us / 1000 - 5000);
    fixture_end(&f);
}

TEST(store_token, lists_in_pages)
{
    fixture_start(&f);
    char ids[5][16];
    for (int i = 0; i < 5; i++) {
        snprintf(ids[i], sizeof ids[i], "tok-%d", i);
        struct token token = token_like(ids[i], (uint8_t)i);
        WRITES(&f, add, &token);
    }
    struct list first = { .max = 3 };
    READS(&f, list, &first);
    EQ(first.count, 3);
    struct list second = { .after_no = first.tokens[2].no, .max = 3 };
    READS(&f, list, &second);
    EQ(second.count, 2);
    STR_EQ(second.tokens[0].id, "tok-3");
    fixture_end(&f);
}
