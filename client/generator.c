/*
 * The writer of packets. It writes the wire format itself, straight into the DATA frame, because
 * building a struct and packing it costs several times as much; a unit test holds every packet to
 * what telemetry__packet__unpack() reads and telemetry__packet__pack() writes.
 *
 * Random numbers are splitmix64 (Steele, Lea, Flood, 2014) used as a counter: packet i takes the
 * i-th value of the sequence as its own seed, so any packet can be made without those before it.
 */
#include "client/generator.h"

#include "common/decimal.h"
#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15u

/* Tags of telemetry.Packet: field number << 3 | wire type. */
enum { TAG_DEVICE_ID = 1 << 3 | 2, TAG_TIMESTAMP = 2 << 3 | 0, TAG_PAYLOAD = 3 << 3 | 2 };

struct generator {
    uint64_t base; /* the seed, mixed, so that seeds that are neighbours share no packets */
    uint64_t devices;
    enum generator_payload payload;
    size_t prefix_length;
    char prefix[GENERATOR_PREFIX_MAX_BYTES];
};

/* The timestamp field, which all packets of one fill share. */
struct stamp {
    uint8_t bytes[11];
    size_t length;
};

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint64_t next_random(uint64_t *state)
{
    return mix(*state += GOLDEN);
}

/* Maps a random value to 0 .. limit - 1 by its high bits. */
static uint64_t scale(uint64_t random, uint64_t limit)
{
    __extension__ unsigned __int128 product = (unsigned __int128)random * limit;

    return (uint64_t)(product >> 64);
}

static uint64_t packet_seed(const struct generator *generator, uint64_t index)
{
    return mix(generator->base + index * GOLDEN);
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t length)
{
    memcpy(out, bytes, length);
    return out + length;
}

static uint8_t *put_text(uint8_t *out, const char *text)
{
    return put_bytes(out, text, strlen(text));
}

static uint8_t *put_decimal(uint8_t *out, uint64_t value)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text, *start = decimal_write(value, end);

    return put_bytes(out, start, (size_t)(end - start));
}

/* Temperature from -10.0 to 40.0 in tenths, humidity from 0 to 100. */
static uint8_t *put_json(uint8_t *out, uint64_t random)
{
    uint32_t tenths = (uint32_t)scale(random, 501);
    uint32_t size = tenths < 100 ? 100 - tenths : tenths - 100;

    out = put_text(out, "{\"temperature\": ");
    if (tenths < 100)
        *out++ = '-';
    out = put_decimal(out, size / 10);
    *out++ = '.';
    *out++ = (uint8_t)('0' + size % 10);
    out = put_text(out, ", \"humidity\": ");
    out = put_decimal(out, (random & 0xffff) % 101);
    *out++ = '}';
    return out;
}

static uint8_t *put_binary(uint8_t *out, uint64_t random)
{
    size_t length = 9 + (random & 31);

    for (size_t i = 0; i < length; i += sizeof random) {
        size_t part = length - i < sizeof random ? length - i : sizeof random;

        next_random(&random);
        memcpy(out + i, &random, part);
    }
    return out + length;
}

static uint8_t *put_sentence(uint8_t *out, uint64_t random)
{
    static const char *const beginnings[] = {
        "All sensors work; battery at ",
        "Door closed; signal at ",
        "Running on battery; charge at ",
        "Restarted after an update; disk at ",
    };

    out = put_text(out, beginnings[random % ARRAY_LENGTH(beginnings)]);
    out = put_decimal(out, scale(random, 101));
    return put_text(out, " percent.");
}

static uint8_t *put_payload(uint8_t *out, enum generator_payload payload, uint64_t state)
{
    uint64_t random = next_random(&state);

    if (payload == GENERATOR_MIX)
        payload = (enum generator_payload)(next_random(&state) % GENERATOR_MIX);
    switch (payload) {
    case GENERATOR_JSON:
        return put_json(out, random);
    case GENERATOR_BINARY:
        return put_binary(out, random);
    default:
        return put_sentence(out, random);
    }
}

