#include "test.h"

#include "engine/agent.h"

#define SAMPLES "../shared/data/user-agents/"

#define CHROME "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"

static struct agent_list *list_with(struct str more)
{
    struct arena *arena = arena_new(65536);
    struct op op;
    struct agent_list *list = NULL;
    op_init(&op, arena, 0);
    SUCCEEDS(&op, agent_list_new(&op, more, &list));
    arena_free(arena);
    return list;
}

static uint32_t bits(struct str agent, bool is_open)
{
    struct agent_list *list = list_with(str_of(NULL));
    uint32_t answer = agent_bits(list, agent, is_open);
    agent_list_free(list);
    return answer;
}

static bool is_machine(struct str more, struct str agent)
{
    struct agent_list *list = list_with(more);
    bool answer = agent_is_scanner(list, agent);
    agent_list_free(list);
    return answer;
}

TEST(agent, takes_browsers_and_mail_programs_for_people)
{
    EQ(bits(S(CHROME), true), 0);
    EQ(bits(S("Outlook-iOS/733.1.prod.iphone (4.2445.0)"), true), 0);
    EQ(bits(S("Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Thunderbird/128.5.2"), true), 0);
    EQ(bits(S("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"),
            false),
       0);
}

TEST(agent, knows_scanners_previews_and_programs_by_name)
{
    EQ(bits(S("Barracuda Sentinel (EE)"), false), BIT_AGENT);
    EQ(bits(S("Mozilla/5.0 (compatible; MimecastProtect/1.0)"), false), BIT_AGENT);
    EQ(bits(S("python-requests/2.32.3"), false), BIT_AGENT);
    EQ(bits(S("curl/8.5.0"), false), BIT_AGENT);
    EQ(bits(S("facebookexternalhit/1.1"), false), BIT_AGENT);
    EQ(bits(S("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36"), true),
       BIT_AGENT);
}

TEST(agent, ignores_the_case_of_names)
{
    EQ(bits(S("GOOGLEBOT/2.1"), false), BIT_AGENT);
    YES(is_machine(S("AcmeGate"), S("x acmegate/2 y")));
}

TEST(agent, takes_an_empty_agent_as_evidence_and_an_absent_one_as_none)
{
    EQ(bits(S(""), true), BIT_AGENT);
    EQ(bits(S("  "), true), BIT_AGENT);
    EQ(bits(str_of(NULL), true), 0);
}

TEST(agent, knows_the_mail_proxy_by_the_whole_text_and_nothing_longer)
{
    EQ(bits(S("Mozilla/5.0"), true), BIT_MAIL_PROXY);
    EQ(bits(S("Mozilla/5.0"), false), BIT_MAIL_PROXY);
    EQ(bits(S("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"), true), 0);
    EQ(bits(S("mozilla/5.0"), true), 0);
}

TEST(agent, counts_image_proxies_as_weak_evidence_of_opens_only)
{
    struct str google = S("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)");
    EQ(bits(google, true), BIT_IMAGE_PROXY);
    EQ(bits(google, false), 0);
    EQ(bits(S("YahooMailProxy; https://help.yahoo.com/kb/"), true), BIT_IMAGE_PROXY);
}

TEST(agent, works_without_a_list)
{
    EQ(agent_bits(NULL, S("curl/8.5.0"), true), 0);
    EQ(agent_bits(NULL, S(""), true), BIT_AGENT);
}

TEST(agent, reads_entries_for_the_beginning_the_whole_and_the_middle)
{
    struct str more = S("^acme \n=Whole Name\ninside");
    YES(is_machine(more, S("Acme 1.0")));
    NO(is_machine(more, S("The Acme 1.0")));
    YES(is_machine(more, S("whole name")));
    NO(is_machine(more, S("whole name 2")));
    NO(is_machine(more, S("a whole name")));
    YES(is_machine(more, S("x-InSide-y")));
}

TEST(agent, lets_the_longest_entry_decide_where_several_end)
{
    EQ(bits(S("Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36"), true), 0);
    EQ(bits(S("Mozilla/5.0 (Linux; Android 12; CUBOT X50) (compatible; Somebot/1.0)"), true), BIT_AGENT);
    YES(is_machine(S("!gate\ninvestigate"), S("investigate/1")));
    NO(is_machine(S("gate\n!investigate"), S("investigate/1")));
}

