/*
 * conf.h - configuration: sections, typed keys, and errors that help.
 *
 *     [server]
 *     http = 127.0.0.1:7420
 *
 *     [source mg]                    # a named section, one for each source
 *     type = mailgun
 *     api_key_file = /run/keys/mg
 *     tags = "spring sale", news
 *
 * Sections and keys are declared in a table with type, range and default. The
 * parser stops at the first thing it does not know, with file, line and the
 * nearest name it does know. Values come in four layers, each over the one
 * before: default, file, environment (POSTHOUSE_SERVER_HTTP,
 * POSTHOUSE_SOURCE_MG_API_KEY), flag. A value is checked when it is read, so a
 * getter cannot fail; asking for a key that is not declared is a bug.
 *
 * Thread: one while it is built; any afterwards (it then never changes).
 */
#pragma once

#include "base/op.h"

#define CONF_LINE_BYTES_MAX   65536
#define CONF_FILE_BYTES_MAX   (4 << 20)
#define CONF_SECRET_BYTES_MAX 65536 /* of a file named by a *_file key */
#define CONF_VALUES_MAX       10000 /* keys set in all */
#define CONF_NAME_BYTES_MAX   128   /* of a section's own name */

enum conf_type {
    CONF_TEXT,     /* min..max bytes */
    CONF_INT,      /* min..max */
    CONF_NUMBER,   /* decimal fraction, min..max in millionths; conf_int gives millionths */
    CONF_BOOL,     /* true false yes no on off */
    CONF_DURATION, /* "90s"; min..max in ms */
    CONF_SIZE,     /* "40MiB", "64KiB", "512"; min..max in bytes */
    CONF_LIST,     /* min..max texts separated by commas */
    CONF_PATH,     /* a relative one counts from the directory of the file that says it */
    CONF_CHOICE,   /* one of the words in `choices` */
    CONF_SECRET    /* text that is never shown; KEY_file names a file that holds it */
};

/* One declared key. A table of keys ends with one that has no name. */
struct conf_key {
    const char *name; /* "http"; "keep.*" takes any tail (keep."order.paid"), "*" any key */
    enum conf_type type;
    int64_t min, max;     /* both 0: no bounds; max 0 with a positive min: no upper bound */
    const char *fallback; /* default, written as in the file; NULL: not given */
    const char *choices;  /* "never|email|always" */
};

/* One declared section. A table of sections ends with one that has no name. */
struct conf_section {
    const char *name;
    bool named; /* [source mg]: any number, each with its own name */
    const struct conf_key *keys;
};

enum conf_origin { CONF_DEFAULT, CONF_FILE, CONF_ENVIRONMENT, CONF_FLAG };

struct conf_value {
    const struct conf_section *section;
    const struct conf_key *key;
    struct str name;   /* of the named section, else not given */
    struct str word;   /* the key as written: differs from key->name for wildcards */
    struct str text;   /* text, path, choice, secret; for others as written */
    int64_t number;    /* int, bool, millionths, ms or bytes */
    struct str *items; /* of a list */
    size_t count;
    enum conf_origin origin;
    int line; /* in the file; 0 for other origins */
};

struct conf;

/* An empty configuration whose memory is the op's arena; schema must outlive it. */
enum err conf_new(struct op *op, const struct conf_section *schema, struct conf **ret_conf);

/* Reads a file and lays it over what is there. ERR_NOT_FOUND, ERR_IO, ERR_INVALID ("FILE:12: ..."). */
enum err conf_read_file(struct op *op, struct conf *conf, const char *path);

/* The same for bytes in memory; file is the name for errors and the base of relative paths. */
enum err conf_read_text(struct op *op, struct conf *conf, const char *file, struct str text);

/*
 * Lays POSTHOUSE_SECTION_KEY variables over it ("NAME=value", NULL at the
 * end). In names every byte but letters and digits reads as "_". Named sections
 * take part when the file has them. A variable of a known section with an
 * unknown key is ERR_INVALID; others are left alone.
 */
enum err conf_read_environment(struct op *op, struct conf *conf, const char *const *environment);

/* One value from a flag or variable; name is not given for a plain section, which the schema must know. */
enum err conf_set(struct op *op, struct conf *conf, const char *section, struct str name, struct str key,
                  struct str value, enum conf_origin origin);

/* The table it was made with. */
const struct conf_section *conf_schema(const struct conf *conf);

/* Values of a plain section; the default when nobody set it. A text without default is "not given", a list empty, a
 * number 0. */
struct str conf_text(const struct conf *conf, const char *section, const char *key);
int64_t conf_int(const struct conf *conf, const char *section, const char *key);
bool conf_bool(const struct conf *conf, const char *section, const char *key);
int64_t conf_ms(const struct conf *conf, const char *section, const char *key);
int64_t conf_bytes(const struct conf *conf, const char *section, const char *key);

/* Any value with all it has; name is not given for a plain section. NULL when neither set nor defaulted. */
const struct conf_value *conf_get(const struct conf *conf, const char *section, struct str name, const char *key);

/* Names of the named sections of one kind, in the order of the file. */
size_t conf_names(const struct conf *conf, const char *section, const struct str **ret_names);

/* The values that were set (no defaults), in order; for wildcard keys and for showing. */
size_t conf_values(const struct conf *conf, const struct conf_value **ret_values);

/* The configuration in force as a file, defaults as comments, secrets as "set"; for `config show`. */
enum err conf_show(struct op *op, const struct conf *conf, struct str *ret_text);
