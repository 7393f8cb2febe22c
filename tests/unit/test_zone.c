#include "test.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "base/zone.h"

#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US  (24 * HOUR_US)

static struct op op;

/* The zone, or a skipped test on a machine without it. */
static const struct zone *zone_of(const char *name)
{
    const struct zone *zone;
    op_init(&op, NULL, 0);
    if (zone_get(&op, str_of(name), &zone) != OK)
        skip();
    return zone;
}

static int32_t day_of(const char *text)
{
    int32_t day;
    YES(day_parse(str_of(text), &day));
    return day;
}

static int64_t at(const char *text)
{
    int64_t us;
    YES(instant_parse(str_of(text), &us));
    return us;
}

struct day_case {
    const char *zone, *day, *start;
    int minutes;
};

static void check_days(const struct day_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct zone *zone = zone_of(cases[i].zone);
        int32_t day = day_of(cases[i].day);
        char text[INSTANT_TEXT_BYTES];
        int64_t start_us = zone_day_start(zone, day), end_us = zone_day_start(zone, day + 1);
        STR_EQ(instant_text(start_us, 0, text), cases[i].start);
        EQ((end_us - start_us) / 60000000, cases[i].minutes);
        if (cases[i].minutes == 0)
            continue;
        EQ(zone_day_at(zone, start_us), day);
        EQ(zone_day_at(zone, end_us - 1), day);
        EQ(zone_day_at(zone, end_us), day + 1);
    }
}

TEST(zone, gives_each_local_day_its_start_and_length)
{
    static const struct day_case cases[] = {
        { "Europe/London", "2022-03-27", "2022-03-27T00:00:00Z", 23 * 60 },
        { "Europe/London", "2022-03-28", "2022-03-27T23:00:00Z", 24 * 60 },
        { "Europe/London", "2022-10-30", "2022-10-29T23:00:00Z", 25 * 60 },
        { "Europe/London", "2027-03-28", "2027-03-28T00:00:00Z", 23 * 60 },
        { "Europe/London", "2027-10-31", "2027-10-30T23:00:00Z", 25 * 60 },
        { "America/New_York", "2027-11-07", "2027-11-07T04:00:00Z", 25 * 60 },
        { "Africa/Cairo", "2027-04-30", "2027-04-29T22:00:00Z", 23 * 60 },
        { "Asia/Kathmandu", "2027-01-06", "2027-01-05T18:15:00Z", 24 * 60 },
        { "Australia/Lord_Howe", "2027-04-04", "2027-04-03T13:00:00Z", 24 * 60 + 30 },
        { "Europe/Dublin", "2026-03-29", "2026-03-29T00:00:00Z", 23 * 60 },
        { "Europe/Dublin", "2026-10-25", "2026-10-24T23:00:00Z", 25 * 60 },
        { "Africa/Casablanca", "2026-02-15", "2026-02-14T23:00:00Z", 25 * 60 },
        { "UTC", "2026-11-21", "2026-11-21T00:00:00Z", 24 * 60 },
    };
    check_days(cases, sizeof cases / sizeof *cases);
}

