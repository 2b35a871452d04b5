/* The day of the year and the month are worked out in years that begin with March, so that the leap
 * day comes last: civil_from_days() of Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms", for days since 1970. */
#include "http/date.h"

#include <stdio.h>

#define DAY_S        86400
#define ERA_DAYS     146097 /* 400 years, after which the calendar repeats */
#define DAYS_TO_1970 719468 /* from 0000-03-01 */
#define THURSDAY     4      /* 1970-01-01 was one */

struct date {
    unsigned year, month, day, weekday, hour, minute, second, ms;
};

static struct date split(uint64_t ms)
{
    uint64_t seconds = (ms < DATE_MAX_MS ? ms : DATE_MAX_MS) / 1000, days = seconds / DAY_S;
    unsigned of_day = (unsigned)(seconds % DAY_S);
    unsigned era = (unsigned)((days + DAYS_TO_1970) / ERA_DAYS);
    unsigned of_era = (unsigned)((days + DAYS_TO_1970) % ERA_DAYS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0: March */

    return (struct date){
        .year = 400 * era + year + (month >= 10),
        .month = month < 10 ? month + 2 : month - 10, /* 0: January */
        .day = of_year - (153 * month + 2) / 5 + 1,
        .weekday = (unsigned)((days + THURSDAY) % 7),
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
        .ms = (unsigned)((ms < DATE_MAX_MS ? ms : DATE_MAX_MS) % 1000),
    };
}

char *date_http(uint64_t ms, char out[DATE_HTTP_BYTES])
{
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct date d = split(ms);

    snprintf(out, DATE_HTTP_BYTES, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             weekdays + 3 * d.weekday, d.day % 100, months + 3 * d.month, d.year % 10000,
             d.hour % 100, d.minute, d.second);
    return out;
}

char *date_rfc_3339(uint64_t ms, char out[DATE_RFC_3339_BYTES])
{
    struct date d = split(ms);

    snprintf(out, DATE_RFC_3339_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", d.year % 10000,
             (d.month + 1) % 100, d.day % 100, d.hour % 100, d.minute, d.second, d.ms);
    return out;
}
