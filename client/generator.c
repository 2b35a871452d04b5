/*
 * The writer of packets. It writes the wire format itself, straight into the DATA frame, because
 * building a struct and packing it costs several times as much; a unit test holds every packet to
 * what telemetry__packet__unpack() reads and telemetry__packet__pack() writes.
 *
 * Random numbers are splitmix64 (Steele, Lea, Flood, 2014) used as a counter: packet i takes the
 * i-th value of the sequence as its own seed, so any packet can be made without those before it.
 * For the same reason a packet that was split is not kept: its rest is cut out of it made again.
 */
#include "client/generator.h"

#include "client/zipf.h"
#include "common/decimal.h"
#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15u

#define STAMP_BYTES      7  /* tag and milliseconds from 2^35 (1971) to 2^42 - 1 (2109) */
#define STAMP_MAX        11 /* of any timestamp */
#define FREE_PAYLOAD_MAX 64 /* a payload of no set size */
#define ZIPF_SEED        0xd1b54a32d192ed03u

/* Tags of telemetry.Packet: field number << 3 | wire type. */
enum { TAG_DEVICE_ID = 1 << 3 | 2, TAG_TIMESTAMP = 2 << 3 | 0, TAG_PAYLOAD = 3 << 3 | 2 };

struct generator {
    uint64_t base; /* the seed, mixed, so that seeds that are neighbours share no packets */
    uint64_t devices;
    uint64_t period; /* UINT64_MAX: never */
    enum generator_payload payload;
    size_t message_bytes; /* of every message; 0: as it comes */
    size_t digits;        /* at least so many in an id */
    struct zipf zipf;
    bool is_zipf;
    size_t packet_bound;
    size_t prefix_length;
    char prefix[GENERATOR_PREFIX_MAX_BYTES];
};

/* The timestamp field, which all packets of one fill share. */
struct stamp {
    uint8_t bytes[STAMP_MAX];
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
    if (index >= generator->period) /* most runs have no period, and division is dear */
        index %= generator->period;
    return mix(generator->base + index * GOLDEN);
}

static uint64_t seed_device(const struct generator *generator, uint64_t seed)
{
    uint64_t state = seed ^ ZIPF_SEED;

    if (generator->is_zipf)
        return zipf_draw(&generator->zipf, next_random, &state);
    return scale(seed, generator->devices);
}

static size_t varint_length(uint64_t value)
{
    size_t length = 1;

    for (; value >= 0x80; value >>= 7)
        length++;
    return length;
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

/* With leading zeros up to `digits` digits, of which there are DECIMAL_BYTES at most. */
static uint8_t *put_padded(uint8_t *out, uint64_t value, size_t digits)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text, *start = decimal_write(value, end);

    while (start > end - digits)
        *--start = '0';
    return put_bytes(out, start, (size_t)(end - start));
}

static uint8_t *put_decimal(uint8_t *out, uint64_t value)
{
    return put_padded(out, value, 1);
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

static uint8_t *put_random(uint8_t *out, uint64_t random, size_t length)
{
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
        return put_random(out, random, 9 + (random & 31));
    default:
        return put_sentence(out, random);
    }
}

/* The length of a payload whose whole field, tag and length included, takes `room` bytes; 0 when
 * there is none. */
static size_t payload_length(size_t room)
{
    for (size_t taken = 2; taken < 5 && taken < room; taken++) {
        if (1 + varint_length(room - taken) == taken)
            return room - taken;
    }
    return 0;
}

/* The payload field of a message that is to take `room` bytes more. */
static uint8_t *put_sized_payload(uint8_t *out, uint64_t seed, size_t room)
{
    size_t length = payload_length(room);

    *out++ = TAG_PAYLOAD;
    out = put_varint(out, length);
    return put_random(out, next_random(&seed), length);
}

static uint8_t *put_free_payload(uint8_t *out, uint64_t seed, enum generator_payload kind)
{
    uint8_t *payload = out + 2; /* FREE_PAYLOAD_MAX is below 128: one byte of length */

    out[0] = TAG_PAYLOAD;
    out = put_payload(payload, kind, seed);
    payload[-1] = (uint8_t)(out - payload);
    return out;
}

/* Writes one whole packet, its frame header included, and returns its length. */
static size_t put_packet(const struct generator *generator, uint64_t index,
                         const struct stamp *stamp, uint8_t *out)
{
    uint64_t seed = packet_seed(generator, index);
    uint8_t *message = out + FRAME_HEADER_BYTES, *p = message;
    char id[GENERATOR_ID_MAX_BYTES];
    size_t id_length = generator_id(generator, seed_device(generator, seed), id);

    *p++ = TAG_DEVICE_ID;
    p = put_varint(p, id_length);
    p = put_bytes(p, id, id_length);
    p = put_bytes(p, stamp->bytes, stamp->length);
    if (generator->message_bytes)
        p = put_sized_payload(p, seed, generator->message_bytes - (size_t)(p - message));
    else
        p = put_free_payload(p, seed, generator->payload);
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

/* Digits of the largest device number. */
static size_t count_digits(const struct generator_options *options)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text;

    return (size_t)(end - decimal_write(options->devices - 1, end));
}