TEST(agent, adds_a_list_of_comments_blank_lines_and_entries_to_its_own)
{
    struct str more = S("# mine\r\n\r\n  acmegate  \r\n");
    YES(is_machine(more, S("AcmeGate/1.0")));
    YES(is_machine(more, S("curl/8.5.0")));
    NO(is_machine(more, S("# mine")));
}

TEST(agent, is_not_fooled_by_control_bytes)
{
    NO(is_machine(S("^acme\n=whole"), S("x\x01"
                                        "acme")));
    NO(is_machine(S("=whole"), S("\x01whole\x02")));
    NO(is_machine(S("acme"), S("ac\0me")));
}

TEST(agent, looks_at_the_first_kilobyte_only)
{
    char text[2 * AGENT_BYTES_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text + AGENT_BYTES_MAX, "acmegate", 8);
    NO(is_machine(S("acmegate"), (struct str){ text, sizeof text }));
    memcpy(text + AGENT_BYTES_MAX - 8, "acmegate", 8);
    YES(is_machine(S("acmegate"), (struct str){ text, sizeof text }));
}

TEST(agent, refuses_a_list_that_cannot_be_read)
{
    static const struct {
        const char *text;
        enum err err;
        const char *says;
    } wrong[] = {
        { "good\n^\n", ERR_INVALID, "line 2" },
        { "!", ERR_INVALID, "line 1" },
        { "a\nb\nc\td\n", ERR_INVALID, "line 3" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct arena *arena = arena_new(65536);
        struct op op;
        struct agent_list *list = NULL;
        op_init(&op, arena, 0);
        EQ(agent_list_new(&op, str_of(wrong[i].text), &list), wrong[i].err);
        YES(strstr(op.error, wrong[i].says) != NULL);
        YES(list == NULL);
        arena_free(arena);
    }
}

TEST(agent, holds_the_longest_list_it_takes_and_refuses_a_longer_one)
{
    char *text = malloc(AGENT_LIST_BYTES_MAX + 1);
    for (int i = 0; i <= AGENT_LIST_BYTES_MAX; i++)
        text[i] = (char)(i % 100 == 99 ? '\n' : '!' + (i * 7 + i / 100 * 13) % 90);
    for (int i = 0; i + 1 < AGENT_LIST_BYTES_MAX; i += 100)
        text[i] = 'z'; /* no mark at the beginning */
    struct arena *arena = arena_new(65536);
    struct op op;
    struct agent_list *list = NULL;
    op_init(&op, arena, 0);
    SUCCEEDS(&op, agent_list_new(&op, (struct str){ text, AGENT_LIST_BYTES_MAX }, &list));
    YES(agent_is_scanner(list, (struct str){ text + 100, 99 }));
    agent_list_free(list);
    list = NULL;
    EQ(agent_list_new(&op, (struct str){ text, AGENT_LIST_BYTES_MAX + 1 }, &list), ERR_TOO_LARGE);
    arena_free(arena);
    free(text);
}

/* Share of the agents in a file of "name TAB agent TAB source" that the bits call a machine, in thousandths. */
static int share_of_machines(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    struct agent_list *list = list_with(str_of(NULL));
    char line[8192];
    int machines = 0, all = 0;
    while (fgets(line, sizeof line, file)) {
        struct str rest = str_of(line);
        str_cut(&rest, '\t');
        struct str agent = str_cut(&rest, '\t');
        if (all++ == 0)
            continue; /* the heading */
        machines += agent_bits(list, agent, true) != 0;
    }
    fclose(file);
    agent_list_free(list);
    return machines * 1000 / (all - 1);
}

TEST(agent, tells_most_machines_seen_in_life_from_nearly_all_people)
{
    int crawlers = share_of_machines(SAMPLES "machine-crawlers.tsv");
    if (crawlers < 0)
        skip();
    YES(crawlers >= 800);
    YES(share_of_machines(SAMPLES "machine-mail-and-links.tsv") >= 960);
    YES(share_of_machines(SAMPLES "human-browsers.tsv") <= 12);
    YES(share_of_machines(SAMPLES "human-devices.tsv") <= 3);
    EQ(share_of_machines(SAMPLES "human-mail-clients.tsv"), 0);
}
