#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fold.h"
#include "base/zone.h"
#include "engine/messages.h"
#include "engine/suppress.h"
#include "seeds.h"
#include "store/block.h"
#include "store/store_fact.h"
#include "store/store_parked.h"
#include "store/store_tenant.h"
#include "store/tally.h"

#define TENANTS_MAX 16
#define SOURCES_MAX 4
#define LINES_MAX   20000

struct taking {
    const struct image *image;
    struct buf buf;
    struct str mailing; /* whose links are being listed */
    bool more;
};

static enum err tenant_name(struct op *op, struct tx *tx, uint32_t no, struct str *ret)
{
    struct tenant tenant;
    TRY(store_tenant_get_no(op, tx, no, &tenant));
    *ret = tenant.id;
    return OK;
}

static enum err put_failure(struct op *op, struct tx *tx, struct taking *t, const struct message_view *view)
{
    struct failure_row row;
    if (view->delivery.failure == FAILURE_NONE)
        return OK;
    TRY(store_failure_get(op, tx, view->row.no, &row));
    buf_add_fmt(&t->buf, " failure=%d,%d,%.*s,%.*s,%lld,%.*s", row.severity, row.code, STR(row.enhanced), STR(row.text),
                (long long)row.at_us, STR(row.event_id));
    return OK;
}

static enum err put_member(struct op *op, struct tx *tx, struct taking *t, const struct message_row *row)
{
    if (!row->member_no)
        return OK;
    const struct member_state *member;
    const struct zone *zone;
    TRY(store_block_get(op, tx, BLOCK_MEMBER, row->member_no, &member));
    TRY(store_tenant_zone(op, tx, row->tenant_no, &zone));
    buf_add_fmt(&t->buf, " member=%u,%u,%u,%u", member->messages, member->opened, member->tracked,
                member->tracked_opened);
    if (t->image->with_seen && member->last_seen_us)
        buf_add_fmt(&t->buf, " seen=%d", zone_day_at(zone, member->last_seen_us));
    return OK;
}

static enum err put_message(struct op *op, struct tx *tx, struct taking *t, uint64_t no)
{
    struct message_view view;
    struct str tenant, mailing = S("");
    TRY(message_view(op, tx, no, &view));
    const struct message_row *row = &view.row;
    TRY(tenant_name(op, tx, row->tenant_no, &tenant));
    if (row->mailing_no) {
        struct mailing m;
        TRY(store_mailing_get_no(op, tx, row->mailing_no, &m));
        mailing = m.id;
    }
    struct str folded = fold_address(op->arena, row->recipient), id = row->id_given ? row->id : S("-");
    const struct message_engagement *e = &view.engagement;
    buf_add_fmt(&t->buf, "message %.*s/%.*s/%.*s %.*s %s sent=%lld delivered=%lld failed=%lld opened=%lld,%d,%d ",
                STR(tenant), STR(mailing), STR(folded), STR(id), status_name((enum status)view.delivery.status),
                (long long)row->sent_at_us, (long long)view.delivery.delivered_at_us,
                (long long)view.delivery.failed_at_us, (long long)e->opened_at_us, e->open_human, e->open_machine);
    buf_add_fmt(&t->buf, "clicked=%lld,%d,%d complained=%lld unsubscribed=%lld day=%d key=%d %.*s %.*s",
                (long long)e->clicked_at_us, e->click_human, e->click_machine, (long long)view.word.complained_at_us,
                (long long)view.word.unsubscribed_at_us, row->local_day, row->key, STR(row->provider_message_id),
                STR(row->template_name));
    TRY(put_failure(op, tx, t, &view));
    TRY(put_member(op, tx, t, row));
    buf_add_char(&t->buf, '\n');
    return OK;
}

static enum err put_link(struct op *op, struct tx *tx, const struct link_row *row, void *arg)
{
    (void)op;
    (void)tx;
    struct taking *t = arg;
    buf_add_fmt(&t->buf, "link %.*s %.*s members=%lld clicks=%lld\n", STR(t->mailing), STR(row->url),
                (long long)row->members, (long long)row->clicks);
    return OK;
}

