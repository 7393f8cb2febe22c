#include "engine/click.h"

#include "engine/check.h"
#include "engine/links.h"
#include "ledger_test.h"
#include "store/block.h"
#include "store/store_click.h"
#include "store/store_member.h"

#define NOW (T0 + 3600 * SECOND)

/* One message to "ann" in mailing m, links of the mailing, and clicks of her. */
struct scene {
    struct ledger ledger;
    const char *mailing; /* of the link being put; NULL: none */
    const char *code, *url;
    bool honeypot;
    struct link link;
    bool made;
    struct click clicks[64];
    size_t count;
    uint64_t stored;
    struct link_state state;
    struct member_state member;
};

static enum err put_link(struct op *op, struct tx *tx, void *arg)
{
    struct scene *scene = arg;
    struct link_put put = {
        .url = str_of(scene->url), .tenant = S("acme"), .mailing = str_of(scene->mailing), .honeypot = scene->honeypot
    };
    return link_store(op, tx, str_of(scene->code), &put, 0, &scene->link, &scene->made);
}

static struct link put(struct scene *scene, const char *code, const char *url)
{
    scene->code = code;
    scene->url = url;
    WRITES(&scene->ledger.fixture, put_link, scene);
    return scene->link;
}

static void start_on(struct scene *scene, void (*start_ledger)(struct ledger *ledger))
{
    memset(scene, 0, sizeof *scene);
    start_ledger(&scene->ledger);
    import(&scene->ledger, "{\"recipient\":\"ann@x.org\",\"member\":\"ann\"}\n"
                           "{\"recipient\":\"bob@x.org\",\"member\":\"bob\"}");
    scene->mailing = "m";
}

static void start(struct scene *scene)
{
    start_on(scene, ledger_start);
}

static enum err apply(struct op *op, struct tx *tx, void *arg)
{
    struct scene *scene = arg;
    return click_apply_all(op, tx, S("test"), scene->stored, scene->clicks, scene->count);
}

static struct click click_of(struct scene *scene, struct link link, uint64_t message_no, int64_t at_us, int64_t client)
{
    return (struct click){ .at_us = at_us,
                           .message_no = message_no,
                           .visitor_hash = message_no ? 0 : 77,
                           .link_no = link.no,
                           .version = link.version,
                           .tenant_no = scene->ledger.tenant_no,
                           .mailing_no = link.mailing_no,
                           .member_no = (uint32_t)message_no,
                           .client = client,
                           .flags = link.honeypot ? CLICK_HONEYPOT : 0 };
}

static void add(struct scene *scene, struct click click)
{
    click.number = scene->stored + scene->count + 1;
    scene->clicks[scene->count++] = click;
}

static void commit(struct scene *scene)
{
    WRITES(&scene->ledger.fixture, apply, scene);
    scene->stored += scene->count;
    scene->count = 0;
}

static void one(struct scene *scene, struct link link, uint64_t message_no, int64_t at_us, int64_t client)
{
    add(scene, click_of(scene, link, message_no, at_us, client));
    commit(scene);
}

static enum err read_state(struct op *op, struct tx *tx, void *arg)
{
    struct scene *scene = arg;
    const struct link_state *state;
    const struct member_state *member;
    TRY(store_link_state(op, tx, scene->link.no, &state));
    TRY(store_block_get(op, tx, BLOCK_MEMBER, 1, &member));
    scene->state = *state;
    scene->member = *member;
    return OK;
}

/* clicks, members, human, machine */
static void figures_are(struct scene *scene, struct link link, uint32_t clicks, uint32_t members, uint32_t human,
                        uint32_t machine)
{
    scene->link = link;
    READS(&scene->ledger.fixture, read_state, scene);
    EQ(scene->state.clicks, clicks);
    EQ(scene->state.members, members);
    EQ(scene->state.human, human);
    EQ(scene->state.machine, machine);
}

static void print_difference(void *data, const char *line)
{
    (void)data;
    fprintf(stderr, "%s\n", line);
}

static void end(struct scene *scene)
{
    struct check check = { .store = scene->ledger.fixture.store, .difference = print_difference };
    SUCCEEDS(&scene->ledger.fixture.op, check_run(&scene->ledger.fixture.op, &check));
    EQ(check.differ, 0);
    ledger_stop(&scene->ledger);
}

