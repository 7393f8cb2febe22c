/*
 * conf_env.c - configuration from POSTHOUSE_SECTION_KEY variables.
 */
#include "base/conf.h"

#include <string.h>

#include "base/near.h"

#define PREFIX "POSTHOUSE_"

/* A byte as it stands in a variable's name. */
static char upper(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

/* True when `text` begins with the variable form of `word`; *rest is then what follows. */
static bool eat(struct str text, struct str word, struct str *rest)
{
    if (text.n < word.n)
        return false;
    for (size_t i = 0; i < word.n; i++)
        if (text.p[i] != upper(word.p[i]))
            return false;
    *rest = (struct str){ text.p + word.n, text.n - word.n };
    return true;
}

/* The key a variable's tail stands for, "_FILE" of a secret included; patterns cannot be spelled. */
static bool key_of(struct op *op, const struct conf_section *section, struct str tail, struct str *ret_key)
{
    for (const struct conf_key *key = section->keys; key->name; key++) {
        struct str rest, name = str_of(key->name);
        if (str_ends(name, S("*")) || !eat(tail, name, &rest))
            continue;
        bool file = key->type == CONF_SECRET && str_eq(rest, S("_FILE"));
        if (rest.n > 0 && !file)
            continue;
        *ret_key = file ? arena_fmt(op->arena, "%s_file", key->name) : name;
        return str_given(*ret_key);
    }
    return false;
}

static enum err unknown(struct op *op, const struct conf_section *section, struct str variable, struct str tail)
{
    struct near near = near_to(tail);
    for (const struct conf_key *key = section->keys; key->name; key++) {
        char *name = arena_alloc(op->arena, strlen(key->name) + 1);
        for (size_t i = 0; name && key->name[i]; i++)
            name[i] = upper(key->name[i]);
        near_try(&near, str_of(name));
    }
    struct str best = near_best(&near);
    if (!str_given(best))
        return fail(op, ERR_INVALID, "unknown variable %.*s", STR(variable));
    return fail(op, ERR_INVALID, "unknown variable %.*s; did you mean %.*s%.*s?", STR(variable),
                (int)(variable.n - tail.n), variable.p, STR(best));
}

/* Sets what the variable says in one section, if the section is meant. */
static enum err try_section(struct op *op, struct conf *conf, const struct conf_section *section, struct str name,
                            struct str variable, struct str tail, struct str value, bool *ret_taken)
{
    struct str key;
    if (!key_of(op, section, tail, &key))
        return OK;
    *ret_taken = true;
    enum err err = conf_set(op, conf, section->name, name, key, value, CONF_ENVIRONMENT);
    return err == OK ? OK : fail(op, err, "%.*s: %s", STR(variable), op->error);
}

static enum err try_named(struct op *op, struct conf *conf, const struct conf_section *section, struct str variable,
                          struct str tail, struct str value, bool *ret_taken)
{
    const struct str *names;
    size_t count = conf_names(conf, section->name, &names);
    for (size_t i = 0; i < count && !*ret_taken; i++) {
        struct str rest;
        if (!eat(tail, names[i], &rest) || rest.n == 0 || rest.p[0] != '_')
            continue;
        rest = (struct str){ rest.p + 1, rest.n - 1 };
        TRY(try_section(op, conf, section, names[i], variable, rest, value, ret_taken));
    }
    return OK;
}

static enum err read_variable(struct op *op, struct conf *conf, struct str variable, struct str value)
{
    struct str word = { variable.p + strlen(PREFIX), variable.n - strlen(PREFIX) };
    struct str unknown_tail = { NULL, 0 };
    const struct conf_section *meant = NULL;
    bool taken = false;
    for (const struct conf_section *section = conf_schema(conf); section->name && !taken; section++) {
        struct str tail;
        if (!eat(word, str_of(section->name), &tail) || tail.n == 0 || tail.p[0] != '_')
            continue;
        tail = (struct str){ tail.p + 1, tail.n - 1 };
        if (section->named) {
            TRY(try_named(op, conf, section, variable, tail, value, &taken));
            continue;
        }
        TRY(try_section(op, conf, section, (struct str){ NULL, 0 }, variable, tail, value, &taken));
        meant = section;
        unknown_tail = tail;
    }
    return taken || !meant ? OK : unknown(op, meant, variable, unknown_tail);
}

enum err conf_read_environment(struct op *op, struct conf *conf, const char *const *environment)
{
    for (; *environment; environment++) {
        struct str value = str_of(*environment);
        struct str variable = str_cut(&value, '=');
        if (str_starts(variable, S(PREFIX)) && str_given(value))
            TRY(read_variable(op, conf, variable, value));
    }
    return OK;
}
