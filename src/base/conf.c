#include "base/conf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf_line.h"
#include "base/conf_value.h"
#include "base/near.h"

struct name_list {
    struct str *names;
    size_t count, room;
};

struct conf {
    const struct conf_section *schema;
    struct conf_value *values; /* one for each key that was set */
    size_t count, room;
    struct conf_value *defaults; /* one for each declared key with a fallback */
    size_t default_count;
    struct name_list *named; /* names of the named sections, one list for each section of the schema */
};

/* Where a value comes from: for sentences, and for relative paths. */
struct place {
    enum conf_origin origin;
    int line;
    struct str directory; /* of the file; not given elsewhere */
};

static size_t section_count(const struct conf_section *schema)
{
    size_t n = 0;
    while (schema[n].name)
        n++;
    return n;
}

static size_t default_count(const struct conf_section *schema)
{
    size_t n = 0;
    for (; schema->name; schema++)
        for (const struct conf_key *key = schema->keys; key->name; key++)
            n += key->fallback != NULL;
    return n;
}

static enum err read_defaults(struct op *op, struct conf *conf)
{
    const struct str nowhere = { NULL, 0 };
    for (const struct conf_section *section = conf->schema; section->name; section++) {
        for (const struct conf_key *key = section->keys; key->name; key++) {
            if (!key->fallback)
                continue;
            struct conf_value *value = &conf->defaults[conf->default_count++];
            *value = (struct conf_value){ .section = section, .key = key, .word = str_of(key->name) };
            TRY(conf_value_read(op, str_of(key->fallback), true, nowhere, value));
        }
    }
    return OK;
}

enum err conf_new(struct op *op, const struct conf_section *schema, struct conf **ret_conf)
{
    struct conf *conf;
    TRY(op_alloc(op, sizeof *conf, &conf));
    conf->schema = schema;
    TRY(op_alloc(op, (section_count(schema) + 1) * sizeof *conf->named, &conf->named));
    TRY(op_alloc(op, (default_count(schema) + 1) * sizeof *conf->defaults, &conf->defaults));
    TRY(read_defaults(op, conf));
    *ret_conf = conf;
    return OK;
}

/* Makes room for one element more in an array of the arena; what it outgrows stays there. */
static enum err make_room(struct op *op, void *array, size_t size, size_t count, size_t *room)
{
    void *old, *fresh;
    if (count < *room)
        return OK;
    size_t more = *room ? 2 * *room : 16;
    TRY(op_alloc(op, more * size, &fresh));
    memcpy(&old, array, sizeof old);
    if (count > 0)
        memcpy(fresh, old, count * size);
    memcpy(array, &fresh, sizeof fresh);
    *room = more;
    return OK;
}

static const struct conf_section *find_section(const struct conf *conf, struct str name, bool named)
{
    for (const struct conf_section *section = conf->schema; section->name; section++)
        if (section->named == named && str_eq(name, str_of(section->name)))
            return section;
    return NULL;
}

static bool has_name(const struct name_list *list, struct str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->names[i], name))
            return true;
    return false;
}

/* Remembers that [section name] stands somewhere. */
static enum err add_name(struct op *op, struct conf *conf, const struct conf_section *section, struct str name)
{
    struct name_list *list = &conf->named[section - conf->schema];
    if (has_name(list, name))
        return OK;
    TRY(make_room(op, &list->names, sizeof *list->names, list->count, &list->room));
    list->names[list->count] = arena_str(op->arena, name);
    if (!str_given(list->names[list->count]))
        return fail(op, ERR_TOO_LARGE, "the configuration is too large");
    list->count++;
    return OK;
}

/* "*" takes any word, "keep.*" any longer one that begins with "keep.". */
static bool key_takes(const struct conf_key *key, struct str word)
{
    struct str name = str_of(key->name);
    if (!str_ends(name, S("*")))
        return str_eq(name, word);
    name.n--;
    return word.n > name.n && str_starts(word, name);
}

/* Declared names come before patterns. */
static const struct conf_key *find_key(const struct conf_section *section, struct str word)
{
    for (const struct conf_key *key = section->keys; key->name; key++)
        if (str_eq(str_of(key->name), word) && !str_ends(word, S("*")))
            return key;
    for (const struct conf_key *key = section->keys; key->name; key++)
        if (key_takes(key, word))
            return key;
    return NULL;
}

/* The secret that a word like "api_key_file" stands for. */
static const struct conf_key *find_secret(const struct conf_section *section, struct str *word)
{
    const struct str suffix = S("_file");
    if (!str_ends(*word, suffix))
        return NULL;
    struct str stem = { word->p, word->n - suffix.n };
    const struct conf_key *key = find_key(section, stem);
    if (!key || key->type != CONF_SECRET)
        return NULL;
    *word = stem;
    return key;
}

static enum err unknown_section(struct op *op, const struct conf *conf, const struct conf_line *line)
{
    if (find_section(conf, line->section, !str_given(line->name)))
        return str_given(line->name)
                   ? fail(op, ERR_INVALID, "[%.*s] takes no name", STR(line->section))
                   : fail(op, ERR_INVALID, "[%.*s] needs a name: [%.*s NAME]", STR(line->section), STR(line->section));

