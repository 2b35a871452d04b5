/*
 * What the HTTP face asks of Redis: all counts, the count of one device, and whether it answers.
 *
 * A `struct counts` is one connection, opened at the first question, kept between questions and
 * opened anew after an error. Each wait on it takes at most COUNTS_TIMEOUT_MS; a question about
 * one device, or a ping, waits at most twice as long, an old connection's failure included.
 */
#ifndef TALLYD_HTTP_COUNTS_H
#define TALLYD_HTTP_COUNTS_H

#include "aggregator/redis.h"
#include "common/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTS_TIMEOUT_MS  1000
#define COUNTS_ERROR_BYTES 512

struct counts;
struct snapshot;

enum counts_result {
    COUNTS_OK,
    COUNTS_NONE,        /* there is no such device */
    COUNTS_UNAVAILABLE, /* Redis is away, too slow or not ready; asking again may help */
    COUNTS_WRONG,       /* Redis holds something there that is no count; somebody must repair it */
};

/* `options` are borrowed and must outlive it. NULL with errno when memory is short. One thread
 * at a time may use it. */
struct counts *counts_create(const struct redis_options *options) MUST_CHECK;

/* Closes the connection and frees it; NULL does nothing. */
void counts_destroy(struct counts *counts);

/*
 * Reads all counts into a sealed snapshot, which the caller destroys. Every count is at least as
 * new as the call. Fields that are no counts of devices (a value that is no 64-bit integer, a
 * name that is empty, over 16 MiB or not UTF-8) are left out and logged, at a limited rate. Gives
 * up with COUNTS_UNAVAILABLE soon after `*stop` became true, and after COUNTS_READ_TIMEOUT_MS.
 *
 * Returns COUNTS_OK, COUNTS_UNAVAILABLE or COUNTS_WRONG; after the latter two `error` holds one
 * line that says what to do.
 */
enum counts_result counts_read_all(struct counts *counts, const atomic_bool *stop,
                                   struct snapshot **snapshot,
                                   char error[COUNTS_ERROR_BYTES]) MUST_CHECK;
#define COUNTS_READ_TIMEOUT_MS 60000

/* Asks for one device's count. Returns any result; `error` as above. */
enum counts_result counts_get(struct counts *counts, const void *id, size_t id_length,
                              int64_t *count, char error[COUNTS_ERROR_BYTES]) MUST_CHECK;

/* Asks Redis whether it is there. Returns COUNTS_OK or COUNTS_UNAVAILABLE; `error` as above. */
enum counts_result counts_ping(struct counts *counts, char error[COUNTS_ERROR_BYTES]) MUST_CHECK;

/* Reads a count as HINCRBY writes and accepts it: a 64-bit integer in decimal, without a plus
 * sign, leading zeros or blanks. Returns whether it is one. Any thread; no state. */
bool counts_parse(const char *text, size_t length, int64_t *count) MUST_CHECK;

#endif
