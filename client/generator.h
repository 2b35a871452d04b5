/*
 * Makes packets: random device, random payload, rendered as gRPC messages one after another.
 *
 * Packet number i is a function of i and the options alone (its timestamp aside): the same seed
 * and options give the same counts a device, however the packets are laid out over connections
 * and streams, and what a stream carried can be told again without having been remembered.
 */
#ifndef TALLYD_CLIENT_GENERATOR_H
#define TALLYD_CLIENT_GENERATOR_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GENERATOR_PREFIX_MAX_BYTES 200
/* A rendered packet: frame header, id of prefix and 20 digits, timestamp, payload up to 127. */
#define GENERATOR_PACKET_MAX_BYTES (5 + 3 + GENERATOR_PREFIX_MAX_BYTES + 20 + 11 + 2 + 127)

enum generator_payload {
    GENERATOR_JSON,   /* {"temperature": 21.5, "humidity": 40} */
    GENERATOR_BINARY, /* 9 to 40 random bytes */
    GENERATOR_TEXT,   /* a short status sentence */
    GENERATOR_MIX,    /* one of these, at random for each packet */
};

struct generator_options {
    uint64_t seed;
    uint64_t devices; /* at least 1; the ids are `prefix` and 0 to devices - 1 */
    enum generator_payload payload;
    const char *prefix; /* up to GENERATOR_PREFIX_MAX_BYTES bytes; copied */
};

struct generator;

/* NULL with errno (ENOMEM, EINVAL for a prefix that is too long). The generator does not change
 * afterwards: any thread may use it. */
struct generator *generator_create(const struct generator_options *options) MUST_CHECK;
void generator_destroy(struct generator *generator);

/* The number of the device that packet `index` is of: 0 to devices - 1. */
uint64_t generator_device(const struct generator *generator, uint64_t index);

/* Where a stream stands. Its owner embeds it; the fields belong to generator.c, `next` may be
 * read: the packets before it were begun, the last of them perhaps not ended. */
struct generator_cursor {
    uint64_t next, end;
    uint16_t carry_length, carry_taken;
    uint8_t carry[GENERATOR_PACKET_MAX_BYTES]; /* a packet of which a part went out */
};

/* Starts at packet `first`, to end after `count` packets. */
void generator_start(struct generator_cursor *cursor, uint64_t first, uint64_t count);

/* Writes the next bytes of the cursor's packets to `out`: as many as fit into `room`, of at most
 * `max_packets` new packets (the rest of a begun one does not count), with `timestamp_ms`
 * (milliseconds since the epoch). Packets are split where the room ends. Returns the bytes
 * written. Thread: the owner of `cursor`. */
size_t generator_fill(const struct generator *generator, struct generator_cursor *cursor,
                      int64_t timestamp_ms, uint64_t max_packets, uint8_t *out, size_t room);

/* True once all packets were written whole. */
bool generator_done(const struct generator_cursor *cursor);

#endif
