/*
 * job_read_unique.c - the `unique` of a push, and the key of its lock (UNI-1).
 */
#include <string.h>

#include "base/crypto.h"
#include "engine/job_read_own.h"

const char *const reading_until_words[] = { "success", "start", "expiry", NULL };
static const char *const conflict_words[] = { "reject", "return", "replace", "extend", NULL };

static enum err read_states(struct reading *r, struct json *j)
{
    struct job_unique *unique = &r->spec->unique;
    struct str name;
    enum job_state state;
    if (json_null(j))
        return OK;
    if (!json_enter_array(j))
        return reading_wrong(r, "/unique/states", "an array of states");
    while (json_next_item(j)) {
        if (!json_string(j, &name) || !job_state_of(name, &state))
            return fail_at(r->op, ERR_INVALID, "/unique/states", "unique/states holds an unknown state");
        if (state == JOB_DONE)
            unique->until = UNIQUE_EXPIRY;
        unique->states |= (uint8_t)(1u << state);
    }
    return OK;
}

enum err reading_unique(struct reading *r, struct str text)
{
    struct job_unique *unique = &r->spec->unique;
    struct json j;
    struct str name;
    json_init(&j, r->op->arena, text, JSON_STRICT);
    if (!json_enter_object(&j))
        return reading_wrong(r, "/unique", "an object");
    while (json_next_member(&j, &name)) {
        if (str_eq(name, S("for")))
            TRY(reading_duration(r, &j, "/unique/for", UNIQUE_US_MIN, UNIQUE_US_MAX, &unique->for_us));
        else if (str_eq(name, S("until")))
            TRY(reading_word(r, &j, "/unique/until", reading_until_words, &unique->until));
        else if (str_eq(name, S("on_conflict")))
            TRY(reading_word(r, &j, "/unique/on_conflict", conflict_words, &unique->conflict));
        else if (str_eq(name, S("key")))
            TRY(reading_text(r, &j, "/unique/key", JOB_KEY_BYTES_MAX, &r->unique_key));
        else if (str_eq(name, S("states")))
            TRY(read_states(r, &j));
        else
            return fail_at(r->op, ERR_INVALID, "/unique", "unique has no member \"%.*s\"", STR(name));
    }
    TRY(json_finish(&j, r->op));
    if (unique->for_us == 0)
        return fail_at(r->op, ERR_INVALID, "/unique/for", "unique needs \"for\", from 1s to 30d");
    return OK;
}

/* UNI-1: 128 bits of SHA-256 over the type, the queue and the args, or over a key of the caller's. */
enum err reading_unique_key(struct reading *r)
{
    struct buf canonical;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    buf_init_arena(&canonical, r->op->arena, JOB_BYTES_MAX * 2);
    if (!r->unique_key.n)
        TRY(job_canonical(r->op, r->args, &canonical));
    struct str by_args[] = { r->spec->jobtype, S("\n"), r->spec->queue, S("\n"), buf_str(&canonical) };
    struct str by_key[] = { S("\n"), r->unique_key };
    if (r->unique_key.n)
        crypto_sha256(by_key, 2, digest);
    else
        crypto_sha256(by_args, 5, digest);
    memcpy(r->spec->unique.key, digest, sizeof r->spec->unique.key);
    return OK;
}
