#include "engine/import_ahead.h"

#include <stdio.h>
#include <string.h>

#include "base/fold.h"
#include "base/id.h"
#include "base/json_write.h"
#include "base/zone.h"
#include "engine/names.h"
#include "engine/park.h"
#include "engine/suppress.h"
#include "store/block.h"
#include "store/store_click.h"
#include "store/store_fact.h"
#include "store/store_member.h"
#include "store/store_message.h"
#include "store/store_task.h"
#include "store/store_tenant.h"
#include "store/store_touch.h"
#include "store/tally.h"

/* Pushed jobs wait as tasks that no runner takes until the job engine does. */
#define JOB_TASK_DUE_MS INT64_C(253402300799000)

/* One line on its way into rows. */
struct importing {
    struct tx *tx;
    struct import_line *line;
    struct mailing mailing; /* no == 0: none */
    uint32_t tenant_no;
    struct message_row row;
    bool duplicate;
};

/* Where the line before belonged. */
struct import_place {
    struct str tenant_id;
    uint32_t tenant_no;
    struct mailing mailing;
};

static enum err refuse(struct import_line *line, const char *detail)
{
    line->refused = true;
    snprintf(line->detail, sizeof line->detail, "%s", detail);
    return OK;
}

/* Looks names up once for lines that follow each other. */
static enum err tenant_no_of(struct op *op, struct tx *tx, struct import_place *place, struct str id, uint32_t *ret_no)
{
    struct tenant tenant;
    if (!place->tenant_no || !str_eq(place->tenant_id, id)) {
        TRY(store_tenant_get(op, tx, id, &tenant));
        place->tenant_id = id;
        place->tenant_no = tenant.no;
    }
    *ret_no = place->tenant_no;
    return OK;
}

static enum err mailing_of(struct op *op, struct tx *tx, struct import_place *place, struct str id, struct mailing *ret)
{
    if (!place->mailing.no || !str_eq(place->mailing.id, id)) {
        place->mailing.no = 0;
        TRY(store_mailing_get(op, tx, id, &place->mailing));
    }
    *ret = place->mailing;
    return OK;
}

/* Which tenant and mailing the line belongs to; the mailing of the path was looked up already. */
static enum err place_line(struct op *op, struct importing *in, const struct import_chunk *chunk,
                           struct import_place *place)
{
    struct import_line *line = in->line;
    if (chunk->kind == IMPORT_MAILING) {
        in->mailing = place->mailing;
        in->tenant_no = place->mailing.tenant_no;
        return OK;
    }
    enum err err = tenant_no_of(op, in->tx, place, line->tenant, &in->tenant_no);
    if (err == ERR_NOT_FOUND || (err == OK && chunk->tenant_only && in->tenant_no != chunk->tenant_only))
        return refuse(line, "tenant: there is no such tenant");
    TRY(err);
    if (!str_given(line->mailing))
        return OK;
    err = mailing_of(op, in->tx, place, line->mailing, &in->mailing);
    if (err == ERR_NOT_FOUND || (err == OK && in->mailing.tenant_no != in->tenant_no))
        return refuse(line, "mailing: there is no such mailing of this tenant");
    return err;
}

/* LED-2: the same recipient again is a duplicate whatever its id; an id of another message is refused. */
static enum err find_twin(struct op *op, struct importing *in)
{
    uint64_t twin = 0;
    if (in->mailing.no) {
        TRY(store_message_find_recipient(op, in->tx, in->mailing.no, in->row.recipient_hash, &twin));
        if (twin) {
            in->duplicate = true;
            return OK;
        }
    }
    if (!str_given(in->line->id))
        return OK;
    enum err err = store_message_find_id(op, in->tx, in->line->id, &twin);
    if (err == ERR_NOT_FOUND)
        return OK;
    TRY(err);
    if (in->mailing.no)
        return refuse(in->line, "id already used");
    /* Without a mailing the id alone tells a repeated line from a clash. */
    struct message_row stands;
    TRY(store_message_get(op, in->tx, twin, &stands));
    in->duplicate =
        stands.tenant_no == in->tenant_no && stands.recipient_hash == in->row.recipient_hash && stands.mailing_no == 0;
    return in->duplicate ? OK : refuse(in->line, "id already used");
}

static struct str text_or_none(struct str text)
{
    return text.n ? text : (struct str){ 0 };
}

static enum err fill_row(struct op *op, struct importing *in, const struct import_chunk *chunk)
{
    const struct import_line *line = in->line;
    struct message_row *row = &in->row;
    row->tenant_no = in->tenant_no;
    row->mailing_no = in->mailing.no;
    row->channel = (uint8_t)line->channel;
    row->key = (uint8_t)line->key;
    row->imported = chunk->kind == IMPORT_MAILING;
    row->recipient = str_trim(line->recipient);
    row->provider = text_or_none(line->provider);
    row->provider_message_id = text_or_none(fold_message_id(line->provider_message_id));
    row->provider_hash = row->provider_message_id.n ? name_provider_id(in->tx, row->provider_message_id) : 0;
    row->template_name = text_or_none(line->template_name);
    row->reference = text_or_none(line->reference);
    row->added_at_ms = op_now_ms(op);
    row->created_at_ms = line->created_at_us == INT64_MIN ? row->added_at_ms : line->created_at_us / 1000;
    row->sent_at_us = line->sent_at_us;
    row->first_status = (uint8_t)(line->status != STATUS_NONE ? line->status
                                  : row->provider_hash        ? STATUS_SENDING
                                                              : STATUS_CREATED);
    const struct zone *zone;
    TRY(store_tenant_zone(op, in->tx, in->tenant_no, &zone));
    row->local_day = zone_day_at(zone, row->created_at_ms * 1000);
    row->no = store_message_number(in->tx);
    row->id_given = str_given(line->id);
    row->id = line->id;
    if (row->id_given)
        return OK;
    char *text;
    TRY(op_alloc(op, ID_TEXT_BYTES, &text));
    row->id = id_make(row->added_at_ms, row->no, text);
    return OK;
}

