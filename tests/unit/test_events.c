#include "engine/events.h"

#include "engine/keep_log.h"
#include "keep_lab.h"
#include "store_test.h"

static struct fixture f;

static struct event_row read_event(const char *text)
{
    struct event_row row;
    SUCCEEDS(&f.op, event_read(&f.op, str_of(text), &row));
    return row;
}

TEST(events, a_type_is_words_joined_by_dots)
{
    YES(event_type_valid(S("a")));
    YES(event_type_valid(S("package.build_fail-2")));
    YES(event_type_valid(S("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p")));
    NO(event_type_valid(S("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q")));
    NO(event_type_valid(S("")));
    NO(event_type_valid(S(".a")));
    NO(event_type_valid(S("a.")));
    NO(event_type_valid(S("a..b")));
    NO(event_type_valid(S("a b")));
}

TEST(events, data_stays_byte_for_byte_and_may_hold_any_value)
{
    fixture_start(&f);
    STR_EQ(read_event("{\"type\":\"a\",\"data\":{ \"x\" : 1.00 }}").data, "{ \"x\" : 1.00 }");
    STR_EQ(read_event("{\"type\":\"a\",\"data\":null}").data, "null");
    NO(str_given(read_event("{\"type\":\"a\"}").data));
    STR_EQ(read_event("{\"type\":\"a\",\"data\":\"\\\\u0000\"}").data, "\"\\\\u0000\""); /* a backslash, and no NUL */
    struct event_row row;
    EQ(event_read(&f.op, S("{\"type\":\"a\",\"data\":\"\\u0000\"}"), &row), ERR_INVALID);
    STR_EQ(str_of(f.op.error), "data: must not contain a NUL character");
    fixture_end(&f);
}

struct recording {
    struct event_row rows[4];
    size_t count;
};

static enum err record(struct op *op, struct tx *tx, void *arg)
{
    struct recording *r = arg;
    return events_record(op, tx, r->rows, r->count);
}

TEST(events, an_identity_is_recorded_once_also_inside_one_page)
{
    fixture_start(&f);
    struct recording r = { .count = 4 };
    r.rows[0] = read_event("{\"id\":\"e\",\"type\":\"a\"}");
    r.rows[1] = read_event("{\"id\":\"e\",\"type\":\"b\"}");
    r.rows[2] = read_event("{\"id\":\"e\",\"type\":\"a\",\"source\":\"ci\"}");
    r.rows[3] = read_event("{\"id\":\"e\",\"type\":\"a\",\"tenant\":\"t\"}");
    WRITES(&f, record, &r);
    YES(r.rows[0].added);
    NO(r.rows[1].added);
    YES(r.rows[2].added);
    YES(r.rows[3].added);
    YES(r.rows[3].seq > r.rows[2].seq && r.rows[2].seq > r.rows[0].seq);
    WRITES(&f, record, &r);
    for (int i = 0; i < 4; i++)
        NO(r.rows[i].added);
    fixture_end(&f);
}

struct listing {
    int count;
    char ids[4][8];
};

static enum err note(struct op *op, const struct event_row *row, void *arg)
{
    struct listing *listing = arg;
    (void)op;
    snprintf(listing->ids[listing->count++ % 4], 8, "%.*s", STR(row->id));
    return OK;
}

static enum err list(struct op *op, struct tx *tx, void *arg)
{
    struct event_filter filter = { 0 };
    bool more;
    uint64_t last;
    return store_event_list(op, tx, &filter, 10, note, arg, &more, &last);
}

TEST(events, leave_after_30_days)
{
    struct keep_all all = { .jobtype = KEEP_LOG_TYPE };
    fixture_start(&f);
    f.op.now_us = INT64_C(1800000000) * 1000000;
    struct recording r = { .count = 1 };
    r.rows[0] = read_event("{\"id\":\"old\",\"type\":\"a\"}");
    WRITES(&f, record, &r);
    f.op.now_us += INT64_C(29) * 86400 * 1000000;
    r.rows[0] = read_event("{\"id\":\"young\",\"type\":\"a\"}");
    WRITES(&f, record, &r);
    WRITES(&f, keep_all, &all);
    EQ(all.parts, 0);
    f.op.now_us += INT64_C(2) * 86400 * 1000000;
    WRITES(&f, keep_all, &all);
    EQ(all.gone, 1);
    struct listing left = { 0 };
    READS(&f, list, &left);
    EQ(left.count, 1);
    STR_EQ(str_of(left.ids[0]), "young");
    fixture_end(&f);
}
