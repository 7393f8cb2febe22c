#include "engine/suppress.h"

#include "base/json_write.h"
#include "engine/names.h"
#include "store/store_task.h"

#define SUPPRESSIONS_PER_ADDRESS_MAX 100

static const char *const reason_names[] = {
    [SUPPRESS_NOT] = "",
    [SUPPRESS_BOUNCE] = "bounce",
    [SUPPRESS_COMPLAINT] = "complaint",
    [SUPPRESS_UNSUBSCRIBE] = "unsubscribe",
};

const char *suppression_reason_name(enum suppression_reason reason)
{
    return reason_names[reason];
}

bool suppression_reason_of(struct str name, enum suppression_reason *ret_reason)
{
    for (enum suppression_reason r = SUPPRESS_BOUNCE; r <= SUPPRESS_UNSUBSCRIBE; r++) {
        if (str_eq(name, str_of(reason_names[r]))) {
            *ret_reason = r;
            return true;
        }
    }
    return false;
}

/* An unsubscription is about mailings; password resets still go. */
static struct str scope_of(enum suppression_reason reason)
{
    return reason == SUPPRESS_UNSUBSCRIBE ? S("mailings") : S("all");
}

enum err suppress_add(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                      enum suppression_reason reason, int64_t at_us, uint64_t message_no, struct str source,
                      bool *ret_changed)
{
    return suppress_scope(op, tx, tenant_no, address, reason, scope_of(reason), at_us, message_no, source, ret_changed);
}

enum err suppress_scope(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                        enum suppression_reason reason, struct str scope, int64_t at_us, uint64_t message_no,
                        struct str source, bool *ret_changed)
{
    int64_t hash = name_recipient(op, tx, CHANNEL_EMAIL, address);
    struct suppression row;
    enum err err = store_suppression_get(op, tx, tenant_no, hash, (uint8_t)reason, scope, &row);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == OK && row.since_us <= at_us && row.last_at_us >= at_us) {
        if (ret_changed)
            *ret_changed = false;
        return OK;
    }
    if (err == ERR_NOT_FOUND)
        row = (struct suppression){ .tenant_no = tenant_no,
                                    .address_hash = hash,
                                    .address = str_trim(address),
                                    .reason = (uint8_t)reason,
                                    .scope = scope,
                                    .since_us = at_us,
                                    .last_at_us = at_us,
                                    .message_no = message_no,
                                    .source = source };
    row.since_us = at_us < row.since_us ? at_us : row.since_us;
    row.last_at_us = at_us > row.last_at_us ? at_us : row.last_at_us;
    TRY(store_suppression_put(op, tx, &row));
    if (ret_changed)
        *ret_changed = true;
    return OK;
}

struct check_scan {
    bool in_mailing;
    enum suppression_reason reason;
};

static enum err check_row(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    (void)op;
    (void)tx;
    struct check_scan *scan = arg;
    bool forbids = str_eq(row->scope, S("all")) || (scan->in_mailing && str_eq(row->scope, S("mailings")));
    if (forbids && scan->reason == SUPPRESS_NOT)
        scan->reason = (enum suppression_reason)row->reason;
    return OK;
}

enum err suppress_check(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t address_hash, bool in_mailing,
                        enum suppression_reason *ret_reason)
{
    struct check_scan scan = { .in_mailing = in_mailing };
    bool more;
    TRY(store_suppression_list(op, tx, tenant_no, true, address_hash, 0, SUPPRESSIONS_PER_ADDRESS_MAX, check_row, &scan,
                               &more));
    *ret_reason = scan.reason;
    return OK;
}

struct release_scan {
    enum suppression_reason reason;
    struct suppression rows[SUPPRESSIONS_PER_ADDRESS_MAX];
    int count;
};

static enum err release_row(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    (void)op;
    (void)tx;
    struct release_scan *scan = arg;
    if (scan->reason == SUPPRESS_NOT || scan->reason == (enum suppression_reason)row->reason)
        scan->rows[scan->count++] = *row;
    return OK;
}

/* Tells the sources' runner to take the address off the provider's own list (SRC-26). */
static enum err release_at_provider(struct op *op, struct tx *tx, const struct suppression *row)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 4096);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "tenant_no", row->tenant_no);
    json_member_str(&w, "source", row->source);
    json_member_str(&w, "address", row->address);
    json_member_str(&w, "reason", str_of(suppression_reason_name((enum suppression_reason)row->reason)));
    json_object_end(&w);
    uint64_t no;
    return store_task_add(op, tx, S("suppression.release"), buf_str(&buf), op_now_ms(op), &no);
}

enum err suppress_release(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                          enum suppression_reason reason)
{
    struct release_scan *scan;
    TRY(op_alloc(op, sizeof *scan, &scan));
    scan->reason = reason;
    bool more;
    int64_t hash = name_recipient(op, tx, CHANNEL_EMAIL, address);
    TRY(store_suppression_list(op, tx, tenant_no, true, hash, 0, SUPPRESSIONS_PER_ADDRESS_MAX, release_row, scan,
                               &more));
    if (scan->count == 0)
        return fail(op, ERR_NOT_FOUND, "this address is not suppressed");
    for (int i = 0; i < scan->count; i++) {
        TRY(store_suppression_delete(op, tx, scan->rows[i].no));
        TRY(release_at_provider(op, tx, &scan->rows[i]));
    }
    return OK;
}
