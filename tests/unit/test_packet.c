/*
 * packet_scan() and the packet feed against tables, against protobuf-c (tests/packet_oracle.h),
 * and against each other at every split.
 */
#include "common/compiler.h"
#include "tests/packet_oracle.h"
#include "tests/unit/packet_samples.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MUTATIONS 200000
#define SEED      0x74616c6c7964u

/* Copies of exactly the right size, so that a sanitizer sees a read past a message or a part. */
static uint8_t *copy(const uint8_t *bytes, size_t length)
{
    uint8_t *exact = malloc(length ? length : 1);

    assert_non_null(exact);
    if (length > 0)
        memcpy(exact, bytes, length);
    return exact;
}

static struct packet_feed *new_feed(void)
{
    return packet_feed_init(malloc(packet_feed_size(MAX_ID)), MAX_ID);
}

static void feed_part(struct packet_feed *feed, const uint8_t *bytes, size_t length)
{
    uint8_t *part = copy(bytes, length);

    packet_feed_part(feed, part, length);
    free(part);
}

static bool scan_agrees(const uint8_t *bytes, size_t length, const struct oracle_verdict *verdict)
{
    uint8_t *message = copy(bytes, length);
    struct packet_id id = {NULL, 0};
    bool agrees = oracle_agrees(verdict, packet_scan(message, length, MAX_ID, &id), &id);

    free(message);
    return agrees;
}

/* Feeds the message cut at `first` and `second`. */
static bool feed_agrees(struct packet_feed *feed, const uint8_t *bytes, size_t length, size_t first,
                        size_t second, const struct oracle_verdict *verdict)
{
    struct packet_id id = {NULL, 0};

    feed_part(feed, bytes, first);
    feed_part(feed, bytes + first, second - first);
    feed_part(feed, bytes + second, length - second);
    return oracle_agrees(verdict, packet_feed_end(feed, &id), &id);
}

static void check_everywhere(const struct sample *sample, enum packet_result expected)
{
    const uint8_t *bytes = (const uint8_t *)sample->bytes;
    struct oracle_verdict verdict = oracle_judge(bytes, sample->length, MAX_ID);
    struct packet_id wanted = {(const uint8_t *)sample->id, sample->id_length};
    struct packet_feed *feed = new_feed();

    if (!oracle_agrees(&verdict, expected, &wanted))
        fail_msg("%s: protobuf-c says %d, the table %d", sample->name, verdict.result, expected);
    if (!scan_agrees(bytes, sample->length, &verdict))
        fail_msg("%s: packet_scan differs", sample->name);
    for (size_t first = 0; first <= sample->length; first++) {
        for (size_t second = first; second <= sample->length; second++) {
            if (!feed_agrees(feed, bytes, sample->length, first, second, &verdict))
                fail_msg("%s: the feed differs, cut at %zu and %zu", sample->name, first, second);
        }
    }
    free(feed);
    free(verdict.id);
}

static void check_table(const struct sample *table, size_t count, enum packet_result expected)
{
    for (size_t i = 0; i < count; i++)
        check_everywhere(&table[i], expected);
}

static void scan_well_formed_message_returns_its_id(void **state)
{
    (void)state;
    check_table(accepted, ARRAY_LENGTH(accepted), PACKET_OK);
}

static void scan_malformed_message_returns_malformed(void **state)
{
    (void)state;
    check_table(malformed, ARRAY_LENGTH(malformed), PACKET_MALFORMED);
}

static void scan_missing_id_returns_id_empty(void **state)
{
    (void)state;
    check_table(empty_id, ARRAY_LENGTH(empty_id), PACKET_ID_EMPTY);
}

static void scan_long_id_returns_id_too_long(void **state)
{
    (void)state;
    check_table(too_long_id, ARRAY_LENGTH(too_long_id), PACKET_ID_TOO_LONG);
}

