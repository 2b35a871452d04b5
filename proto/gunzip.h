/*
 * Inflates messages in gzip's format (RFC 1952), as they come and in pieces: nothing is gathered,
 * and what comes out is bounded, so a message that would inflate without end costs no more than the
 * bound. A state takes up to 40 KB, so states are taken from a pool, for as long as one message.
 *
 * Not thread-safe: a pool and its states are one thread's.
 */
#ifndef TALLYD_PROTO_GUNZIP_H
#define TALLYD_PROTO_GUNZIP_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gunzip;
struct gunzip_pool;

enum gunzip_result {
    GUNZIP_OK,
    GUNZIP_BROKEN,    /* no gzip, or its checksum or length is wrong, or it is not whole */
    GUNZIP_TOO_LARGE, /* over the bound */
    GUNZIP_BUSY,      /* memory is short, or as many states as may be are taken */
};

/* Takes what was inflated; the bytes are borrowed during the call. */
typedef void gunzip_sink(void *target, const uint8_t *bytes, size_t length);

/* A pool of which at most `most` states can be taken at a time. NULL with errno ENOMEM. */
struct gunzip_pool *gunzip_pool_create(size_t most) MUST_CHECK;

/* All states must have been given back. NULL does nothing. */
void gunzip_pool_destroy(struct gunzip_pool *pool);

/* Takes a state at the start of a message; NULL is GUNZIP_BUSY. */
struct gunzip *gunzip_take(struct gunzip_pool *pool) MUST_CHECK;

/* Gives a state back, wherever in a message it stands. NULL does nothing. */
void gunzip_give(struct gunzip *gunzip);

/* Inflates the next part of a message, of which at most `max_bytes` may come out in all. After
 * anything but GUNZIP_OK the state can only be given back. */
enum gunzip_result gunzip_part(struct gunzip *gunzip, const uint8_t *bytes, size_t length,
                               uint32_t max_bytes, gunzip_sink *sink, void *target) MUST_CHECK;

/* True when a message may end here: behind one or more whole gzip members. */
bool gunzip_is_whole(const struct gunzip *gunzip);

#endif
