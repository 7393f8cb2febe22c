/*
 * bench_page.c - how fast pages of Mailgun become provider events.
 *
 * Pages of 300 events of about 1.5 KB, a mixture as a mailing makes it (half
 * opened, a tenth clicked, the rest delivered and failed), are read for one
 * second: JSON, evidence of user agents, folded recipients and dedupe keys
 * included. One line per mixture; the figures are of one core of this machine.
 */
#include "engine/provider.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE_EVENTS 300
#define NOW_US      INT64_C(1795000000000000)

/* Of this thread on a core: what others do on the machine does not count. */
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What every item of a page holds, whatever its type. */
static char *put_common(char *at, int i)
{
    return at + sprintf(at,
                        "\"id\":\"pX2mQw8Lr4TnYb6Ks%05d\",\"timestamp\":1794%06d.%06d,\"log-level\":\"info\","
                        "\"recipient\":\"reader.number%05d@mail.example\",\"recipient-domain\":\"mail.example\","
                        "\"tags\":[\"weekly-letter\",\"november\"],\"campaigns\":[],"
                        "\"user-variables\":{\"posthouse-mailing\":\"weekly-2026-47\",\"member\":\"m-%06d\"},"
                        "\"flags\":{\"is-routed\":false,\"is-authenticated\":true,\"is-system-test\":false,"
                        "\"is-test-mode\":false},\"envelope\":{\"transport\":\"smtp\",\"sender\":"
                        "\"bounce+8a3f1c.77e2b9-reader.seven=mail.example@mg.news.example\",\"sending-ip\":"
                        "\"192.0.2.44\",\"targets\":\"reader.number%05d@mail.example\"},\"storage\":{\"url\":"
                        "\"https://storage.eu.provider.example/v3/domains/mg.news.example/messages/BAABAgUm2xJ3\","
                        "\"region\":\"europe-west1\",\"key\":\"BAABAgUm2xJ3yq0kTn7c4QhVZr9dEwYs8LpXa1uFoHbGiRtM\","
                        "\"env\":\"production\"},\"message\":{\"headers\":{\"to\":\"Reader Number %d "
                        "<reader.number%05d@mail.example>\",\"message-id\":"
                        "\"20261121190%05d.8a3f1c77e2b94d01@mg.news.example\",\"from\":"
                        "\"The Weekly Letter <hello@news.example>\",\"subject\":"
                        "\"What we read, wrote and planted in the third week of November\"},\"attachments\":[],"
                        "\"size\":48213}",
                        i, 1000 + i, i * 37, i, i, i, i, i, i);
}

static char *put_touch(char *at, const char *type)
{
    return at + sprintf(at,
                        "\"event\":\"%s\",\"ip\":\"203.0.113.23\",\"geolocation\":{\"country\":\"DE\",\"region\":"
                        "\"Bavaria\",\"city\":\"Nuremberg\"},\"url\":\"https://news.example/2026/47/what-we-planted"
                        "?utm_source=letter&utm_medium=email\",\"client-info\":{\"client-type\":\"browser\","
                        "\"client-os\":\"Linux\",\"device-type\":\"desktop\",\"client-name\":\"Firefox\","
                        "\"user-agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\","
                        "\"bot\":\"\"},",
                        type);
}

static char *put_delivery(char *at, const char *type, int code)
{
    return at +
           sprintf(
               at,
               "\"event\":\"%s\",\"severity\":\"permanent\",\"reason\":\"generic\",\"delivery-status\":{\"tls\":true,"
               "\"mx-host\":\"mx1.mail.example\",\"code\":%d,\"description\":\"\",\"session-seconds\":"
               "0.4367079734802246,\"utf8\":true,\"attempt-no\":1,\"message\":"
               "\"2.0.0 queued as 4XyZ0t1b2vz9sWm for delivery to the mailbox\",\"certificate-verified\":true},",
               type, code);
}

static struct str make_page(char *bytes, const char *const types[10])
{
    char *at = stpcpy(bytes, "{\"items\":[");
    for (int i = 0; i < PAGE_EVENTS; i++) {
        const char *type = types[i % 10];
        at = stpcpy(at, i ? ",{" : "{");
        if (strcmp(type, "delivered") == 0 || strcmp(type, "failed") == 0)
            at = put_delivery(at, type, strcmp(type, "failed") == 0 ? 550 : 250);
        else
            at = put_touch(at, type);
        at = put_common(at, i);
        at = stpcpy(at, "}");
    }
    at = stpcpy(at, "],\"paging\":{\"next\":\"https://api.eu.mailgun.net/v3/mg.news.example/events/W3siYiI6ICIyM\"}}");
    return (struct str){ bytes, (size_t)(at - bytes) };
}

static void bench(struct op *op, const struct provider_source *source, const char *name, const char *const types[10])
{
    char *bytes = malloc(PAGE_EVENTS * 4096);
    struct str text = make_page(bytes, types);
    struct provider_page page;
    int64_t events = 0;
    uint64_t sum = 0;
    double began = seconds(), took;
    do {
        for (int i = 0; i < 20; i++) {
            arena_reset(op->arena);
            if (provider_page_parse(op, source, PROVIDER_API_EVENTS, text, 0, NOW_US, &page) != OK) {
                fprintf(stderr, "%s\n", op->error);
                exit(1);
            }
            events += (int64_t)page.n;
            sum += page.events[page.n - 1].key[0];
        }
        took = seconds() - began;
    } while (took < 1.0);
    printf("%-10s %.2f M events/s, %.0f MB/s, %zu bytes an event, %zu bytes of arena a page (%" PRIx64 ")\n", name,
           (double)events / took / 1e6, (double)events / PAGE_EVENTS * (double)text.n / took / 1e6,
           text.n / PAGE_EVENTS, arena_used(op->arena), sum & 0xF);
    free(bytes);
}

int main(void)
{
    static const uint8_t key[16] = "fifteen letters";
    static const char *const mailing[10] = { "delivered", "opened", "delivered", "opened", "clicked",
                                             "delivered", "opened", "failed",    "opened", "opened" };
    static const char *const opened[10] = { "opened", "opened", "opened", "opened", "opened",
                                            "opened", "opened", "opened", "opened", "opened" };
    static const char *const delivered[10] = { "delivered", "delivered", "delivered", "delivered", "delivered",
                                               "delivered", "delivered", "delivered", "delivered", "delivered" };
    struct arena *arena = arena_new(64 << 20);
    struct op op;
    struct agent_list *agents;
    op_init(&op, arena, NOW_US);
    if (agent_list_new(&op, str_of(NULL), &agents) != OK)
        return 1;
    struct provider_source source = { .id = S("news"), .hash_key = key, .agents = agents };
    bench(&op, &source, "mailing", mailing);
    bench(&op, &source, "opened", opened);
    bench(&op, &source, "delivered", delivered);
    agent_list_free(agents);
    arena_free(arena);
    return 0;
}
