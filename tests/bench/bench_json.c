/*
 * bench_json.c - how fast provider pages are read, and JSON is written.
 *
 * Reads a page of 300 events of about 1.5 KB each for one second and picks 12
 * fields of every event, as the ledger needs them; then skips the same page
 * whole; then writes events. One line each, figures are of this machine.
 */
#include "base/json.h"
#include "base/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE_EVENTS 300

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_headers(struct json_writer *w, int i)
{
    char id[80];
    snprintf(id, sizeof id, "20261121190%03d.8a3f1c77e2b94d01@mg.news.example", i);
    json_put_name(w, "message");
    json_object_begin(w);
    json_put_name(w, "headers");
    json_object_begin(w);
    json_member_str(w, "to", S("Reader Number Seven <reader.seven@mail.example>"));
    json_member_str(w, "message-id", str_of(id));
    json_member_str(w, "from", S("The Weekly Letter <hello@news.example>"));
    json_member_str(w, "subject", S("What we read, wrote and planted in the third week of November"));
    json_object_end(w);
    json_put_name(w, "attachments");
    json_array_begin(w);
    json_array_end(w);
    json_member_int(w, "size", 48213);
    json_object_end(w);
}

static void write_client(struct json_writer *w)
{
    json_put_name(w, "client-info");
    json_object_begin(w);
    json_member_str(w, "client-type", S("browser"));
    json_member_str(w, "client-os", S("Linux"));
    json_member_str(w, "device-type", S("desktop"));
    json_member_str(w, "client-name", S("Firefox"));
    json_member_str(w, "user-agent", S("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"));
    json_member_str(w, "bot", S(""));
    json_object_end(w);
    json_put_name(w, "geolocation");
    json_object_begin(w);
    json_member_str(w, "country", S("DE"));
    json_member_str(w, "region", S("Bavaria"));
    json_member_str(w, "city", S("Nuremberg"));
    json_object_end(w);
}

static void write_flags(struct json_writer *w)
{
    json_put_name(w, "flags");
    json_object_begin(w);
    json_member_bool(w, "is-routed", false);
    json_member_bool(w, "is-authenticated", true);
    json_member_bool(w, "is-system-test", false);
    json_member_bool(w, "is-test-mode", false);
    json_object_end(w);
    json_put_name(w, "tags");
    json_array_begin(w);
    json_put_str(w, S("weekly-letter"));
    json_put_str(w, S("november"));
    json_array_end(w);
}

static void write_delivery(struct json_writer *w)
{
    json_put_name(w, "envelope");
    json_object_begin(w);
    json_member_str(w, "transport", S("smtp"));
    json_member_str(w, "sender", S("bounce+8a3f1c.77e2b9-reader.seven=mail.example@mg.news.example"));
    json_member_str(w, "sending-ip", S("192.0.2.44"));
    json_member_str(w, "targets", S("reader.seven@mail.example"));
    json_object_end(w);
    json_put_name(w, "storage");
    json_object_begin(w);
    json_member_str(w, "url", S("https://storage.eu.provider.example/v3/domains/mg.news.example/messages/BAABAgU"));
    json_member_str(w, "region", S("europe-west1"));
    json_member_str(w, "key", S("BAABAgUm2xJ3yq0kTn7c4QhVZr9dEwYs8LpXa1uFoHbGiRtMvNzKjPlWqSxDcAeO"));
    json_object_end(w);
    json_put_name(w, "user-variables");
    json_object_begin(w);
    json_member_str(w, "mailing", S("weekly-2026-47"));
    json_member_str(w, "member", S("m-000712"));
    json_object_end(w);
}

static void write_event(struct json_writer *w, int i)
{
    char id[40];
    snprintf(id, sizeof id, "hK7mQVt1QtqRiOfQXta%03d", i);
    json_object_begin(w);
    json_member_str(w, "event", S("clicked"));
    json_member_str(w, "id", str_of(id));
    json_put_name(w, "timestamp");
    json_put_decimal(w, 1795287600123456 + i, 6);
    json_member_str(w, "log-level", S("info"));
    write_client(w);
    write_flags(w);
    json_member_str(w, "url", S("https://news.example/2026/47/what-we-planted?utm_source=letter&utm_medium=email"));
    json_member_str(w, "ip", S("198.51.100.23"));
    write_headers(w, i);
    write_delivery(w);
    json_member_str(w, "recipient", S("reader.seven@mail.example"));
    json_member_str(w, "recipient-domain", S("mail.example"));
    json_object_end(w);
}

