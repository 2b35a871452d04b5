/*
 * What packet_scan() and the packet feed must say, worked out the slow way: protobuf-c unpacks
 * the message, and the rules for the device_id are checked by code that shares nothing with ours.
 * For tests/unit/test_packet.c and tests/fuzz/fuzz_packet.c.
 */
#ifndef TALLYD_TESTS_PACKET_ORACLE_H
#define TALLYD_TESTS_PACKET_ORACLE_H

#include "proto/packet.h"
#include "proto/telemetry.pb-c.h"

#include <stdlib.h>
#include <string.h>

struct oracle_verdict {
    enum packet_result result;
    uint8_t *id; /* heap, not terminated; the caller frees it; NULL unless PACKET_OK */
    size_t id_length;
};

/* protobuf-c hands out strings without their length, so its allocator notes each block's size
 * before the block. */
#define ORACLE_BLOCK_HEADER sizeof(max_align_t)

static void *oracle_alloc(void *unused, size_t size)
{
    uint8_t *block = malloc(ORACLE_BLOCK_HEADER + size);

    (void)unused;
    if (!block)
        abort();
    memcpy(block, &size, sizeof size);
    return block + ORACLE_BLOCK_HEADER;
}

static void oracle_free(void *unused, void *pointer)
{
    (void)unused;
    if (pointer)
        free((uint8_t *)pointer - ORACLE_BLOCK_HEADER);
}

static size_t oracle_string_length(const char *string)
{
    size_t size;

    if (string == protobuf_c_empty_string)
        return 0;
    memcpy(&size, string - ORACLE_BLOCK_HEADER, sizeof size);
    return size - 1; /* without the NUL */
}

/* The bytes of the character that starts at `s`, 0 if there is none: decodes it, then asks whether
 * its value needs that many bytes and is one that UTF-8 may carry. */
static size_t oracle_character(const uint8_t *s, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value;
    size_t bytes = 1;

    if (s[0] < 0x80)
        return 1;
    while (bytes < 5 && s[0] & (0x80 >> bytes))
        bytes++;
    if (bytes < 2 || bytes > 4 || bytes > left)
        return 0;
    value = s[0] & (0xffu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < least[bytes] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    return bytes;
}

static bool oracle_is_utf8(const uint8_t *s, size_t length)
{
    while (length > 0) {
        size_t bytes = oracle_character(s, length);

        if (bytes == 0)
            return false;
        s += bytes;
        length -= bytes;
    }
    return true;
}

static struct oracle_verdict oracle_judge(const uint8_t *message, size_t length,
                                          size_t max_id_bytes)
{
    ProtobufCAllocator allocator = {oracle_alloc, oracle_free, NULL};
    Telemetry__Packet *packet = telemetry__packet__unpack(&allocator, length, message);
    struct oracle_verdict verdict = {.result = PACKET_MALFORMED};

    if (!packet)
        return verdict;
    verdict.id_length = oracle_string_length(packet->device_id);
    if (verdict.id_length == 0) {
        verdict.result = PACKET_ID_EMPTY;
    } else if (verdict.id_length > max_id_bytes) {
        verdict.result = PACKET_ID_TOO_LONG;
    } else if (!oracle_is_utf8((const uint8_t *)packet->device_id, verdict.id_length)) {
        verdict.result = PACKET_ID_NOT_UTF8;
    } else {
        verdict.result = PACKET_OK;
        verdict.id = malloc(verdict.id_length);
        if (!verdict.id)
            abort();
        memcpy(verdict.id, packet->device_id, verdict.id_length);
    }
    telemetry__packet__free_unpacked(packet, &allocator);
    return verdict;
}

/* True if `result` is what the oracle says, and with PACKET_OK `id`, with PACKET_ID_TOO_LONG its
 * length. */
static bool oracle_agrees(const struct oracle_verdict *verdict, enum packet_result result,
                          const struct packet_id *id)
{
    if (result != verdict->result)
        return false;
    if (result == PACKET_ID_TOO_LONG)
        return id->length == verdict->id_length;
    return result != PACKET_OK ||
           (id->length == verdict->id_length && memcmp(id->bytes, verdict->id, id->length) == 0);
}

#endif
