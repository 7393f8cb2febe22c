#include "test.h"

#include "relay/poll_host.h"

TEST(poll_host, sources_of_one_origin_share_a_host)
{
    struct poll_host *hosts = NULL;
    struct poll_host *us = poll_host_get(&hosts, S("https://api.mailgun.net"));
    YES(us == poll_host_get(&hosts, S("https://API.mailgun.net/some/path")));
    YES(us != poll_host_get(&hosts, S("https://api.eu.mailgun.net")));
    YES(us != poll_host_get(&hosts, S("https://api.mailgun.net:8443")));
    poll_hosts_free(&hosts);
}

TEST(poll_host, gives_at_most_its_slots_and_turns_in_order)
{
    struct poll_host *hosts = NULL, *host = poll_host_get(&hosts, S("http://x"));
    struct poll_turn turns[6] = { 0 };
    for (int i = 0; i < 6; i++)
        poll_host_queue(host, &turns[i]);
    poll_host_queue(host, &turns[0]);
    for (int i = 0; i < 4; i++)
        YES(poll_host_take(host, 4) == &turns[i]);
    YES(poll_host_take(host, 4) == NULL);
    poll_host_queue(host, &turns[0]);
    host->under_way--;
    YES(poll_host_take(host, 4) == &turns[4]);
    host->under_way -= 3;
    YES(poll_host_take(host, 4) == &turns[5]);
    YES(poll_host_take(host, 4) == &turns[0]);
    YES(poll_host_take(host, 4) == NULL);
    poll_hosts_free(&hosts);
}

TEST(poll_host, who_leaves_the_line_gets_no_turn)
{
    struct poll_host *hosts = NULL, *host = poll_host_get(&hosts, S("http://x"));
    struct poll_turn turns[3] = { 0 };
    for (int i = 0; i < 3; i++)
        poll_host_queue(host, &turns[i]);
    poll_host_leave(host, &turns[2]);
    poll_host_leave(host, &turns[0]);
    poll_host_leave(host, &turns[0]);
    YES(poll_host_take(host, 4) == &turns[1]);
    poll_host_queue(host, &turns[2]);
    YES(poll_host_take(host, 4) == &turns[2]);
    YES(poll_host_take(host, 4) == NULL);
    poll_hosts_free(&hosts);
}