TEST(zone, starts_a_day_behind_a_skipped_midnight)
{
    static const struct day_case cases[] = {
        { "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 23 * 60 },
        { "Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z", 23 * 60 },
        { "Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", 23 * 60 },
    };
    check_days(cases, sizeof cases / sizeof *cases);
}

TEST(zone, starts_a_day_at_the_first_of_two_midnights)
{
    static const struct day_case cases[] = {
        { "Atlantic/Azores", "2026-10-25", "2026-10-25T00:00:00Z", 25 * 60 },
        { "America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", 25 * 60 },
    };
    check_days(cases, sizeof cases / sizeof *cases);
}

TEST(zone, lets_no_day_return_when_clocks_go_back_over_midnight)
{
    /* At 00:01 of the 7th the clocks went back to 23:01 of the 6th: the 7th had begun. */
    const struct zone *zone = zone_of("America/St_Johns");
    int32_t day = day_of("2010-11-07");
    int64_t start_us = zone_day_start(zone, day);
    EQ(start_us, at("2010-11-07T02:30:00Z"));
    EQ(zone_day_at(zone, start_us), day);
    EQ(zone_day_at(zone, start_us + HOUR_US / 2), day);
    EQ(zone_to_local(zone, start_us + HOUR_US / 2).day, 6);
    EQ(zone_day_start(zone, day + 1) - start_us, 25 * HOUR_US);
}

TEST(zone, has_empty_days_where_a_zone_left_one_out)
{
    const struct zone *zone = zone_of("Pacific/Apia");
    int64_t jump_us = at("2011-12-30T10:00:00Z");
    EQ(zone_day_start(zone, day_of("2011-12-29")), jump_us - DAY_US);
    EQ(zone_day_start(zone, day_of("2011-12-30")), jump_us);
    EQ(zone_day_start(zone, day_of("2011-12-31")), jump_us);
    EQ(zone_day_at(zone, jump_us - 1), day_of("2011-12-29"));
    EQ(zone_day_at(zone, jump_us), day_of("2011-12-31"));
}

static const char *const many[] = { "Europe/London",       "Europe/Dublin",      "America/Sao_Paulo", "Asia/Beirut",
                                    "Africa/Casablanca",   "Pacific/Apia",       "America/St_Johns",  "America/Havana",
                                    "Australia/Lord_Howe", "Africa/Cairo",       "Asia/Kathmandu",    "America/Nuuk",
                                    "Antarctica/Troll",    "Pacific/Kiritimati", "Africa/Monrovia",   "UTC" };
#define MANY (sizeof many / sizeof *many)

TEST(zone, puts_every_instant_between_the_ends_of_its_day)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t i = 0; i < MANY; i++) {
        const struct zone *zone = zone_of(many[i]);
        for (int n = 0; n < 20000; n++) {
            int64_t us = rng_between(&rng, -62 * 365 * DAY_US, 700 * 365 * DAY_US);
            int32_t day = zone_day_at(zone, us);
            YES(zone_day_start(zone, day) <= us);
            YES(us < zone_day_start(zone, day + 1));
        }
    }
}

TEST(zone, brings_every_local_reading_back)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t i = 0; i < MANY; i++) {
        const struct zone *zone = zone_of(many[i]);
        for (int n = 0; n < 20000; n++) {
            int64_t us = rng_between(&rng, -62 * 365 * DAY_US, 700 * 365 * DAY_US);
            int64_t earlier_us, later_us;
            struct civil local = zone_to_local(zone, us);
            enum zone_fit fit = zone_from_local(zone, &local, &earlier_us, &later_us);
            NE(fit, ZONE_NEVER);
            EQ(fit == ZONE_TWICE, earlier_us < later_us);
            YES(us == earlier_us || us == later_us);
        }
    }
}

static struct civil reading(int32_t year, int month, int day, int hour, int minute)
{
    return (struct civil){ .year = year, .month = month, .day = day, .hour = hour, .minute = minute, .us = 5 };
}

TEST(zone, finds_both_instants_of_a_doubled_hour)
{
    const struct zone *zone = zone_of("Europe/London");
    int64_t earlier_us, later_us;
    struct civil local = reading(2026, 10, 25, 1, 30);
    EQ(zone_from_local(zone, &local, &earlier_us, &later_us), ZONE_TWICE);
    EQ(earlier_us, at("2026-10-25T00:30:00.000005Z"));
    EQ(later_us, at("2026-10-25T01:30:00.000005Z"));

    local = reading(2026, 10, 25, 2, 0);
    EQ(zone_from_local(zone, &local, &earlier_us, &later_us), ZONE_ONCE);
    EQ(later_us, at("2026-10-25T02:00:00.000005Z"));
}

