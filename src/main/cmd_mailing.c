/*
 * cmd_mailing.c - mailings: registering, importing recipients, reading figures.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "main/body.h"
#include "main/ask.h"
#include "main/progress.h"

/* --- mailing put ---------------------------------------------------------- */

static const struct body_field put_fields[] = {
    { "tenant", "tenant", NULL, BODY_TEXT },
    { "subject", "subject", NULL, BODY_TEXT },
    { "sent-at", "sent_at", NULL, BODY_TEXT },
    { "track-opens", "track_opens", NULL, BODY_BOOL },
    { "track-clicks", "track_clicks", NULL, BODY_BOOL },
    { 0 },
};

static int put_run(struct cli *cli)
{
    static const char *const figures[] = { "stats", NULL };
    struct str body;
    int code = body_of(cli, put_fields, &body);
    if (code != CLI_DONE)
        return code;
    return ask_object(cli, "PUT", client_path(cli, "/v1/mailings/%s", cli->operands[0]), body, figures);
}

static const struct cli_option put_options[] = {
    { "tenant", "ID", "whose mailing it is" },
    { "subject", "TEXT", "its subject" },
    { "sent-at", "INSTANT", "when it was sent, like 2026-11-21T19:00:00Z" },
    { "track-opens", "YES|NO", "whether opens are expected (default yes)" },
    { "track-clicks", "YES|NO", "whether clicks are expected (default yes)" },
    BODY_OPTION,
    { 0 },
};

extern const struct command cmd_mailing_put, cmd_mailing_import, cmd_mailing_stats;
const struct command cmd_mailing_put = {
    .noun = "mailing",
    .verb = "put",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "registers a mailing or replaces what is known of it",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

/* --- mailing import ------------------------------------------------------- */

#define REJECTED_SHOWN 10

struct upload {
    int fd;
    int64_t done;
    struct progress progress;
    int error;
};

static long upload_read(void *data, char *ret_bytes, size_t room)
{
    struct upload *upload = data;
    ssize_t got = read(upload->fd, ret_bytes, room);
    if (got < 0) {
        upload->error = errno;
        return -1;
    }
    upload->done += got;
    progress_at(&upload->progress, upload->done);
    return got;
}

/* Lines that were refused, the first ones with their reason. */
static int64_t print_rejected(struct cli *cli, struct str json)
{
    struct json j;
    struct str item;
    int64_t count = 0;
    json_init(&j, cli->op.arena, json, JSON_STRICT);
    if (!json_enter_array(&j))
        return 0;
    for (; json_next_item(&j); count++)
        if (json_raw(&j, &item) && count < REJECTED_SHOWN)
            fprintf(stderr, "line %.*s: %.*s\n", STR(show_value(cli, item, "line")),
                    STR(show_value(cli, item, "detail")));
    return count;
}

static int print_result(struct cli *cli, struct str json)
{
    struct str list = S("[]");
    json_find(cli->op.arena, json, JSON_STRICT, S("rejected"), &list);
    if (cli->json)
        show_json(json);
    int64_t named = print_rejected(cli, list);
    struct str rejected = show_value(cli, json, "rejected_count");
    if (named > REJECTED_SHOWN)
        fprintf(stderr, "... and more; --json names the first 1000\n");
    if (!cli->json)
        printf("accepted %.*s, duplicates %.*s, rejected %.*s\n", STR(show_value(cli, json, "accepted")),
               STR(show_value(cli, json, "duplicates")), STR(rejected));
    return named ? CLI_REFUSED : CLI_DONE;
}

static int open_file(struct cli *cli, const char *path, struct upload *ret, int64_t *ret_bytes)
{
    struct stat stat;
    ret->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (ret->fd < 0 || fstat(ret->fd, &stat) != 0)
        return cli_fail(cli, CLI_REFUSED, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(stat.st_mode))
        return cli_fail(cli, CLI_REFUSED, "%s is a directory", path);
    *ret_bytes = S_ISREG(stat.st_mode) ? (int64_t)stat.st_size : -1;
    return CLI_DONE;
}

static int import_run(struct cli *cli)
{
    const char *path = cli->operand_count > 1 ? cli->operands[1] : "-";
    struct upload upload = { 0 };
    int64_t bytes = 0;
    int code = open_file(cli, path, &upload, &bytes);
    if (code != CLI_DONE)
        return code;
    struct http_easy_request request = {
        .method = "POST",
        .path = client_path(cli, "/v1/mailings/%s/messages", cli->operands[0]),
        .content_type = "application/x-ndjson",
        .read = upload_read,
        .data = &upload,
        .read_bytes = bytes,
    };
    struct str json;
    progress_begin(&upload.progress, "importing", bytes > 0 ? bytes : 0, true);
    code = client_send(cli, &request, &json);
    progress_end(&upload.progress);
    if (upload.fd != STDIN_FILENO)
        close(upload.fd);
    if (upload.error)
        return cli_fail(cli, CLI_REFUSED, "cannot read %s: %s", path, strerror(upload.error));
    return code == CLI_DONE ? print_result(cli, json) : code;
}

static const struct cli_option no_options[] = { { 0 } };

const struct command cmd_mailing_import = {
    .noun = "mailing",
    .verb = "import",
    .operands = "ID [FILE]",
    .operands_min = 1,
    .operands_max = 2,
    .summary = "takes in the recipients of a mailing from NDJSON",
    .text = "One JSON object a line: {\"recipient\":\"a@x.org\",\"member\":\"m-1\",\"provider_message_id\":\"...\"}.\n"
            "Without FILE, or with '-', standard input is read. A line that was there already is a duplicate, so\n"
            "a broken import can be started again. Exit 1 when lines were rejected; the others are kept.\n",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = import_run,
};

/* --- mailing stats -------------------------------------------------------- */

static int stats_run(struct cli *cli)
{
    return ask_named(cli, "GET", "/v1/mailings/%s/stats", (struct str){ 0 });
}

const struct command cmd_mailing_stats = {
    .noun = "mailing",
    .verb = "stats",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "shows the figures of a mailing as they stand",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = stats_run,
};
