#include "engine/node_status.h"

#include "base/instant.h"
#include "store/store_source_leases.h"

/* A lease and the node it belongs to, as both tables tell it. */
struct held {
    struct str node;
    struct str name;
};

struct leases {
    struct held held[NODE_LEASES_SHOWN];
    size_t count;
};

static void add(struct leases *leases, struct str node, struct str name)
{
    if (leases->count < NODE_LEASES_SHOWN)
        leases->held[leases->count++] = (struct held){ node, name };
}

static enum err add_lease(struct op *op, const struct duty *duty, void *arg)
{
    (void)op;
    add(arg, duty->self.id, duty->name);
    return OK;
}

static enum err read_leases(struct op *op, struct tx *tx, struct leases *leases)
{
    struct source_lease *sources;
    size_t count;
    int64_t clock_us;
    TRY(store_duty_each(op, tx, add_lease, leases));
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(store_source_leases(op, tx, 0, NODE_LEASES_SHOWN, &sources, &count));
    for (size_t i = 0; i < count; i++)
        if (str_given(sources[i].node) && sources[i].until_us >= clock_us)
            add(leases, sources[i].node, arena_fmt(op->arena, "source/%.*s", STR(sources[i].id)));
    return OK;
}

static void put_instant(struct json_writer *w, const char *name, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, instant_text(us, 6, text));
}

static void put_node(struct json_writer *w, const struct node_row *row, const struct leases *leases)
{
    json_object_begin(w);
    json_member_str(w, "id", row->id);
    json_member_str(w, "state", row->is_lost ? S("lost") : S("alive"));
    json_member_str(w, "version", row->version);
    put_instant(w, "started_at", row->started_at_us);
    put_instant(w, "beat_at", row->beat_at_us);
    json_put_name(w, "clock_offset_seconds");
    if (row->offset_us == NODE_NO_OFFSET)
        json_put_null(w);
    else
        json_put_decimal(w, row->offset_us / 1000, 3);
    json_put_name(w, "leases");
    json_array_begin(w);
    for (size_t i = 0; !row->is_lost && i < leases->count; i++)
        if (str_eq(leases->held[i].node, row->id))
            json_put_str(w, leases->held[i].name);
    json_array_end(w);
    json_object_end(w);
}

enum err node_status_write(struct op *op, struct tx *tx, const struct node_life *own, struct json_writer *w)
{
    struct node_row *rows;
    struct leases *leases;
    size_t count;
    TRY(op_alloc(op, sizeof *leases, &leases));
    TRY(read_leases(op, tx, leases));
    TRY(store_node_list(op, tx, &rows, &count));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].no == own->no && own->alive <= 1)
            rows[i].beat_at_us = op->now_us;
        put_node(w, &rows[i], leases);
    }
    json_array_end(w);
    return OK;
}