TEST(zone, gives_the_jump_for_a_reading_that_never_was)
{
    int64_t earlier_us, later_us;
    struct civil local = reading(2026, 3, 29, 1, 30);
    EQ(zone_from_local(zone_of("Europe/London"), &local, &earlier_us, &later_us), ZONE_NEVER);
    EQ(earlier_us, at("2026-03-29T01:00:00Z"));
    EQ(later_us, earlier_us);

    local = reading(2026, 10, 4, 2, 15);
    EQ(zone_from_local(zone_of("Australia/Lord_Howe"), &local, &earlier_us, &later_us), ZONE_NEVER);
    EQ(earlier_us, at("2026-10-03T15:30:00Z"));

    local = reading(2011, 12, 30, 12, 0);
    EQ(zone_from_local(zone_of("Pacific/Apia"), &local, &earlier_us, &later_us), ZONE_NEVER);
    EQ(earlier_us, at("2011-12-30T10:00:00Z"));
}

TEST(zone, takes_the_later_past_instant_for_a_providers_clock)
{
    const struct zone *zone = zone_of("Europe/London");
    struct civil summer = { .year = 2016, .month = 7, .day = 5, .hour = 17, .minute = 1, .second = 7 };
    EQ(zone_from_local_past(zone, &summer, at("2026-11-21T19:00:00Z")), at("2016-07-05T16:01:07Z"));

    struct civil doubled = reading(2026, 10, 25, 1, 30);
    EQ(zone_from_local_past(zone, &doubled, at("2026-10-25T01:31:00Z")), at("2026-10-25T01:30:00.000005Z"));
    EQ(zone_from_local_past(zone, &doubled, at("2026-10-25T01:29:00Z")), at("2026-10-25T00:30:00.000005Z"));
}

TEST(zone, names_the_next_change)
{
    int64_t us = 7;
    YES(zone_next_change(zone_of("Europe/London"), at("2026-03-29T01:00:00Z"), &us));
    EQ(us, at("2026-10-25T01:00:00Z"));
    YES(zone_next_change(zone_of("Europe/London"), at("2999-12-01T00:00:00Z"), &us));
    EQ(us, at("3000-03-30T01:00:00Z"));
    us = 7;
    NO(zone_next_change(zone_of("Asia/Kathmandu"), at("2026-03-29T01:00:00Z"), &us));
    NO(zone_next_change(zone_of("Europe/London"), at("9999-12-01T00:00:00Z"), &us));
    EQ(us, 7);
}

/* Names zone and instant when they differ, because one of thousands would be hard to find. */
static void same_offset(const struct zone *zone, int64_t us, int32_t expected_s)
{
    if (zone_offset_at(zone, us) != expected_s)
        print_error("zone %.*s at %" PRId64 " us\n", STR(zone_name(zone)), us);
    EQ(zone_offset_at(zone, us), expected_s);
}

/* "Europe/London  Sun Mar 27 00:59:59 2022 UT = Sun Mar 27 00:59:59 2022 GMT isdst=0 gmtoff=0" */
static bool parse_zdump(const char *line, char name[80], int64_t *ret_us, int32_t *ret_offset_s)
{
    char month[4], date[40];
    int day, hour, minute, second, year;
    const char *offset = strstr(line, "gmtoff=");
    if (!offset ||
        sscanf(line, "%79s %*s %3s %d %d:%d:%d %d UT", name, month, &day, &hour, &minute, &second, &year) != 7)
        return false;
    snprintf(date, sizeof date, "%d %s %d %02d:%02d:%02d +0000", day, month, year, hour, minute, second);
    *ret_offset_s = (int32_t)strtol(offset + 7, NULL, 10);
    return instant_parse_mail(str_of(date), ret_us);
}

