#include "main/unsubscribe_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/random.h"
#include "main/body.h"
#include "main/settings.h"
#include "store/store_secret.h"

#define SECRET_NAME    "unsubscribe"
#define FILE_BYTES_MAX SECRET_BYTES_MAX

/* A line with a random key. */
static struct str make_key(struct op *op)
{
    uint8_t key[UNSUBSCRIBE_KEY_BYTES];
    char *text = arena_alloc(op->arena, HEX_BYTES(sizeof key) + 1);
    random_bytes(key, sizeof key);
    hex_encode(key, sizeof key, text);
    text[HEX_BYTES(sizeof key)] = '\n';
    return (struct str){ text, HEX_BYTES(sizeof key) + 1 };
}

/* --- the store's copy -------------------------------------------------------------- */

static enum err look(struct op *op, struct tx *tx, void *arg)
{
    return store_secret_get(op, tx, S(SECRET_NAME), arg);
}

/* What the store has; without any, what is given is kept. */
static enum err agree(struct op *op, struct tx *tx, void *arg)
{
    struct str *text = arg, stored;
    TRY(store_secret_get(op, tx, S(SECRET_NAME), &stored));
    if (!str_given(stored))
        return store_secret_put(op, tx, S(SECRET_NAME), *text);
    *text = stored;
    return OK;
}

static enum err keep(struct op *op, struct tx *tx, void *arg)
{
    const struct str *text = arg;
    struct str stored;
    TRY(store_secret_get(op, tx, S(SECRET_NAME), &stored));
    return str_eq(stored, *text) ? OK : store_secret_put(op, tx, S(SECRET_NAME), *text);
}

/* --- files --------------------------------------------------------------------------- */

static enum err make_file(struct op *op, const char *path, struct str text)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(op, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    bool good = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    close(fd);
    if (good)
        return OK;
    unlink(path);
    return fail(op, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

/* The keys of a file, which is made with `text` when it is not there. */
static enum err read_file(struct op *op, const char *path, struct str text, struct str *ret_text,
                          struct unsubscribe_keys *ret)
{
    if (access(path, F_OK) != 0)
        TRY(make_file(op, path, text));
    TRY(read_whole(op, path, FILE_BYTES_MAX, ret_text));
    if (unsubscribe_keys_read(op, *ret_text, ret) == OK)
        return OK;
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, op->error, sizeof sentence);
    return fail(op, ERR_INVALID, "%s: %s", path, sentence);
}

/* Beside a database file: the file of the data directory, and its copy in the store. */
static enum err open_own(struct op *op, struct store *store, const struct conf *conf, struct unsubscribe_keys *ret)
{
    const char *path = arena_fmt(op->arena, "%.*s/unsubscribe.key", STR(settings_data(conf))).p;
    struct str text, stored;
    TRY(store_read(op, store, look, &stored));
    TRY(read_file(op, path, str_given(stored) ? stored : make_key(op), &text, ret));
    return store_write(op, store, keep, &text);
}

enum err unsubscribe_keys_open(struct op *op, struct store *store, const struct conf *conf,
                               struct unsubscribe_keys *ret)
{
    struct str file = conf_text(conf, "links", "unsubscribe_key_file"), text;
    if (file.n)
        return read_file(op, arena_str(op->arena, file).p, make_key(op), &text, ret);
    if (!store_is_shared(store))
        return open_own(op, store, conf, ret);
    text = make_key(op);
    TRY(store_write(op, store, agree, &text));
    return unsubscribe_keys_read(op, text, ret);
}
