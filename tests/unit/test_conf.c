#include "test.h"

#include <unistd.h>

#include "base/conf.h"
#include "base/conf_value.h"

static const struct conf_key server_keys[] = {
    { "http", CONF_TEXT, 1, 100, "127.0.0.1:7420", NULL },
    { "workers", CONF_INT, 1, 64, "2", NULL },
    { "compress", CONF_BOOL, 0, 0, "off", NULL },
    { "drain", CONF_DURATION, 1000, 60000, "25s", NULL },
    { "body", CONF_SIZE, 1024, 1 << 30, "8MiB", NULL },
    { "share", CONF_NUMBER, 0, 1000000, "0.25", NULL },
    { "data", CONF_PATH, 0, 0, NULL, NULL },
    { "networks", CONF_LIST, 0, 0, NULL, NULL },
    { "level", CONF_CHOICE, 0, 0, "info", "debug|info|warn|error" },
    { "password", CONF_SECRET, 0, 0, NULL, NULL },
    { 0 },
};

static const struct conf_key source_keys[] = {
    { "type", CONF_CHOICE, 0, 0, "mailgun", "mailgun|ses" },
    { "api_key", CONF_SECRET, 1, 0, NULL, NULL },
    { "every", CONF_DURATION, 1000, 0, "30s", NULL },
    { 0 },
};

static const struct conf_key event_keys[] = {
    { "keep", CONF_DURATION, 0, 0, "90d", NULL },
    { "keep.*", CONF_DURATION, 0, 0, NULL, NULL },
    { 0 },
};

static const struct conf_key status_keys[] = { { "*", CONF_CHOICE, 0, 0, NULL, "never|email|always" }, { 0 } };

static const struct conf_section schema[] = {
    { "server", false, server_keys },
    { "source", true, source_keys },
    { "events", false, event_keys },
    { "status", false, status_keys },
    { 0 },
};

static const struct str nameless = { NULL, 0 };
static struct op op;

static struct conf *start(void)
{
    static struct arena *arena;
    struct conf *conf;
    if (arena)
        arena_free(arena);
    arena = arena_new(16 << 20);
    op_init(&op, arena, 0);
    SUCCEEDS(&op, conf_new(&op, schema, &conf));
    return conf;
}

static struct conf *with(const char *text)
{
    struct conf *conf = start();
    SUCCEEDS(&op, conf_read_text(&op, conf, "/etc/posthouse/posthouse.conf", str_of(text)));
    return conf;
}

static void refused(const char *text, const char *sentence)
{
    struct conf *conf = start();
    EQ(conf_read_text(&op, conf, "p.conf", str_of(text)), ERR_INVALID);
    STR_EQ(str_of(op.error), sentence);
}

TEST(conf, has_defaults_before_anything_is_read)
{
    struct conf *conf = start();
    STR_EQ(conf_text(conf, "server", "http"), "127.0.0.1:7420");
    EQ(conf_int(conf, "server", "workers"), 2);
    NO(conf_bool(conf, "server", "compress"));
    EQ(conf_ms(conf, "server", "drain"), 25000);
    EQ(conf_bytes(conf, "server", "body"), 8 << 20);
    EQ(conf_int(conf, "server", "share"), 250000);
    NO(str_given(conf_text(conf, "server", "data")));
    YES(conf_get(conf, "server", nameless, "networks") == NULL);
    EQ(conf_get(conf, "server", nameless, "http")->origin, CONF_DEFAULT);
}

TEST(conf, reads_every_type)
{
    struct conf *conf = with("[server]\n"
                             "http = \"[::1]:80\"\r\n"
                             "workers = 8\n"
                             "compress = yes\n"
                             "drain = 1500ms\n"
                             "body = 1 MiB\n"
                             "share = 0.000001\n"
                             "data = /var/lib/posthouse\n"
                             "networks = 10.0.0.0/8, \"::1/128\"\n"
                             "level = warn\n"
                             "password = \"a # b\"   # quoted because of the sign\n");
    STR_EQ(conf_text(conf, "server", "http"), "[::1]:80");
    EQ(conf_int(conf, "server", "workers"), 8);
    YES(conf_bool(conf, "server", "compress"));
    EQ(conf_ms(conf, "server", "drain"), 1500);
    EQ(conf_bytes(conf, "server", "body"), 1 << 20);
    EQ(conf_int(conf, "server", "share"), 1);
    STR_EQ(conf_text(conf, "server", "data"), "/var/lib/posthouse");
    STR_EQ(conf_text(conf, "server", "level"), "warn");
    STR_EQ(conf_text(conf, "server", "password"), "a # b");
    const struct conf_value *networks = conf_get(conf, "server", nameless, "networks");
    EQ(networks->count, 2);
    STR_EQ(networks->items[1], "::1/128");
    EQ(networks->line, 9);
}

