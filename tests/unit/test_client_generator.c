/* The packet writer: what it writes is what protobuf-c reads and writes, however it is cut. */
#include "client/generator.h"
#include "proto/frame.h"
#include "proto/telemetry.pb-c.h"
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS    1767225600123
#define OUT_BYTES (1 << 20)
#define ALL       UINT64_MAX

static struct generator *make(uint64_t seed, uint64_t devices, enum generator_payload payload,
                              const char *prefix)
{
    struct generator_options options = {
        .seed = seed, .devices = devices, .payload = payload, .prefix = prefix};
    struct generator *generator = generator_create(&options);

    assert_non_null(generator);
    return generator;
}

/* Renders packets 0 to count - 1 in one piece. */
static size_t render(const struct generator *generator, uint64_t count, int64_t timestamp_ms,
                     uint8_t *out)
{
    struct generator_cursor cursor;
    size_t length;

    generator_start(&cursor, 0, count);
    length = generator_fill(generator, &cursor, timestamp_ms, ALL, out, OUT_BYTES);
    assert_true(generator_done(&cursor));
    return length;
}

/* Takes the next packet from *bytes. The caller frees it. */
static Telemetry__Packet *next_packet(struct frame_reader *reader, const uint8_t **bytes,
                                      size_t *length, struct frame_piece *piece)
{
    Telemetry__Packet *packet;

    assert_int_equal(frame_next(reader, bytes, length, 4096, piece), FRAME_WHOLE);
    packet = telemetry__packet__unpack(NULL, piece->length, piece->bytes);
    assert_non_null(packet);
    return packet;
}

static void check_like_protobuf_c(const struct generator *generator, const char *prefix,
                                  int64_t timestamp_ms)
{
    static uint8_t out[OUT_BYTES], packed[GENERATOR_PACKET_MAX_BYTES];
    enum { COUNT = 2000 };
    struct frame_reader reader = {0};
    const uint8_t *bytes = out;
    size_t length = render(generator, COUNT, timestamp_ms, out);
    struct frame_piece piece;
    char id[256];

    for (uint64_t i = 0; i < COUNT; i++) {
        Telemetry__Packet *packet = next_packet(&reader, &bytes, &length, &piece);

        snprintf(id, sizeof id, "%s%llu", prefix,
                 (unsigned long long)generator_device(generator, i));
        assert_string_equal(packet->device_id, id);
        assert_true(packet->timestamp == timestamp_ms);
        assert_in_range(packet->payload.len, 1, 127);
        assert_in_range(piece.length, 1, generator_bound(generator) - FRAME_HEADER_BYTES);
        assert_int_equal(telemetry__packet__get_packed_size(packet), piece.length);
        telemetry__packet__pack(packet, packed);
        assert_memory_equal(packed, piece.bytes, piece.length);
        telemetry__packet__free_unpacked(packet, NULL);
    }
    assert_int_equal(length, 0);
}

static void fill_any_options_equals_protobuf_c(void **state)
{
    static const int64_t timestamps[] = {NOW_MS, 0, -1, 1, INT64_MAX, INT64_MIN};
    static const uint64_t devices[] = {1, 10, 1000, UINT64_MAX};
    char longest[GENERATOR_PREFIX_MAX_BYTES + 1];
    const char *prefixes[] = {"device-", "", longest, "ger\xc3\xa4t-"};

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[GENERATOR_PREFIX_MAX_BYTES] = '\0';
    for (int payload = GENERATOR_JSON; payload <= GENERATOR_MIX; payload++) {
        for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
            struct generator *generator =
                make(i, devices[i], (enum generator_payload)payload, prefixes[i]);

            for (size_t t = 0; t < ARRAY_LENGTH(timestamps); t++)
                check_like_protobuf_c(generator, prefixes[i], timestamps[t]);
            generator_destroy(generator);
        }
    }
}

static void fill_any_room_gives_the_same_bytes(void **state)
{
    static uint8_t whole[OUT_BYTES], parts[OUT_BYTES];
    struct generator *generator = make(1, 100, GENERATOR_MIX, "device-");
    size_t length = render(generator, 200, NOW_MS, whole);

    (void)state;
    for (size_t room = 1; room < 600; room++) {
        struct generator_cursor cursor;
        size_t used = 0, part;

        generator_start(&cursor, 0, 200);
        while (!generator_done(&cursor)) {
            part = generator_fill(generator, &cursor, NOW_MS, ALL, parts + used, room);
            assert_in_range(part, 1, room);
            used += part;
            assert_true(part == room || generator_done(&cursor));
        }
        assert_int_equal(used, length);
        assert_memory_equal(parts, whole, length);
    }
    generator_destroy(generator);
}