/* The member's counters move with its message (LED-17). */
static enum err meet_member(struct op *op, struct importing *in)
{
    if (!in->line->member.n)
        return OK;
    TRY(store_member_meet(op, in->tx, in->tenant_no, in->line->member, in->row.recipient_hash, &in->row.member_no));
    struct member_state *member;
    TRY(store_block_edit(op, in->tx, BLOCK_MEMBER, in->row.member_no, &member));
    member->messages++;
    member->tracked += in->mailing.no && in->mailing.track_opens;
    return OK;
}

static int64_t soon_from(const struct importing *in)
{
    if (in->row.sent_at_us)
        return in->row.sent_at_us;
    return in->mailing.no && in->mailing.sent_at_us > 0 ? in->mailing.sent_at_us : 0;
}

static enum err write_state(struct op *op, struct importing *in)
{
    struct cohort cohort = { .tenant_no = in->tenant_no,
                             .local_day = in->row.local_day,
                             .channel = in->row.channel,
                             .key = in->row.key,
                             .template_name = in->row.template_name.n ? in->row.template_name : S("") };
    TRY(store_cohort_meet(op, in->tx, &cohort));
    struct message_fixed *fixed;
    struct message_delivery *delivery;
    TRY(store_block_edit(op, in->tx, BLOCK_MESSAGE_FIXED, in->row.no, &fixed));
    TRY(store_block_edit(op, in->tx, BLOCK_MESSAGE_DELIVERY, in->row.no, &delivery));
    *fixed = (struct message_fixed){ .mailing_no = in->mailing.no,
                                     .cohort_no = cohort.no,
                                     .member_no = in->row.member_no,
                                     .sent_at_us = soon_from(in) };
    *delivery = (struct message_delivery){ .status = in->row.first_status };
    TRY(store_mailing_young(op, in->tx, in->mailing.no, fixed->sent_at_us));
    if (in->row.key == KEY_TEST)
        return OK;
    store_fact_count(in->tx, cohort.no, in->row.first_status, 1);
    if (in->mailing.no)
        store_mailing_count(in->tx, in->mailing.no, MAILING_MESSAGES, 1);
    return OK;
}

/* The job of LED-5: its id is derived from the message's, so a repeated line never makes a second one. */
static enum err push_job(struct op *op, const struct importing *in)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 8192);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "jid", arena_fmt(op->arena, "deliver-%.*s", STR(in->row.id)));
    json_member_str(&w, "queue", in->line->deliver_queue);
    json_member_str(&w, "jobtype", in->line->deliver_jobtype);
    json_put_name(&w, "args");
    json_array_begin(&w);
    json_put_str(&w, in->row.id);
    json_array_end(&w);
    json_object_end(&w);
    uint64_t no;
    return store_task_add(op, in->tx, S("job.push"), buf_str(&buf), JOB_TASK_DUE_MS, &no);
}

/* With `deliver` Posthouse is asked to have it sent: a suppressed recipient is cancelled instead. */
static enum err deliver(struct op *op, struct importing *in)
{
    if (!str_given(in->line->deliver_queue))
        return OK;
    enum suppression_reason reason;
    TRY(suppress_check(op, in->tx, in->tenant_no, in->row.recipient_hash, in->mailing.no != 0, &reason));
    if (reason == SUPPRESS_NOT)
        return push_job(op, in);
    struct subject subject;
    enum status_answer answer;
    TRY(subject_open(op, in->tx, in->row.no, &subject));
    TRY(subject_move(op, &subject, STATUS_CANCELLED,
                     arena_fmt(op->arena, "suppressed: %s", suppression_reason_name(reason)), &answer));
    return subject_close(op, &subject);
}

static enum err import_one(struct op *op, struct importing *in, const struct import_chunk *chunk,
                           struct import_place *place)
{
    TRY(place_line(op, in, chunk, place));
    if (in->line->refused)
        return OK;
    in->row.recipient_hash = name_recipient(op, in->tx, in->line->channel, in->line->recipient);
    TRY(find_twin(op, in));
    if (in->line->refused || in->duplicate)
        return OK;
    TRY(fill_row(op, in, chunk));
    TRY(meet_member(op, in));
    TRY(store_message_put(op, in->tx, &in->row));
    TRY(write_state(op, in));
    TRY(deliver(op, in));
    return park_meet(op, in->tx, &in->row, in->mailing.no ? in->mailing.id : (struct str){ 0 });
}

enum err import_apply(struct op *op, struct tx *tx, struct import_chunk *chunk)
{
    struct import_place place = { 0 };
    if (chunk->kind == IMPORT_MAILING) {
        TRY(store_mailing_get(op, tx, chunk->mailing, &place.mailing));
        if (chunk->tenant_only && place.mailing.tenant_no != chunk->tenant_only)
            return fail(op, ERR_NOT_FOUND, "there is no mailing '%.*s'", STR(chunk->mailing));
    }
    TRY(import_prefetch(op, tx, chunk, &place.mailing));
    chunk->accepted = chunk->duplicates = chunk->rejected = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        struct import_line *line = &chunk->lines[i];
        struct importing in = { .tx = tx, .line = line };
        line->refused = false;
        if (!line->rejected)
            TRY(import_one(op, &in, chunk, &place));
        bool rejected = line->rejected || line->refused;
        chunk->rejected += rejected;
        chunk->duplicates += in.duplicate;
        chunk->accepted += !rejected && !in.duplicate;
    }
    return OK;
}
