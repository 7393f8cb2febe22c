#include "store/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "test.h"

#define PLACES 4000

struct place {
    char directory[64], path[96];
    struct op op;
    struct spool *spool;
    size_t count;
};

static void reopen_with(struct place *place, size_t places)
{
    spool_close(place->spool);
    place->spool = NULL;
    SUCCEEDS(&place->op, spool_open(&place->op, place->path, S("here"), places, &place->spool, &place->count));
}

static void reopen(struct place *place)
{
    reopen_with(place, PLACES);
}

static void start(struct place *place)
{
    memset(place, 0, sizeof *place);
    snprintf(place->directory, sizeof place->directory, "/tmp/posthouse-test-XXXXXX");
    YES(mkdtemp(place->directory) != NULL);
    snprintf(place->path, sizeof place->path, "%s/spool", place->directory);
    op_init(&place->op, NULL, 0);
    reopen(place);
}

static void end(struct place *place)
{
    spool_close(place->spool);
    unlink(place->path);
    rmdir(place->directory);
}

static void append(struct place *place, int number)
{
    SUCCEEDS(&place->op, spool_append(&place->op, place->spool, &number, sizeof number));
}

static int number_at(struct place *place, size_t i)
{
    int number = -1;
    spool_read(&place->op, place->spool, i, &number, sizeof number);
    return number;
}

TEST(crc32c, gives_the_check_value_of_its_polynomial)
{
    EQ(crc32c("123456789", 9), 0xe3069283);
    EQ(crc32c("", 0), 0);
}

/* LNK-42 */
TEST(spool, keeps_what_was_synced)
{
    struct place place;
    start(&place);
    append(&place, 1);
    append(&place, 2);
    EQ(spool_count(place.spool), 0);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    EQ(spool_count(place.spool), 2);
    reopen(&place);
    EQ(place.count, 2);
    EQ(number_at(&place, 0), 1);
    EQ(number_at(&place, 1), 2);
    EQ(number_at(&place, 2), -1);
    end(&place);
}

TEST(spool, is_empty_after_clearing_and_after_every_start_behind_it)
{
    struct place place;
    start(&place);
    for (int round = 1; round < 4; round++) {
        append(&place, round);
        SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
        SUCCEEDS(&place.op, spool_clear(&place.op, place.spool));
        reopen(&place);
        EQ(place.count, 0);
    }
    append(&place, 9);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    reopen(&place);
    EQ(place.count, 1);
    EQ(number_at(&place, 0), 9);
    end(&place);
}

TEST(spool, skips_a_record_that_is_damaged)
{
    struct place place;
    start(&place);
    for (int i = 0; i < 5; i++)
        append(&place, i);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    int fd = open(place.path, O_RDWR);
    EQ(pwrite(fd, "x", 1, SPOOL_HEADER_BYTES + 4 * SPOOL_RECORD_BYTES + 30), 1); /* the first has number 1 */
    close(fd);
    reopen(&place);
    EQ(place.count, 5);
    EQ(number_at(&place, 2), 2);
    EQ(number_at(&place, 3), -1);
    EQ(number_at(&place, 4), 4);
    end(&place);
}

static void append_synced(struct place *place, int from, int to)
{
    for (int i = from; i < to; i++)
        append(place, i);
    SUCCEEDS(&place->op, spool_sync(&place->op, place->spool));
}

TEST(spool, goes_round_when_the_oldest_are_dropped)
{
    struct place place;
    start(&place);
    append_synced(&place, 0, PLACES - 10);
    spool_drop(place.spool, PLACES - 110);
    append_synced(&place, PLACES - 10, PLACES + 500);
    EQ(spool_count(place.spool), 610);
    EQ(number_at(&place, 0), PLACES - 110);
    EQ(number_at(&place, 609), PLACES + 499);
    reopen(&place); /* which were dropped is not in the file: all that still stand are seen */
    EQ(place.count, PLACES);
    EQ(number_at(&place, 0), 500);
    EQ(number_at(&place, PLACES - 1), PLACES + 499);
    SUCCEEDS(&place.op, spool_clear(&place.op, place.spool));
    append_synced(&place, 7, 8);
    reopen(&place);
    EQ(place.count, 1);
    EQ(number_at(&place, 0), 7);
    end(&place);
}

TEST(spool, goes_on_behind_what_was_written_and_not_synced)
{
    struct place place;
    start(&place);
    append_synced(&place, 0, 3);
    for (int i = 3; i < 700; i++)
        append(&place, i); /* more than is kept in RAM: some are written */
    reopen(&place);
    size_t seen = place.count;
    YES(seen >= 3 && seen < 700);
    append_synced(&place, 1000, 1001);
    reopen(&place);
    EQ(place.count, seen + 1);
    EQ(number_at(&place, 2), 2);
    EQ(number_at(&place, seen), 1000);
    end(&place);
}

TEST(spool, takes_another_size_when_it_is_empty_and_keeps_what_stands_in_it)
{
    struct place place;
    start(&place);
    append_synced(&place, 0, PLACES);
    reopen_with(&place, 3 * PLACES);
    EQ(spool_places(place.spool), PLACES);
    EQ(place.count, PLACES);
    for (size_t places = 3 * PLACES; places >= PLACES / 2; places /= 3) {
        SUCCEEDS(&place.op, spool_clear(&place.op, place.spool));
        reopen_with(&place, places);
        EQ(spool_places(place.spool), places);
        EQ(place.count, 0);
        append_synced(&place, 7, 8);
        reopen_with(&place, places);
        EQ(place.count, 1);
        EQ(number_at(&place, 0), 7);
    }
    end(&place);
}

