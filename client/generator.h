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
#define GENERATOR_ID_MAX_BYTES     (GENERATOR_PREFIX_MAX_BYTES + 20)
/* The largest of `packet_bytes`; packets of no set size are smaller. */
#define GENERATOR_MESSAGE_MAX_BYTES 16384
/* Any packet as rendered: the gRPC prefix and the message. */
#define GENERATOR_PACKET_MAX_BYTES (5 + GENERATOR_MESSAGE_MAX_BYTES)

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
    double zipf;        /* exponent of Zipf's law, device 0 being the most frequent; 0: uniform */

    /* Size of every message in bytes, its gRPC prefix not counted; 0: as it comes. To reach it,
     * device numbers get leading zeros and payloads are random bytes, whatever `payload` says. */
    uint64_t packet_bytes;
    uint64_t period; /* packets after which the sequence repeats itself; 0: never */
};

struct generator;

/* True when messages of `options->packet_bytes` can be made: there is room for an id, a timestamp
 * of today and a payload, and the payload's length is one that protobuf can express (the length
 * field itself grows by a byte at 128, so one size there does not exist). */
bool generator_can_size(const struct generator_options *options);

/* No packet of these options takes more bytes as rendered, gRPC prefix included. */
size_t generator_packet_bound(const struct generator_options *options);

/* NULL with errno (ENOMEM, EINVAL for a prefix that is too long or a size that cannot be). The
 * generator does not change afterwards: any thread may use it. */
struct generator *generator_create(const struct generator_options *options) MUST_CHECK;
void generator_destroy(struct generator *generator);

/* The period it was made with, UINT64_MAX for none; and generator_packet_bound() of its options. */
uint64_t generator_period(const struct generator *generator);
size_t generator_bound(const struct generator *generator);

/* Writes the id of device number `device` to `out`, without a NUL, and returns its length. */
size_t generator_id(const struct generator *generator, uint64_t device,
                    char out[GENERATOR_ID_MAX_BYTES]);

/* The number of the device that packet `index` is of: 0 to devices - 1. */
uint64_t generator_device(const struct generator *generator, uint64_t index);

/* Where a stream stands. Its owner embeds it; the fields belong to generator.c, `next` may be
 * read: the packets before it were begun, the last of them perhaps not ended. */
struct generator_cursor {
    uint64_t next, end;
    size_t split_taken; /* bytes of packet next - 1 that went out; 0: it is not split */
    int64_t split_timestamp_ms;
};

/* Starts at packet `first`, to end after `count` packets. */
void generator_start(struct generator_cursor *cursor, uint64_t first, uint64_t count);

/* Writes the next bytes of the cursor's packets to `out`: as many as fit into `room`, of at most
 * `max_packets` new packets (the rest of a begun one does not count), with `timestamp_ms`
 * (milliseconds since the epoch; with `packet_bytes` one of the years 1972 to 2109, whose length
 * on the wire is the same). Packets are split where the room ends. Returns the bytes written.
 * Thread: the owner of `cursor`. */
size_t generator_fill(const struct generator *generator, struct generator_cursor *cursor,
                      int64_t timestamp_ms, uint64_t max_packets, uint8_t *out, size_t room);

/* True once all packets were written whole. */
bool generator_done(const struct generator_cursor *cursor);

#endif
