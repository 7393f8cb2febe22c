#include "main/rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/json_write.h"
#include "main/settings.h"

#define IMPORT_PART      5000 /* recipients a request */
#define PART_BYTES_MAX   (8u << 20)
#define PART_ARENA_BYTES (16u << 20)
#define AT_ONCE_COMPRESS INT64_C(86400000000) /* a day in a millisecond */
#define AT_ONCE_SINCE_US INT64_C(5000000)

enum err rig_ask(struct op *op, struct http_easy *api, const char *method, const char *path, struct str body,
                 struct str *ret_json)
{
    struct http_easy_request request = { .method = method,
                                         .path = path,
                                         .body = body,
                                         .read_bytes = -1,
                                         .content_type = str_given(body) ? "application/json" : NULL };
    struct http_easy_answer answer;
    TRY(http_easy_send(op, api, &request, &answer));
    if (answer.status / 100 != 2)
        return fail(op, ERR_IO, "%s %s answered %d: %.*s", method, path, answer.status, STR(answer.body));
    if (ret_json)
        *ret_json = answer.body;
    return OK;
}

enum err rig_call(struct rig *rig, const char *method, const char *path, struct str body, struct str *ret_json)
{
    return rig_ask(rig->op, rig->api, method, path, body, ret_json);
}

enum err rig_provider_call(struct rig *rig, const char *method, const char *path, struct str body)
{
    struct http_easy_request request = {
        .method = method, .path = path, .body = body, .read_bytes = -1, .content_type = "application/json"
    };
    struct http_easy_answer answer;
    TRY(http_easy_send(rig->op, rig->provider, &request, &answer));
    return answer.status / 100 == 2 ? OK : fail(rig->op, ERR_IO, "provider: %s answered %d", path, answer.status);
}

int64_t rig_number(struct op *op, struct str json, const char *name)
{
    struct json j;
    struct str member;
    int64_t value = 0;
    json_init(&j, op->arena, json, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &member))
            if (str_eq(member, str_of(name)))
                (void)json_int(&j, INT64_MIN, INT64_MAX, &value);
    return value;
}

static enum err start_provider(struct rig *rig)
{
    struct stand_in_config config = { .model = rig->config.model, .listen = "127.0.0.1:0" };
    char address[ADDR_TEXT_BYTES_MAX];
    TRY(stand_in_start(rig->op, &config, &rig->stand_in));
    struct addr addr = stand_in_addr(rig->stand_in);
    snprintf(rig->provider_url, sizeof rig->provider_url, "http://%.*s", STR(addr_text(&addr, address)));
    struct http_easy_config easy = { .url = rig->provider_url, .connect_ms = 5000, .idle_ms = 60000 };
    return http_easy_open(rig->op, &easy, &rig->provider);
}

static enum err start_daemon(struct rig *rig)
{
    struct settings_flags flags = { .config = "/dev/null",
                                    .data = rig->directory,
                                    .database = rig->config.database,
                                    .http = "127.0.0.1:0",
                                    .worker = "127.0.0.1:0",
                                    .dev = true };
    struct conf *conf;
    char address[ADDR_TEXT_BYTES_MAX];
    TRY(settings_read(rig->op, &flags, &conf, NULL));
    TRY(settings_check(rig->op, conf));
    struct daemon_config config = { .conf = conf };
    TRY(daemon_start(rig->op, &config, &rig->daemon));
    struct addr addr = daemon_http(rig->daemon);
    snprintf(rig->api_url, sizeof rig->api_url, "http://%.*s", STR(addr_text(&addr, address)));
    struct http_easy_config easy = { .url = rig->api_url, .connect_ms = 5000, .idle_ms = 120000 };
    return http_easy_open(rig->op, &easy, &rig->api);
}

static enum err make_mailing(struct rig *rig)
{
    char at[INSTANT_TEXT_BYTES];
    TRY(rig_call(rig, "PUT", "/v1/tenants/" RIG_TENANT, S("{\"timezone\":\"Europe/London\"}"), NULL));
    struct str body =
        arena_fmt(rig->op->arena,
                  "{\"tenant\":\"" RIG_TENANT "\",\"subject\":\"A simulated mailing\",\"sent_at\":\"%.*s\"}",
                  STR(instant_text(rig->config.model.start_us, 3, at)));
    return rig_call(rig, "PUT", "/v1/mailings/" RIG_MAILING, body, NULL);
}

