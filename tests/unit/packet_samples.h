/* The accept and reject tables of test_packet.c, for ids of up to MAX_ID bytes. */
#ifndef TALLYD_TESTS_PACKET_SAMPLES_H
#define TALLYD_TESTS_PACKET_SAMPLES_H

#include <stddef.h>

#define MAX_ID 16 /* small, so that the tables can pass it */

/* A message as a string literal, and the id that it has, accepted or too long. */
struct sample {
    const char *name;
    const char *bytes;
    size_t length;
    const char *id;
    size_t id_length;
};

#define BYTES(text) text, sizeof text - 1
#define NO_ID       NULL, 0

static const struct sample accepted[] = {
    {"device_id alone", BYTES("\x0a\x01x"), BYTES("x")},
    {"all three fields in order", BYTES("\x0a\x03pmp\x10\x96\x01\x1a\x02hi"), BYTES("pmp")},
    {"an id of eight bytes", BYTES("\x0a\x08pump-001"), BYTES("pump-001")},
    {"an id of the longest length", BYTES("\x0a\x10zzzzzzzzzzzzzzzz"), BYTES("zzzzzzzzzzzzzzzz")},
    {"a 6-byte timestamp", BYTES("\x0a\x01x\x10\x80\xa0\xc1\xe3\xb8\x31\x1a\x04pppp"), BYTES("x")},
    {"a 9-byte timestamp", BYTES("\x0a\x01x\x10\x80\x80\xa0\xc1\xe3\xb8\xd5\xcb\x17\x1a\x02pp"),
     BYTES("x")},
    {"a negative timestamp",
     BYTES("\x0a\x01x\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x02pp"), BYTES("x")},
    {"a timestamp of more than 64 bits",
     BYTES("\x0a\x01x\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x1a\x02pp"), BYTES("x")},
    {"a timestamp at the end", BYTES("\x0a\x01x\x10\x05"), BYTES("x")},
    {"a 10-byte timestamp at the end",
     BYTES("\x0a\x01x\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), BYTES("x")},
    {"no timestamp", BYTES("\x0a\x01x\x1a\x02hi"), BYTES("x")},
    {"an empty payload", BYTES("\x0a\x01x\x10\x05\x1a\x00"), BYTES("x")},
    {"fields in reverse order", BYTES("\x1a\x02hi\x10\x05\x0a\x01x"), BYTES("x")},
    {"timestamp and payload repeated", BYTES("\x0a\x01x\x10\x05\x10\x06\x1a\x01p\x1a\x00"),
     BYTES("x")},
    {"the last of two ids", BYTES("\x0a\x01x\x0a\x02yz"), BYTES("yz")},
    {"the last id after an empty one", BYTES("\x0a\x00\x0a\x02yz"), BYTES("yz")},
    {"the last id after one too long", BYTES("\x0a\x11zzzzzzzzzzzzzzzzz\x0a\x02yz"), BYTES("yz")},
    {"the last id after a bad one", BYTES("\x0a\x01\xff\x0a\x02yz"), BYTES("yz")},
    {"the last id, behind everything", BYTES("\x0a\x01x\x10\x05\x1a\x02hi\x0a\x02yz"), BYTES("yz")},
    {"an unknown varint", BYTES("\x20\x05\x0a\x01x"), BYTES("x")},
    {"an unknown fixed64", BYTES("\x0a\x01x\x21zzzzzzzz"), BYTES("x")},
    {"an unknown fixed32", BYTES("\x0a\x01x\x25zzzz"), BYTES("x")},
    {"unknown bytes", BYTES("\x0a\x01x\x22\x03opq"), BYTES("x")},
    {"unknown bytes that look like fields", BYTES("\x0a\x01x\x22\x03\x0a\x01y"), BYTES("x")},
    {"an unknown varint past 64 bits",
     BYTES("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x0a\x01x"), BYTES("x")},
    {"a tag of two bytes for device_id", BYTES("\x8a\x00\x01x"), BYTES("x")},
    {"a tag of five bytes for device_id", BYTES("\x8a\x80\x80\x80\x00\x01x"), BYTES("x")},
    {"field 0, over-long", BYTES("\x80\x00\x05\x0a\x01x"), BYTES("x")},
    {"the largest field number", BYTES("\xf8\xff\xff\xff\x0f\x01\x0a\x01x"), BYTES("x")},
    {"a field number of 32 bits", BYTES("\xf8\xff\xff\xff\x7f\x01\x0a\x01x"), BYTES("x")},
    {"a field number past 2^31", BYTES("\x8a\x80\x80\x80\x40\x00\x0a\x01x"), BYTES("x")},
    {"a length of two bytes", BYTES("\x0a\x81\x00x"), BYTES("x")},
    {"a length of five bytes", BYTES("\x0a\x81\x80\x80\x80\x00x"), BYTES("x")},
    {"an over-long payload length", BYTES("\x0a\x01x\x1a\x82\x00hi"), BYTES("x")},
    {"two-byte characters", BYTES("\x0a\x04\xc3\xa4\xc3\xb6"), BYTES("\xc3\xa4\xc3\xb6")},
    {"a four-byte character", BYTES("\x0a\x05p\xf0\x9f\x98\x80"), BYTES("p\xf0\x9f\x98\x80")},
    {"an id with NUL inside", BYTES("\x0a\x03x\x00y"), BYTES("x\0y")},
    {"an id that is NUL", BYTES("\x0a\x01\x00"), BYTES("\0")},
};

static const struct sample malformed[] = {
    {"a tag of 00", BYTES("\x00"), NO_ID},
    {"field 0", BYTES("\x0a\x01x\x02\x00"), NO_ID},
    {"a tag without its end", BYTES("\x0a\x01x\x8a"), NO_ID},
    {"a tag of six bytes", BYTES("\x8a\x80\x80\x80\x80\x00\x01x"), NO_ID},
    {"a tag alone", BYTES("\x0a"), NO_ID},
    {"a length without its end", BYTES("\x0a\x81"), NO_ID},
    {"a length of six bytes", BYTES("\x0a\x81\x80\x80\x80\x80\x00x"), NO_ID},
    {"a length over INT_MAX", BYTES("\x0a\x01x\x22\x80\x80\x80\x80\x08"), NO_ID},
    {"a length of 35 bits", BYTES("\x0a\x01x\x22\xff\xff\xff\xff\x7f"), NO_ID},
    {"an id longer than the message", BYTES("\x0a\x02x"), NO_ID},
    {"an id of 127 bytes in a message of two", BYTES("\x0a\x7f"), NO_ID},
    {"a payload longer than the message", BYTES("\x0a\x01x\x1a\x03hi"), NO_ID},
    {"a long payload that is short", BYTES("\x0a\x01x\x1a\x82\x01hi"), NO_ID},
    {"a varint without its end", BYTES("\x0a\x01x\x10\x80"), NO_ID},
    {"a varint of eleven bytes",
     BYTES("\x0a\x01x\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x1a\x01p"), NO_ID},
    {"an unknown varint of eleven bytes",
     BYTES("\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x0a\x01x"), NO_ID},
    {"a short fixed64", BYTES("\x0a\x01x\x21zzzzzzz"), NO_ID},
    {"a short fixed32", BYTES("\x0a\x01x\x25zzz"), NO_ID},
    {"device_id as varint", BYTES("\x08\x05"), NO_ID},
    {"device_id as fixed32", BYTES("\x0dzzzz"), NO_ID},
    {"timestamp as fixed64", BYTES("\x0a\x01x\x11zzzzzzzz"), NO_ID},
    {"timestamp as bytes", BYTES("\x0a\x01x\x12\x01t"), NO_ID},
    {"payload as varint", BYTES("\x0a\x01x\x18\x05"), NO_ID},
    {"payload as fixed64", BYTES("\x0a\x01x\x19zzzzzzzz"), NO_ID},
    {"a group", BYTES("\x0a\x01x\x23\x24"), NO_ID},
    {"the end of a group", BYTES("\x0a\x01x\x24"), NO_ID},
    {"wire type 6", BYTES("\x0a\x01x\x26\x00"), NO_ID},
    {"wire type 7", BYTES("\x0a\x01x\x27\x00"), NO_ID},
    {"junk behind the payload", BYTES("\x0a\x01x\x10\x05\x1a\x02hi\x00"), NO_ID},
    {"malformed, and no id", BYTES("\x10\x05\x07"), NO_ID},
    {"malformed, and the id too long", BYTES("\x0a\x11zzzzzzzzzzzzzzzzz\x07"), NO_ID},
    {"malformed, and the id not UTF-8", BYTES("\x0a\x01\xff\x07"), NO_ID},
};

static const struct sample empty_id[] = {
    {"the empty message", BYTES(""), NO_ID},
    {"no device_id", BYTES("\x10\x05\x1a\x02hi"), NO_ID},
    {"an empty device_id", BYTES("\x0a\x00"), NO_ID},
    {"an empty device_id before the rest", BYTES("\x0a\x00\x10\x05\x1a\x02hi"), NO_ID},
    {"the last id is empty", BYTES("\x0a\x01x\x0a\x00"), NO_ID},
    {"only unknown fields", BYTES("\x20\x05\x22\x03\x0a\x01x"), NO_ID},
};

static const struct sample too_long_id[] = {
    {"one byte too long", BYTES("\x0a\x11zzzzzzzzzzzzzzzzz"), BYTES("zzzzzzzzzzzzzzzzz")},
    {"the last id is too long", BYTES("\x0a\x01x\x0a\x11zzzzzzzzzzzzzzzzz"),
     BYTES("zzzzzzzzzzzzzzzzz")},
    {"the last of two too long", BYTES("\x0a\x12zzzzzzzzzzzzzzzzzz\x0a\x11zzzzzzzzzzzzzzzzz"),
     BYTES("zzzzzzzzzzzzzzzzz")},
    {"too long, before the rest", BYTES("\x0a\x11zzzzzzzzzzzzzzzzz\x10\x05\x1a\x02hi"),
     BYTES("zzzzzzzzzzzzzzzzz")},
    {"too long and not UTF-8", BYTES("\x0a\x11zzzzzzzzzzzzzzzz\xff"),
     BYTES("zzzzzzzzzzzzzzzz\xff")},
};

static const struct sample not_utf8_id[] = {
    {"a byte that never occurs", BYTES("\x0a\x01\xff"), NO_ID},
    {"Latin-1", BYTES("\x0a\x03h\xe4x"), NO_ID},
    {"a character cut by the id's end", BYTES("\x0a\x02x\xc3\x1a\x01\xa4"), NO_ID},
    {"an over-long slash", BYTES("\x0a\x02\xc0\xaf"), NO_ID},
    {"a surrogate", BYTES("\x0a\x03\xed\xa0\x80"), NO_ID},
    {"past U+10FFFF", BYTES("\x0a\x04\xf4\x90\x80\x80"), NO_ID},
    {"the last id is bad", BYTES("\x0a\x01x\x0a\x01\x80"), NO_ID},
};

#endif
