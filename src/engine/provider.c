#include "engine/provider.h"

#include "engine/provider_item.h"

/* A new provider is one file with a table of functions and one line here. */
static const struct provider_format *const registry[] = {
    &provider_mailgun,
    &provider_ses,
    &provider_sendgrid,
    &provider_postmark,
};

const struct provider_format *provider_format_at(size_t index)
{
    return index < sizeof registry / sizeof registry[0] ? registry[index] : NULL;
}

const struct provider_format *provider_format_find(struct str type)
{
    const struct provider_format *format;
    for (size_t i = 0; (format = provider_format_at(i)) != NULL; i++)
        if (str_eq(type, str_of(format->type)))
            return format;
    return NULL;
}

enum err provider_hook_parse(struct op *op, const struct provider_format *format, const struct provider_source *source,
                             const struct provider_post *post, struct provider_hook *ret_hook)
{
    struct provider_hook hook = { .verdict = HOOK_ACCEPTED };
    if (post->body.n > PROVIDER_HOOK_BYTES_MAX)
        return fail(op, ERR_TOO_LARGE, "webhook of %zu bytes, at most %d are taken", post->body.n,
                    PROVIDER_HOOK_BYTES_MAX);
    if (format->needs_key && source->signing_key.n == 0 && !source->is_dev) {
        item_refuse(ret_hook, HOOK_BAD_SIGNATURE, "the source has no signing_key");
        return OK;
    }
    TRY(format->parse(op, source, post, &hook));
    *ret_hook = hook;
    return OK;
}

int provider_hook_status(const struct provider_format *format, enum hook_verdict verdict)
{
    switch (verdict) {
    case HOOK_ACCEPTED:
    case HOOK_CONFIRM:
        return 200;
    case HOOK_UNUSABLE:
        return format->unusable_status;
    case HOOK_BAD_SIGNATURE:
        return 401;
    case HOOK_UNREADABLE:
        return 400;
    case HOOK_NEEDS_CERTIFICATE:
        return 503;
    }
    return 500;
}
