/*
 * What the HTTP face asks of Redis: all counts, the count of one device, and whether it answers.
 *
 * A count source is one connection, opened at the first question, kept between questions
 * and opened anew after an error. Each wait on it takes at most COUNT_SOURCE_TIMEOUT_MS; a question
 * about one device, or a ping, waits at most twice as long, an old connection's failure included.
 */
#ifndef TALLYD_HTTP_COUNT_SOURCE_H
#define TALLYD_HTTP_COUNT_SOURCE_H

#include "aggregator/redis.h"
#include "common/compiler.h"
#include "common/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_SOURCE_TIMEOUT_MS      1000
#define COUNT_SOURCE_READ_TIMEOUT_MS 60000 /* for all counts */

struct count_source;
struct snapshot;

enum count_source_result {
    COUNT_SOURCE_OK,
    COUNT_SOURCE_NONE,        /* there is no such device */
    COUNT_SOURCE_UNAVAILABLE, /* Redis is away, too slow or not ready; asking again may help */
    COUNT_SOURCE_WRONG,       /* Redis holds something there that is no count, to be repaired */
};

/* `options` are borrowed and must outlive it. NULL with errno when memory is short. One thread
 * at a time may use it. */
struct count_source *count_source_create(const struct redis_options *options) MUST_CHECK;

/* Closes the connection and frees it; NULL does nothing. */
void count_source_destroy(struct count_source *source);

/*
 * Reads all counts into a snapshot, which the caller destroys; it is sealed with `before`
 * (snapshot.h). Every count is at least as new as the call. Fields that are no counts of devices (a
 * value that is no 64-bit integer, a name that is empty, over 16 MiB or not UTF-8) are left out and
 * logged, at a limited rate. Gives up with COUNT_SOURCE_UNAVAILABLE soon after `*stop` became true,
 * and after COUNT_SOURCE_READ_TIMEOUT_MS.
 *
 * Returns COUNT_SOURCE_OK, COUNT_SOURCE_UNAVAILABLE or COUNT_SOURCE_WRONG; after the latter two
 * `error` holds one line that says what to do.
 */
enum count_source_result count_source_read_all(struct count_source *source, const atomic_bool *stop,
                                               const struct snapshot *before,
                                               struct snapshot **snapshot,
                                               char error[ERROR_BYTES]) MUST_CHECK;

/* Asks for one device's count. Returns any result; `error` as above. */
enum count_source_result count_source_get(struct count_source *source, const void *id,
                                          size_t id_length, int64_t *count,
                                          char error[ERROR_BYTES]) MUST_CHECK;

/* Asks Redis whether it is there. Returns COUNT_SOURCE_OK or COUNT_SOURCE_UNAVAILABLE; `error` as
 * above. */
enum count_source_result count_source_ping(struct count_source *source,
                                           char error[ERROR_BYTES]) MUST_CHECK;

/* Reads a count as HINCRBY writes and accepts it: a 64-bit integer in decimal, without a plus
 * sign, leading zeros or blanks. Returns whether it is one. Any thread; no state. */
bool count_source_parse(const char *text, size_t length, int64_t *count) MUST_CHECK;

#endif
