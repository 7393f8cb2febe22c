#include "engine/names.h"

#include "base/fold.h"
#include "base/siphash.h"

enum name_domain {
    NAME_RECIPIENT = 1,
    NAME_PHONE,
    NAME_PROVIDER,
    NAME_REF_MESSAGE,
    NAME_REF_MAILING,
    NAME_REF_PROVIDER
};

static void name_begin(struct siphash *hash, struct tx *tx, enum name_domain domain)
{
    siphash_init64(hash, siphash_key_from(tx_hash_key(tx)));
    siphash_add_u64(hash, domain);
}

static int64_t name_end(struct siphash *hash)
{
    int64_t value = (int64_t)siphash_end64(hash);
    return value ? value : 1; /* 0 stands for "none" wherever a hash is stored */
}

int64_t name_recipient(struct op *op, struct tx *tx, enum channel channel, struct str recipient)
{
    bool phone = channel == CHANNEL_SMS;
    struct siphash hash;
    name_begin(&hash, tx, phone ? NAME_PHONE : NAME_RECIPIENT);
    siphash_add_str(&hash, phone ? fold_phone(op->arena, recipient) : fold_address(op->arena, recipient));
    return name_end(&hash);
}

int64_t name_provider_id(struct tx *tx, struct str provider_message_id)
{
    struct siphash hash;
    name_begin(&hash, tx, NAME_PROVIDER);
    siphash_add_str(&hash, fold_message_id(provider_message_id));
    return name_end(&hash);
}

int64_t name_ref_message(struct tx *tx, struct str message_id)
{
    struct siphash hash;
    name_begin(&hash, tx, NAME_REF_MESSAGE);
    siphash_add_str(&hash, message_id);
    return name_end(&hash);
}

int64_t name_ref_mailing(struct tx *tx, struct str mailing_id, int64_t recipient_hash)
{
    struct siphash hash;
    name_begin(&hash, tx, NAME_REF_MAILING);
    siphash_add_str(&hash, mailing_id);
    siphash_add_u64(&hash, (uint64_t)recipient_hash);
    return name_end(&hash);
}

int64_t name_ref_provider(struct tx *tx, int64_t provider_hash, int64_t recipient_hash)
{
    struct siphash hash;
    name_begin(&hash, tx, NAME_REF_PROVIDER);
    siphash_add_u64(&hash, (uint64_t)provider_hash);
    siphash_add_u64(&hash, (uint64_t)recipient_hash);
    return name_end(&hash);
}