static void scan_bad_utf8_returns_id_not_utf8(void **state)
{
    (void)state;
    check_table(not_utf8_id, ARRAY_LENGTH(not_utf8_id), PACKET_ID_NOT_UTF8);
}

static void scan_every_truncation_agrees_with_protobuf_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        const uint8_t *bytes = (const uint8_t *)accepted[i].bytes;

        for (size_t length = 0; length < accepted[i].length; length++) {
            struct oracle_verdict verdict = oracle_judge(bytes, length, MAX_ID);

            if (!scan_agrees(bytes, length, &verdict))
                fail_msg("%s, cut to %zu bytes", accepted[i].name, length);
            free(verdict.id);
        }
    }
}

/* Ids and payloads at and around the lengths where the length prefix grows. */
static void scan_field_lengths_agree_with_protobuf_c(void **state)
{
    static const size_t lengths[] = {0, 1, 126, 127, 128, 129, 255, 16382, 16383, 16384, 70000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(lengths); j++) {
            Telemetry__Packet packet = TELEMETRY__PACKET__INIT;
            struct packet_id id;
            uint8_t *message;
            size_t length;

            packet.device_id = calloc(1, lengths[i] + 1);
            memset(packet.device_id, 'd', lengths[i]);
            packet.timestamp = 1700000000;
            packet.payload.len = lengths[j];
            packet.payload.data = calloc(1, lengths[j] + 1);
            message = malloc(telemetry__packet__get_packed_size(&packet) + 1);
            length = telemetry__packet__pack(&packet, message);

            assert_int_equal(packet_scan(message, length, SIZE_MAX, &id),
                             lengths[i] ? PACKET_OK : PACKET_ID_EMPTY);
            assert_true(lengths[i] == 0 || id.length == lengths[i]);
            assert_int_equal(packet_scan(message, length - 1, SIZE_MAX, &id), PACKET_MALFORMED);
            free(packet.device_id);
            free(packet.payload.data);
            free(message);
        }
    }
}

/* A field of 2^31 bytes that is all there: pages that nobody reads take no memory. */
static void scan_length_over_int_max_returns_malformed(void **state)
{
    static const uint8_t head[] = "\x0a\x01x\x22\x80\x80\x80\x80\x08";
    size_t head_bytes = sizeof head - 1, length = head_bytes + ((size_t)1 << 31);
    uint8_t *message = mmap(NULL, length, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct packet_feed *feed = new_feed();
    struct packet_id id;

    (void)state;
    if (message == MAP_FAILED)
        skip(); /* an address space limit, or 32 bits */
    memcpy(message, head, head_bytes);
    assert_int_equal(oracle_judge(message, length, MAX_ID).result, PACKET_MALFORMED);
    assert_int_equal(packet_scan(message, length, MAX_ID, &id), PACKET_MALFORMED);
    packet_feed_part(feed, message, length);
    assert_int_equal(packet_feed_end(feed, &id), PACKET_MALFORMED);
    free(feed);
    munmap(message, length);
}

static void feed_after_broken_message_starts_afresh(void **state)
{
    struct packet_feed *feed = new_feed();
    struct packet_id id;

    (void)state;
    packet_feed_part(feed, (const uint8_t *)"\x0a\x03pmp\x07", 6);
    assert_int_equal(packet_feed_end(feed, &id), PACKET_MALFORMED);
    assert_int_equal(packet_feed_end(feed, &id), PACKET_ID_EMPTY);
    packet_feed_part(feed, (const uint8_t *)"\x0a\x01y", 3);
    assert_int_equal(packet_feed_end(feed, &id), PACKET_OK);
    assert_int_equal(id.length, 1);
    assert_int_equal(id.bytes[0], 'y');
    free(feed);
}

static void result_text_of_each_result_is_distinct(void **state)
{
    (void)state;
    for (int a = PACKET_OK; a <= PACKET_ID_NOT_UTF8; a++) {
        assert_true(strlen(packet_result_text(a)) > 0);
        for (int b = PACKET_OK; b < a; b++)
            assert_string_not_equal(packet_result_text(a), packet_result_text(b));
    }
}

/* xorshift64*: the same sequence everywhere, so that a seed names a failure. */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 0x2545f4914f6cdd1du;
}