/* LNK-11 */
TEST(click, counts_in_link_mailing_and_member_at_once)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    one(&s, link, 1, NOW, 5);
    figures_are(&s, link, 1, 1, 1, 0);
    EQ(s.member.last_seen_us, NOW);
    EQ(figure(&s.ledger, MAILING_CLICKED), 1);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 1);
    EQ(stats_of(&s.ledger).last_event_at_us, NOW);
    end(&s);
}

/* LNK-13 */
TEST(click, counts_members_once_and_clicks_each_time)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    one(&s, link, 1, NOW, 5);
    one(&s, link, 1, NOW + 60 * SECOND, 5);
    one(&s, link, 2, NOW + 61 * SECOND, 6);
    figures_are(&s, link, 3, 2, 2, 0);
    EQ(figure(&s.ledger, MAILING_CLICKED), 2);
    end(&s);
}

/* LNK-13: the figures of a link move by clicks of it, not by those of other links. */
TEST(click, click_of_another_link_leaves_the_figures_of_the_first)
{
    struct scene s;
    start(&s);
    struct link a = put(&s, "a", "https://x/a"), b = put(&s, "b", "https://x/b");
    one(&s, a, 1, NOW, 5);
    one(&s, b, 1, NOW + 60 * SECOND, 5);
    one(&s, a, 1, NOW + 120 * SECOND, 5);
    figures_are(&s, a, 2, 1, 1, 0);
    figures_are(&s, b, 1, 1, 1, 0);
    end(&s);
}

/* LNK-31, LED-23 */
TEST(click, third_link_of_a_burst_makes_the_first_ones_machine_too)
{
    struct scene s;
    start(&s);
    struct link a = put(&s, "a", "https://x/a"), b = put(&s, "b", "https://x/b"), c = put(&s, "c", "https://x/c");
    one(&s, a, 1, NOW, 5);
    one(&s, b, 1, NOW + SECOND, 5);
    figures_are(&s, a, 1, 1, 1, 0);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 1);
    one(&s, c, 1, NOW + 2 * SECOND, 5);
    figures_are(&s, a, 1, 1, 0, 1);
    figures_are(&s, b, 1, 1, 0, 1);
    figures_are(&s, c, 1, 1, 0, 1);
    EQ(figure(&s.ledger, MAILING_CLICKED), 1);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 0);
    EQ(figure(&s.ledger, MAILING_CLICKED_MACHINE), 1);
    end(&s);
}

/* LNK-32 */
TEST(click, restart_between_the_clicks_of_a_burst_or_before_a_hidden_link_changes_nothing)
{
    struct scene s;
    start_on(&s, ledger_start_file);
    struct link a = put(&s, "a", "https://x/a"), b = put(&s, "b", "https://x/b"), c = put(&s, "c", "https://x/c");
    s.honeypot = true;
    struct link trap = put(&s, "trap", "https://x/trap");
    one(&s, a, 1, NOW, 5);
    one(&s, b, 1, NOW + SECOND, 5);
    one(&s, a, 2, NOW, 7);
    figures_are(&s, a, 2, 2, 2, 0);
    fixture_reopen(&s.ledger.fixture);
    one(&s, c, 1, NOW + 2 * SECOND, 5);
    figures_are(&s, a, 2, 2, 1, 1);
    figures_are(&s, b, 1, 1, 0, 1);
    fixture_reopen(&s.ledger.fixture);
    one(&s, trap, 2, NOW + 59 * SECOND, 7);
    figures_are(&s, a, 2, 2, 0, 2);
    end(&s);
}

/* LNK-34 */
TEST(click, person_after_a_scanner_is_human_and_the_scanner_stays)
{
    struct scene s;
    start(&s);
    struct link links[] = { put(&s, "a", "https://x/a"), put(&s, "b", "https://x/b"), put(&s, "c", "https://x/c") };
    for (int i = 0; i < 3; i++)
        add(&s, click_of(&s, links[i], 1, NOW, 5));
    commit(&s);
    one(&s, links[1], 1, NOW + 600 * SECOND, 9);
    figures_are(&s, links[0], 1, 1, 0, 1);
    figures_are(&s, links[1], 2, 1, 1, 1);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 1);
    EQ(figure(&s.ledger, MAILING_CLICKED_MACHINE), 1);
    end(&s);
}

TEST(click, three_links_in_a_minute_are_a_person)
{
    struct scene s;
    start(&s);
    struct link links[] = { put(&s, "a", "https://x/a"), put(&s, "b", "https://x/b"), put(&s, "c", "https://x/c") };
    for (int i = 0; i < 3; i++)
        one(&s, links[i], 1, NOW + 20 * i * SECOND, 5);
    figures_are(&s, links[2], 1, 1, 1, 0);
    EQ(figure(&s.ledger, MAILING_CLICKED_MACHINE), 0);
    end(&s);
}

