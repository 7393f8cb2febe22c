/*
 * fuzz_form.c - forms, queries and multipart bodies give fields that lie inside the input or its copy,
 * and what is encoded decodes to itself.
 *
 * The first line of an input is a content type, the rest a body; both readers get it.
 */
#include <assert.h>

#include "fuzz.h"
#include "base/form.h"
#include "net/multipart.h"

static void check_form(struct arena *arena, struct str body)
{
    struct str rest = body;
    struct form_field field;
    size_t fields = 0, bytes = 0;
    while (form_next(arena, &rest, &field)) {
        assert(str_given(field.name) && str_given(field.value));
        fields++;
        bytes += field.name.n + field.value.n;
        struct str again = form_decode(arena, form_encode(arena, field.value), false);
        assert(str_eq(again, field.value));
    }
    assert(fields <= body.n + 1 && bytes <= body.n);
}

static void check_multipart(struct op *op, struct str type, struct str body)
{
    struct multipart multipart;
    struct multipart_part part;
    if (multipart_init(op, &multipart, type, body) != OK)
        return;
    const char *before = body.p;
    for (int parts = 0; multipart_next(op, &multipart, &part) == OK && str_given(part.name); parts++) {
        assert(parts < MULTIPART_PARTS_MAX);
        if (!part.value.n)
            continue;
        assert(part.value.p >= before && part.value.p + part.value.n <= body.p + body.n);
        before = part.value.p + part.value.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str rest = { (const char *)data, bytes };
    struct arena *arena = arena_new(64 * 1024 * 1024);
    struct op op;
    op_init(&op, arena, 0);
    struct str type = str_cut(&rest, '\n');
    struct str body = str_given(rest) ? rest : S("");
    check_form(arena, body);
    check_multipart(&op, type, body);
    arena_free(arena);
    return 0;
}
