/*
 * Questions to Redis about one thing, the count of one device or whether it is there, over one
 * connection for all requests. While Redis does not answer, at most one question every
 * LOOKUP_FAILURE_MS waits for it; the others hear at once what the last one heard.
 */
#ifndef TALLYD_HTTP_LOOKUP_H
#define TALLYD_HTTP_LOOKUP_H

#include "common/compiler.h"
#include "http/count_source.h"

#include <stddef.h>
#include <stdint.h>

#define LOOKUP_FAILURE_MS 500

struct lookup;

/* `options` are borrowed. NULL with errno when memory is short. Called by: main. */
struct lookup *lookup_create(const struct redis_options *options) MUST_CHECK;

/* Nobody may be asking any more. NULL does nothing. Called by: main. */
void lookup_destroy(struct lookup *lookup);

/* As count_source_get() and count_source_ping(). Called by: http. */
enum count_source_result lookup_device(struct lookup *lookup, const void *id, size_t id_length,
                                       int64_t *count, char error[ERROR_BYTES]) MUST_CHECK;
enum count_source_result lookup_ping(struct lookup *lookup, char error[ERROR_BYTES]) MUST_CHECK;

#endif