    struct near near = near_to(line->section);
    for (const struct conf_section *section = conf->schema; section->name; section++)
        near_try(&near, str_of(section->name));
    struct str best = near_best(&near);
    if (str_given(best))
        return fail(op, ERR_INVALID, "unknown section [%.*s]; did you mean [%.*s]?", STR(line->section), STR(best));
    return fail(op, ERR_INVALID, "unknown section [%.*s]", STR(line->section));
}

static enum err unknown_key(struct op *op, const struct conf_section *section, struct str word)
{
    struct near near = near_to(word);
    for (const struct conf_key *key = section->keys; key->name; key++) {
        near_try(&near, str_of(key->name));
        if (key->type == CONF_SECRET)
            near_try(&near, arena_fmt(op->arena, "%s_file", key->name));
    }
    struct str best = near_best(&near);
    if (str_given(best))
        return fail(op, ERR_INVALID, "unknown key '%.*s' in [%s]; did you mean '%.*s'?", STR(word), section->name,
                    STR(best));
    return fail(op, ERR_INVALID, "unknown key '%.*s' in [%s]", STR(word), section->name);
}

/* Bytes to make room for: what the file says it has, or the maximum where size says nothing (a pipe). */
static size_t expected_bytes(int fd, size_t max)
{
    struct stat stat;
    bool known = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 0;
    return known && (size_t)stat.st_size < max ? (size_t)stat.st_size : max;
}