/* Compares every line of zdump with ours and returns how many there were. */
static int compare_with_zdump(const char *years, const char *names)
{
    char command[1024], line[512], name[80];
    int compared = 0;
    snprintf(command, sizeof command, "command -v zdump >/dev/null && zdump -v -c %s %s 2>/dev/null", years, names);
    FILE *lines = popen(command, "r");
    while (fgets(line, sizeof line, lines)) {
        int64_t us;
        int32_t offset_s;
        if (!parse_zdump(line, name, &us, &offset_s))
            continue; /* the ends of time, which zdump cannot name either */
        const struct zone *zone = zone_of(name);
        same_offset(zone, us, offset_s);
        same_offset(zone, us + 999999, offset_s);
        compared++;
    }
    pclose(lines);
    return compared;
}

TEST(zone, agrees_with_zdump_from_1970_to_2037)
{
    char names[512] = "";
    for (size_t i = 0; i < MANY; i++) {
        strcat(names, " ");
        strcat(names, many[i]);
    }
    int compared = compare_with_zdump("1970,2038", names);
    if (compared == 0)
        skip();
    YES(compared > 2500);
}

TEST(zone, agrees_with_zdump_today_in_every_zone_of_the_world)
{
    int compared = compare_with_zdump("2020,2028", "$(grep -v '^#' /usr/share/zoneinfo/zone1970.tab | cut -f3)");
    if (compared == 0)
        skip();
    YES(compared > 3000);
}

TEST(zone, agrees_with_the_c_library_up_to_the_year_9999)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t i = 0; i < MANY; i++) {
        const struct zone *zone = zone_of(many[i]);
        setenv("TZ", many[i], 1);
        tzset();
        for (int n = 0; n < 3000; n++) {
            int64_t second = rng_between(&rng, -6000000000, n % 2 ? 253000000000 : 6000000000);
            time_t when = (time_t)second;
            struct tm tm;
            localtime_r(&when, &tm);
            same_offset(zone, second * 1000000, (int32_t)tm.tm_gmtoff);
        }
    }
    unsetenv("TZ");
    tzset();
}

TEST(zone, keeps_its_order_at_the_ends_of_numbers)
{
    const struct zone *zone = zone_of("Europe/London");
    EQ(zone_offset_at(zone, INT64_MIN), -75);
    EQ(zone_offset_at(zone, INT64_MAX) % 3600, 0);
    YES(zone_day_at(zone, INT64_MIN) < zone_day_at(zone, INT64_MAX));
    YES(zone_day_start(zone, DAY_MIN) < zone_day_start(zone, DAY_MAX));
    EQ(zone_day_start(zone, DAY_MAX + 1), INSTANT_US_MAX + 1);
}