static void fill_any_credit_gives_the_same_bytes(void **state)
{
    static uint8_t whole[OUT_BYTES], parts[OUT_BYTES];
    struct generator *generator = make(1, 100, GENERATOR_MIX, "device-");
    size_t length = render(generator, 200, NOW_MS, whole), used = 0;
    struct generator_cursor cursor;

    (void)state;
    generator_start(&cursor, 0, 200);
    assert_int_equal(generator_fill(generator, &cursor, NOW_MS, 0, parts, OUT_BYTES), 0);
    for (uint64_t i = 0; i < 200; i += 4) {
        assert_int_equal(cursor.next, i);
        used += generator_fill(generator, &cursor, NOW_MS, 3, parts + used, OUT_BYTES - used);
        /* One more, of which one byte fits; the rest of it costs no credit. */
        used += generator_fill(generator, &cursor, NOW_MS, 1, parts + used, 1);
        used += generator_fill(generator, &cursor, NOW_MS, 0, parts + used, OUT_BYTES - used);
    }
    assert_true(generator_done(&cursor));
    assert_int_equal(used, length);
    assert_memory_equal(parts, whole, length);
    generator_destroy(generator);
}

/* The layout over streams must not matter. */
static void fill_ranges_gives_the_same_bytes(void **state)
{
    static uint8_t whole[OUT_BYTES], parts[OUT_BYTES];
    struct generator *generator = make(7, 1000, GENERATOR_MIX, "device-");
    size_t length = render(generator, 300, NOW_MS, whole), used = 0;
    struct generator_cursor cursor;

    (void)state;
    for (uint64_t first = 0; first < 300; first += 50) {
        generator_start(&cursor, first, 50);
        used += generator_fill(generator, &cursor, NOW_MS, ALL, parts + used, OUT_BYTES - used);
    }
    assert_int_equal(used, length);
    assert_memory_equal(parts, whole, length);
    generator_destroy(generator);
}

static void device_other_seed_other_devices(void **state)
{
    struct generator *one = make(1, 1000000, GENERATOR_MIX, ""), *same, *two;
    unsigned shared = 0;

    (void)state;
    same = make(1, 1000000, GENERATOR_JSON, "x");
    two = make(2, 1000000, GENERATOR_MIX, "");
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(generator_device(one, i) == generator_device(same, i));
        shared += generator_device(one, i) == generator_device(two, i);
    }
    assert_in_range(shared, 0, 5);
    generator_destroy(one);
    generator_destroy(same);
    generator_destroy(two);
}

static void device_many_packets_spread_evenly(void **state)
{
    enum { DEVICES = 10, PACKETS = 100000 };
    struct generator *generator = make(1, DEVICES, GENERATOR_MIX, "");
    unsigned counts[DEVICES] = {0};

    (void)state;
    for (uint64_t i = 0; i < PACKETS; i++) {
        assert_in_range(generator_device(generator, i), 0, DEVICES - 1);
        counts[generator_device(generator, i)]++;
    }
    for (int i = 0; i < DEVICES; i++)
        assert_in_range(counts[i], PACKETS / DEVICES * 95 / 100, PACKETS / DEVICES * 105 / 100);
    generator_destroy(generator);
}

/* Every packet of a size, and ids that are as long as each other. */
static void check_sized(uint64_t devices, const char *prefix, size_t id_length, uint64_t bytes)
{
    static uint8_t out[OUT_BYTES], packed[GENERATOR_PACKET_MAX_BYTES];
    struct generator_options options = {
        .devices = devices, .prefix = prefix, .packet_bytes = bytes};
    struct generator *generator = generator_create(&options);
    struct frame_reader reader = {0};
    const uint8_t *next = out;
    struct frame_piece piece;
    char id[GENERATOR_ID_MAX_BYTES];
    size_t length;

    assert_non_null(generator);
    assert_int_equal(generator_bound(generator), FRAME_HEADER_BYTES + bytes);
    length = render(generator, 50, NOW_MS, out);
    assert_int_equal(length, 50 * (FRAME_HEADER_BYTES + bytes));
    for (uint64_t i = 0; i < 50; i++) {
        Telemetry__Packet *packet;

        assert_int_equal(frame_next(&reader, &next, &length, 20000, &piece), FRAME_WHOLE);
        assert_int_equal(piece.length, bytes);
        packet = telemetry__packet__unpack(NULL, piece.length, piece.bytes);
        assert_non_null(packet);
        assert_int_equal(strlen(packet->device_id), id_length);
        assert_int_equal(generator_id(generator, generator_device(generator, i), id), id_length);
        assert_memory_equal(packet->device_id, id, id_length);
        assert_int_equal(telemetry__packet__pack(packet, packed), bytes);
        assert_memory_equal(packed, piece.bytes, bytes);
        telemetry__packet__free_unpacked(packet, NULL);
    }
    generator_destroy(generator);
}

static void fill_sized_packets_have_the_size(void **state)
{
    static const uint64_t sizes[] = {45, 128, 1024, 4096, 16384};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        check_sized(1, "device-", 8, sizes[i]);
        check_sized(1000, "device-", 10, sizes[i]);
        check_sized(1000000, "device-", 13, sizes[i]);
        check_sized(1000000000, "", 9, sizes[i]);
    }
}

