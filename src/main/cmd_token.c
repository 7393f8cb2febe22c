/*
 * cmd_token.c - tokens: the first one straight into the store, later ones through the daemon.
 */
#include <stdio.h>

#include "base/hex.h"
#include "base/id.h"
#include "base/json_write.h"
#include "base/random.h"
#include "main/body.h"
#include "main/client.h"
#include "main/show.h"
#include "serve/access.h"
#include "store/store_audit.h"

/* --- token create --------------------------------------------------------- */

static const struct body_field create_fields[] = {
    { "scope", "scopes", NULL, BODY_TEXTS },
    { "tenant", "tenant", NULL, BODY_TEXT },
    { "queue", "queues", NULL, BODY_TEXTS },
    { 0 },
};

/* The options as a body (there is --scope at least), with the name in front. */
static int create_body(struct cli *cli, struct str *ret_body)
{
    struct str options;
    struct buf out;
    struct json_writer w;
    int code = body_of(cli, create_fields, &options);
    if (code != CLI_DONE)
        return code;
    buf_init_arena(&out, cli->op.arena, BODY_BYTES_MAX);
    json_write_init(&w, &out);
    json_put_str(&w, str_of(cli->operands[0]));
    *ret_body = arena_fmt(cli->op.arena, "{\"name\":%.*s,%.*s", STR(buf_str(&out)), (int)options.n - 1, options.p + 1);
    return CLI_DONE;
}

/* All values of an option that may be given several times, joined by commas; not given without. */
static struct str joined(struct cli *cli, const char *option)
{
    struct str all = { 0 };
    for (int i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option->name, option) == 0)
            all = str_given(all) ? arena_fmt(cli->op.arena, "%.*s,%s", STR(all), cli->given[i].value)
                                 : str_of(cli->given[i].value);
    return all;
}

static enum err add_token(struct op *op, struct tx *tx, void *arg)
{
    struct token *token = arg;
    TRY(store_token_add(op, tx, token));
    return store_audit_add(op, tx, S("cli"), S("token.create"), token->id, token->name);
}

static void print_token(struct cli *cli, const struct token *token, const char *text)
{
    struct buf out;
    struct json_writer w;
    struct str words[4];
    size_t count = token_scopes_words(token->scopes, words);
    if (!cli->json) {
        puts(text);
        return;
    }
    buf_init_arena(&out, cli->op.arena, BODY_BYTES_MAX);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_member_str(&w, "id", token->id);
    json_member_str(&w, "token", str_of(text));
    json_put_name(&w, "scopes");
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++)
        json_put_str(&w, words[i]);
    json_array_end(&w);
    json_object_end(&w);
    show_json(buf_str(&out));
}

/* Opens the store itself; a daemon that holds it is the one to ask then. */
static int create_in_store(struct cli *cli, struct token *token)
{
    char text[TOKEN_TEXT_BYTES], id[ID_TEXT_BYTES];
    token_make(text, token->sha256);
    token->id = id_make(op_now_ms(&cli->op), random_u64(), id);

    struct store_config config = { .directory = cli_option(cli, "data"), .url = cli_option(cli, "database") };
    struct store *store;
    enum err err = store_open(&cli->op, &config, &store);
    if (err == ERR_CONFLICT)
        return cli_fail(cli, CLI_REFUSED,
                        "%s; ask that daemon: posthouse token create %s --scope ... --url %s --token ADMIN-TOKEN",
                        cli->op.error, cli->operands[0], CLIENT_URL);
    if (err != OK)
        return cli_fail_op(cli);
    err = store_write(&cli->op, store, add_token, token);
    store_close(store);
    if (err != OK)
        return cli_fail_op(cli);
    print_token(cli, token, text);
    return CLI_DONE;
}

static int create_local(struct cli *cli)
{
    struct token token = { .name = str_of(cli->operands[0]), .queues = joined(cli, "queue") };
    const char *tenant = cli_option(cli, "tenant");
    if (tenant)
        token.tenant = str_of(tenant);
    if (!token_scopes_parse(joined(cli, "scope"), &token.scopes))
        return cli_fail(cli, CLI_USAGE, "--scope takes read, write, work and admin, separated by commas");
    if (token.name.n == 0 || token.name.n > TOKEN_NAME_BYTES_MAX || !str_is_utf8(token.name))
        return cli_fail(cli, CLI_USAGE, "a name is 1 to %d bytes of UTF-8", TOKEN_NAME_BYTES_MAX);
    return create_in_store(cli, &token);
}

static int create_run(struct cli *cli)
{
    if (!cli_has(cli, "scope"))
        return cli_fail(cli, CLI_USAGE, "--scope is missing: read, write, work, admin");
    if (cli_has(cli, "data") && cli_has(cli, "database"))
        return cli_fail(cli, CLI_USAGE, "--data or --database: a store is one of them");
    if (cli_has(cli, "data") || cli_has(cli, "database"))
        return create_local(cli);
    struct str body, json;
    int code = create_body(cli, &body);
    if (code == CLI_DONE)
        code = client_call(cli, "POST", "/v1/tokens", body, &json);
    if (code != CLI_DONE)
        return code;
    if (cli->json)
        show_json(json);
    else
        printf("%.*s\n", STR(show_value(cli, json, "token")));
    return CLI_DONE;
}

static const struct cli_option create_options[] = {
    { "scope", "SCOPES", "what it may: read, write, work, admin, separated by commas" },
    { "tenant", "ID", "only this tenant" },
    { "queue", "NAME", "only this queue; may be given several times" },
    { "data", "DIR", "straight into the store of a daemon that is not running: for the first token" },
    { "database", "URL", "straight into a PostgreSQL database; its daemons may run" },
    { 0 },
};

extern const struct command cmd_token_create, cmd_token_list, cmd_token_revoke;
const struct command cmd_token_create = {
    .noun = "token",
    .verb = "create",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "makes a token and shows it, once",
    .text = "The store keeps only a digest of it. The first token needs --data and a daemon that is not running,\n"
            "or --database; later ones are made through the daemon with a token of scope admin.\n",
    .options = create_options,
    .flags = CLI_CLIENT,
    .run = create_run,
};

/* --- token list, token revoke --------------------------------------------- */

static int list_page(struct cli *cli, struct str json, void *data)
{
    (void)data;
    static const struct show_column columns[] = {
        { "ID", "id" },         { "NAME", "name" },          { "SCOPES", "scopes" },      { "TENANT", "tenant" },
        { "QUEUES", "queues" }, { "CREATED", "created_at" }, { "REVOKED", "revoked_at" }, { 0 },
    };
    cli->json ? show_json(json) : show_items(cli, json, "items", columns, "no tokens");
    return CLI_DONE;
}

static int list_run(struct cli *cli)
{
    return client_pages(cli, "/v1/tokens", list_page, NULL);
}

static const struct cli_option no_options[] = { { 0 } };

const struct command cmd_token_list = {
    .noun = "token",
    .verb = "list",
    .operands = "",
    .summary = "lists tokens, also revoked ones, without their text",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = list_run,
};

static int revoke_run(struct cli *cli)
{
    struct str json;
    int code =
        client_call(cli, "DELETE", client_path(cli, "/v1/tokens/%s", cli->operands[0]), (struct str){ 0 }, &json);
    if (code == CLI_DONE && !cli->json)
        printf("token %s opens nothing any more\n", cli->operands[0]);
    return code;
}

const struct command cmd_token_revoke = {
    .noun = "token",
    .verb = "revoke",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "ends a token at once",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = revoke_run,
};
