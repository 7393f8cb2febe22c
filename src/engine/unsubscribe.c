#include "engine/unsubscribe.h"

#include "base/crypto.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "engine/events.h"
#include "engine/names.h"
#include "engine/suppress.h"
#include "store/store_tenant.h"

#define VERSION        1
#define DATA_BYTES_MAX 4096
#define HEAD_BYTES     2
#define AROUND_BYTES   (HEAD_BYTES + CRYPTO_GCM_NONCE_BYTES + CRYPTO_GCM_TAG_BYTES)

/* --- keys ------------------------------------------------------------------------- */

static enum err read_line(struct op *op, struct str line, struct unsubscribe_keys *keys)
{
    int64_t number = 1;
    struct str first = str_cut(&line, ' ');
    if (str_given(line) && !str_to_int(first, 1, 255, &number))
        return fail(op, ERR_INVALID, "a key file holds 32 bytes, or lines \"NUMBER HEX\" with numbers from 1 to 255");
    struct str hex = str_given(line) ? str_trim(line) : first;
    if (keys->count == UNSUBSCRIBE_KEYS_MAX)
        return fail(op, ERR_INVALID, "a key file holds at most %d keys", UNSUBSCRIBE_KEYS_MAX);
    if (!hex_decode(hex, keys->keys[keys->count].key, UNSUBSCRIBE_KEY_BYTES))
        return fail(op, ERR_INVALID, "a key is 64 hexadecimal digits");
    keys->keys[keys->count++].number = (uint8_t)number;
    return OK;
}

enum err unsubscribe_keys_read(struct op *op, struct str text, struct unsubscribe_keys *ret)
{
    *ret = (struct unsubscribe_keys){ .count = 0 };
    if (text.n == UNSUBSCRIBE_KEY_BYTES) {
        ret->keys[0].number = 1;
        memcpy(ret->keys[0].key, text.p, UNSUBSCRIBE_KEY_BYTES);
        ret->count = 1;
        return OK;
    }
    while (str_given(text)) {
        struct str line = str_trim(str_cut(&text, '\n'));
        if (line.n)
            TRY(read_line(op, line, ret));
    }
    return ret->count ? OK : fail(op, ERR_INVALID, "the key file holds no key");
}

static void derive(const uint8_t master[UNSUBSCRIBE_KEY_BYTES], struct str purpose, uint8_t ret[CRYPTO_SHA256_BYTES])
{
    crypto_hmac_sha256((struct str){ (const char *)master, UNSUBSCRIBE_KEY_BYTES }, &purpose, 1, ret);
}

/* --- tokens ------------------------------------------------------------------------- */

static bool has_break(struct str text)
{
    return str_find(text, '\n') != text.n || str_find(text, '\0') != text.n;
}

enum err unsubscribe_check(struct op *op, const struct unsubscribe *what)
{
    if (what->tenant.n == 0 || what->tenant.n > NAME_BYTES_MAX || has_break(what->tenant))
        return fail_at(op, ERR_INVALID, "/tenant", "tenant must be 1 to %d bytes", NAME_BYTES_MAX);
    bool report = str_starts(what->scope, S("report:")) && what->scope.n > 7 &&
                  what->scope.n <= UNSUBSCRIBE_SCOPE_BYTES_MAX && !has_break(what->scope);
    if (!report && !str_eq(what->scope, S("mailings")))
        return fail_at(op, ERR_INVALID, "/scope", "scope is mailings or report:ID");
    if (what->recipient.n == 0 || what->recipient.n > RECIPIENT_BYTES_MAX || has_break(what->recipient))
        return fail_at(op, ERR_INVALID, "/recipient", "recipient must be 1 to %d bytes", RECIPIENT_BYTES_MAX);
    return OK;
}

