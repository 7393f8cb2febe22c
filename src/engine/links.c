#include "engine/links.h"

#include "base/json.h"
#include "base/random.h"
#include "base/siphash.h"
#include "engine/names.h"
#include "engine/tenants.h"

const struct json_field link_fields[LINK_FIELDS] = {
    { "url", JSON_FIELD_STR, offsetof(struct link_put, url), 65536, JSON_REQUIRED, 0, 0 },
    { "tenant", JSON_FIELD_STR, offsetof(struct link_put, tenant), NAME_BYTES_MAX, JSON_REQUIRED, 1, 0 },
    { "mailing", JSON_FIELD_STR, offsetof(struct link_put, mailing), NAME_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    { "honeypot", JSON_FIELD_BOOL, offsetof(struct link_put, honeypot), 0, 0, 0, 0 },
};

struct str link_code_text(uint64_t bits, char ret_text[LINK_CODE_BYTES + 1])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    _Static_assert(sizeof digits == 59, "base 58");
    for (int i = LINK_CODE_BYTES - 1; i >= 0; i--) {
        ret_text[i] = digits[bits % 58];
        bits /= 58;
    }
    ret_text[LINK_CODE_BYTES] = '\0';
    return (struct str){ ret_text, LINK_CODE_BYTES };
}

enum err link_check(struct op *op, const struct link_put *put, struct str *ret_url)
{
    return link_url_read(op, put->url, ret_url);
}

/* --- whose it is ------------------------------------------------------------ */

struct owner {
    struct tenant tenant;
    uint32_t mailing_no;
};

static enum err find_mailing(struct op *op, struct tx *tx, const struct link_put *put, struct owner *owner)
{
    struct mailing mailing;
    if (!str_given(put->mailing))
        return OK;
    enum err err = store_mailing_get(op, tx, put->mailing, &mailing);
    if (err == ERR_NOT_FOUND || (err == OK && mailing.tenant_no != owner->tenant.no))
        return fail_at(op, ERR_INVALID, "/mailing", "tenant %.*s has no mailing '%.*s'", STR(put->tenant),
                       STR(put->mailing));
    TRY(err);
    owner->mailing_no = mailing.no;
    return OK;
}

/* The hosts a tenant allows; none given allows all. */
static enum err check_host(struct op *op, const struct tenant *tenant, struct str url)
{
    struct json j;
    struct str hosts[TENANT_LINK_HOSTS_MAX];
    size_t count = 0;
    json_init(&j, op->arena, str_given(tenant->link_hosts) ? tenant->link_hosts : S("[]"), JSON_STRICT);
    if (json_enter_array(&j))
        while (json_next_item(&j) && count < TENANT_LINK_HOSTS_MAX)
            count += json_string(&j, &hosts[count]);
    if (count == 0 || link_host_may(link_url_host(url), hosts, count))
        return OK;
    return fail_at(op, ERR_INVALID, "/url", "the tenant's link_hosts do not allow %.*s", STR(link_url_host(url)));
}

static enum err find_owner(struct op *op, struct tx *tx, const struct link_put *put, uint32_t tenant_only,
                           struct owner *ret)
{
    struct owner owner = { 0 };
    enum err err = store_tenant_get(op, tx, put->tenant, &owner.tenant);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (tenant_only && (err == ERR_NOT_FOUND || owner.tenant.no != tenant_only))
        return fail(op, ERR_FORBIDDEN, "this token is bound to another tenant");
    if (err == ERR_NOT_FOUND)
        return fail_at(op, ERR_INVALID, "/tenant", "there is no tenant '%.*s'; PUT /v1/tenants/{id} makes one",
                       STR(put->tenant));
    TRY(find_mailing(op, tx, put, &owner));
    TRY(check_host(op, &owner.tenant, put->url));
    *ret = owner;
    return OK;
}

/* --- storing ---------------------------------------------------------------- */