TEST(conf, keeps_named_sections_apart_and_in_order)
{
    struct conf *conf = with("[source mg]\ntype = mailgun\nevery = 10s\n[source \"a b\"]\ntype = ses\n[source mg]\n"
                             "api_key = k\n[source bare]\n");
    const struct str *names;
    EQ(conf_names(conf, "source", &names), 3);
    STR_EQ(names[0], "mg");
    STR_EQ(names[1], "a b");
    STR_EQ(names[2], "bare");
    STR_EQ(conf_get(conf, "source", S("a b"), "type")->text, "ses");
    EQ(conf_get(conf, "source", S("mg"), "every")->number, 10000);
    EQ(conf_get(conf, "source", S("a b"), "every")->number, 30000);
    STR_EQ(conf_get(conf, "source", S("mg"), "api_key")->text, "k");
    YES(conf_get(conf, "source", S("bare"), "api_key") == NULL);
}

TEST(conf, lets_patterns_take_keys_nobody_can_list)
{
    struct conf *conf =
        with("[events]\nkeep = 30d\nkeep.\"order.*\" = 7d\n[status]\ndelivered.permanent-failure = never\n");
    const struct conf_value *values;
    EQ(conf_values(conf, &values), 3);
    STR_EQ(values[1].word, "keep.order.*");
    EQ(values[1].number, INT64_C(7) * 86400000);
    STR_EQ(conf_get(conf, "status", nameless, "delivered.permanent-failure")->text, "never");
    EQ(conf_ms(conf, "events", "keep"), INT64_C(30) * 86400000);
}

TEST(conf, names_file_line_and_the_nearest_word)
{
    refused("[server]\n\nhtpp = x\n", "p.conf:3: unknown key 'htpp' in [server]; did you mean 'http'?");
    refused("[server]\npasword_file = x\n",
            "p.conf:2: unknown key 'pasword_file' in [server]; did you mean 'password_file'?");
    refused("[server]\ncolour = x\n", "p.conf:2: unknown key 'colour' in [server]");
    refused("[sever]\n", "p.conf:1: unknown section [sever]; did you mean [server]?");
    refused("[mailer]\n", "p.conf:1: unknown section [mailer]");
    refused("[server x]\n", "p.conf:1: [server] takes no name");
    refused("[source]\n", "p.conf:1: [source] needs a name: [source NAME]");
    refused("http = x\n", "p.conf:1: 'http' stands before the first [section]");
    refused("[server]\nhttp_file = x\n", "p.conf:2: unknown key 'http_file' in [server]");
    refused("[server]\nhttp = a\nworkers = 3\nhttp = b\n",
            "p.conf:4: 'http' in [server] is set twice, first in line 2");
}

TEST(conf, says_what_a_bad_value_should_be)
{
    refused("[server]\nworkers = 65\n",
            "p.conf:2: bad value '65' for workers in [server]: expected a whole number, from 1 to 64");
    refused("[server]\nworkers = two\n",
            "p.conf:2: bad value 'two' for workers in [server]: expected a whole number, from 1 to 64");
    refused("[server]\ncompress = maybe\n",
            "p.conf:2: bad value 'maybe' for compress in [server]: expected true or false");
    refused("[server]\ndrain = 25\n",
            "p.conf:2: bad value '25' for drain in [server]: expected a duration like 250ms, 90s, "
            "5m, 1h, 7d, from 1s to 1m");
    refused("[source a]\nevery = 10ms\n",
            "p.conf:2: bad value '10ms' for every in [source]: expected a duration like 250ms, "
            "90s, 5m, 1h, 7d, from 1s");
    refused("[server]\nbody = 40MB\n", "p.conf:2: bad value '40MB' for body in [server]: expected a size like 512, "
                                       "64KiB, 40MiB, from 1024 to 1073741824 bytes");
    refused("[server]\nshare = 1.5\n",
            "p.conf:2: bad value '1.5' for share in [server]: expected a number with at most 6 decimals, from 0 to 1");
    refused("[server]\nlevel = loud\n",
            "p.conf:2: bad value 'loud' for level in [server]: expected debug|info|warn|error");
    refused("[server]\nhttp =\n", "p.conf:2: bad value '' for http in [server]: expected a text, from 1 to 100 bytes");
    refused("[server]\ndata =\n", "p.conf:2: bad value '' for data in [server]: expected a path");
    refused("[server]\nhttp = \"a\n", "p.conf:2: the closing quote is missing");
}

