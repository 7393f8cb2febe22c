#include "source_lab.h"

static struct lab lab;
static struct op op;
static struct source_row row;
static struct str tenant;
static struct json_problems problems;

static enum err parse(const char *body)
{
    if (!op.arena)
        op_init(&op, arena_new(1 << 20), T0);
    memset(&problems, 0, sizeof problems);
    return source_config_parse(&op, S("mg"), str_of(body), &problems, &row, &tenant);
}

static void refused(const char *body, const char *pointer)
{
    EQ(parse(body), ERR_INVALID);
    STR_EQ(problems.items[0].pointer, pointer);
}

#define MG "\"type\":\"mailgun\",\"domain\":\"mg.x.org\",\"api_key\":\"k\""

TEST(source_config, reads_a_mailgun_account_with_its_defaults)
{
    SUCCEEDS(&op, parse("{" MG ",\"tags\":[\"a\",\"b c\"],\"tenant\":\"acme\"}"));
    STR_EQ(row.api, "events");
    STR_EQ(row.base_url, "https://api.mailgun.net");
    STR_EQ(row.tags, "[\"a\",\"b c\"]");
    STR_EQ(tenant, "acme");
    YES(source_config_is_polled(&row));

    struct timing timing, usual;
    source_config_timing(&op, &row, &timing);
    timing_default(&usual);
    YES(memcmp(&timing, &usual, sizeof timing) == 0);
    EQ(source_config_tolerance_us(&row), 0);
}

TEST(source_config, reads_every_time_constant)
{
    SUCCEEDS(&op, parse("{" MG ",\"timing\":{\"every\":\"1s\",\"margin\":\"0s\",\"recheck\":[\"4s\",\"2s\"],"
                        "\"retention\":\"1d\"},\"hook_tolerance\":\"20s\"}"));
    struct timing timing;
    source_config_timing(&op, &row, &timing);
    EQ(timing.every_us, SECOND);
    EQ(timing.margin_us, 0);
    EQ(timing.retention_us, DAY);
    EQ(timing.plan.count, 3);
    EQ(timing.plan.delay_us[0], 0);
    EQ(timing.plan.delay_us[1], 2 * SECOND);
    EQ(timing.plan.delay_us[2], 4 * SECOND);
    EQ(source_config_tolerance_us(&row), 20 * SECOND);
}

TEST(source_config, rechecks_earlier_than_the_margin_are_done_by_the_live_reading)
{
    SUCCEEDS(&op, parse("{" MG ",\"timing\":{\"recheck\":[\"5s\"]}}"));
    struct timing timing;
    source_config_timing(&op, &row, &timing);
    EQ(timing.margin_us, MINUTE);
    EQ(timing.plan.count, 2);
    EQ(timing.plan.delay_us[1], MINUTE);
}

TEST(source_config, names_each_value_it_cannot_take)
{
    refused("{\"type\":\"pigeon\"}", "/type");
    refused("{" MG ",\"colour\":1}", "/colour");
    refused("{" MG ",\"api\":\"graph\"}", "/api");
    refused("{" MG ",\"base_url\":\"ftp://x\"}", "/base_url");
    refused("{" MG ",\"base_url\":\"https://user@x\"}", "/base_url");
    refused("{\"type\":\"mailgun\",\"api_key\":\"k\"}", "/domain");
    refused("{\"type\":\"mailgun\",\"api_key\":\"k\",\"domain\":\"a/../b\"}", "/domain");
    refused("{" MG ",\"timing\":{\"every\":\"500ms\"}}", "/timing/every");
    refused("{" MG ",\"timing\":{\"margin\":\"-1s\"}}", "/timing/margin");
    refused("{" MG ",\"timing\":{\"recheck\":[\"1s\",\"0s\"]}}", "/timing/recheck/1");
    refused("{" MG ",\"timing\":{\"retention\":\"soon\"}}", "/timing/retention");
    refused("{" MG ",\"timing\":{\"often\":\"1s\"}}", "/timing/often");
    refused("{" MG ",\"hook_tolerance\":\"0s\"}", "/hook_tolerance");
    refused("{\"type\":\"obs\"}", "/type");
    refused("{\"type\":\"twilio\"}", "/type");
    EQ(parse("{"), ERR_MALFORMED);
}

