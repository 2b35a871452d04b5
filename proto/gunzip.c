/*
 * zlib's inflate, with what a message adds: members may follow one another, as zlib's gzip files
 * may, and nothing else may follow them.
 *
 * States that were given back are kept, a few of them, since making one takes about as long as
 * inflating a small message.
 */
#include "proto/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#define KEPT_MAX    16
#define OUT_BYTES   16384
#define WINDOW_BITS (MAX_WBITS + 16) /* gzip's format and no other */

struct gunzip {
    struct gunzip_pool *pool;
    struct gunzip *next; /* of those that are kept */
    z_stream stream;
    uint32_t inflated; /* bytes that came out */
    bool whole;        /* behind a member */
};

struct gunzip_pool {
    struct gunzip *kept;
    size_t kept_count, taken, most;
    uint8_t out[OUT_BYTES];
};

struct gunzip_pool *gunzip_pool_create(size_t most)
{
    struct gunzip_pool *pool = calloc(1, sizeof *pool);

    if (pool)
        pool->most = most;
    return pool;
}

static void destroy(struct gunzip *gunzip)
{
    inflateEnd(&gunzip->stream);
    free(gunzip);
}

void gunzip_pool_destroy(struct gunzip_pool *pool)
{
    if (!pool)
        return;
    while (pool->kept) {
        struct gunzip *gunzip = pool->kept;

        pool->kept = gunzip->next;
        destroy(gunzip);
    }
    free(pool);
}

static struct gunzip *create(struct gunzip_pool *pool)
{
    struct gunzip *gunzip = calloc(1, sizeof *gunzip);

    if (!gunzip)
        return NULL;
    gunzip->pool = pool;
    if (inflateInit2(&gunzip->stream, WINDOW_BITS) != Z_OK) {
        free(gunzip);
        return NULL;
    }
    return gunzip;
}

struct gunzip *gunzip_take(struct gunzip_pool *pool)
{
    struct gunzip *gunzip = pool->kept;

    if (pool->taken >= pool->most)
        return NULL;
    if (gunzip) {
        pool->kept = gunzip->next;
        pool->kept_count--;
        inflateReset(&gunzip->stream);
    } else if (!(gunzip = create(pool))) {
        return NULL;
    }
    gunzip->inflated = 0;
    gunzip->whole = false;
    pool->taken++;
    return gunzip;
}

void gunzip_give(struct gunzip *gunzip)
{
    struct gunzip_pool *pool;

    if (!gunzip)
        return;
    pool = gunzip->pool;
    pool->taken--;
    if (pool->kept_count >= KEPT_MAX) {
        destroy(gunzip);
        return;
    }
    gunzip->next = pool->kept;
    pool->kept = gunzip;
    pool->kept_count++;
}

/* Inflates once, as far as the buffer reaches; one byte past the bound is enough to know. `*more`
 * says whether there may be more behind it: the buffer was filled. */
static enum gunzip_result inflate_once(struct gunzip *gunzip, uint32_t max_bytes, gunzip_sink *sink,
                                       void *target, bool *more)
{
    z_stream *stream = &gunzip->stream;
    uint64_t room = (uint64_t)max_bytes - gunzip->inflated + 1;
    uInt bytes = room < OUT_BYTES ? (uInt)room : OUT_BYTES;
    int result;

    stream->next_out = gunzip->pool->out;
    stream->avail_out = bytes;
    result = inflate(stream, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR)
        return GUNZIP_BUSY;
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END)
        return GUNZIP_BROKEN;
    bytes -= stream->avail_out;
    if (bytes > max_bytes - gunzip->inflated)
        return GUNZIP_TOO_LARGE;
    gunzip->inflated += bytes;
    if (bytes > 0)
        sink(target, gunzip->pool->out, bytes);
    gunzip->whole = result == Z_STREAM_END;
    *more = !gunzip->whole && stream->avail_out == 0;
    return GUNZIP_OK;
}

enum gunzip_result gunzip_part(struct gunzip *gunzip, const uint8_t *bytes, size_t length,
                               uint32_t max_bytes, gunzip_sink *sink, void *target)
{
    z_stream *stream = &gunzip->stream;
    bool more = false;

    stream->next_in = (Bytef *)bytes;
    stream->avail_in = (uInt)length;
    while (stream->avail_in > 0 || more) {
        enum gunzip_result result;

        if (gunzip->whole)
            inflateReset(stream); /* another member; it keeps what is left of the input */
        result = inflate_once(gunzip, max_bytes, sink, target, &more);
        if (result != GUNZIP_OK)
            return result;
    }
    return GUNZIP_OK;
}

bool gunzip_is_whole(const struct gunzip *gunzip)
{
    return gunzip->whole;
}
