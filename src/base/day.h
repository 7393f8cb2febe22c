/*
 * day.h - calendar days as plain numbers.
 *
 * A day is an int32_t: days since 1970-01-01 in the proleptic Gregorian
 * calendar. It says nothing about a zone; which instants belong to a day of a
 * zone is zone.h's answer. Arithmetic on days is arithmetic on integers.
 */
#pragma once

#include "base/str.h"

#define DAY_TEXT_BYTES 12        /* "2026-11-21" and its NUL, rounded up */
#define DAY_MIN        (-719528) /* 0000-01-01 */
#define DAY_MAX        2932896   /* 9999-12-31 */

/* Days since 1970-01-01 of a date that exists; month 1..12, any year. */
int32_t day_from_date(int32_t year, int month, int day);

/* The date of a day. */
void day_to_date(int32_t days, int32_t *ret_year, int *ret_month, int *ret_day);

/* True when the date exists: month 1..12, day within it, year 0..9999. */
bool day_date_exists(int32_t year, int month, int day);

/* 0 = Sunday .. 6 = Saturday. */
int day_weekday(int32_t days);

/* Reads exactly "2026-11-21"; false for any other form or a date that does not exist. */
bool day_parse(struct str text, int32_t *ret_days);

/* Writes "2026-11-21" and a NUL; the day must lie within DAY_MIN..DAY_MAX. */
struct str day_text(int32_t days, char ret_text[DAY_TEXT_BYTES]);
