/*
 * The fastest of zlib's levels: what is served here is rows of names and numbers, which it makes
 * eight times smaller already, and a slower one would keep a client on a local network waiting.
 */
#include "http/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW_BITS (15 + 16) /* the largest window; 16 asks for gzip's head and trailer */
#define MEMORY_LEVEL     8         /* zlib's default */
#define PIECE_BYTES      (64 * 1024)

struct gzip {
    z_stream stream;
    text_flush *flush;
    void *target;
    char piece[PIECE_BYTES];
};

struct gzip *gzip_create(text_flush *flush, void *target)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);

    if (!gzip)
        return NULL;
    gzip->flush = flush;
    gzip->target = target;
    if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return gzip;
    free(gzip);
    errno = ENOMEM;
    return NULL;
}

void gzip_destroy(struct gzip *gzip)
{
    if (!gzip)
        return;
    deflateEnd(&gzip->stream);
    free(gzip);
}

int gzip_write(struct gzip *gzip, const void *bytes, size_t length, bool last)
{
    z_stream *stream = &gzip->stream;
    int result = 0;

    stream->next_in = (z_const Bytef *)bytes;
    stream->avail_in = (uInt)length;
    do {
        size_t used;

        stream->next_out = (Bytef *)gzip->piece;
        stream->avail_out = sizeof gzip->piece;
        deflate(stream, last ? Z_FINISH : Z_NO_FLUSH);
        used = sizeof gzip->piece - stream->avail_out;
        if (used)
            result = gzip->flush(gzip->target, gzip->piece, used);
    } while (!result && stream->avail_out == 0);
    return result;
}

void *gzip_expand(const void *compressed, size_t compressed_bytes, size_t bytes)
{
    z_stream stream = {.next_in = (z_const Bytef *)compressed, .avail_in = (uInt)compressed_bytes};
    void *whole = malloc(bytes ? bytes : 1);
    int result;

    if (!whole || inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        free(whole);
        errno = ENOMEM;
        return NULL;
    }
    stream.next_out = whole;
    stream.avail_out = (uInt)bytes;
    result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (result == Z_STREAM_END && stream.total_out == bytes)
        return whole;
    free(whole);
    errno = EINVAL;
    return NULL;
}
