#include "engine/link_url.h"

#include "test.h"

static struct op *start(void)
{
    static struct op op;
    op_init(&op, arena_new(1 << 20), 0);
    return &op;
}

static void reads(const char *text, const char *expected)
{
    struct op *op = start();
    struct str url;
    SUCCEEDS(op, link_url_read(op, str_of(text), &url));
    STR_EQ(url, expected);
    arena_free(op->arena);
}

static void refuses(struct str text)
{
    struct op *op = start();
    struct str url;
    EQ(link_url_read(op, text, &url), ERR_INVALID);
    STR_EQ(str_of(op->pointer), "/url");
    arena_free(op->arena);
}

static void expands(const char *url, const char *member, const char *expected)
{
    char out[4096];
    struct link_cut cuts[LINK_CUTS_MAX];
    size_t count = link_url_cuts(str_of(url), cuts);
    YES(link_url_room(str_of(url), cuts, count, str_of(member)) <= sizeof out);
    struct str got = { out, link_url_expand(str_of(url), cuts, count, str_of(member), out) };
    STR_EQ(got, expected);
}

#define UUID "2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a10"

/* LNK-3 */
TEST(link_url, brings_destinations_into_one_form)
{
    reads("https://Shop.Example.ORG/A?b=%2f#C", "https://shop.example.org/A?b=%2f#C");
    reads("HTTP://example.org", "http://example.org/");
    reads("https://example.org?x=1", "https://example.org/?x=1");
    reads("https://example.org:8443/", "https://example.org:8443/");
    reads("https://b\xc3\xbc"
          "cher.example/\xc3\xa4?\xc3\xb6",
          "https://xn--bcher-kva.example/%C3%A4?%C3%B6");
    reads("https://[2001:DB8::1]:80/x", "https://[2001:db8::1]:80/x");
}

