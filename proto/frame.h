/*
 * gRPC framing: cuts the bytes of a stream, however they arrive, into length-prefixed messages
 * (gRPC over HTTP/2, "Length-Prefixed-Message": one flag byte, four length bytes big-endian,
 * then the message).
 *
 * Nothing is copied or gathered. A message that lies whole in the input is returned as one
 * pointer into it; one that is split comes as parts, to be fed to a resumable reader
 * (proto/packet.h), so a stream holds no message buffer, whatever a client sends.
 */
#ifndef TALLYD_PROTO_FRAME_H
#define TALLYD_PROTO_FRAME_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 5

enum frame_result {
    FRAME_MORE,       /* the input is used up */
    FRAME_WHOLE,      /* a whole message lies in the input */
    FRAME_PART,       /* a part of a split message, more will come */
    FRAME_LAST_PART,  /* the part that ends a split message (may be empty) */
    FRAME_COMPRESSED, /* error: the compressed flag is set, and must not be */
    FRAME_BAD_FLAG,   /* error: the flag byte is neither 0 nor 1 */
    FRAME_TOO_LARGE,  /* error: the length is over the limit; frame_length() tells it */
};

/* Embedded in a stream. Zero it to start; its fields belong to frame.c, but for the first, which
 * its owner sets before the first message when these may be compressed. */
struct frame_reader {
    bool takes_compressed;
    uint8_t header[FRAME_HEADER_BYTES];
    uint8_t header_have; /* bytes of the header that came so far */
    uint32_t left;       /* bytes of the message still to come */
    bool split;          /* parts of the current message were already returned */
};

struct frame_piece {
    const uint8_t *bytes; /* into the caller's input; valid as long as that is */
    size_t length;
    bool compressed; /* the message's flag */
};

/* Takes the next message or part from *input, whose length is *length, and moves both past what
 * it used. Call it until it returns FRAME_MORE or an error; after an error the stream is over.
 * `max_bytes` bounds a message. Called by: the owner of `reader`. */
enum frame_result frame_next(struct frame_reader *reader, const uint8_t **input, size_t *length,
                             uint32_t max_bytes, struct frame_piece *piece) MUST_CHECK;

/* True when the reader stands between two messages: the only place where a stream may end. */
bool frame_at_boundary(const struct frame_reader *reader);

/* The length that the last header announced, in bytes, for the message of FRAME_TOO_LARGE. */
uint32_t frame_length(const struct frame_reader *reader);

/* Writes the header of an uncompressed message of `length` bytes. */
void frame_write_header(uint8_t header[FRAME_HEADER_BYTES], uint32_t length);

#endif
