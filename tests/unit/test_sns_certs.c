#include "test.h"

#include "engine/sns_certs.h"

#define T0 INT64_C(1700000000000000)

static char wanted[8][64];
static int wanted_n, homes;
static struct sns_certs *certs;
static struct op op;

static void fetch(void *context, struct str url)
{
    (void)context;
    snprintf(wanted[wanted_n++ % 8], sizeof wanted[0], "%.*s", STR(url));
}

static void home(struct post *post)
{
    (void)post;
    homes++;
}

static struct post waiter = { .home = home };

static void fresh(void)
{
    if (!op.arena)
        op_init(&op, arena_new(1 << 20), T0);
    op.now_us = T0;
    if (certs)
        sns_certs_free(certs);
    certs = sns_certs_new(fetch, NULL);
    wanted_n = homes = 0;
}

static enum sns_cert_word get(const char *url, struct str *ret)
{
    return sns_certs_get(&op, certs, str_of(url), &waiter, ret);
}

TEST(sns_certs, fetches_once_for_all_who_wait)
{
    fresh();
    struct str pem;
    EQ(get("https://a", &pem), SNS_CERT_WAIT);
    EQ(get("https://a", &pem), SNS_CERT_WAIT);
    EQ(wanted_n, 1);
    STR_EQ(str_of(wanted[0]), "https://a");
    sns_certs_put(certs, S("https://a"), S("PEM"), T0);
    EQ(homes, 2);
    EQ(get("https://a", &pem), SNS_CERT_HERE);
    STR_EQ(pem, "PEM");
}

TEST(sns_certs, keeps_a_certificate_for_a_day)
{
    fresh();
    struct str pem;
    get("https://a", &pem);
    sns_certs_put(certs, S("https://a"), S("PEM"), T0);
    op.now_us = T0 + SNS_CERT_KEEP_US - 1;
    EQ(get("https://a", &pem), SNS_CERT_HERE);
    op.now_us++;
    EQ(get("https://a", &pem), SNS_CERT_WAIT);
    EQ(wanted_n, 2);
}

TEST(sns_certs, a_failed_fetch_is_told_and_not_repeated_at_once)
{
    fresh();
    struct str pem;
    get("https://a", &pem);
    sns_certs_put(certs, S("https://a"), (struct str){ NULL, 0 }, T0);
    EQ(homes, 1);
    EQ(get("https://a", &pem), SNS_CERT_MISSING);
    op.now_us = T0 + SNS_CERT_FAILED_US;
    EQ(get("https://a", &pem), SNS_CERT_WAIT);
    EQ(wanted_n, 2);
}

TEST(sns_certs, holds_sixteen_and_gives_up_the_oldest)
{
    fresh();
    struct str pem;
    char url[32];
    for (int i = 0; i < SNS_CERTS_MAX + 1; i++) {
        snprintf(url, sizeof url, "https://%d", i);
        EQ(get(url, &pem), SNS_CERT_WAIT);
        sns_certs_put(certs, str_of(url), S("PEM"), T0 + i);
    }
    EQ(get("https://1", &pem), SNS_CERT_HERE);
    EQ(get("https://0", &pem), SNS_CERT_WAIT);
}

TEST(sns_certs, asks_for_no_more_than_it_can_hold_and_waits_for_nobody_without_a_post)
{
    fresh();
    struct str pem;
    char url[32];
    EQ(sns_certs_get(&op, certs, S("https://a"), NULL, &pem), SNS_CERT_MISSING);
    EQ(wanted_n, 0);
    for (int i = 0; i < SNS_CERTS_MAX; i++) {
        snprintf(url, sizeof url, "https://%d", i);
        EQ(get(url, &pem), SNS_CERT_WAIT);
    }
    EQ(get("https://one-more", &pem), SNS_CERT_MISSING);
}
