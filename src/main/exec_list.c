#include "main/exec_list.h"

#include <pwd.h>
#include <string.h>

#define WORDS_MAX      64
#define USER_BYTES     16384 /* of one line of /etc/passwd */
#define LIST_BYTES_MAX (16u << 20)

static enum err read_words(struct op *op, struct str name, struct str text, const char *const **ret)
{
    const char **words;
    size_t n = 0;
    TRY(op_alloc(op, (WORDS_MAX + 1) * sizeof *words, &words));
    while (str_given(text)) {
        struct str word = str_trim(str_cut(&text, ' '));
        if (word.n == 0)
            continue;
        if (n == WORDS_MAX)
            return fail(op, ERR_INVALID, "[exec %.*s]: command has more than %d words", STR(name), WORDS_MAX);
        words[n++] = arena_str(op->arena, word).p;
    }
    if (n == 0 || words[0][0] != '/')
        return fail(op, ERR_INVALID, "[exec %.*s]: command must begin with the absolute path of a program", STR(name));
    *ret = words;
    return OK;
}

static enum err read_env(struct op *op, struct str name, struct str text, const char *const **ret)
{
    const char **env;
    size_t n = 0;
    TRY(op_alloc(op, (WORDS_MAX + 1) * sizeof *env, &env));
    while (str_given(text)) {
        struct str item = str_trim(str_cut(&text, ','));
        if (item.n == 0)
            continue;
        if (n == WORDS_MAX || str_find(item, '=') >= item.n || item.p[0] == '=')
            return fail(op, ERR_INVALID, "[exec %.*s]: env is at most %d NAME=value with commas between", STR(name),
                        WORDS_MAX);
        env[n++] = arena_str(op->arena, item).p;
    }
    *ret = env;
    return OK;
}

static enum err read_user(struct op *op, struct str name, struct str user, struct exec_command *ret)
{
    if (!user.n)
        return OK;
    struct passwd entry, *found = NULL;
    char *texts;
    TRY(op_alloc(op, USER_BYTES, &texts));
    if (getpwnam_r(arena_str(op->arena, user).p, &entry, texts, USER_BYTES, &found) != 0 || !found)
        return fail(op, ERR_INVALID, "[exec %.*s]: there is no user %.*s", STR(name), STR(user));
    ret->has_user = true;
    ret->user = entry.pw_uid;
    ret->group = entry.pw_gid;
    return OK;
}

static struct str text_of(const struct conf *conf, struct str name, const char *key)
{
    const struct conf_value *value = conf_get(conf, "exec", name, key);
    return value ? value->text : S("");
}

static int64_t number_of(const struct conf *conf, struct str name, const char *key)
{
    const struct conf_value *value = conf_get(conf, "exec", name, key);
    return value ? value->number : 0;
}

static enum err read_all(struct op *op, const struct conf *conf, struct exec_list *list)
{
    const struct str *names;
    struct exec_command *items;
    size_t count = conf_names(conf, "exec", &names);
    TRY(op_alloc(op, (count + 1) * sizeof *items, &items));
    struct str *words;
    TRY(op_alloc(op, (count + 1) * sizeof *words, &words));
    for (size_t i = 0; i < count; i++) {
        struct exec_command *command = &items[i];
        *command = (struct exec_command){
            .name = arena_str(op->arena, names[i]),
            .timeout_ms = number_of(conf, names[i], "timeout"),
            .memory_bytes = number_of(conf, names[i], "memory"),
        };
        if (!command->timeout_ms)
            command->timeout_ms = 300000;
        words[i] = command->name;
        TRY(read_words(op, names[i], text_of(conf, names[i], "command"), &command->argv));
        TRY(read_env(op, names[i], text_of(conf, names[i], "env"), &command->env));
        TRY(read_user(op, names[i], text_of(conf, names[i], "user"), command));
    }
    list->commands = (struct exec_commands){ items, count };
    list->names = (struct job_commands){ words, count };
    return OK;
}

enum err exec_list_read(struct op *op, const struct conf *conf, struct exec_list **ret)
{
    struct op own;
    struct exec_list *list;
    op_init(&own, arena_new(LIST_BYTES_MAX), op->now_us);
    enum err err = op_alloc(&own, sizeof *list, &list);
    if (err == OK)
        err = read_all(&own, conf, list);
    if (err != OK) {
        op_inherit(op, err, &own);
        arena_free(own.arena);
        return err;
    }
    list->arena = own.arena;
    *ret = list;
    return OK;
}

void exec_list_free(struct exec_list *list)
{
    if (list)
        arena_free(list->arena);
}
