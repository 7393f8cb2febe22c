#include "test.h"

#include "relay/poll_mailgun.h"

#define MS INT64_C(1000)

static struct op op;
static struct fetch fetch;

static const struct str tags[] = { { "news & more", 11 }, { "b", 1 } };

static struct poll_account account(bool is_logs)
{
    if (!op.arena)
        op_init(&op, arena_new(1 << 20), 0);
    return (struct poll_account){
        .base_url = S("https://api.eu.mailgun.net"), .domain = S("mg.x.org"), .api_key = S("key-1"), .is_logs = is_logs
    };
}

static struct source_request request(enum lane lane)
{
    return (struct source_request){ .lane = lane,
                                    .classes = lane_classes(lane),
                                    .begin_us = 1700000000123456,
                                    .end_us = 1700000099999001,
                                    .limit = 300 };
}

TEST(poll_mailgun, asks_the_events_api_for_a_window_floored_and_raised_to_the_millisecond)
{
    struct poll_account a = account(false);
    struct source_request r = request(LANE_OPENS);
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    STR_EQ(fetch.method, "GET");
    STR_EQ(fetch.url, "https://api.eu.mailgun.net/v3/mg.x.org/events?limit=300&event=opened+OR+clicked"
                      "&begin=1700000000.123&end=1700000100.000&ascending=yes");
    STR_EQ(fetch.user, "api");
    STR_EQ(fetch.password, "key-1");
}

TEST(poll_mailgun, names_the_types_of_each_lane)
{
    struct poll_account a = account(false);
    struct source_request r = request(LANE_OTHERS);
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    YES(str_search(fetch.url, S("&event=delivered+OR+failed+OR+rejected+OR+unsubscribed+OR+complained&")) <
        fetch.url.n);
    r = request(LANE_RECHECK);
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    YES(str_search(fetch.url, S("&event=opened+OR+clicked+OR+delivered+OR+")) < fetch.url.n);
}

TEST(poll_mailgun, joins_and_encodes_tags)
{
    struct poll_account a = account(false);
    struct source_request r = request(LANE_OPENS);
    a.tags = tags;
    a.tag_n = 2;
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    YES(str_search(fetch.url, S("&tags=news%20%26%20more+AND+b&")) < fetch.url.n);
}

TEST(poll_mailgun, a_further_page_is_the_last_segment_behind_our_own_base)
{
    struct poll_account a = account(false);
    struct source_request r = request(LANE_OPENS);
    r.token = S("WzEsMl0=");
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    YES(str_starts(fetch.url, S("https://api.eu.mailgun.net/v3/mg.x.org/events/WzEsMl0=?limit=300&event=")));
}

TEST(poll_mailgun, asks_the_logs_api_in_whole_seconds_rounded_outward)
{
    struct poll_account a = account(true);
    struct source_request r = request(LANE_OPENS);
    a.tags = tags + 1;
    a.tag_n = 1;
    r.limit = 100;
    r.token = S("t-1");
    SUCCEEDS(&op, poll_mailgun_page(&op, &a, &r, &fetch));
    STR_EQ(fetch.method, "POST");
    STR_EQ(fetch.url, "https://api.eu.mailgun.net/v1/analytics/logs");
    STR_EQ(
        fetch.body,
        "{\"start\":\"Tue, 14 Nov 2023 22:13:20 -0000\",\"end\":\"Tue, 14 Nov 2023 22:15:00 -0000\","
        "\"events\":[\"opened\",\"clicked\"],\"filter\":{\"AND\":["
        "{\"attribute\":\"domain\",\"comparator\":\"=\",\"values\":[{\"label\":\"mg.x.org\",\"value\":\"mg.x.org\"}]},"
        "{\"attribute\":\"tag\",\"comparator\":\"=\",\"values\":[{\"label\":\"b\",\"value\":\"b\"}]}]},"
        "\"pagination\":{\"sort\":\"timestamp:asc\",\"limit\":100,\"token\":\"t-1\"}}");
}

TEST(poll_mailgun, takes_an_address_off_the_list_of_its_reason)
{
    struct poll_account a = account(false);
    SUCCEEDS(&op, poll_mailgun_release(&op, &a, S("complaint"), S("jo+x@x.org"), &fetch));
    STR_EQ(fetch.method, "DELETE");
    STR_EQ(fetch.url, "https://api.eu.mailgun.net/v3/mg.x.org/complaints/jo%2Bx%40x.org");
    SUCCEEDS(&op, poll_mailgun_release(&op, &a, S("bounce"), S("a@x.org"), &fetch));
    STR_EQ(fetch.url, "https://api.eu.mailgun.net/v3/mg.x.org/bounces/a%40x.org");
    SUCCEEDS(&op, poll_mailgun_release(&op, &a, S("unsubscribe"), S("a@x.org"), &fetch));
    STR_EQ(fetch.url, "https://api.eu.mailgun.net/v3/mg.x.org/unsubscribes/a%40x.org");
}
