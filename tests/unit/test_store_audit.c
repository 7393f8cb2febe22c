#include "store/store_audit.h"
#include "store_test.h"

static struct fixture f;

static enum err add_five(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    static char long_detail[AUDIT_DETAIL_BYTES_MAX + 100];
    memset(long_detail, 'x', sizeof long_detail);
    for (int i = 0; i < 5; i++) {
        struct op at = *op;
        at.now_us = i * 1000000;
        struct str detail = i == 4 ? (struct str){ long_detail, sizeof long_detail } : (struct str){ NULL, 0 };
        TRY(store_audit_add(&at, tx, S("cli"), S("token.revoke"), S("tok-1"), detail));
    }
    return OK;
}

struct list {
    uint64_t before_no;
    int max;
    struct audit *entries;
    int count;
};

static enum err list(struct op *op, struct tx *tx, void *arg)
{
    struct list *l = arg;
    return store_audit_list(op, tx, l->before_no, l->max, &l->entries, &l->count);
}

struct expiry {
    int64_t before_us;
    int max_rows, gone;
};

static enum err expire(struct op *op, struct tx *tx, void *arg)
{
    struct expiry *expiry = arg;
    return store_audit_expire(op, tx, expiry->before_us, expiry->max_rows, &expiry->gone);
}

TEST(store_audit, lists_newest_first_in_pages)
{
    fixture_start(&f);
    WRITES(&f, add_five, NULL);
    struct list first = { .max = 3 };
    READS(&f, list, &first);
    EQ(first.count, 3);
    EQ(first.entries[0].at_ms, 4000);
    EQ(first.entries[0].detail.n, AUDIT_DETAIL_BYTES_MAX);
    NO(str_given(first.entries[1].detail));
    STR_EQ(first.entries[0].who, "cli");
    STR_EQ(first.entries[0].action, "token.revoke");
    STR_EQ(first.entries[0].subject, "tok-1");
    struct list second = { .before_no = first.entries[2].no, .max = 3 };
    READS(&f, list, &second);
    EQ(second.count, 2);
    EQ(second.entries[1].at_ms, 0);
    fixture_end(&f);
}

TEST(store_audit, expires_old_entries_in_slices)
{
    fixture_start(&f);
    WRITES(&f, add_five, NULL);
    struct expiry expiry = { 3000000, 2, 0 };
    WRITES(&f, expire, &expiry);
    EQ(expiry.gone, 2);
    WRITES(&f, expire, &expiry);
    EQ(expiry.gone, 1);
    struct list left = { .max = 10 };
    READS(&f, list, &left);
    EQ(left.count, 2);
    EQ(left.entries[1].at_ms, 3000);
    fixture_end(&f);
}