/* The longest id as a field. */
static size_t id_field_bytes(const struct generator_options *options)
{
    size_t length = strlen(options->prefix) + count_digits(options);

    return 1 + varint_length(length) + length;
}

bool generator_can_size(const struct generator_options *options)
{
    size_t before = id_field_bytes(options) + STAMP_BYTES;

    return options->packet_bytes > before && options->packet_bytes <= GENERATOR_MESSAGE_MAX_BYTES &&
           payload_length(options->packet_bytes - before) > 0;
}

size_t generator_packet_bound(const struct generator_options *options)
{
    if (options->packet_bytes)
        return FRAME_HEADER_BYTES + options->packet_bytes;
    return FRAME_HEADER_BYTES + id_field_bytes(options) + STAMP_MAX + 2 + FREE_PAYLOAD_MAX;
}

struct generator *generator_create(const struct generator_options *options)
{
    struct generator *generator;
    size_t length = strlen(options->prefix);

    if (length > GENERATOR_PREFIX_MAX_BYTES || !options->devices ||
        (options->packet_bytes && !generator_can_size(options))) {
        errno = EINVAL;
        return NULL;
    }
    generator = calloc(1, sizeof *generator);
    if (!generator)
        return NULL;
    generator->base = mix(options->seed + GOLDEN);
    generator->devices = options->devices;
    generator->period = options->period ? options->period : UINT64_MAX;
    generator->payload = options->payload;
    generator->message_bytes = options->packet_bytes;
    generator->digits = options->packet_bytes ? count_digits(options) : 1;
    generator->is_zipf = options->zipf > 0;
    if (generator->is_zipf)
        zipf_init(&generator->zipf, options->devices, options->zipf);
    generator->packet_bound = generator_packet_bound(options);
    generator->prefix_length = length;
    memcpy(generator->prefix, options->prefix, length);
    return generator;
}

void generator_destroy(struct generator *generator)
{
    free(generator);
}

uint64_t generator_period(const struct generator *generator)
{
    return generator->period;
}

size_t generator_bound(const struct generator *generator)
{
    return generator->packet_bound;
}

uint64_t generator_device(const struct generator *generator, uint64_t index)
{
    return seed_device(generator, packet_seed(generator, index));
}

size_t generator_id(const struct generator *generator, uint64_t device,
                    char out[GENERATOR_ID_MAX_BYTES])
{
    uint8_t *p = put_bytes((uint8_t *)out, generator->prefix, generator->prefix_length);

    return (size_t)(put_padded(p, device, generator->digits) - (uint8_t *)out);
}

void generator_start(struct generator_cursor *cursor, uint64_t first, uint64_t count)
{
    cursor->next = first;
    cursor->end = first + count;
    cursor->split_taken = 0;
}

/* Writes what fits of packet next - 1, of which split_taken bytes went out. */
static size_t take_split(const struct generator *generator, struct generator_cursor *cursor,
                         uint8_t *out, size_t room)
{
    uint8_t packet[GENERATOR_PACKET_MAX_BYTES];
    struct stamp stamp;
    size_t length, part;

    make_stamp(&stamp, cursor->split_timestamp_ms);
    length = put_packet(generator, cursor->next - 1, &stamp, packet);
    part = length - cursor->split_taken < room ? length - cursor->split_taken : room;
    memcpy(out, packet + cursor->split_taken, part);
    cursor->split_taken += part;
    if (cursor->split_taken == length)
        cursor->split_taken = 0;
    return part;
}

size_t generator_fill(const struct generator *generator, struct generator_cursor *cursor,
                      int64_t timestamp_ms, uint64_t max_packets, uint8_t *out, size_t room)
{
    size_t used = cursor->split_taken ? take_split(generator, cursor, out, room) : 0;
    struct stamp stamp;

    make_stamp(&stamp, timestamp_ms);
    for (; cursor->next < cursor->end && max_packets && used < room; max_packets--) {
        uint64_t index = cursor->next++;

        if (room - used >= generator->packet_bound) {
            used += put_packet(generator, index, &stamp, out + used);
        } else {
            cursor->split_timestamp_ms = timestamp_ms;
            used += take_split(generator, cursor, out + used, room - used);
        }
    }
    return used;
}

bool generator_done(const struct generator_cursor *cursor)
{
    return cursor->next == cursor->end && !cursor->split_taken;
}