static size_t below(uint64_t *random, size_t bound)
{
    return (size_t)(next_random(random) >> 32) % bound;
}

#define MUTANT_BYTES 256

/* Changes a message a little, most often into one that is nearly right. */
static size_t mutate(uint64_t *random, uint8_t mutant[MUTANT_BYTES], size_t length)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x02, 0x07, 0x0a, 0x10, 0x1a, 0x22,
                                      0x7f, 0x80, 0x8a, 0xc3, 0xa4, 0xed, 0xf4, 0xff};
    const struct sample *other;
    size_t at = below(random, length + 1), count;

    switch (below(random, 6)) {
    case 0:
        if (at < length)
            mutant[at] ^= (uint8_t)(1u << below(random, 8));
        return length;
    case 1:
        if (at < length)
            mutant[at] = telling[below(random, sizeof telling)];
        return length;
    case 2: /* insert a byte */
        if (length == MUTANT_BYTES)
            return length;
        memmove(mutant + at + 1, mutant + at, length - at);
        mutant[at] = telling[below(random, sizeof telling)];
        return length + 1;
    case 3: /* drop a few bytes */
        count = below(random, length - at + 1) % 4;
        memmove(mutant + at, mutant + at + count, length - at - count);
        return length - count;
    case 4: /* cut */
        return at;
    default: /* append another message, which often leaves both well formed */
        other = &accepted[below(random, ARRAY_LENGTH(accepted))];
        count = other->length < MUTANT_BYTES - length ? other->length : MUTANT_BYTES - length;
        memcpy(mutant + length, other->bytes, count);
        return length + count;
    }
}

static void scan_random_mutations_agree_with_protobuf_c(void **state)
{
    struct packet_feed *feed = new_feed();
    uint64_t random = SEED;
    unsigned well_formed = 0;

    (void)state;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        const struct sample *base = &accepted[below(&random, ARRAY_LENGTH(accepted))];
        uint8_t mutant[MUTANT_BYTES];
        size_t length = base->length, first, second;
        struct oracle_verdict verdict;

        memcpy(mutant, base->bytes, length);
        for (size_t changes = 1 + below(&random, 4); changes > 0; changes--)
            length = mutate(&random, mutant, length);
        second = below(&random, length + 1);
        first = below(&random, second + 1);

        verdict = oracle_judge(mutant, length, MAX_ID);
        well_formed += verdict.result != PACKET_MALFORMED;
        if (!scan_agrees(mutant, length, &verdict) ||
            !feed_agrees(feed, mutant, length, first, second, &verdict))
            fail_msg("seed %#llx, mutation %u of \"%s\", cut at %zu and %zu",
                     (unsigned long long)SEED, i, base->name, first, second);
        free(verdict.id);
    }
    free(feed);
    /* Else the mutations would say little about what is accepted. */
    assert_in_range(well_formed, MUTATIONS / 10, MUTATIONS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_well_formed_message_returns_its_id),
        cmocka_unit_test(scan_malformed_message_returns_malformed),
        cmocka_unit_test(scan_missing_id_returns_id_empty),
        cmocka_unit_test(scan_long_id_returns_id_too_long),
        cmocka_unit_test(scan_bad_utf8_returns_id_not_utf8),
        cmocka_unit_test(scan_every_truncation_agrees_with_protobuf_c),
        cmocka_unit_test(scan_field_lengths_agree_with_protobuf_c),
        cmocka_unit_test(scan_length_over_int_max_returns_malformed),
        cmocka_unit_test(feed_after_broken_message_starts_afresh),
        cmocka_unit_test(result_text_of_each_result_is_distinct),
        cmocka_unit_test(scan_random_mutations_agree_with_protobuf_c),
    };

    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