TEST(conf, never_repeats_a_secret)
{
    refused("[source a]\napi_key = \"\"\n",
            "p.conf:2: bad value for api_key in [source]: expected a text, from 1 bytes");
}

TEST(conf, refuses_lines_that_are_too_long_or_no_text)
{
    static char text[CONF_LINE_BYTES_MAX + 100];
    struct conf *conf = start();
    memset(text, 'x', sizeof text);
    memcpy(text, "# ", 2);
    EQ(conf_read_text(&op, conf, "p.conf", (struct str){ text, CONF_LINE_BYTES_MAX + 1 }), ERR_INVALID);
    STR_EQ(str_of(op.error), "p.conf:1: the line is longer than 65536 bytes");
    SUCCEEDS(&op, conf_read_text(&op, conf, "p.conf", (struct str){ text, CONF_LINE_BYTES_MAX }));
    EQ(conf_read_text(&op, conf, "p.conf", S("[server]\nhttp = \xff\n")), ERR_INVALID);
    EQ(conf_read_text(&op, conf, "p.conf", S("[server]\nhttp = a\0b\n")), ERR_INVALID);
    STR_EQ(str_of(op.error), "p.conf:2: the line is not UTF-8 text");
}

TEST(conf, lays_environment_over_file_and_flags_over_both)
{
    static const char *const environment[] = { "PATH=/bin",
                                               "POSTHOUSE_SERVER_WORKERS=5",
                                               "POSTHOUSE_SERVER_LEVEL=error",
                                               "POSTHOUSE_SOURCE_A_B_EVERY=5s",
                                               "POSTHOUSE_URL=http://x",
                                               "POSTHOUSE_TOKEN=t",
                                               "POSTHOUSE_SOURCE_OTHER_EVERY=5s",
                                               NULL };
    struct conf *conf = start();
    SUCCEEDS(&op, conf_set(&op, conf, "server", nameless, S("level"), S("debug"), CONF_FLAG));
    SUCCEEDS(&op, conf_read_text(&op, conf, "p.conf",
                                 S("[server]\nworkers = 3\nlevel = warn\ncompress = on\n"
                                   "[source \"a b\"]\nevery = 20s\n")));
    SUCCEEDS(&op, conf_read_environment(&op, conf, environment));
    EQ(conf_int(conf, "server", "workers"), 5);
    STR_EQ(conf_text(conf, "server", "level"), "debug");
    YES(conf_bool(conf, "server", "compress"));
    EQ(conf_get(conf, "source", S("a b"), "every")->number, 5000);
    EQ(conf_get(conf, "source", S("a b"), "every")->origin, CONF_ENVIRONMENT);
}

TEST(conf, takes_values_of_the_environment_as_they_are)
{
    static const char *const environment[] = { "POSTHOUSE_SERVER_PASSWORD=\"a # b",
                                               "POSTHOUSE_SERVER_NETWORKS=a, \"b,c\"", NULL };
    struct conf *conf = start();
    SUCCEEDS(&op, conf_read_environment(&op, conf, environment));
    STR_EQ(conf_text(conf, "server", "password"), "\"a # b");
    EQ(conf_get(conf, "server", nameless, "networks")->count, 2);
}

static void environment_refused(const char *variable, const char *sentence)
{
    const char *const environment[] = { variable, NULL };
    struct conf *conf = start();
    EQ(conf_read_environment(&op, conf, environment), ERR_INVALID);
    STR_EQ(str_of(op.error), sentence);
}

TEST(conf, stops_at_a_misspelt_variable_of_a_known_section)
{
    environment_refused("POSTHOUSE_SERVER_HTPP=x",
                        "unknown variable POSTHOUSE_SERVER_HTPP; did you mean POSTHOUSE_SERVER_HTTP?");
    environment_refused("POSTHOUSE_SERVER_COLOUR=x", "unknown variable POSTHOUSE_SERVER_COLOUR");
    environment_refused("POSTHOUSE_SERVER_WORKERS=many", "POSTHOUSE_SERVER_WORKERS: bad value 'many' for workers in "
                                                         "[server]: expected a whole number, from 1 to 64");
}

/* A file in a directory of its own, which remove_file takes away again. */
static char directory[] = "/tmp/conf-test-XXXXXX", file_path[64];

