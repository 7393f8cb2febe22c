#include "engine/import_ahead.h"

#include "base/fold.h"
#include "engine/names.h"
#include "store/store_member.h"
#include "store/store_message.h"
#include "store/store_parked.h"
#include "store/store_suppression.h"

#define REFS_PER_LINE 4

/* The lines of a chunk as questions. */
struct asking {
    struct message_want *wants;
    struct str *members;
    int64_t *refs, *addresses;
    size_t want_count, member_count, ref_count, address_count;
};

static enum err asking_make(struct op *op, size_t lines, struct asking *ret)
{
    *ret = (struct asking){ 0 };
    TRY(op_alloc(op, lines * sizeof *ret->wants, &ret->wants));
    TRY(op_alloc(op, lines * sizeof *ret->members, &ret->members));
    TRY(op_alloc(op, lines * REFS_PER_LINE * sizeof *ret->refs, &ret->refs));
    return op_alloc(op, lines * sizeof *ret->addresses, &ret->addresses);
}

/* The references under which reports may wait for the line's message. */
static void ask_refs(struct tx *tx, const struct import_line *line, struct str mailing_id, int64_t recipient,
                     struct asking *asking)
{
    struct str provider_id = fold_message_id(line->provider_message_id);
    if (str_given(line->id))
        asking->refs[asking->ref_count++] = name_ref_message(tx, line->id);
    if (str_given(mailing_id))
        asking->refs[asking->ref_count++] = name_ref_mailing(tx, mailing_id, recipient);
    if (provider_id.n == 0)
        return;
    int64_t hash = name_provider_id(tx, provider_id);
    asking->refs[asking->ref_count++] = name_ref_provider(tx, hash, recipient);
    asking->refs[asking->ref_count++] = name_ref_provider(tx, hash, 0);
}

static enum err ask_line(struct op *op, struct tx *tx, const struct import_chunk *chunk, const struct mailing *mailing,
                         const struct import_line *line, struct asking *asking)
{
    struct str mailing_id = chunk->kind == IMPORT_MAILING ? mailing->id : line->mailing;
    int64_t recipient = name_recipient(op, tx, line->channel, line->recipient);
    struct message_want *want = &asking->wants[asking->want_count++];
    *want = (struct message_want){ .id = line->id, .mailing_no = mailing->no, .recipient_hash = recipient };
    if (chunk->kind != IMPORT_MAILING && str_given(line->mailing))
        TRY(store_mailing_no(op, tx, line->mailing, &want->mailing_no));
    if (line->member.n)
        asking->members[asking->member_count++] = line->member;
    if (str_given(line->deliver_queue))
        asking->addresses[asking->address_count++] = recipient;
    ask_refs(tx, line, mailing_id, recipient, asking);
    return OK;
}

/* The tenant of all lines; 0 when there are several, or none of that name. */
static enum err only_tenant(struct op *op, struct tx *tx, const struct import_chunk *chunk,
                            const struct mailing *mailing, uint32_t *ret_no)
{
    struct tenant tenant = { .no = mailing->tenant_no };
    *ret_no = tenant.no;
    if (chunk->kind == IMPORT_MAILING)
        return OK;
    for (size_t i = 1; i < chunk->count; i++)
        if (!str_eq(chunk->lines[i].tenant, chunk->lines[0].tenant))
            return OK;
    enum err err = store_tenant_get(op, tx, chunk->lines[0].tenant, &tenant);
    *ret_no = err == OK ? tenant.no : 0;
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err import_prefetch(struct op *op, struct tx *tx, const struct import_chunk *chunk, const struct mailing *mailing)
{
    struct asking asking;
    uint32_t tenant_no;
    if (chunk->count == 0 || !tx_asks_ahead(tx))
        return OK;
    TRY(asking_make(op, chunk->count, &asking));
    for (size_t i = 0; i < chunk->count; i++)
        if (!chunk->lines[i].rejected)
            TRY(ask_line(op, tx, chunk, mailing, &chunk->lines[i], &asking));
    TRY(store_message_prefetch(op, tx, asking.wants, asking.want_count));
    TRY(store_message_expect(op, tx, asking.want_count));
    TRY(only_tenant(op, tx, chunk, mailing, &tenant_no));
    if (tenant_no)
        TRY(store_member_prefetch(op, tx, tenant_no, asking.members, asking.member_count));
    TRY(store_suppression_prefetch(op, tx, asking.addresses, asking.address_count));
    return store_parked_prefetch(op, tx, asking.refs, asking.ref_count);
}