#define SCANNED 1000
#define LINKS   12

static void import_scanned(struct scene *s)
{
    char line[64];
    for (int i = 0; i < SCANNED; i++) {
        snprintf(line, sizeof line, "{\"recipient\":\"r%d@x.org\",\"member\":\"r%d\"}", i, i);
        import(&s->ledger, line);
    }
}

/* LNK-31, LNK-34: a gateway that opens all links of a thousand messages, and one person. */
TEST(click, scanner_of_a_thousand_messages_is_machine_with_all_its_clicks)
{
    struct scene s;
    struct link links[LINKS];
    char code[8], url[32];
    start(&s);
    import_scanned(&s);
    for (int i = 0; i < LINKS; i++) {
        snprintf(code, sizeof code, "l%d", i);
        snprintf(url, sizeof url, "https://x/%d", i);
        links[i] = put(&s, code, url);
    }
    for (uint64_t message = 3; message < 3 + SCANNED; message++) { /* behind those of ann and bob */
        for (int i = 0; i < LINKS; i++)
            add(&s, click_of(&s, links[i], message, NOW + (int64_t)i * 80000, 9));
        commit(&s);
        arena_reset(s.ledger.fixture.op.arena);
    }
    for (int i = 0; i < LINKS; i++)
        figures_are(&s, links[i], SCANNED, SCANNED, 0, SCANNED); /* the first two of each burst, too */
    for (int i = 0; i < 3; i++)
        one(&s, links[i], 3, NOW + 3600 * SECOND + 20 * i * SECOND, 5);
    figures_are(&s, links[2], SCANNED + 1, SCANNED, 1, SCANNED);
    EQ(figure(&s.ledger, MAILING_CLICKED_MACHINE), SCANNED);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 1);
    end(&s);
}

/* LNK-4 */
TEST(click, new_destination_begins_the_figures_again_not_those_of_the_mailing)
{
    struct scene s;
    start(&s);
    struct link first = put(&s, "a", "https://x/a");
    one(&s, first, 1, NOW, 5);
    struct link second = put(&s, "a", "https://x/other");
    EQ(second.version, 2);
    EQ(put(&s, "a", "https://x/other").version, 2);
    figures_are(&s, second, 0, 0, 0, 0);
    EQ(s.state.all_clicks, 1);
    one(&s, first, 2, NOW + SECOND, 6); /* was on its way when it changed */
    figures_are(&s, second, 0, 0, 0, 0);
    one(&s, second, 1, NOW + 2 * SECOND, 5);
    figures_are(&s, second, 1, 1, 1, 0);
    EQ(s.state.all_clicks, 3);
    EQ(s.state.all_members, 2);
    EQ(figure(&s.ledger, MAILING_CLICKED), 2);
    end(&s);
}

/* LNK-32 */
TEST(click, hidden_link_marks_the_clicks_around_it_and_is_in_no_figure)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    s.honeypot = true;
    struct link trap = put(&s, "trap", "https://x/trap");
    s.honeypot = false;
    one(&s, link, 1, NOW, 5);
    one(&s, trap, 1, NOW + 59 * SECOND, 5);
    figures_are(&s, link, 1, 1, 0, 1);
    figures_are(&s, trap, 0, 0, 0, 0);
    one(&s, link, 1, NOW + 100 * SECOND, 5);
    figures_are(&s, link, 2, 1, 0, 1);
    one(&s, link, 1, NOW + 120 * SECOND, 5);
    figures_are(&s, link, 3, 1, 1, 1);
    EQ(figure(&s.ledger, MAILING_CLICKED), 1);
    end(&s);
}

TEST(click, only_a_trap_fetched_is_no_click)
{
    struct scene s;
    start(&s);
    s.honeypot = true;
    struct link trap = put(&s, "trap", "https://x/trap");
    one(&s, trap, 1, NOW, 5);
    EQ(figure(&s.ledger, MAILING_CLICKED), 0);
    end(&s);
}

/* LNK-14 */
TEST(click, links_without_mailing_count_everybody)
{
    struct scene s;
    start(&s);
    s.mailing = NULL;
    struct link link = put(&s, "a", "https://x/a");
    one(&s, link, 0, NOW, 5);
    one(&s, link, 0, NOW + SECOND, 5);
    figures_are(&s, link, 2, 1, 1, 0);
    EQ(figure(&s.ledger, MAILING_CLICKED), 0);
    end(&s);
}

