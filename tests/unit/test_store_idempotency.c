#include "store/store_idempotency.h"
#include "store_test.h"

static struct fixture f;

struct kept {
    uint8_t key[16];
    struct idempotency answer;
    bool found;
};

static struct kept kept_under(uint8_t key, const char *body)
{
    struct kept kept = { .answer = { .route = S("POST /v1/mailings"), .request_hash = UINT64_MAX - 1, .status = 201 } };
    memset(kept.key, key, sizeof kept.key);
    kept.answer.body = str_of(body);
    return kept;
}

static enum err put(struct op *op, struct tx *tx, void *arg)
{
    const struct kept *kept = arg;
    return store_idempotency_put(op, tx, kept->key, &kept->answer);
}

static enum err get(struct op *op, struct tx *tx, void *arg)
{
    struct kept *kept = arg;
    return store_idempotency_get(op, tx, kept->key, &kept->answer, &kept->found);
}

static struct kept got(uint8_t key)
{
    struct kept kept = kept_under(key, NULL);
    READS(&f, get, &kept);
    return kept;
}

TEST(store_idempotency, gives_the_stored_answer_back)
{
    fixture_start_file(&f);
    struct kept one = kept_under(1, "{\"id\":\"m1\"}"), empty = kept_under(2, "");
    WRITES(&f, put, &one);
    WRITES(&f, put, &empty);
    fixture_reopen(&f);
    struct kept seen = got(1);
    YES(seen.found);
    STR_EQ(seen.answer.route, "POST /v1/mailings");
    YES(seen.answer.request_hash == UINT64_MAX - 1);
    EQ(seen.answer.status, 201);
    STR_EQ(seen.answer.body, "{\"id\":\"m1\"}");
    EQ(seen.answer.at_ms, f.op.now_us / 1000);
    STR_EQ(got(2).answer.body, "");
    NO(got(3).found);
    fixture_end(&f);
}

TEST(store_idempotency, refuses_a_key_in_force_and_takes_it_again_after_a_day)
{
    fixture_start(&f);
    struct kept one = kept_under(1, "first"), again = kept_under(1, "second");
    WRITES(&f, put, &one);
    f.op.now_us += IDEMPOTENCY_KEEP_MS * 1000LL - 1000;
    EQ(store_write(&f.op, f.store, put, &again), ERR_CONFLICT);
    YES(got(1).found);
    f.op.now_us += 1000;
    NO(got(1).found);
    WRITES(&f, put, &again);
    STR_EQ(got(1).answer.body, "second");
    fixture_end(&f);
}

SQL_SCAN(test_answers, "SELECT count(*) FROM idempotency", NULL);

static enum err count(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &test_answers, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *(int64_t *)arg = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

TEST(store_idempotency, sweeps_expired_answers_as_new_ones_come)
{
    fixture_start(&f);
    for (uint8_t key = 0; key < 20; key++) {
        struct kept kept = kept_under(key, "x");
        WRITES(&f, put, &kept);
    }
    f.op.now_us += 2 * IDEMPOTENCY_KEEP_MS * 1000LL;
    for (uint8_t key = 100; key < 106; key++) {
        struct kept kept = kept_under(key, "x");
        WRITES(&f, put, &kept);
    }
    int64_t n = 0;
    READS(&f, count, &n);
    EQ(n, 6);
    fixture_end(&f);
}

TEST(store_idempotency, refuses_an_answer_that_is_too_large)
{
    fixture_start(&f);
    struct kept large = kept_under(1, "");
    char *body = calloc(1, IDEMPOTENCY_BODY_BYTES_MAX + 1);
    large.answer.body = (struct str){ body, IDEMPOTENCY_BODY_BYTES_MAX + 1 };
    EQ(store_write(&f.op, f.store, put, &large), ERR_TOO_LARGE);
    large.answer.body.n--;
    WRITES(&f, put, &large);
    free(body);
    fixture_end(&f);
}