static enum err put_mailing(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg)
{
    struct taking *t = arg;
    struct mailing_stats stats;
    TRY(store_mailing_stats_get(op, tx, mailing->no, &stats));
    buf_add_fmt(&t->buf, "mailing %.*s", STR(mailing->id));
    for (enum mailing_figure figure = 0; figure < MAILING_FIGURES; figure++)
        buf_add_fmt(&t->buf, " %s=%lld", mailing_figure_name(figure), (long long)stats.figure[figure]);
    buf_add_fmt(&t->buf, " events=%lld..%lld\n", (long long)stats.first_event_at_us, (long long)stats.last_event_at_us);
    t->mailing = mailing->id;
    return store_link_list(op, tx, mailing->no, 0, 10000, put_link, t, &t->more);
}

static enum err put_fact(struct op *op, struct tx *tx, const struct cohort *cohort, uint8_t status, int64_t count,
                         void *arg)
{
    struct taking *t = arg;
    struct str tenant;
    TRY(tenant_name(op, tx, cohort->tenant_no, &tenant));
    buf_add_fmt(&t->buf, "fact %.*s day=%d %d %d '%.*s' %s=%lld\n", STR(tenant), cohort->local_day, cohort->channel,
                cohort->key, STR(cohort->template_name), status_name((enum status)status), (long long)count);
    return OK;
}

static enum err put_suppression(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    struct taking *t = arg;
    struct str tenant;
    TRY(tenant_name(op, tx, row->tenant_no, &tenant));
    struct str folded = fold_address(op->arena, row->address);
    buf_add_fmt(&t->buf, "suppression %.*s %.*s %s %.*s since=%lld last=%lld\n", STR(tenant), STR(folded),
                suppression_reason_name((enum suppression_reason)row->reason), STR(row->scope),
                (long long)row->since_us, (long long)row->last_at_us);
    return OK;
}

static enum err put_all(struct op *op, struct tx *tx, struct taking *t)
{
    uint64_t newest;
    TRY(store_message_newest(op, tx, &newest));
    for (uint64_t no = 1; no <= newest; no++)
        TRY(put_message(op, tx, t, no));
    TRY(store_mailing_each(op, tx, 0, 1000, put_mailing, t));
    for (uint32_t no = 1; no < TENANTS_MAX; no++) {
        struct str name;
        enum err err = tenant_name(op, tx, no, &name);
        if (err == ERR_NOT_FOUND)
            break;
        TRY(err);
        TRY(store_fact_list(op, tx, no, -100000, 100000, 0, put_fact, t));
    }
    TRY(store_suppression_list(op, tx, 0, false, 0, 0, 100000, put_suppression, t, &t->more));
    for (uint32_t no = 1; no < SOURCES_MAX; no++) {
        int64_t count;
        TRY(store_parked_count(op, tx, no, &count));
        buf_add_fmt(&t->buf, "parked %u %lld\n", no, (long long)count);
    }
    return OK;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The lines in order of their text. */
static enum err sorted(struct op *op, struct str text, struct str *ret)
{
    struct str *lines;
    struct buf out;
    size_t count = 0;
    TRY(op_alloc(op, LINES_MAX * sizeof *lines, &lines));
    while (text.n && count < LINES_MAX)
        lines[count++] = str_cut(&text, '\n');
    qsort(lines, count, sizeof *lines, by_text);
    buf_init_arena(&out, op->arena, IMAGE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&out, lines[i]);
        buf_add_char(&out, '\n');
    }
    if (out.full)
        return fail(op, ERR_TOO_LARGE, "the image is too large");
    *ret = buf_str(&out);
    return OK;
}

enum err image_read(struct op *op, struct tx *tx, void *arg)
{
    struct image *image = arg;
    struct taking t = { .image = image };
    buf_init_arena(&t.buf, op->arena, IMAGE_BYTES_MAX);
    TRY(put_all(op, tx, &t));
    if (t.buf.full)
        return fail(op, ERR_TOO_LARGE, "the image is too large");
    return sorted(op, buf_str(&t.buf), &image->text);
}

void image_same(const char *what, struct str expected, struct str actual)
{
    while (expected.n || actual.n) {
        struct str wanted = str_cut(&expected, '\n'), found = str_cut(&actual, '\n');
        if (!str_eq(wanted, found))
            seed_fails("%s differ\n#   expected: %.*s\n#   found:    %.*s", what, STR(wanted), STR(found));
    }
}
