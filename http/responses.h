/*
 * How many answers went out with which HTTP status, for /metrics/prom. Any thread may note one, and
 * any may read; zeroed memory is a start.
 */
#ifndef TALLYD_HTTP_RESPONSES_H
#define TALLYD_HTTP_RESPONSES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The statuses that have a count of their own; all others share one. */
#define RESPONSES_STATUSES(X)                                                                      \
    X(200) X(202) X(304) X(400) X(401) X(403) X(404) X(405) X(414) X(431) X(500) X(503)

#define RESPONSES_ONE(status) +1
#define RESPONSES_COUNTS      (RESPONSES_STATUSES(RESPONSES_ONE) + 1)

struct response_counts {
    _Atomic uint64_t counts[RESPONSES_COUNTS];
};

/* Counts an answer. Called by: any thread. */
void responses_note(struct response_counts *counts, int status);

/* Count `index`, below RESPONSES_COUNTS: its status as a text, "other" for the last one, and how
 * many answers had it. Called by: any thread. */
const char *responses_code(size_t index);
uint64_t responses_count(const struct response_counts *counts, size_t index);

#endif
