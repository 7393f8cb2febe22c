#include "provider_lab.h"

TEST(provider, finds_formats_by_the_type_of_the_source)
{
    static const char *const types[] = { "mailgun", "ses", "sendgrid", "postmark" };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const struct provider_format *format = provider_format_find(str_of(types[i]));
        YES(format != NULL);
        STR_EQ(str_of(format->type), types[i]);
        YES(provider_format_at(i) == format);
    }
    YES(provider_format_at(4) == NULL);
    YES(provider_format_find(S("obs")) == NULL);
    YES(provider_format_find(S("")) == NULL);
}

TEST(provider, answers_each_verdict_the_way_its_provider_needs)
{
    const struct provider_format *mailgun = provider_format_find(S("mailgun"));
    EQ(provider_hook_status(mailgun, HOOK_ACCEPTED), 200);
    EQ(provider_hook_status(mailgun, HOOK_CONFIRM), 200);
    EQ(provider_hook_status(mailgun, HOOK_UNUSABLE), 406);
    EQ(provider_hook_status(mailgun, HOOK_BAD_SIGNATURE), 401);
    EQ(provider_hook_status(mailgun, HOOK_UNREADABLE), 400);
    EQ(provider_hook_status(mailgun, HOOK_NEEDS_CERTIFICATE), 503);
    EQ(provider_hook_status(provider_format_find(S("ses")), HOOK_UNUSABLE), 200);
    EQ(provider_hook_status(provider_format_find(S("sendgrid")), HOOK_UNUSABLE), 200);
    EQ(provider_hook_status(provider_format_find(S("postmark")), HOOK_UNUSABLE), 200);
}

TEST(provider, takes_bodies_up_to_five_mebibytes)
{
    struct lab *lab = lab_new();
    char *body = malloc(PROVIDER_HOOK_BYTES_MAX + 1);
    memset(body, ' ', PROVIDER_HOOK_BYTES_MAX + 1);
    memcpy(body, "[]", 2);
    struct provider_post post = { .body = { body, PROVIDER_HOOK_BYTES_MAX + 1 }, .header = lab_header };
    struct provider_hook hook;
    lab->source.is_dev = true;
    EQ(provider_hook_parse(&lab->op, provider_format_find(S("sendgrid")), &lab->source, &post, &hook), ERR_TOO_LARGE);
    post.body.n--;
    EQ(provider_hook_parse(&lab->op, provider_format_find(S("sendgrid")), &lab->source, &post, &hook), OK);
    free(body);
    lab_free(lab);
}

TEST(provider, says_so_when_the_events_of_a_body_do_not_fit_the_arena)
{
    static const char *const types[] = { "mailgun", "sendgrid", "postmark" };
    struct lab *lab = lab_new();
    struct arena *small = arena_new(4096);
    char *body = malloc(40000);
    char *at = stpcpy(body, "[{}");
    for (int i = 0; i < 4000; i++)
        at = stpcpy(at, ",{\"a\":1}");
    stpcpy(at, "]");
    lab->source.is_dev = true;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct provider_post post = { .body = str_of(body), .header = lab_header };
        struct provider_hook hook;
        arena_reset(small);
        lab->op.arena = small;
        enum err err =
            provider_hook_parse(&lab->op, provider_format_find(str_of(types[i])), &lab->source, &post, &hook);
        EQ(err, i == 1 ? ERR_TOO_LARGE : OK); /* only SendGrid makes an event of each */
        lab->op.arena = lab->arena;
    }
    free(body);
    arena_free(small);
    lab_free(lab);
}