TEST(link_url, refuses_what_is_no_plain_web_address)
{
    const char *const bad[] = { "",
                                "/relative",
                                "//example.org/",
                                "ftp://example.org/",
                                "javascript:alert(1)",
                                "data:text/html,x",
                                "https://",
                                "https:///x",
                                "https://user@example.org/",
                                "https://user:pw@example.org/",
                                "https://example.org:0/",
                                "https://example.org:65536/",
                                "https://example.org:/",
                                "https://exa mple.org/",
                                "https://example.org/a b",
                                "https://example.org/a\\b",
                                "https://example.org/\x01",
                                "https://example.org/\r\nX: y",
                                "https://ex%zzample.org/",
                                "https://ex%2fample.org/",
                                "https://%%{uuid}%%.example.org/",
                                "https://example.org:%%{uuid}%%/",
                                "%%{uuid}%%://example.org/",
                                "https://example..org/",
                                "https://x.example\xef\xbc\xa0" /* a wide "@", "/", "?" and "a/c" */
                                "evil.example/",
                                "https://x.example\xef\xbc\x8f.evil.example/",
                                "https://x.example\xef\xbc\x9f.evil.example/",
                                "https://x.example\xe2\x84\x80.evil.example/",
                                "https://x.example\xe3\x80\x82.evil.example/" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(str_of(bad[i]));
    refuses((struct str){ "https://example.org/\0x", 22 });
    char *large = malloc(9000);
    memset(large, 'a', 9000);
    memcpy(large, "https://x/", 10);
    refuses((struct str){ large, 9000 });
    free(large);
}

/* LNK-15 */
TEST(link_url, finds_fill_ins_in_every_spelling)
{
    expands("https://x/?u=%%{uuid}%%", UUID, "https://x/?u=" UUID);
    expands("https://x/?u=%25%25{uuid}%25%25", UUID, "https://x/?u=" UUID);
    expands("https://x/?u=%25%25%7Buuid%7D%25%25", UUID, "https://x/?u=" UUID);
    expands("https://x/?u=%25%25%257buuid%257d%25%25", UUID, "https://x/?u=" UUID);
    expands("https://x/?u=%%%7buuid%7D%25%", UUID, "https://x/?u=" UUID);
    expands("https://x/%%{uuid}%%/%%{member}%%#%%{uuid}%%", UUID, "https://x/" UUID "/" UUID "#" UUID);
    expands("https://x/?u=%{uuid}%", UUID, "https://x/?u=%{uuid}%");
    expands("https://x/?u=%%{other}%%", UUID, "https://x/?u=%%{other}%%");
}

TEST(link_url, puts_nothing_but_a_uuid_where_a_uuid_belongs)
{
    expands("https://x/?u=%%{uuid}%%&v", "ann", "https://x/?u=&v");
    expands("https://x/?u=%%{uuid}%%&v", "", "https://x/?u=&v");
    expands("https://x/?u=%%{uuid}%%", "2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a1g", "https://x/?u=");
}

TEST(link_url, takes_hex_digits_and_nothing_else_for_those_of_a_uuid)
{
    for (int c = 1; c < 256; c++) {
        char member[] = UUID, wanted[64];
        member[10] = (char)c;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        snprintf(wanted, sizeof wanted, "https://x/%s", hex ? member : "");
        expands("https://x/%%{uuid}%%", member, wanted);
    }
}

/* LNK-16 */
TEST(link_url, encodes_members_so_that_they_stay_in_their_place)
{
    expands("https://x/?m=%%{member}%%", "a b&c=/../#\xc3\xa4", "https://x/?m=a%20b%26c%3D%2F..%2F%23%C3%A4");
    expands("https://x/?m=%%{member}%%", "%%{uuid}%%", "https://x/?m=%25%25%7Buuid%7D%25%25");
}

static bool is_unreserved(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
}

TEST(link_url, encodes_every_byte_that_is_not_unreserved)
{
    for (int c = 1; c < 256; c++) {
        char member[] = { (char)c, '\0' }, wanted[16];
        snprintf(wanted, sizeof wanted, is_unreserved(c) ? "https://x/%c" : "https://x/%%%02X", c);
        expands("https://x/%%{member}%%", member, wanted);
    }
}

/* LNK-14 */
TEST(link_url, reads_the_first_member_of_a_query)
{
    char member[LINK_MEMBER_BYTES_MAX];
    size_t n;
    YES(link_member_read(S("a=1&m=x%41+y&m=z"), member, &n));
    STR_EQ(((struct str){ member, n }), "xA y");
    const char *const none[] = { "",      "a=1",    "m",       "m=",         "m=&m=x", "m=a%",
                                 "m=a%4", "m=a%zz", "m=a%00b", "m=a%0d%0ab", "m=%ff",  "xm=1" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        NO(link_member_read(str_of(none[i]), member, &n));
    char large[200] = "m=";
    memset(large + 2, 'a', 129);
    NO(link_member_read((struct str){ large, 131 }, member, &n));
    YES(link_member_read((struct str){ large, 130 }, member, &n));
    EQ(n, 128);
}

/* LNK-2 */
TEST(link_url, knows_what_a_code_may_be)
{
    YES(link_code_valid(S("7hQk2mXw9P")));
    YES(link_code_valid(S("a.b_c~d-e")));
    NO(link_code_valid(S("")));
    NO(link_code_valid(S(".")));
    NO(link_code_valid(S("..")));
    NO(link_code_valid(S("a/b")));
    NO(link_code_valid(S("a b")));
}

TEST(link_url, compares_hosts_with_those_a_tenant_allows)
{
    const struct str hosts[] = { S("example.org"), S("*.shop.example") };
    YES(link_host_may(S("example.org"), hosts, 2));
    NO(link_host_may(S("www.example.org"), hosts, 2));
    NO(link_host_may(S("notexample.org"), hosts, 2));
    YES(link_host_may(S("a.b.shop.example"), hosts, 2));
    NO(link_host_may(S("shop.example"), hosts, 2));
    NO(link_host_may(S("evilshop.example"), hosts, 2));
}