struct seen {
    int numbers[8];
    int count;
};

static void see(uint64_t number, const void *payload, void *arg)
{
    (void)number;
    struct seen *seen = arg;
    memcpy(&seen->numbers[seen->count++], payload, sizeof(int));
}

TEST(spool, hands_out_records_round_its_end)
{
    struct place place;
    struct seen seen = { 0 };
    start(&place);
    append_synced(&place, 0, PLACES - 3);
    spool_drop(place.spool, PLACES - 10);
    append_synced(&place, PLACES - 3, PLACES + 3);
    uint64_t next = spool_next(place.spool);
    SUCCEEDS(&place.op, spool_each(&place.op, place.spool, next - 8, next, sizeof(int), see, &seen));
    EQ(seen.count, 8);
    for (int i = 0; i < 8; i++)
        EQ(seen.numbers[i], PLACES - 5 + i);
    end(&place);
}

TEST(spool, is_empty_for_another_owner)
{
    struct place place;
    start(&place);
    append_synced(&place, 0, 3);
    spool_close(place.spool);
    SUCCEEDS(&place.op, spool_open(&place.op, place.path, S("there"), PLACES, &place.spool, &place.count));
    EQ(place.count, 0);
    reopen(&place);
    EQ(place.count, 0);
    end(&place);
}

TEST(spool, shows_what_was_left_in_it_to_those_who_only_look)
{
    struct place place;
    size_t count = 9;
    start(&place);
    SUCCEEDS(&place.op, spool_look(&place.op, "/nonexistent/spool", &count));
    EQ(count, 0);
    append_synced(&place, 0, 3);
    SUCCEEDS(&place.op, spool_look(&place.op, place.path, &count));
    EQ(count, 3);
    SUCCEEDS(&place.op, spool_clear(&place.op, place.spool));
    SUCCEEDS(&place.op, spool_look(&place.op, place.path, &count));
    EQ(count, 0);
    end(&place);
}

TEST(spool, outlives_a_torn_header)
{
    struct place place;
    start(&place);
    append(&place, 1);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    int fd = open(place.path, O_RDWR);
    EQ(pwrite(fd, "torn", 4, 0), 4); /* that of the next generation */
    close(fd);
    reopen(&place);
    EQ(place.count, 1);
    end(&place);
}

TEST(spool, refuses_more_than_it_has_room_for)
{
    struct place place;
    start(&place);
    for (int i = 0; i < PLACES; i++)
        append(&place, i);
    int one = 1;
    EQ(spool_append(&place.op, place.spool, &one, sizeof one), ERR_TOO_LARGE);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    EQ(spool_count(place.spool), PLACES);
    end(&place);
}

/* --- files of an older version ------------------------------------------------------ */

struct former_header {
    uint64_t magic, from;
    uint32_t owner, crc;
};

struct former_record {
    uint32_t crc, place;
    uint64_t number;
    uint32_t payload_bytes;
    uint8_t payload[236];
};

/* As that version made it: its newest record is number 5, and `from` is the first that counts. */
static void leave_former(struct place *place, uint64_t from)
{
    struct former_header header = { .magic = 0x32304c4f4f505350u, .from = from };
    struct former_record record = { .place = 5, .number = 5, .payload_bytes = 64 };
    int fd = open(place->path, O_RDWR | O_TRUNC);
    header.crc = crc32c(&header, offsetof(struct former_header, crc));
    record.crc = crc32c((const char *)&record + 4, sizeof record - 4);
    EQ(ftruncate(fd, 8192 + 131072 * 256), 0);
    EQ(pwrite(fd, &header, sizeof header, 4096), sizeof header);
    EQ(pwrite(fd, &record, sizeof record, 8192 + 5 * 256), sizeof record);
    close(fd);
}

TEST(spool, refuses_a_file_in_which_another_version_left_clicks)
{
    struct place place;
    size_t count;
    start(&place);
    spool_close(place.spool);
    place.spool = NULL;
    leave_former(&place, 5);
    EQ(spool_open(&place.op, place.path, S("here"), PLACES, &place.spool, &count), ERR_CONFLICT);
    YES(strstr(place.op.error, "another version") != NULL);
    EQ(spool_look(&place.op, place.path, &count), ERR_CONFLICT);
    EQ(access(place.path, F_OK), 0); /* and leaves it as it is */
    leave_former(&place, 5);
    int fd = open(place.path, O_WRONLY);
    EQ(pwrite(fd, "PSPOOL77", 8, 4096), 8); /* whatever it holds */
    close(fd);
    EQ(spool_open(&place.op, place.path, S("here"), PLACES, &place.spool, &count), ERR_CONFLICT);
    end(&place);
}

TEST(spool, makes_a_file_anew_in_which_another_version_left_nothing)
{
    struct place place;
    start(&place);
    leave_former(&place, 6);
    reopen(&place);
    EQ(place.count, 0);
    append(&place, 1);
    SUCCEEDS(&place.op, spool_sync(&place.op, place.spool));
    reopen(&place);
    EQ(place.count, 1);
    EQ(number_at(&place, 0), 1);
    end(&place);
}