TEST(click, test_messages_are_in_no_figure_of_their_mailing)
{
    struct scene s;
    start(&s);
    import(&s.ledger, "{\"recipient\":\"t@x.org\",\"member\":\"t\",\"key\":\"test\"}");
    struct link link = put(&s, "a", "https://x/a");
    struct click click = click_of(&s, link, 3, NOW, 5);
    click.flags = CLICK_TEST;
    add(&s, click);
    commit(&s);
    figures_are(&s, link, 1, 1, 1, 0);
    EQ(figure(&s.ledger, MAILING_CLICKED), 0);
    end(&s);
}

TEST(click, many_clicks_of_one_member_cost_no_more_rows_than_are_needed)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 60; i++)
            add(&s, click_of(&s, link, 1, NOW + (round * 60 + i) * SECOND, 5));
        commit(&s);
    }
    figures_are(&s, link, 1200, 1, 1, 0);
    end(&s);
}

/* Each reads all touches of its clicker; a command of thousands of clicks must not hold them all at once. */
TEST(click, many_clicks_of_somebody_with_many_touches_need_the_memory_of_one)
{
    struct scene s;
    struct op op;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    for (int i = 1; i <= 600; i++) {
        add(&s, click_of(&s, link, 1, NOW + i * 60 * SECOND, i));
        if (i % 60 == 0 && i < 600)
            commit(&s);
    }
    op_init(&op, arena_new(64 << 10), NOW);
    SUCCEEDS(&op, store_write(&op, s.ledger.fixture.store, apply, &s));
    arena_free(op.arena);
    figures_are(&s, link, 600, 1, 1, 0);
    end(&s);
}

/* LED-24: soon after delivery is weak evidence, and counts when the delivery becomes known later. */
TEST(click, delivery_that_becomes_known_later_moves_the_figures_of_the_link)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    struct click click = click_of(&s, link, 1, NOW, 5);
    click.bits = BIT_PROBE;
    add(&s, click);
    commit(&s);
    figures_are(&s, link, 1, 1, 1, 0);
    EQ(tell(&s.ledger, event_of(EVENT_DELIVERED, "ann@x.org", NOW - 2 * SECOND, "d1")), RESULT_APPLIED);
    figures_are(&s, link, 1, 1, 0, 1);
    EQ(figure(&s.ledger, MAILING_CLICKED_HUMAN), 0);
    end(&s);
}

/* LED-23: a mailing that is no longer young is not asked when it was delivered, unless an earlier click was soon. */
TEST(click, soon_after_delivery_stays_when_the_next_click_comes_much_later)
{
    struct scene s;
    start(&s);
    struct link a = put(&s, "a", "https://x/a"), b = put(&s, "b", "https://x/b");
    EQ(tell(&s.ledger, event_of(EVENT_DELIVERED, "ann@x.org", NOW - 2 * SECOND, "d1")), RESULT_APPLIED);
    struct click click = click_of(&s, a, 1, NOW, 5);
    click.bits = BIT_PROBE;
    add(&s, click);
    commit(&s);
    figures_are(&s, a, 1, 1, 0, 1);
    one(&s, b, 1, NOW + 3600 * SECOND, 6);
    figures_are(&s, a, 1, 1, 0, 1);
    figures_are(&s, b, 1, 1, 1, 0);
    end(&s);
}

/* LNK-42 */
TEST(click, nothing_is_stored_behind_a_hole)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    one(&s, link, 1, NOW, 5);
    add(&s, click_of(&s, link, 2, NOW, 6));
    s.stored = 7; /* as if clicks 2 to 7 had been stored */
    struct op *op = &s.ledger.fixture.op;
    EQ(store_write(op, s.ledger.fixture.store, apply, &s), ERR_UNAVAILABLE);
    figures_are(&s, link, 1, 1, 1, 0);
    s.stored = 1;
    commit(&s);
    figures_are(&s, link, 2, 2, 2, 0);
    end(&s);
}

TEST(click, passes_any_failing_statement_untouched)
{
    struct scene s;
    start(&s);
    struct link link = put(&s, "a", "https://x/a");
    struct fixture *fixture = &s.ledger.fixture;
    add(&s, click_of(&s, link, 1, NOW, 5));
    for (int64_t nth = 1; nth < 100; nth++) {
        fixture_plan(fixture, STORE_AT_STATEMENT, STORE_FAIL_IO, nth);
        enum err err = store_write(&fixture->op, fixture->store, apply, &s);
        bool reached = fixture->countdown == 0;
        fixture->countdown = 0;
        if (!reached && err == OK)
            break;
        if (err == OK)
            break;
        figures_are(&s, link, 0, 0, 0, 0);
        EQ(figure(&s.ledger, MAILING_CLICKED), 0);
    }
    figures_are(&s, link, 1, 1, 1, 0);
    end(&s);
}

