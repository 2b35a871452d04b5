/*
 * Dates as HTTP writes them, in UTC. gmtime_r(), and strftime() as well, take a lock of libc's, for
 * which a thousand threads that answer at once wait; these functions take none. Any thread; no
 * state.
 */
#ifndef TALLYD_HTTP_DATE_H
#define TALLYD_HTTP_DATE_H

#include <stdint.h>

#define DATE_HTTP_BYTES     sizeof "Thu, 01 Jan 1970 00:00:00 GMT"
#define DATE_RFC_3339_BYTES sizeof "1970-01-01T00:00:00.000Z"

#define DATE_MAX_MS UINT64_C(253402300799999) /* the last ms of the year 9999 */

/* Both write the time that is so many ms after 1970 began, at most DATE_MAX_MS, and return `out`.
 */
char *date_http(uint64_t ms, char out[DATE_HTTP_BYTES]);         /* RFC 9110, section 5.6.7 */
char *date_rfc_3339(uint64_t ms, char out[DATE_RFC_3339_BYTES]); /* with ms */

#endif