enum err rig_directory(struct op *op, const char *stem, char *ret_directory, size_t room)
{
    const char *base = getenv("TMPDIR");
    snprintf(ret_directory, room, "%s/%s-XXXXXX", base ? base : "/tmp", stem);
    return mkdtemp(ret_directory) ? OK : fail(op, ERR_IO, "cannot make a temporary directory like %s", ret_directory);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void rig_remove(const char *directory)
{
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

enum err rig_database_is_free(struct op *op, const char *url)
{
    bool there;
    TRY(store_is_there(op, url, &there));
    struct str text = store_url_text(op->arena, url);
    return there ? fail(op, ERR_CONFLICT, "%.*s holds a Posthouse already: give an empty database", STR(text)) : OK;
}

static enum err start_all(struct rig *rig)
{
    if (rig->config.database) {
        if (!rig->config.filled)
            TRY(rig_database_is_free(rig->op, rig->config.database));
        rig->erase = !rig->config.keep;
    }
    if (rig->config.directory) {
        snprintf(rig->directory, sizeof rig->directory, "%s", rig->config.directory);
    } else {
        TRY(rig_directory(rig->op, "posthouse", rig->directory, sizeof rig->directory));
        rig->temporary = true;
    }
    TRY(start_provider(rig));
    TRY(start_daemon(rig));
    return make_mailing(rig);
}

struct rig_config rig_at_once(const char *database, int64_t recipients)
{
    return (struct rig_config){ .database = database,
                                .model = { .seed = 7,
                                           .mailing = S(RIG_MAILING),
                                           .recipients = (uint32_t)recipients,
                                           .start_us = clock_wall_us() / 1000 * 1000 - AT_ONCE_SINCE_US,
                                           .compress_milli = AT_ONCE_COMPRESS },
                                .every = "1s",
                                .margin = "0s",
                                .recheck_1 = "1h",
                                .recheck_2 = "2h" };
}

enum err rig_start(struct op *op, const struct rig_config *config, struct rig *ret_rig)
{
    *ret_rig = (struct rig){ .op = op, .config = *config };
    enum err err = start_all(ret_rig);
    if (err != OK)
        rig_stop(ret_rig);
    return err;
}

static void write_part(struct rig *rig, struct buf *buf, uint32_t from, uint32_t to)
{
    struct json_writer w;
    buf_reset(buf);
    for (uint32_t no = from; no < to; no++) {
        struct sim_recipient recipient;
        sim_recipient(stand_in_model(rig->stand_in), no, &recipient);
        json_write_init(&w, buf);
        json_object_begin(&w);
        json_member_str(&w, "recipient", recipient.address);
        json_member_str(&w, "member", recipient.member);
        json_member_str(&w, "provider_message_id", recipient.provider_message_id);
        json_object_end(&w);
        buf_add_char(buf, '\n');
    }
}

static enum err import_part(struct rig *rig, const struct buf *buf, uint32_t count)
{
    struct http_easy_request request = { .method = "POST",
                                         .path = "/v1/mailings/" RIG_MAILING "/messages",
                                         .content_type = "application/x-ndjson",
                                         .body = buf_str(buf),
                                         .read_bytes = -1 };
    struct http_easy_answer answer;
    TRY(http_easy_send(rig->op, rig->api, &request, &answer));
    if (answer.status != 200 || rig_number(rig->op, answer.body, "accepted") != count)
        return fail(rig->op, ERR_IO, "the import answered %d: %.*s", answer.status, STR(answer.body));
    return OK;
}

enum err rig_import(struct rig *rig, void (*progress)(void *data, int64_t done), void *data)
{
    struct arena *outer = rig->op->arena;
    struct arena *memory = arena_new(PART_ARENA_BYTES);
    uint32_t all = rig->config.model.recipients;
    struct buf buf;
    enum err err = OK;
    buf_init(&buf, PART_BYTES_MAX);
    for (uint32_t done = 0; done < all && err == OK;) {
        uint32_t part = all - done < IMPORT_PART ? all - done : IMPORT_PART;
        arena_reset(memory);
        rig->op->arena = memory;
        write_part(rig, &buf, done, done + part);
        err = import_part(rig, &buf, part);
        rig->op->arena = outer;
        done += part;
        if (progress)
            progress(data, done);
    }
    buf_done(&buf);
    arena_free(memory);
    return err;
}

enum err rig_read(struct rig *rig)
{
    const struct rig_config *c = &rig->config;
    struct str body = arena_fmt(rig->op->arena,
                                "{\"type\":\"mailgun\",\"api\":\"events\",\"base_url\":\"%s\",\"domain\":\"%s\","
                                "\"api_key\":\"%s\",\"signing_key\":\"%s\",\"tenant\":\"%s\","
                                "\"timing\":{\"every\":\"%s\",\"margin\":\"%s\",\"recheck\":[\"%s\",\"%s\"]}}",
                                rig->provider_url, SIMULATE_DOMAIN, SIMULATE_KEY, SIMULATE_SIGNING_KEY, RIG_TENANT,
                                c->every, c->margin, c->recheck_1, c->recheck_2);
    return rig_call(rig, "PUT", "/v1/sources/" RIG_SOURCE, body, NULL);
}

void rig_stop_daemon(struct rig *rig)
{
    if (rig->api)
        http_easy_close(rig->api);
    if (rig->daemon)
        daemon_stop(rig->daemon);
    rig->api = NULL;
    rig->daemon = NULL;
}

void rig_stop(struct rig *rig)
{
    rig_stop_daemon(rig);
    if (rig->provider)
        http_easy_close(rig->provider);
    if (rig->stand_in)
        stand_in_stop(rig->stand_in);
    rig->provider = NULL;
    rig->stand_in = NULL;
    if (rig->temporary)
        rig_remove(rig->directory);
    rig->temporary = false;
    struct op aside = { .arena = rig->op->arena };
    if (rig->erase && store_erase(&aside, rig->config.database) != OK)
        log_error("the schema posthouse stays in the database", LOG_ERROR_OF(&aside));
    rig->erase = false;
}

int64_t rig_peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}
