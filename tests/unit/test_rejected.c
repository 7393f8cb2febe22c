#include "test.h"

#include "serve/rejected.h"

static struct buf buf;

static struct str written(const struct rejected *rejected)
{
    struct json_writer w;
    buf_done(&buf);
    buf_init(&buf, 1 << 20);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    rejected_write(&w, rejected);
    json_object_end(&w);
    return buf_str(&buf);
}

TEST(rejected, names_lines_with_what_was_wrong)
{
    struct rejected rejected = { .arena = arena_new(1 << 20) };
    char detail[] = "no jobtype";
    STR_EQ(written(&rejected), "{\"rejected\":[],\"rejected_count\":0}");
    rejected_add(&rejected, 3, str_of(detail));
    detail[0] = 'X'; /* the text is kept as it was */
    rejected_add(&rejected, 7, S("too long"));
    STR_EQ(written(&rejected),
           "{\"rejected\":[{\"line\":3,\"detail\":\"no jobtype\"},{\"line\":7,\"detail\":\"too long\"}],"
           "\"rejected_count\":2}");
    arena_free(rejected.arena);
}

TEST(rejected, counts_more_than_it_names)
{
    struct rejected rejected = { .arena = arena_new(1 << 20) };
    for (int64_t line = 1; line <= REJECTED_MAX + 5; line++)
        rejected_add(&rejected, line, S("bad"));
    EQ(rejected.named, REJECTED_MAX);
    EQ(rejected.lines[REJECTED_MAX - 1].number, REJECTED_MAX);
    EQ(rejected.count, REJECTED_MAX + 5);
    arena_free(rejected.arena);
}

TEST(rejected, still_counts_when_its_memory_is_full)
{
    struct rejected rejected = { .arena = arena_new(100) };
    rejected_add(&rejected, 1, S("bad"));
    STR_EQ(written(&rejected), "{\"rejected\":[],\"rejected_count\":1}");
    arena_free(rejected.arena);
}
