/*
 * Bytes on their way to a socket: a list of pieces, some copied into a store of its own, some
 * lying elsewhere and only pointed at. Large pieces cost one copy that way, the kernel's. One
 * thread.
 *
 * What was sent is gone; once all is, the store is used from its beginning again.
 */
#ifndef TALLYD_CLIENT_OUTPUT_H
#define TALLYD_CLIENT_OUTPUT_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTPUT_PIECES 64

/* Embedded in its owner. Its fields belong to this module; `length` may be read: the bytes that
 * are not sent yet. */
struct output {
    uint8_t *store;
    size_t size, used; /* of the store */
    size_t length;
    size_t first, count; /* pieces[first] to pieces[first + count - 1] are left */
    struct iovec pieces[OUTPUT_PIECES];
};

/* `store` of `size` bytes is borrowed. */
void output_init(struct output *output, uint8_t *store, size_t size);

/* Where up to `length` bytes behind all others may be written, to be kept by output_keep(); NULL
 * when there is no room for so many. */
static inline uint8_t *output_claim(struct output *output, size_t length)
{
    if (output->size - output->used < length || output->first + output->count == OUTPUT_PIECES)
        return NULL;
    return output->store + output->used;
}

/* Appends the first `length` bytes of what output_claim() returned. */
static inline void output_keep(struct output *output, size_t length)
{
    uint8_t *start = output->store + output->used;
    struct iovec *last = &output->pieces[output->first + output->count];

    if (output->count > 0 && (uint8_t *)last[-1].iov_base + last[-1].iov_len == start) {
        last[-1].iov_len += length;
    } else {
        *last = (struct iovec){start, length};
        output->count++;
    }
    output->used += length;
    output->length += length;
}

/* Pieces that can still be appended. */
static inline size_t output_pieces_left(const struct output *output)
{
    return OUTPUT_PIECES - output->first - output->count;
}

/* Appends bytes that stay where they are, unchanged, until they are sent. At least one piece must
 * be left. */
static inline void output_point(struct output *output, const uint8_t *bytes, size_t length)
{
    output->pieces[output->first + output->count++] = (struct iovec){(uint8_t *)bytes, length};
    output->length += length;
}

/* Forgets the first `length` bytes, which went out. */
void output_drop(struct output *output, size_t length);

/* Hands the socket as much as it takes. Returns 0 when all is sent, or a negative errno: -EAGAIN
 * when the socket is full. */
int output_send(struct output *output, int fd) MUST_CHECK;

#endif
