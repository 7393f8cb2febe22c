#include "base/json_merge.h"

struct merging {
    struct op *op;
    struct str had, patch;
    enum err err; /* of an object inside */
};

static bool drop_patched(struct json_writer *w, struct str name, struct str value, void *data)
{
    const struct merging *merging = data;
    (void)w;
    return json_find(merging->op->arena, merging->patch, JSON_STRICT, name, &value);
}

static bool merge_member(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct merging *merging = data;
    struct str had;
    if (str_eq(value, S("null")))
        return true;
    if (!str_starts(value, S("{")))
        return false;
    if (!json_find(merging->op->arena, merging->had, JSON_STRICT, name, &had) || !str_starts(had, S("{")))
        had = S("{}");
    json_put_name_str(w, name);
    json_object_begin(w);
    enum err err = json_merge(merging->op, w, had, value);
    json_object_end(w);
    merging->err = merging->err ? merging->err : err;
    return true;
}

enum err json_merge(struct op *op, struct json_writer *w, struct str had, struct str patch)
{
    struct merging merging = { op, had.n ? had : S("{}"), patch, OK };
    TRY(json_copy_members(op, w, merging.had, drop_patched, &merging));
    TRY(json_copy_members(op, w, patch, merge_member, &merging));
    return merging.err;
}
