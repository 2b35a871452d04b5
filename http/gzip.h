/*
 * Bodies in gzip's format (RFC 1952), by zlib: a stream in pieces, or a whole at once. Any thread;
 * one thread a stream.
 */
#ifndef TALLYD_HTTP_GZIP_H
#define TALLYD_HTTP_GZIP_H

#include "common/compiler.h"
#include "http/text.h"

#include <stdbool.h>
#include <stddef.h>

struct gzip;

/* A stream, whose compressed pieces go to `flush`, which is called with `target`. It takes about
 * 330 KB. NULL with errno when memory is short. */
struct gzip *gzip_create(text_flush *flush, void *target) MUST_CHECK;

/* Frees it; NULL does nothing. */
void gzip_destroy(struct gzip *gzip);

/* Compresses the next bytes; the last ones, which may be none, with `last`. Returns 0, or what
 * `flush` returned. */
int gzip_write(struct gzip *gzip, const void *bytes, size_t length, bool last) MUST_CHECK;

/* The whole of a compressed file, whose size is known, as it was. The caller frees it. NULL with
 * errno: ENOMEM, or EINVAL when it is no such file. */
void *gzip_expand(const void *compressed, size_t compressed_bytes, size_t bytes) MUST_CHECK;

#endif
