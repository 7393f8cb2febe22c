#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "net/addr.h"
#include "test.h"

static struct op op;
static struct arena *arena;

static void begin(void)
{
    if (!arena)
        arena = arena_new(65536);
    arena_reset(arena);
    op_init(&op, arena, 0);
}

static struct addr parsed(const char *text)
{
    struct addr addr = { 0 };
    begin();
    SUCCEEDS(&op, addr_parse(&op, str_of(text), &addr));
    return addr;
}

static bool internal(const char *ip)
{
    char text[80];
    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:80" : "%s:80", ip);
    struct addr addr = parsed(text);
    return addr_is_internal(&addr);
}

static void says(const char *ip, bool right)
{
    if (!right)
        fprintf(stderr, "%s is taken for the opposite\n", ip);
    YES(right);
}

TEST(addr, reads_and_writes_both_families)
{
    char buffer[ADDR_TEXT_BYTES_MAX];
    struct addr v4 = parsed("192.0.2.7:7420"), v6 = parsed("[2001:db8::1]:443"), home = parsed("localhost:0");
    EQ(v4.port, 7420);
    STR_EQ(addr_text(&v4, buffer), "192.0.2.7:7420");
    STR_EQ(addr_ip_text(&v4, buffer), "192.0.2.7");
    STR_EQ(addr_text(&v6, buffer), "[2001:db8::1]:443");
    STR_EQ(addr_ip_text(&v6, buffer), "2001:db8::1");
    STR_EQ(addr_text(&home, buffer), "127.0.0.1:0");
}

TEST(addr, writes_every_octet_as_the_system_does)
{
    char buffer[ADDR_TEXT_BYTES_MAX], peer[INET_ADDRSTRLEN];
    for (unsigned octet = 0; octet < 256; octet++) {
        struct addr addr = parsed("0.0.0.0:0");
        uint8_t four[4] = { (uint8_t)octet, (uint8_t)(255 - octet), 0, (uint8_t)octet };
        memcpy(addr.ip + 12, four, sizeof four);
        STR_EQ(addr_ip_text(&addr, buffer), inet_ntop(AF_INET, four, peer, sizeof peer));
        STR_EQ(str_of(buffer), peer);
    }
}

TEST(addr, refuses_what_is_no_address_with_port)
{
    static const char *const wrong[] = { "",         "127.0.0.1",    "127.0.0.1:",   "127.0.0.1:65536", "127.0.0.1:-1",
                                         "::1:80",   "[::1]",        "[::1:80",      "example.org:80",  ":80",
                                         "1.2.3:80", "1.2.3.4.5:80", "127.0.0.1:8x", "[127.0.0.1]x:80" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct addr addr;
        begin();
        EQ(addr_parse(&op, str_of(wrong[i]), &addr), ERR_INVALID);
    }
}

TEST(addr, survives_the_way_through_a_socket_address)
{
    static const char *const texts[] = { "192.0.2.7:7420", "[2001:db8::1]:443" };
    for (size_t i = 0; i < 2; i++) {
        struct addr addr = parsed(texts[i]), back;
        struct sockaddr_storage storage;
        addr_to_sockaddr(&addr, &storage);
        YES(addr_of_sockaddr((struct sockaddr *)&storage, &back));
        EQ(memcmp(&addr, &back, sizeof addr), 0);
    }
    struct sockaddr local = { .sa_family = AF_UNIX };
    struct addr addr;
    NO(addr_of_sockaddr(&local, &addr));
}

TEST(addr, knows_what_is_not_public)
{
    static const char *const hidden[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.8",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::1",
        "2002:7f00:1::1",
        "2001:db8::1",
        "::127.0.0.1",
        "64:ff9b:1::a00:1",
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        says(hidden[i], internal(hidden[i]));
}

TEST(addr, leaves_the_public_ones_alone)
{
    static const char *const open[] = { "1.1.1.1",          "9.255.255.255",   "11.0.0.0",     "100.63.255.255",
                                        "100.128.0.0",      "172.15.255.255",  "172.32.0.0",   "192.167.0.1",
                                        "192.169.0.1",      "223.255.255.255", "2606:4700::1", "::ffff:8.8.8.8",
                                        "64:ff9b::808:808", "2002:808:808::1" };
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        says(open[i], !internal(open[i]));
}

/* EVT-36. */
TEST(addr, knows_what_no_call_is_meant_for)
{
    static const char *const never[] = {
        "169.254.169.254",   "169.254.0.1", "100.100.100.200", "0.0.0.0", "224.0.0.1",
        "fe80::1",           "ff02::1",     "fd00:ec2::254",   "::",      "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe"
    };
    static const char *const private[] = { "10.0.0.1", "127.0.0.1", "192.168.1.1", "::1", "fd00::1", "100.64.0.1" };
    struct addr addr = { .port = 0 };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        EQ(cidr_ip_parse(str_of(never[i]), addr.ip), true);
        EQ(addr_is_never_meant(&addr), true);
    }
    for (size_t i = 0; i < sizeof private / sizeof *private; i++) {
        EQ(cidr_ip_parse(str_of(private[i]), addr.ip), true);
        EQ(addr_is_never_meant(&addr), false);
    }
}

TEST(addr, knows_loopback)
{
    struct addr addr = parsed("127.8.0.1:1");
    YES(addr_is_loopback(&addr));
    addr = parsed("[::1]:1");
    YES(addr_is_loopback(&addr));
    addr = parsed("[::ffff:127.0.0.1]:1");
    YES(addr_is_loopback(&addr));
    addr = parsed("128.0.0.1:1");
    NO(addr_is_loopback(&addr));
}