/* Tenant, scope and recipient in lower case, a line each. */
static struct str plain_text(struct op *op, const struct unsubscribe *what)
{
    char *text = arena_alloc(op->arena, what->tenant.n + what->scope.n + what->recipient.n + 2), *at = text;
    if (!text)
        return (struct str){ NULL, 0 };
    memcpy(at, what->tenant.p, what->tenant.n);
    at += what->tenant.n;
    *at++ = '\n';
    memcpy(at, what->scope.p, what->scope.n);
    at += what->scope.n;
    *at++ = '\n';
    for (size_t i = 0; i < what->recipient.n; i++) {
        char c = what->recipient.p[i];
        *at++ = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return (struct str){ text, (size_t)(at - text) };
}

enum err unsubscribe_seal(struct op *op, const struct unsubscribe_keys *keys, const struct unsubscribe *what,
                          struct str *ret_token)
{
    const uint8_t *master = keys->keys[keys->count - 1].key;
    uint8_t enc[CRYPTO_SHA256_BYTES], mac[CRYPTO_SHA256_BYTES], nonce[CRYPTO_SHA256_BYTES], *token;
    struct str text = plain_text(op, what);
    if (!str_given(text))
        return fail(op, ERR_TOO_LARGE, "the token does not fit the memory of the request");
    TRY(op_alloc(op, text.n + AROUND_BYTES, &token));
    derive(master, S("unsubscribe enc"), enc);
    derive(master, S("unsubscribe nonce"), mac);
    crypto_hmac_sha256((struct str){ (const char *)mac, sizeof mac }, &text, 1, nonce);
    token[0] = VERSION;
    token[1] = keys->keys[keys->count - 1].number;
    memcpy(token + HEAD_BYTES, nonce, CRYPTO_GCM_NONCE_BYTES);
    uint8_t *sealed = token + HEAD_BYTES + CRYPTO_GCM_NONCE_BYTES;
    crypto_gcm_seal(enc, nonce, (struct str){ (const char *)token, HEAD_BYTES }, text, sealed, sealed + text.n);
    *ret_token = base64url_str(op->arena, token, text.n + AROUND_BYTES);
    return str_given(*ret_token) ? OK : fail(op, ERR_TOO_LARGE, "the token does not fit the memory of the request");
}

static const uint8_t *key_of(const struct unsubscribe_keys *keys, uint8_t number)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].number == number)
            return keys->keys[i].key;
    return NULL;
}

bool unsubscribe_open(struct op *op, const struct unsubscribe_keys *keys, struct str token, struct unsubscribe *ret)
{
    uint8_t raw[BASE64_RAW_MAX(UNSUBSCRIBE_TOKEN_BYTES_MAX)], enc[CRYPTO_SHA256_BYTES];
    size_t n;
    if (token.n > UNSUBSCRIBE_TOKEN_BYTES_MAX || !base64url_decode(token, raw, &n) || n <= AROUND_BYTES ||
        raw[0] != VERSION)
        return false;
    const uint8_t *master = key_of(keys, raw[1]);
    struct str sealed = { (const char *)raw + HEAD_BYTES + CRYPTO_GCM_NONCE_BYTES, n - AROUND_BYTES };
    char *text = arena_alloc(op->arena, sealed.n);
    if (!master || !text)
        return false;
    derive(master, S("unsubscribe enc"), enc);
    if (!crypto_gcm_open(enc, raw + HEAD_BYTES, (struct str){ (const char *)raw, HEAD_BYTES }, sealed,
                         raw + n - CRYPTO_GCM_TAG_BYTES, (uint8_t *)text))
        return false;
    struct str rest = { text, sealed.n };
    ret->tenant = str_cut(&rest, '\n');
    ret->scope = str_cut(&rest, '\n');
    ret->recipient = rest;
    return str_given(rest) && rest.n > 0;
}

static enum err record(struct op *op, struct tx *tx, const struct unsubscribe *what, struct str via)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, DATA_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "recipient", what->recipient);
    json_member_str(&w, "scope", what->scope);
    json_member_str(&w, "via", via);
    json_object_end(&w);
    struct event_row row = {
        .type = S("message.unsubscribed"), .source = S(EVENTS_SOURCE_OWN), .tenant = what->tenant, .data = buf_str(&buf)
    };
    return events_record(op, tx, &row, 1);
}

enum err unsubscribe_apply(struct op *op, struct tx *tx, const struct unsubscribe *what, struct str via)
{
    struct tenant tenant;
    struct suppression known;
    enum err err = store_tenant_get(op, tx, what->tenant, &tenant);
    if (err == ERR_NOT_FOUND)
        return OK;
    TRY(err);
    int64_t hash = name_recipient(op, tx, CHANNEL_EMAIL, what->recipient);
    err = store_suppression_get(op, tx, tenant.no, hash, SUPPRESS_UNSUBSCRIBE, what->scope, &known);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    TRY(suppress_scope(op, tx, tenant.no, what->recipient, SUPPRESS_UNSUBSCRIBE, what->scope, op->now_us, 0,
                       S("one-click"), NULL));
    return err == ERR_NOT_FOUND ? record(op, tx, what, via) : OK;
}
