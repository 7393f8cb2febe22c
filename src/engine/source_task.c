#include "engine/source_task.h"

#include "base/json.h"
#include "base/json_write.h"
#include "engine/source_config.h"

enum err source_task_confirm(struct op *op, struct tx *tx, struct str source_id, struct str url)
{
    struct buf buf;
    struct json_writer w;
    uint64_t no;
    buf_init_arena(&buf, op->arena, TASK_PAYLOAD_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "source", source_id);
    json_member_str(&w, "url", url);
    json_object_end(&w);
    return store_task_add(op, tx, S(TASK_CONFIRM), buf_str(&buf), op_now_ms(op), &no);
}

static void read_member(struct json *j, struct str name, struct source_task *task)
{
    int64_t number;
    if (str_eq(name, S("tenant_no"))) {
        if (json_int(j, 0, UINT32_MAX, &number))
            task->tenant_no = (uint32_t)number;
    } else if (str_eq(name, S("source"))) {
        json_string(j, &task->source);
    } else if (str_eq(name, S("address"))) {
        json_string(j, &task->address);
    } else if (str_eq(name, S("reason"))) {
        json_string(j, &task->reason);
    } else if (str_eq(name, S("url"))) {
        json_string(j, &task->url);
    }
}

enum err source_task_read(struct op *op, const struct task *task, struct source_task *ret)
{
    struct json j;
    struct str name;
    struct source_task read = { .is_release = str_eq(task->kind, S(TASK_RELEASE)) };
    if (!read.is_release && !str_eq(task->kind, S(TASK_CONFIRM)))
        return fail(op, ERR_MALFORMED, "no task of sources: %.*s", STR(task->kind));
    json_init(&j, op->arena, task->payload, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            read_member(&j, name, &read);
    TRY(json_finish(&j, op));
    if (read.is_release ? !str_given(read.address) || !str_given(read.reason) : !str_given(read.url))
        return fail(op, ERR_MALFORMED, "the payload of a task lacks a member");
    *ret = read;
    return OK;
}

struct account_scan {
    const struct source_task *task;
    struct source_row *rows;
    size_t count, max;
};

static enum err add_account(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    (void)op;
    (void)tx;
    struct account_scan *scan = arg;
    bool is_tenants = row->tenant_no == 0 || row->tenant_no == scan->task->tenant_no;
    if (scan->count < scan->max && is_tenants && source_config_is_polled(row))
        scan->rows[scan->count++] = *row;
    return OK;
}

/* The source that reported it, if it has an account; else every account of the tenant, because the suppression came
 * through another door and nobody knows which list holds the address. */
enum err source_task_accounts(struct op *op, struct tx *tx, const struct source_task *task, size_t max,
                              struct source_row **ret, size_t *ret_count)
{
    struct account_scan scan = { task, NULL, 0, max };
    struct source_row row;
    TRY(op_alloc(op, max * sizeof *scan.rows, &scan.rows));
    enum err err = str_given(task->source) ? store_source_get(op, tx, task->source, &row) : ERR_NOT_FOUND;
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (err == OK)
        err = add_account(op, tx, &row, &scan);
    else
        err = store_source_each(op, tx, (struct str){ NULL, 0 }, 1000, add_account, &scan);
    *ret = scan.rows;
    *ret_count = scan.count;
    return err;
}