static void write_page(struct buf *buf)
{
    struct json_writer w;
    json_write_init(&w, buf);
    json_object_begin(&w);
    json_put_name(&w, "items");
    json_array_begin(&w);
    for (int i = 0; i < PAGE_EVENTS; i++)
        write_event(&w, i);
    json_array_end(&w);
    json_object_end(&w);
}

struct picked {
    struct str text[12];
    size_t count;
};

static void pick(struct json *j, struct picked *picked)
{
    picked->count += json_string(j, &picked->text[picked->count]);
}

/* The members that `names` lists, of the object in front. */
static void pick_members(struct json *j, struct picked *picked, const struct str *names, size_t count)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        for (size_t i = 0; i < count; i++)
            if (str_eq(name, names[i]))
                pick(j, picked);
}

static void read_event(struct json *j, struct picked *picked)
{
    const struct str client[] = { S("user-agent"), S("client-type"), S("bot") };
    const struct str headers[] = { S("message-id") };
    const struct str variables[] = { S("mailing"), S("member") };
    struct str name;
    picked->count = 0;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("event")) || str_eq(name, S("id")) || str_eq(name, S("recipient")) ||
            str_eq(name, S("url")) || str_eq(name, S("ip")))
            pick(j, picked);
        else if (str_eq(name, S("timestamp")))
            picked->count += json_number_text(j, &picked->text[picked->count]);
        else if (str_eq(name, S("client-info")))
            pick_members(j, picked, client, 3);
        else if (str_eq(name, S("user-variables")))
            pick_members(j, picked, variables, 2);
        else if (str_eq(name, S("message")) && json_enter_object(j))
            while (json_next_member(j, &name))
                if (str_eq(name, S("headers")))
                    pick_members(j, picked, headers, 1);
    }
}

static void read_page(struct json *j, struct picked *picked)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("items")) && json_enter_array(j))
            while (json_next_item(j))
                read_event(j, picked);
}

static void report(const char *what, double took_s, int64_t pages, size_t page_bytes)
{
    double bytes = (double)pages * (double)page_bytes, events = (double)pages * PAGE_EVENTS;
    printf("%-22s %6.2f GB/s  %9.0f events/s of %zu bytes\n", what, bytes / took_s / 1e9, events / took_s,
           page_bytes / PAGE_EVENTS);
}

static void bench_read(struct op *op, struct str page, bool whole)
{
    struct picked picked = { 0 };
    struct json j;
    int64_t pages = 0;
    double begin_s = seconds(), took_s;
    do {
        for (int i = 0; i < 20; i++, pages++) {
            json_init(&j, op->arena, page, JSON_TOLERANT);
            if (whole)
                json_skip(&j);
            else
                read_page(&j, &picked);
            if (json_finish(&j, op) != OK || (!whole && picked.count != 12)) {
                fprintf(stderr, "bench_json: %zu fields, %s\n", picked.count, op->error);
                exit(1);
            }
        }
        took_s = seconds() - begin_s;
    } while (took_s < 1);
    report(whole ? "skip and check" : "pick 12 fields", took_s, pages, page.n);
}

static void bench_write(struct buf *buf)
{
    int64_t pages = 0;
    double begin_s = seconds(), took_s;
    do {
        buf_reset(buf);
        write_page(buf);
        pages++;
        took_s = seconds() - begin_s;
    } while (took_s < 1);
    report("write", took_s, pages, buf->n);
}

int main(void)
{
    struct buf buf;
    struct op op;
    op_init(&op, arena_new(1 << 20), 0);
    buf_init(&buf, 4 << 20);
    write_page(&buf);
    bench_read(&op, buf_str(&buf), false);
    bench_read(&op, buf_str(&buf), true);
    bench_write(&buf);
    buf_done(&buf);
    arena_free(op.arena);
    return 0;
}