/* An id of 8 bytes and the timestamp take 17: a payload begins at 20. One of 127 takes 129, one of
 * 128 takes 131, and so on at 16384. */
static void can_size_table(void **state)
{
    static const struct {
        uint64_t bytes;
        bool can;
    } table[] = {{1, false},   {17, false}, {19, false},  {20, true},    {45, true},    {146, true},
                 {147, false}, {148, true}, {1024, true}, {16384, true}, {16385, false}};
    struct generator_options options = {.devices = 10, .prefix = "device-"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct generator *generator;

        options.packet_bytes = table[i].bytes;
        assert_int_equal(generator_can_size(&options), table[i].can);
        generator = generator_create(&options);
        assert_int_equal(generator != NULL, table[i].can);
        generator_destroy(generator);
    }
    for (options.packet_bytes = 20; options.packet_bytes <= 16384;
         options.packet_bytes += options.packet_bytes < 1024 ? 1 : 64) {
        if (generator_can_size(&options))
            check_sized(options.devices, options.prefix, 8, options.packet_bytes);
        else
            assert_int_equal(options.packet_bytes, 147);
    }
}

static void device_with_a_period_repeats(void **state)
{
    struct generator_options options = {.devices = 1000, .prefix = "", .zipf = 1, .period = 7};
    struct generator *generator = generator_create(&options), *endless;
    unsigned same = 0;

    (void)state;
    options.period = 0;
    endless = generator_create(&options);
    for (uint64_t i = 0; i < 7 * 20; i++) {
        assert_int_equal(generator_device(generator, i), generator_device(endless, i % 7));
        same += generator_device(generator, i) == generator_device(endless, i);
    }
    assert_in_range(same, 7, 60);
    generator_destroy(generator);
    generator_destroy(endless);
}

/* The head of Zipf's law, as far as device numbers go; test_client_zipf.c tests the law. */
static void device_zipf_favours_the_first(void **state)
{
    enum { PACKETS = 100000 };
    struct generator_options options = {.devices = 1000000, .prefix = "", .zipf = 1};
    struct generator *generator = generator_create(&options);
    unsigned counts[3] = {0};

    (void)state;
    for (uint64_t i = 0; i < PACKETS; i++) {
        uint64_t device = generator_device(generator, i);

        assert_in_range(device, 0, options.devices - 1);
        if (device < 3)
            counts[device]++;
    }
    /* 1 / (ln 10^6 + 0.577) of the packets, a half and a third of that: 6948, 3474, 2316 */
    assert_in_range(counts[0], 6700, 7200);
    assert_in_range(counts[1], 3300, 3650);
    assert_in_range(counts[2], 2170, 2460);
    generator_destroy(generator);
}

static void check_json(const ProtobufCBinaryData *payload)
{
    cJSON *json = cJSON_ParseWithLength((const char *)payload->data, payload->len);
    double temperature = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "temperature"));
    double humidity = cJSON_GetNumberValue(cJSON_GetObjectItem(json, "humidity"));

    assert_non_null(json);
    assert_true(temperature >= -10 && temperature <= 40);
    assert_true(humidity >= 0 && humidity <= 100);
    cJSON_Delete(json);
}

static void fill_json_payload_is_json(void **state)
{
    static uint8_t out[OUT_BYTES];
    struct generator *generator = make(1, 10, GENERATOR_JSON, "");
    struct frame_reader reader = {0};
    const uint8_t *bytes = out;
    size_t length = render(generator, 2000, NOW_MS, out);
    struct frame_piece piece;

    (void)state;
    while (length) {
        Telemetry__Packet *packet = next_packet(&reader, &bytes, &length, &piece);

        check_json(&packet->payload);
        telemetry__packet__free_unpacked(packet, NULL);
    }
    generator_destroy(generator);
}

static void create_long_prefix_fails(void **state)
{
    char prefix[GENERATOR_PREFIX_MAX_BYTES + 2];
    struct generator_options options = {.devices = 1, .payload = GENERATOR_MIX, .prefix = prefix};

    (void)state;
    memset(prefix, 'x', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    assert_null(generator_create(&options));
    options.prefix = "";
    options.devices = 0;
    assert_null(generator_create(&options));
    generator_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_any_options_equals_protobuf_c),
        cmocka_unit_test(fill_any_room_gives_the_same_bytes),
        cmocka_unit_test(fill_any_credit_gives_the_same_bytes),
        cmocka_unit_test(fill_ranges_gives_the_same_bytes),
        cmocka_unit_test(device_other_seed_other_devices),
        cmocka_unit_test(device_many_packets_spread_evenly),
        cmocka_unit_test(fill_json_payload_is_json),
        cmocka_unit_test(fill_sized_packets_have_the_size),
        cmocka_unit_test(can_size_table),
        cmocka_unit_test(device_with_a_period_repeats),
        cmocka_unit_test(device_zipf_favours_the_first),
        cmocka_unit_test(create_long_prefix_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
