#include "main/unsubscribe_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/random.h"
#include "main/body.h"
#include "main/settings.h"

#define FILE_BYTES_MAX 4096

static enum err make_file(struct op *op, const char *path)
{
    uint8_t key[UNSUBSCRIBE_KEY_BYTES];
    char text[HEX_BYTES(sizeof key) + 1];
    random_bytes(key, sizeof key);
    hex_encode(key, sizeof key, text);
    text[sizeof text - 1] = '\n';
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(op, ERR_IO, "cannot make %s: %s", path, strerror(errno));
    bool good = write(fd, text, sizeof text) == (ssize_t)sizeof text && fsync(fd) == 0;
    close(fd);
    if (good)
        return OK;
    unlink(path);
    return fail(op, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

enum err unsubscribe_keys_open(struct op *op, const struct conf *conf, struct unsubscribe_keys *ret)
{
    struct str file = conf_text(conf, "links", "unsubscribe_key_file"), text;
    const char *path = file.n ? arena_str(op->arena, file).p
                              : arena_fmt(op->arena, "%.*s/unsubscribe.key", STR(settings_data(conf))).p;
    if (!file.n && mkdir(arena_str(op->arena, settings_data(conf)).p, 0700) != 0 && errno != EEXIST)
        return fail(op, ERR_IO, "cannot make the data directory: %s", strerror(errno));
    if (access(path, F_OK) != 0)
        TRY(make_file(op, path));
    TRY(read_whole(op, path, FILE_BYTES_MAX, &text));
    if (unsubscribe_keys_read(op, text, ret) == OK)
        return OK;
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, op->error, sizeof sentence);
    return fail(op, ERR_INVALID, "%s: %s", path, sentence);
}