/* All bytes of a file of at most `max`, in the op's arena. */
static enum err read_file(struct op *op, const char *path, size_t max, struct str *ret_bytes)
{
    char *bytes = NULL;
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(op, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s cannot be read: %s", path, strerror(errno));

    max = expected_bytes(fd, max);
    enum err err = op_alloc(op, max + 1, &bytes);
    while (err == OK && n <= max) {
        ssize_t got = read(fd, bytes + n, max + 1 - n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            err = fail(op, ERR_IO, "%s cannot be read: %s", path, strerror(errno));
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (err == OK && n > max)
        err = fail(op, ERR_TOO_LARGE, "%s is larger than %zu bytes or grew while it was read", path, max);
    if (err == OK)
        *ret_bytes = (struct str){ bytes, n };
    return err;
}

/* The secret that stands in the file named by `raw`, without line ends behind it. */
static enum err read_secret(struct op *op, struct str raw, bool quotes, struct str directory, struct str *ret_secret)
{
    struct conf_key path_key = { "path", CONF_PATH, 0, 0, NULL, NULL };
    struct conf_section section = { "secret", false, &path_key };
    struct conf_value path = { .section = &section, .key = &path_key, .word = S("file") };
    TRY(conf_value_read(op, raw, quotes, directory, &path));

    TRY(read_file(op, path.text.p, CONF_SECRET_BYTES_MAX, ret_secret));
    while (ret_secret->n > 0 && (ret_secret->p[ret_secret->n - 1] == '\n' || ret_secret->p[ret_secret->n - 1] == '\r'))
        ret_secret->n--;
    return OK;
}

static struct conf_value *find_value(const struct conf *conf, const struct conf_section *section, struct str name,
                                     struct str word)
{
    for (size_t i = 0; i < conf->count; i++) {
        struct conf_value *value = &conf->values[i];
        if (value->section == section && str_eq(value->word, word) && str_eq(value->name, name))
            return value;
    }
    return NULL;
}

/* Lays a value over what stands there: later origins win, one origin may say a thing once. */
static enum err put_value(struct op *op, struct conf *conf, const struct conf_value *fresh)
{
    struct conf_value *value = find_value(conf, fresh->section, fresh->name, fresh->word);
    if (value && value->origin == CONF_FILE && fresh->origin == CONF_FILE)
        return fail(op, ERR_INVALID, "'%.*s' in [%s] is set twice, first in line %d", STR(fresh->word),
                    fresh->section->name, value->line);
    if (value) {
        if (fresh->origin >= value->origin)
            *value = *fresh;
        return OK;
    }
    if (conf->count == CONF_VALUES_MAX)
        return fail(op, ERR_TOO_LARGE, "more than %d keys are set", CONF_VALUES_MAX);
    TRY(make_room(op, &conf->values, sizeof *conf->values, conf->count, &conf->room));
    conf->values[conf->count++] = *fresh;
    return OK;
}

static enum err set(struct op *op, struct conf *conf, const struct conf_section *section, struct str name,
                    struct str word, struct str raw, const struct place *place)
{
    bool quotes = place->origin == CONF_FILE;
    struct str directory = place->directory;
    struct conf_value value = {
        .section = section, .name = name, .word = word, .origin = place->origin, .line = place->line
    };
    value.key = find_key(section, word);
    if (!value.key) {
        value.key = find_secret(section, &value.word);
        if (!value.key)
            return unknown_key(op, section, word);
        TRY(read_secret(op, raw, quotes, directory, &raw));
        quotes = false;
    }
    TRY(conf_value_read(op, raw, quotes, directory, &value));
    return put_value(op, conf, &value);
}

/* One line; *section and *name are those of the lines before. */
static enum err read_line(struct op *op, struct conf *conf, struct str text, const struct place *place,
                          const struct conf_section **section, struct str *name)
{
    struct conf_line line;
    if (text.n > CONF_LINE_BYTES_MAX)
        return fail(op, ERR_INVALID, "the line is longer than %d bytes", CONF_LINE_BYTES_MAX);
    if (!str_is_utf8(text) || str_find(text, '\0') < text.n)
        return fail(op, ERR_INVALID, "the line is not UTF-8 text");
    TRY(conf_line_parse(op, text, &line));

    switch (line.kind) {
    case CONF_LINE_EMPTY:
        break;
    case CONF_LINE_SECTION:
        *section = find_section(conf, line.section, str_given(line.name));
        *name = line.name;
        if (!*section)
            return unknown_section(op, conf, &line);
        if (line.name.n > CONF_NAME_BYTES_MAX)
            return fail(op, ERR_INVALID, "the name of [%.*s] is longer than %d bytes", STR(line.section),
                        CONF_NAME_BYTES_MAX);
        return str_given(line.name) ? add_name(op, conf, *section, line.name) : OK;
    case CONF_LINE_KEY:
        if (!*section)
            return fail(op, ERR_INVALID, "'%.*s' stands before the first [section]", STR(line.key));
        return set(op, conf, *section, *name, line.key, line.value, place);
    }
    return OK;
}

enum err conf_read_text(struct op *op, struct conf *conf, const char *file, struct str text)
{
    const char *slash = strrchr(file, '/');
    struct place place = { CONF_FILE, 0, { NULL, 0 } };
    const struct conf_section *section = NULL;
    struct str name = { NULL, 0 }, rest = arena_str(op->arena, text);
    if (!str_given(rest) && str_given(text))
        return fail(op, ERR_TOO_LARGE, "%s: the configuration is too large", file);
    if (slash)
        place.directory = arena_str(op->arena, (struct str){ file, (size_t)(slash - file) });

    while (str_given(rest)) {
        place.line++;
        enum err err = read_line(op, conf, str_cut(&rest, '\n'), &place, &section, &name);
        if (err != OK)
            return fail(op, err, "%s:%d: %s", file, place.line, op->error);
    }
    return OK;
}

enum err conf_read_file(struct op *op, struct conf *conf, const char *path)
{
    struct str text;
    TRY(read_file(op, path, CONF_FILE_BYTES_MAX, &text));
    return conf_read_text(op, conf, path, text);
}

enum err conf_set(struct op *op, struct conf *conf, const char *section, struct str name, struct str key,
                  struct str value, enum conf_origin origin)
{
    struct place place = { origin, 0, { NULL, 0 } };
    const struct conf_section *found = find_section(conf, str_of(section), str_given(name));
    assert(found); /* flags and variables are matched with the schema first */
    if (str_given(name))
        TRY(add_name(op, conf, found, name));
    return set(op, conf, found, name, key, value, &place);
}

const struct conf_section *conf_schema(const struct conf *conf)
{
    return conf->schema;
}

const struct conf_value *conf_get(const struct conf *conf, const char *section, struct str name, const char *key)
{
    const struct conf_section *found = find_section(conf, str_of(section), str_given(name));
    assert(found && find_key(found, str_of(key))); /* callers ask for what the schema declares */
    const struct conf_value *value = find_value(conf, found, name, str_of(key));
    for (size_t i = 0; !value && i < conf->default_count; i++)
        if (conf->defaults[i].section == found && str_eq(conf->defaults[i].word, str_of(key)))
            value = &conf->defaults[i];
    return value;
}

static const struct conf_value *plain(const struct conf *conf, const char *section, const char *key)
{
    static const struct conf_value unset;
    const struct conf_value *value = conf_get(conf, section, (struct str){ NULL, 0 }, key);
    return value ? value : &unset;
}

struct str conf_text(const struct conf *conf, const char *section, const char *key)
{
    return plain(conf, section, key)->text;
}

int64_t conf_int(const struct conf *conf, const char *section, const char *key)
{
    return plain(conf, section, key)->number;
}

bool conf_bool(const struct conf *conf, const char *section, const char *key)
{
    return plain(conf, section, key)->number != 0;
}

int64_t conf_ms(const struct conf *conf, const char *section, const char *key)
{
    return plain(conf, section, key)->number;
}

int64_t conf_bytes(const struct conf *conf, const char *section, const char *key)
{
    return plain(conf, section, key)->number;
}

size_t conf_names(const struct conf *conf, const char *section, const struct str **ret_names)
{
    const struct conf_section *found = find_section(conf, str_of(section), true);
    assert(found);
    const struct name_list *list = &conf->named[found - conf->schema];
    *ret_names = list->names;
    return list->count;
}

size_t conf_values(const struct conf *conf, const struct conf_value **ret_values)
{
    *ret_values = conf->values;
    return conf->count;
}
