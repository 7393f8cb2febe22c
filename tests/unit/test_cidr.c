#include "test.h"

#include "base/cidr.h"

static struct cidr_list *list_of(struct str text)
{
    struct arena *arena = arena_new(65536);
    struct op op;
    struct cidr_list *list = NULL;
    op_init(&op, arena, 0);
    SUCCEEDS(&op, cidr_list_new(&op, text, &list));
    arena_free(arena);
    return list;
}

static bool has(struct str networks, struct str ip)
{
    struct cidr_list *list = list_of(networks);
    bool answer = cidr_list_has(list, ip);
    cidr_list_free(list);
    return answer;
}

TEST(cidr, knows_which_texts_are_addresses)
{
    uint8_t ip[16];
    YES(cidr_ip_parse(S("192.0.2.7"), ip));
    EQ(ip[10], 0xFF);
    EQ(ip[15], 7);
    YES(cidr_ip_parse(S("2001:db8::1"), ip));
    NO(cidr_ip_parse(S("123.123.123.321"), ip));
    NO(cidr_ip_parse(S("10.0.0"), ip));
    NO(cidr_ip_parse(S("10.0.0.1:80"), ip));
    NO(cidr_ip_parse(S("[::1]"), ip));
    NO(cidr_ip_parse(S("fe80::1%eth0"), ip));
    NO(cidr_ip_parse(S("10.0.0.1\0"), ip));
    NO(cidr_ip_parse(S(""), ip));
    NO(cidr_ip_parse(str_of(NULL), ip));
}

TEST(cidr, holds_both_ends_of_a_network_and_nothing_beside)
{
    YES(has(S("10.1.0.0/16"), S("10.1.0.0")));
    YES(has(S("10.1.0.0/16"), S("10.1.255.255")));
    NO(has(S("10.1.0.0/16"), S("10.0.255.255")));
    NO(has(S("10.1.0.0/16"), S("10.2.0.0")));
    YES(has(S("192.0.2.8/29"), S("192.0.2.15")));
    NO(has(S("192.0.2.8/29"), S("192.0.2.16")));
    YES(has(S("2001:db8::/33"), S("2001:db8:7fff::1")));
    NO(has(S("2001:db8::/33"), S("2001:db8:8000::1")));
}

TEST(cidr, takes_a_single_address_as_a_network_of_one)
{
    YES(has(S("192.0.2.7"), S("192.0.2.7")));
    NO(has(S("192.0.2.7"), S("192.0.2.8")));
    YES(has(S("::1"), S("::1")));
}

TEST(cidr, ignores_bits_behind_the_prefix)
{
    YES(has(S("10.1.2.3/8"), S("10.200.0.1")));
}

TEST(cidr, finds_an_ipv4_address_in_its_mapped_form)
{
    YES(has(S("192.0.2.0/24"), S("::ffff:192.0.2.9")));
    YES(has(S("::ffff:192.0.2.0/120"), S("192.0.2.9")));
}

TEST(cidr, keeps_families_apart_where_a_network_takes_all)
{
    YES(has(S("0.0.0.0/0"), S("8.8.8.8")));
    NO(has(S("0.0.0.0/0"), S("2001:db8::1")));
    YES(has(S("::/0"), S("8.8.8.8")));
}

TEST(cidr, reads_lists_with_commas_blanks_lines_and_comments)
{
    struct str text = S("# gateways\n192.0.2.0/24, 198.51.100.7\t203.0.113.0/25 # old\r\n\n,10.0.0.0/8");
    YES(has(text, S("192.0.2.1")));
    YES(has(text, S("198.51.100.7")));
    YES(has(text, S("203.0.113.127")));
    YES(has(text, S("10.9.9.9")));
    NO(has(text, S("203.0.113.128")));
    NO(has(S(""), S("10.0.0.1")));
    NO(has(S("# nothing"), S("10.0.0.1")));
}

TEST(cidr, melts_networks_that_overlap)
{
    struct str text = S("10.0.0.0/8 10.1.0.0/16 10.2.3.4 9.0.0.0/8");
    YES(has(text, S("10.200.0.0")));
    YES(has(text, S("9.255.255.255")));
    YES(has(text, S("10.2.3.5")));
    NO(has(text, S("11.0.0.0")));
    NO(has(text, S("8.255.255.255")));
}

TEST(cidr, names_the_entry_that_is_no_network)
{
    static const char *const wrong[] = { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "300.0.0.0/8",
                                         "example.org", "::/129",    "10.0.0.0/8/8" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct arena *arena = arena_new(65536);
        struct op op;
        struct cidr_list *list = NULL;
        op_init(&op, arena, 0);
        EQ(cidr_list_new(&op, str_of(wrong[i]), &list), ERR_INVALID);
        YES(strstr(op.error, wrong[i]) != NULL);
        YES(list == NULL);
        arena_free(arena);
    }
}

TEST(cidr, refuses_more_networks_than_its_maximum)
{
    size_t n = (CIDR_LIST_MAX + 1) * sizeof "1.2.3.4 ";
    char *text = malloc(n + 1);
    text[0] = '\0';
    char *at = text;
    for (int i = 0; i <= CIDR_LIST_MAX; i++)
        at = stpcpy(at, "1.2.3.4 ");
    struct arena *arena = arena_new(65536);
    struct op op;
    struct cidr_list *list = NULL;
    op_init(&op, arena, 0);
    EQ(cidr_list_new(&op, str_of(text), &list), ERR_TOO_LARGE);
    arena_free(arena);
    free(text);
}