TEST(zone, refuses_names_that_are_none)
{
    static const char *const bad[] = { "",
                                       "BST",
                                       "Europe/Atlantis",
                                       "europe/london",
                                       "../../etc/passwd",
                                       "Europe/../Europe/London",
                                       "/usr/share/zoneinfo/Europe/London",
                                       "Europe//London",
                                       "Europe/",
                                       "Europe",
                                       "zone.tab",
                                       "right/Europe/London",
                                       "Europe/London ",
                                       "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    const struct zone *zone = NULL;
    op_init(&op, NULL, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ(zone_get(&op, str_of(bad[i]), &zone), ERR_INVALID);
    EQ(zone_get(&op, (struct str){ "Europe/London\0x", 15 }, &zone), ERR_INVALID);
    YES(zone == NULL);
    STR_EQ(str_of(op.error), "'Europe/London' is not a time zone known here (IANA names such as Europe/London)");
}

TEST(zone, hands_out_one_zone_for_one_name)
{
    const struct zone *a = zone_of("Europe/London");
    YES(a == zone_of("Europe/London"));
    YES(a != zone_of("Europe/Dublin"));
    STR_EQ(zone_name(a), "Europe/London");
}

TEST(zone, knows_utc_without_any_file)
{
    const struct zone *zone;
    op_init(&op, NULL, 0);
    setenv("TZDIR", "/nonexistent", 1);
    SUCCEEDS(&op, zone_get(&op, S("UTC"), &zone));
    YES(zone == zone_utc());
    EQ(zone_get(&op, S("Etc/GMT+5"), &zone), ERR_INVALID);
    unsetenv("TZDIR");
    EQ(zone_day_at(zone, -1), -1);
    EQ(zone_day_start(zone, 20778), INT64_C(20778) * DAY_US);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    YES(file != NULL);
    EQ(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* A file without changes: one offset, and a rule that says the same. */
#define HEADER(version)                                                                                                \
    "TZif" version "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                                                                    \
    "\0\0\0\0"                                                                                                         \
    "\0\0\0\0"                                                                                                         \
    "\0\0\0\0"                                                                                                         \
    "\0\0\0\0"                                                                                                         \
    "\0\0\0\1"                                                                                                         \
    "\0\0\0\4"
#define PLUS_ONE                                                                                                       \
    "\0\0\x0e\x10"                                                                                                     \
    "\0\0"                                                                                                             \
    "ONE\0"
#define PLUS_TWO                                                                                                       \
    "\0\0\x1c\x20"                                                                                                     \
    "\0\0"                                                                                                             \
    "TWO\0"

TEST(zone, reads_new_rules_on_demand_and_leaves_old_zones_valid)
{
    static const char one[] = HEADER("2") PLUS_ONE HEADER("2") PLUS_ONE "\nONE-1\n";
    static const char two[] = HEADER("2") PLUS_TWO HEADER("2") PLUS_TWO "\nTWO-2\n";
    char directory[] = "/tmp/zone-test-XXXXXX", path[64];
    YES(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/Moving", directory);
    setenv("TZDIR", directory, 1);
    write_file(path, one, sizeof one - 1);

    const struct zone *before = zone_of("Moving"), *kept = zone_of("UTC");
    EQ(zone_offset_at(before, 0), 3600);
    zone_reload();
    YES(zone_of("Moving") == before); /* nothing new */

    write_file(path, two, sizeof two - 1);
    zone_reload();
    EQ(zone_offset_at(zone_of("Moving"), 0), 7200);
    EQ(zone_offset_at(before, 0), 3600);
    YES(zone_of("UTC") == kept);

    unlink(path);
    zone_reload();
    EQ(zone_offset_at(zone_of("Moving"), 0), 7200); /* gone from the disk, not from memory */
    rmdir(directory);
    unsetenv("TZDIR");
}

static enum err read_bytes(const char *bytes, size_t n)
{
    struct arena *arena = arena_new(1 << 20);
    struct zone *zone = NULL;
    op_init(&op, arena, 0);
    enum err err = zone_from_tzif(&op, S("Test"), (struct str){ bytes, n }, &zone);
    zone_free(zone);
    arena_free(arena);
    return err;
}

TEST(zone, reads_old_and_new_file_versions)
{
    static const char version_1[] = HEADER("\0") PLUS_ONE;
    static const char version_3[] = HEADER("3") PLUS_ONE HEADER("3") PLUS_ONE "\nXXX3EDT4,0/0,J365/23\n";
    EQ(read_bytes(version_1, sizeof version_1 - 1), OK);
    EQ(read_bytes(version_3, sizeof version_3 - 1), OK);
}

TEST(zone, refuses_every_cut_of_a_file)
{
    static const char whole[] = HEADER("2") PLUS_ONE HEADER("2") PLUS_ONE "\nONE-1\n";
    for (size_t n = 0; n < sizeof whole - 1; n++)
        EQ(read_bytes(whole, n), ERR_MALFORMED);
    EQ(read_bytes(whole, sizeof whole - 1), OK);
}

TEST(zone, refuses_wild_offsets_and_rules)
{
    static const char wild[] = HEADER("2") PLUS_ONE HEADER("2") "\x7f\0\0\0"
                                                                "\0\0"
                                                                "ONE\0"
                                                                "\nONE-1\n";
    static const char rule[] = HEADER("2") PLUS_ONE HEADER("2") PLUS_ONE "\nwhatever\n";
    EQ(read_bytes(wild, sizeof wild - 1), ERR_MALFORMED);
    EQ(read_bytes(rule, sizeof rule - 1), ERR_MALFORMED);
}
