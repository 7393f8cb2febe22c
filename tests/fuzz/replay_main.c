/*
 * replay_main.c - runs a fuzz target over its corpus, without libFuzzer.
 *
 *     build/asan/tests/fuzz/fuzz_json [FILE or FOLDER]...
 *
 * Default is tests/fuzz/corpus/json. Each input runs as it is, cut off at
 * every power of two and at its last bytes, and with single bytes changed by
 * a fixed seed: the same small storm on every run, so a failure repeats. Then come those that the target makes itself.
 * Every input stands in memory of exactly its size, where ASan sees a read
 * past the end. Reports in TAP.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX  (1 << 20)
#define PATH_BYTES_MAX   4096
#define CHANGES_PER_FILE 200

static size_t runs;

static void run(const uint8_t *data, size_t bytes)
{
    uint8_t *exact = malloc(bytes ? bytes : 1);
    if (!exact)
        abort();
    memcpy(exact, data, bytes);
    LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
    runs++;
}

static void run_cut_off(const uint8_t *data, size_t bytes)
{
    for (size_t n = 0; n < bytes; n = n ? n * 2 : 1)
        run(data, n);
    for (size_t gone = 1; gone <= 8 && gone < bytes; gone++)
        run(data, bytes - gone);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void run_changed(uint8_t *data, size_t bytes)
{
    static const char bait[] = "\"\\{}[],:0-+.eE \n\r\t\xff%&=<>/";
    uint64_t seed = 0x9e3779b97f4a7c15;

    for (int i = 0; bytes > 0 && i < CHANGES_PER_FILE; i++) {
        size_t at = next_random(&seed) % bytes;
        uint8_t was = data[at];
        data[at] = (uint8_t)bait[next_random(&seed) % (sizeof bait)];
        run(data, bytes);
        data[at] = was;
    }
}

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;

    static uint8_t data[INPUT_BYTES_MAX];
    size_t bytes = fread(data, 1, sizeof data, file);
    fclose(file);

    run(data, bytes);
    run_cut_off(data, bytes);
    run_changed(data, bytes);
    return true;
}

static void run_made(void)
{
    static uint8_t data[INPUT_BYTES_MAX];
    for (uint64_t n = 0; fuzz_make && n < FUZZ_MADE; n++)
        run(data, fuzz_make(n, data, sizeof data));
}

/* Files replayed, also those of folders below; -1 when path cannot be read. */
static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return -1;
    if (!S_ISDIR(info.st_mode))
        return replay_file(path) ? 1 : -1;

    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char below[PATH_BYTES_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        int found = replay(below);
        files += found > 0 ? found : 0;
    }
    closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    const char *program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    const char *subject = strncmp(program, "fuzz_", 5) == 0 ? program + 5 : program;
    char corpus[PATH_BYTES_MAX];
    snprintf(corpus, sizeof corpus, "tests/fuzz/corpus/%s", subject);

    int files = 0;
    run((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        files += replay(argv[i]) > 0;
    if (argc == 1) {
        files = replay(corpus);
        run_made();
    }

    printf("%s 1 - %s: comes back from %d files, %zu inputs\n1..1\n", files > 0 ? "ok" : "not ok", subject, files,
           runs);
    return files > 0 ? 0 : 1;
}