TEST(source_config, a_source_that_only_hears_needs_no_api_key)
{
    SUCCEEDS(&op, parse("{\"type\":\"mailgun\",\"signing_key\":\"s\"}"));
    NO(source_config_is_polled(&row));
    SUCCEEDS(&op, parse("{\"type\":\"postmark\",\"signing_key\":\"u:p\"}"));
    NO(source_config_is_polled(&row));
}

TEST(source_config, shows_secrets_as_set_keeps_what_is_not_mentioned_and_drops_what_is_null)
{
    lab_start(&lab);
    NO(lab_shows(&lab, "key-1"));
    NO(lab_shows(&lab, "sign-1"));
    YES(lab_shows(&lab, "\"api_key\":\"set\""));
    YES(lab_shows(&lab, "\"signing_key\":\"set\""));
    SUCCEEDS(lab.op, lab_put(&lab, "{\"type\":\"mailgun\",\"domain\":\"mg.y.org\",\"api_key\":\"set\"}"));
    lab_load(&lab);
    STR_EQ(lab.setup.row.api_key, "key-1");
    STR_EQ(lab.setup.row.signing_key, "sign-1");
    STR_EQ(lab.setup.row.domain, "mg.y.org");
    EQ(lab_put(&lab, "{\"type\":\"mailgun\"}"), ERR_INVALID);
    STR_EQ(str_of(lab.op->pointer), "/domain");
    SUCCEEDS(lab.op, lab_put(&lab, "{\"type\":\"mailgun\",\"api_key\":null}"));
    lab_load(&lab);
    NO(str_given(lab.setup.row.api_key));
    STR_EQ(lab.setup.row.signing_key, "sign-1");
    lab_stop(&lab);
}

TEST(source_config, a_put_keeps_what_was_read_and_raises_the_version)
{
    lab_start(&lab);
    struct source_row before = lab.setup.row;
    lab.op->now_us += DAY;
    SUCCEEDS(lab.op, lab_put(&lab, LAB_MAILGUN));
    lab_load(&lab);
    EQ(lab.setup.row.no, before.no);
    EQ(lab.setup.row.version, before.version + 1);
    EQ(lab.setup.row.created_at_us, before.created_at_us);
    EQ(lab.setup.row.first_begin_us, before.first_begin_us);
    lab_stop(&lab);
}

TEST(source_config, a_put_must_name_a_tenant_that_exists_and_keep_the_type)
{
    lab_start(&lab);
    EQ(lab_put(&lab, "{" MG ",\"tenant\":\"nobody\"}"), ERR_INVALID);
    STR_EQ(str_of(lab.op->pointer), "/tenant");
    EQ(lab_put(&lab, "{\"type\":\"postmark\",\"signing_key\":\"u:p\"}"), ERR_CONFLICT);
    lab_stop(&lab);
}

static enum err declare_run(struct op *o, struct tx *tx, void *arg)
{
    const char *body = arg;
    TRY(source_config_parse(o, S("mg"), str_of(body), NULL, &row, &tenant));
    return source_declare(o, tx, &row, tenant);
}

/* The version after a node with this in its file has started. */
static uint64_t declared(const char *body)
{
    char text[512];
    snprintf(text, sizeof text, "%s", body);
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, declare_run, text));
    lab_load(&lab);
    return lab.setup.row.version;
}

TEST(source_config, a_declared_source_that_says_the_same_is_left_alone)
{
    lab_start(&lab);
    uint64_t first =
        declared("{" MG ",\"tenant\":\"acme\",\"timing\":{\"every\":\"1s\"},\"tags\":[\"a\"],\"signing_key\":null}");
    EQ(declared("{" MG ",\"tenant\":\"acme\",\"timing\":{\"every\":\"1s\"},\"tags\":[\"a\"],\"signing_key\":null}"),
       first);
    EQ(declared("{" MG ",\"tenant\":\"acme\",\"timing\":{\"every\":\"2s\"},\"tags\":[\"a\"],\"signing_key\":null}"),
       first + 1);
    EQ(declared("{" MG ",\"tenant\":\"acme\",\"timing\":{\"every\":\"2s\"},\"tags\":[\"a\"],\"signing_key\":\"s\"}"),
       first + 2);
    EQ(declared("{" MG ",\"timing\":{\"every\":\"2s\"},\"tags\":[\"a\"],\"signing_key\":\"s\"}"), first + 3);
    lab_stop(&lab);
}
