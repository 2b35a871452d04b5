/*
 * packet_scan(), the packet feed at two ways of cutting, and protobuf-c must agree on any bytes.
 *
 * Input: one byte for the longest id allowed (1 to 256 bytes), two that say how the message is
 * cut, then the message.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/packet_oracle.h"

#include <string.h>

/* Feeds the message in parts, each in a block of its own size, where a sanitizer sees reads past
 * it. */
static void feed_in_parts(struct packet_feed *feed, const uint8_t *message, size_t length,
                          uint8_t pattern)
{
    for (unsigned turn = 0; length > 0; turn++) {
        size_t bytes = fuzz_part_bytes(pattern, turn, length);
        uint8_t *part = malloc(bytes);

        FUZZ_CHECK(part);
        memcpy(part, message, bytes);
        packet_feed_part(feed, part, bytes);
        free(part);
        message += bytes;
        length -= bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oracle_verdict verdict;
    struct packet_feed *feed;
    struct packet_id id;
    size_t max_id_bytes;

    if (size < 3)
        return 0;
    max_id_bytes = data[0] + 1u;
    verdict = oracle_judge(data + 3, size - 3, max_id_bytes);

    FUZZ_CHECK(oracle_agrees(&verdict, packet_scan(data + 3, size - 3, max_id_bytes, &id), &id));

    feed = packet_feed_init(malloc(packet_feed_size(max_id_bytes)), max_id_bytes);
    for (int i = 1; i <= 2; i++) { /* one after the other, so that the first leaves no trace */
        feed_in_parts(feed, data + 3, size - 3, data[i]);
        FUZZ_CHECK(oracle_agrees(&verdict, packet_feed_end(feed, &id), &id));
    }
    free(feed);
    free(verdict.id);
    return 0;
}