static void write_file(const char *name, const char *text)
{
    if (str_ends(str_of(directory), S("XXXXXX")))
        YES(mkdtemp(directory) != NULL);
    snprintf(file_path, sizeof file_path, "%s/%s", directory, name);
    FILE *file = fopen(file_path, "w");
    YES(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void remove_file(const char *name)
{
    snprintf(file_path, sizeof file_path, "%s/%s", directory, name);
    unlink(file_path);
    rmdir(directory);
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
}

TEST(conf, reads_secrets_out_of_files_beside_the_configuration)
{
    struct conf *conf = start();
    char variable[128];
    write_file("key", "s3cret # \"as it is\"\r\n");
    write_file("p.conf", "[server]\npassword_file = key\ndata = sub/dir\n");
    SUCCEEDS(&op, conf_read_file(&op, conf, file_path));
    STR_EQ(conf_text(conf, "server", "password"), "s3cret # \"as it is\"");
    YES(str_ends(conf_text(conf, "server", "data"), S("/sub/dir")));
    EQ(conf_text(conf, "server", "data").p[0], '/');

    conf = start();
    snprintf(variable, sizeof variable, "POSTHOUSE_SERVER_PASSWORD_FILE=%s/key", directory);
    const char *const environment[] = { variable, NULL };
    SUCCEEDS(&op, conf_read_environment(&op, conf, environment));
    STR_EQ(conf_text(conf, "server", "password"), "s3cret # \"as it is\"");
    unlink(file_path);
    remove_file("key");
}

TEST(conf, says_which_file_cannot_be_read)
{
    struct conf *conf = start();
    EQ(conf_read_file(&op, conf, "/nonexistent/p.conf"), ERR_NOT_FOUND);
    STR_EQ(str_of(op.error), "/nonexistent/p.conf cannot be read: No such file or directory");
    EQ(conf_read_file(&op, conf, "/"), ERR_IO);
    EQ(conf_read_text(&op, conf, "/x/p.conf", S("[server]\npassword_file = /nonexistent/k\n")), ERR_NOT_FOUND);
    STR_EQ(str_of(op.error), "/x/p.conf:2: /nonexistent/k cannot be read: No such file or directory");
}

TEST(conf, takes_a_secret_from_its_key_or_a_file_but_not_both)
{
    struct conf *conf = start();
    char text[160];
    write_file("key", "k");
    snprintf(text, sizeof text, "[server]\npassword = a\npassword_file = %s\n", file_path);
    EQ(conf_read_text(&op, conf, "p.conf", str_of(text)), ERR_INVALID);
    STR_EQ(str_of(op.error), "p.conf:3: 'password' in [server] is set twice, first in line 2");
    remove_file("key");
}

TEST(conf, shows_itself_as_a_file_without_secrets)
{
    struct conf *conf = with("[server]\nhttp = \"a b\"\nnetworks = x, \"y z\"\npassword = topsecret\n"
                             "[source \"a b\"]\napi_key = topsecret\n[events]\nkeep.\"order paid\" = 7d\n");
    struct str shown, again;
    SUCCEEDS(&op, conf_set(&op, conf, "server", nameless, S("workers"), S("9"), CONF_FLAG));
    SUCCEEDS(&op, conf_show(&op, conf, &shown));
    EQ(str_search(shown, S("topsecret")), shown.n);
    NE(str_search(shown, S("[server]\nhttp = \"a b\"\nworkers = 9  # from a flag\n# compress = off  # default\n")),
       shown.n);
    NE(str_search(shown, S("networks = x, \"y z\"\n")), shown.n);
    NE(str_search(shown, S("password = set\n")), shown.n);
    NE(str_search(shown, S("[source \"a b\"]\n# type = mailgun  # default\napi_key = set\n")), shown.n);
    NE(str_search(shown, S("keep.\"order paid\" = 7d\n")), shown.n);

    /* What is shown can be read, and then shows the same but for the notes. */
    struct conf *read_back;
    SUCCEEDS(&op, conf_new(&op, schema, &read_back));
    SUCCEEDS(&op, conf_read_text(&op, read_back, "p.conf", shown));
    SUCCEEDS(&op, conf_show(&op, read_back, &again));
    EQ(conf_int(read_back, "server", "workers"), 9);
    EQ(again.n, shown.n - strlen("  # from a flag"));
}

TEST(conf, reads_sizes)
{
    int64_t bytes = 7;
    YES(conf_size_parse(S("512"), &bytes));
    EQ(bytes, 512);
    YES(conf_size_parse(S("512B"), &bytes));
    YES(conf_size_parse(S("3GiB"), &bytes));
    EQ(bytes, INT64_C(3) << 30);
    bytes = 7;
    NO(conf_size_parse(S(""), &bytes));
    NO(conf_size_parse(S("-1"), &bytes));
    NO(conf_size_parse(S("1.5MiB"), &bytes));
    NO(conf_size_parse(S("9999999TiB"), &bytes));
    NO(conf_size_parse(S("MiB"), &bytes));
    EQ(bytes, 7);
}