/* LNK-1 */
TEST(links, codes_follow_from_the_seed_and_the_line)
{
    char text[LINK_CODE_BYTES + 1];
    STR_EQ(link_code_text(0, text), "1111111111");
    STR_EQ(link_code_text(57, text), "111111111z");
    STR_EQ(link_code_text(58, text), "1111111121");
}

static enum err make_twice(struct op *op, struct tx *tx, void *arg)
{
    struct scene *scene = arg;
    struct link_put put = { .url = S("https://x/a"), .tenant = S("acme"), .mailing = S("m") };
    struct link first, again, other;
    bool made;
    TRY(link_make(op, tx, &put, 0, 9, &first, &made));
    YES(made);
    TRY(link_make(op, tx, &put, 0, 9, &again, &made));
    NO(made);
    EQ(first.no, again.no);
    TRY(link_make(op, tx, &put, 0, 10, &other, &made));
    YES(made);
    NO(str_eq(first.code, other.code));
    scene->link = other;
    return OK;
}

TEST(links, line_sent_again_finds_the_link_it_made)
{
    struct scene s;
    start(&s);
    WRITES(&s.ledger.fixture, make_twice, &s);
    end(&s);
}

static struct link_put put_of(const char *url)
{
    return (struct link_put){ .url = str_of(url), .tenant = S("acme"), .mailing = S("m") };
}

static enum err change_and_make_again(struct op *op, struct tx *tx, void *arg)
{
    struct link_put seeded = put_of("https://x/a"), changed = put_of("https://x/b");
    struct link first, other;
    bool made;
    (void)arg;
    TRY(link_make(op, tx, &seeded, 0, 9, &first, &made));
    TRY(link_store(op, tx, first.code, &changed, 0, &other, &made));
    TRY(link_make(op, tx, &seeded, 0, 9, &other, &made));
    NO(made);
    EQ(other.no, first.no);
    STR_EQ(other.url, "https://x/b");
    return OK;
}

/* LNK-1 */
TEST(links, line_sent_again_finds_its_link_though_that_leads_elsewhere_by_now)
{
    struct scene s;
    start(&s);
    WRITES(&s.ledger.fixture, change_and_make_again, NULL);
    end(&s);
}

static enum err draw_only(struct op *op, struct tx *tx, void *arg)
{
    struct link_put seeded = put_of("https://x/a");
    struct link link;
    bool made;
    TRY(link_make(op, tx, &seeded, 0, 9, &link, &made));
    memcpy(arg, link.code.p, LINK_CODE_BYTES);
    return fail(op, ERR_CONFLICT, "only the code was wanted");
}

/* What the seed draws first is taken by then: its link leads elsewhere. */
static enum err make_beside(struct op *op, struct tx *tx, void *arg)
{
    struct link_put seeded = put_of("https://x/a"), elsewhere = put_of("https://x/b");
    struct link stands, beside;
    struct str code = { arg, LINK_CODE_BYTES };
    bool made;
    TRY(link_store(op, tx, code, &elsewhere, 0, &stands, &made));
    YES(made);
    TRY(link_make(op, tx, &seeded, 0, 9, &beside, &made));
    YES(made);
    NO(str_eq(beside.code, code));
    return OK;
}

TEST(links, code_that_another_link_has_is_drawn_again)
{
    struct scene s;
    char code[LINK_CODE_BYTES];
    start(&s);
    EQ(store_write(&s.ledger.fixture.op, s.ledger.fixture.store, draw_only, code), ERR_CONFLICT);
    WRITES(&s.ledger.fixture, make_beside, code);
    end(&s);
}

/* LNK-2 */
TEST(links, mailing_and_tenant_never_change)
{
    struct scene s;
    start(&s);
    put(&s, "a", "https://x/a");
    struct op *op = &s.ledger.fixture.op;
    s.mailing = NULL;
    EQ(store_write(op, s.ledger.fixture.store, put_link, &s), ERR_CONFLICT);
    s.mailing = "unknown";
    EQ(store_write(op, s.ledger.fixture.store, put_link, &s), ERR_INVALID);
    STR_EQ(str_of(op->pointer), "/mailing");
    end(&s);
}
