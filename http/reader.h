/*
 * The shared reader: one thread that reads all counts from Redis when requests want them, once for
 * all requests that wait, so that a storm of requests is no storm on Redis.
 *
 * A request gets a reading that started at or after the request came, so whoever saw an Ack sees
 * its packets counted. See reader.c for the argument.
 */
#ifndef TALLYD_HTTP_READER_H
#define TALLYD_HTTP_READER_H

#include "common/compiler.h"
#include "http/count_source.h"

#include <stdatomic.h>
#include <stdbool.h>

struct reader;
struct reading; /* one reading, and what it found; never changed once a request holds it */

/* How a reading is made: count_source_read_all(), or a test's stand-in, with its contract. Called
 * by the reader's thread, never twice at once. */
typedef enum count_source_result reader_read(void *source, const atomic_bool *stop,
                                             struct snapshot **snapshot,
                                             char error[COUNT_SOURCE_ERROR_BYTES]);

/* Starts the reader's thread; `source` is borrowed and must outlive the reader. NULL with errno.
 * Called by: main. */
struct reader *reader_create(reader_read *read, void *source) MUST_CHECK;

/* Waits for a reading that starts after this call was made. Returns it, and the caller gives it
 * back with reader_release(); or NULL once the reader was stopped or when memory is short.
 * Called by: http. */
struct reading *reader_acquire(struct reader *reader) MUST_CHECK;

/* What the reading came to, and for COUNT_SOURCE_OK its snapshot, for all else its error; both live
 * until the reading is released. Called by: http, whoever holds it. */
enum count_source_result reading_result(const struct reading *reading);
const struct snapshot *reading_snapshot(const struct reading *reading);
const char *reading_error(const struct reading *reading);

/* Gives a reading back; with its last holder it goes. Called by: http. */
void reader_release(struct reader *reader, struct reading *reading);

/* Wakes all who wait and refuses all who come later. Does not wait. Called by: main. */
void reader_stop(struct reader *reader);

/* Stops, ends the thread and frees the reader. Nobody may wait or hold a reading any more. NULL
 * does nothing. Called by: main. */
void reader_destroy(struct reader *reader);

#endif
