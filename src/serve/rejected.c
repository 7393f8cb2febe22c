#include "serve/rejected.h"

void rejected_add(struct rejected *rejected, int64_t number, struct str detail)
{
    rejected->count++;
    if (!rejected->lines)
        rejected->lines = arena_alloc(rejected->arena, REJECTED_MAX * sizeof *rejected->lines);
    if (rejected->lines && rejected->named < REJECTED_MAX)
        rejected->lines[rejected->named++] = (struct rejected_line){ number, arena_str(rejected->arena, detail) };
}

void rejected_write(struct json_writer *w, const struct rejected *rejected)
{
    json_put_name(w, "rejected");
    json_array_begin(w);
    for (size_t i = 0; i < rejected->named; i++) {
        json_object_begin(w);
        json_member_int(w, "line", rejected->lines[i].number);
        json_member_str(w, "detail", rejected->lines[i].detail);
        json_object_end(w);
    }
    json_array_end(w);
    json_member_int(w, "rejected_count", rejected->count);
}
