/* The packet writer: what it writes is what protobuf-c reads and writes, however it is cut. */
#include "client/device_totals.h"
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
    struct generator_options options = {seed, devices, payload, prefix};
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
        assert_in_range(piece.length, 1, GENERATOR_PACKET_MAX_BYTES - FRAME_HEADER_BYTES);
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
    struct generator_options options = {1, 1, GENERATOR_MIX, prefix};

    (void)state;
    memset(prefix, 'x', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    assert_null(generator_create(&options));
    options.prefix = "";
    options.devices = 0;
    assert_null(generator_create(&options));
    generator_destroy(NULL);
}

static void totals_write_lists_devices(void **state)
{
    struct generator *generator = make(1, 3, GENERATOR_MIX, "d");
    struct device_totals *totals = device_totals_create(generator, 3);
    unsigned long long ok[3] = {0}, failed[3] = {0};
    char expected[256], *text = NULL;
    size_t size = 0, used = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(totals);
    for (uint64_t i = 0; i < 70; i++)
        (i < 50 ? ok : failed)[generator_device(generator, i)]++;
    device_totals_add(totals, 0, 50, true);
    device_totals_add(totals, 50, 20, false);
    assert_int_equal(device_totals_write(totals, "d", out), 0);
    fclose(out);
    for (int i = 0; i < 3; i++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, "d%d\t%llu\t%llu\n", i,
                                 ok[i], failed[i]);
    assert_string_equal(text, expected);
    free(text);
    device_totals_destroy(totals);
    generator_destroy(generator);
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
        cmocka_unit_test(create_long_prefix_fails),
        cmocka_unit_test(totals_write_lists_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