static struct link link_new(const struct op *op, struct str code, const struct link_put *put, const struct owner *owner)
{
    return (struct link){ .tenant_no = owner->tenant.no,
                          .mailing_no = owner->mailing_no,
                          .version = 1,
                          .code = code,
                          .url = put->url,
                          .honeypot = put->honeypot,
                          .changed_at_ms = op_now_ms(op),
                          .created_at_ms = op_now_ms(op) };
}

static enum err may_change(struct op *op, const struct link *stands, const struct link_put *put,
                           const struct owner *owner)
{
    if (stands->tenant_no != owner->tenant.no)
        return fail(op, ERR_CONFLICT, "link %.*s belongs to another tenant for good", STR(stands->code));
    if (stands->mailing_no != owner->mailing_no)
        return fail(op, ERR_CONFLICT, "link %.*s belongs to another mailing for good", STR(stands->code));
    if (stands->honeypot != put->honeypot)
        return fail(op, ERR_CONFLICT, "link %.*s is %s for good", STR(stands->code),
                    stands->honeypot ? "a honeypot" : "no honeypot");
    return OK;
}

enum err link_store(struct op *op, struct tx *tx, struct str code, const struct link_put *put, uint32_t tenant_only,
                    struct link *ret_link, bool *ret_made)
{
    struct owner owner;
    struct link link;
    TRY(find_owner(op, tx, put, tenant_only, &owner));
    enum err err = store_link_by_code(op, tx, code, &link);
    *ret_made = err == ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND) {
        link = link_new(op, code, put, &owner);
        TRY(store_link_add(op, tx, &link));
        *ret_link = link;
        return OK;
    }
    TRY(err);
    TRY(may_change(op, &link, put, &owner));
    if (!str_eq(link.url, put->url)) {
        link.url = put->url;
        link.version++;
        link.changed_at_ms = op_now_ms(op);
        TRY(store_link_change(op, tx, &link));
    }
    *ret_link = link;
    return OK;
}

static uint64_t draw_bits(struct tx *tx, const struct link_put *put, uint64_t seed, int draw)
{
    struct siphash hash;
    if (seed == 0)
        return random_u64() >> 6;
    siphash_init64(&hash, siphash_key_from(tx_hash_key(tx)));
    siphash_add_u64(&hash, seed);
    siphash_add_u64(&hash, (uint64_t)draw);
    siphash_add_str(&hash, put->url);
    siphash_add_str(&hash, put->tenant);
    siphash_add_str(&hash, str_given(put->mailing) ? put->mailing : S(""));
    return siphash_end64(&hash) >> 6;
}

/* The link that stands under a code is the one this line made when it was sent before; since then its destination may
 * have been changed. */
static bool is_same(const struct link *stands, const struct link *link)
{
    return stands->tenant_no == link->tenant_no && stands->mailing_no == link->mailing_no &&
           stands->honeypot == link->honeypot && (stands->version > 1 || str_eq(stands->url, link->url));
}

enum err link_make(struct op *op, struct tx *tx, const struct link_put *put, uint32_t tenant_only, uint64_t seed,
                   struct link *ret_link, bool *ret_made)
{
    struct owner owner;
    TRY(find_owner(op, tx, put, tenant_only, &owner));
    for (int draw = 0; draw < LINK_DRAWS_MAX; draw++) {
        char *text;
        struct link stands;
        TRY(op_alloc(op, LINK_CODE_BYTES + 1, &text));
        struct link link = link_new(op, link_code_text(draw_bits(tx, put, seed, draw), text), put, &owner);
        enum err err = store_link_by_code(op, tx, link.code, &stands);
        if (err == OK && (seed == 0 || !is_same(&stands, &link)))
            continue;
        *ret_made = err == ERR_NOT_FOUND;
        if (err == ERR_NOT_FOUND)
            err = store_link_add(op, tx, &link);
        *ret_link = *ret_made ? link : stands;
        return err;
    }
    return fail(op, ERR_UNAVAILABLE, "no free code was drawn");
}