/* Writes one whole packet, its frame header included, and returns its length. */
static size_t put_packet(const struct generator *generator, uint64_t index,
                         const struct stamp *stamp, uint8_t *out)
{
    uint64_t seed = packet_seed(generator, index);
    char text[DECIMAL_BYTES], *end = text + sizeof text;
    char *digits = decimal_write(scale(seed, generator->devices), end);
    uint8_t *message = out + FRAME_HEADER_BYTES, *p = message, *payload;
    size_t digit_count = (size_t)(end - digits);

    *p++ = TAG_DEVICE_ID;
    p = put_varint(p, generator->prefix_length + digit_count);
    p = put_bytes(p, generator->prefix, generator->prefix_length);
    p = put_bytes(p, digits, digit_count);
    p = put_bytes(p, stamp->bytes, stamp->length);
    *p++ = TAG_PAYLOAD;
    payload = p + 1; /* every payload is 1 to 127 bytes long: one byte of length */
    p = put_payload(payload, generator->payload, seed);
    payload[-1] = (uint8_t)(p - payload);
    frame_write_header(out, (uint32_t)(p - message));
    return (size_t)(p - out);
}

/* Protobuf leaves out a field that has its default value, zero. */
static void make_stamp(struct stamp *stamp, int64_t timestamp_ms)
{
    stamp->length = 0;
    if (timestamp_ms) {
        stamp->bytes[0] = TAG_TIMESTAMP;
        stamp->length =
            (size_t)(put_varint(stamp->bytes + 1, (uint64_t)timestamp_ms) - stamp->bytes);
    }
}

struct generator *generator_create(const struct generator_options *options)
{
    struct generator *generator;
    size_t length = strlen(options->prefix);

    if (length > GENERATOR_PREFIX_MAX_BYTES || !options->devices) {
        errno = EINVAL;
        return NULL;
    }
    generator = calloc(1, sizeof *generator);
    if (!generator)
        return NULL;
    generator->base = mix(options->seed + GOLDEN);
    generator->devices = options->devices;
    generator->payload = options->payload;
    generator->prefix_length = length;
    memcpy(generator->prefix, options->prefix, length);
    return generator;
}

void generator_destroy(struct generator *generator)
{
    free(generator);
}

uint64_t generator_device(const struct generator *generator, uint64_t index)
{
    return scale(packet_seed(generator, index), generator->devices);
}

void generator_start(struct generator_cursor *cursor, uint64_t first, uint64_t count)
{
    cursor->next = first;
    cursor->end = first + count;
    cursor->carry_length = cursor->carry_taken = 0;
}

static size_t take_carry(struct generator_cursor *cursor, uint8_t *out, size_t room)
{
    size_t left = cursor->carry_length - cursor->carry_taken;
    size_t part = left < room ? left : room;

    memcpy(out, cursor->carry + cursor->carry_taken, part);
    cursor->carry_taken = (uint16_t)(cursor->carry_taken + part);
    return part;
}

size_t generator_fill(const struct generator *generator, struct generator_cursor *cursor,
                      int64_t timestamp_ms, uint64_t max_packets, uint8_t *out, size_t room)
{
    size_t used = take_carry(cursor, out, room);
    struct stamp stamp;

    make_stamp(&stamp, timestamp_ms);
    for (; cursor->next < cursor->end && max_packets && used < room; max_packets--) {
        if (room - used >= GENERATOR_PACKET_MAX_BYTES) {
            used += put_packet(generator, cursor->next++, &stamp, out + used);
        } else {
            cursor->carry_taken = 0;
            cursor->carry_length =
                (uint16_t)put_packet(generator, cursor->next++, &stamp, cursor->carry);
            used += take_carry(cursor, out + used, room - used);
        }
    }
    return used;
}

bool generator_done(const struct generator_cursor *cursor)
{
    return cursor->next == cursor->end && cursor->carry_taken == cursor->carry_length;
}
