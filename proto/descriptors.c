/*
 * Looks through the descriptors where they lie, a file after the other: there are few, and who asks
 * for them asks seldom. What is read here was made by protoc, so it is well formed; a length past
 * the end would still end the search and nothing else.
 */
#include "proto/descriptors.h"

#include <stdio.h>
#include <string.h>

static const uint8_t all[] = {
#include "proto/descriptors.inc"
};

/* The field numbers that are looked at (google/protobuf/descriptor.proto). */
enum {
    SET_FILE = 1,
    NAME = 1, /* of whatever has one */
    FILE_PACKAGE = 2,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_FIELD = 2,
    MESSAGE_MESSAGE = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_ONEOF = 8,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2,
};

struct bytes {
    const uint8_t *at, *end;
};

static uint64_t read_varint(struct bytes *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; in->at < in->end && shift < 64; shift += 7) {
        uint8_t byte = *in->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

/* Takes fields up to the next one that holds bytes, and returns its number; 0 at the end. */
static unsigned next_field(struct bytes *in, struct bytes *content)
{
    while (in->at < in->end) {
        uint64_t tag = read_varint(in), value = read_varint(in);

        if ((tag & 7) == 0)
            continue;
        if ((tag & 7) != 2 || value > (uint64_t)(in->end - in->at))
            return 0;
        *content = (struct bytes){in->at, in->at + value};
        in->at += value;
        return (unsigned)(tag >> 3);
    }
    return 0;
}

/* The first field of that number; empty when there is none. */
static struct bytes get(struct bytes in, unsigned number)
{
    struct bytes content;
    unsigned found;

    while ((found = next_field(&in, &content))) {
        if (found == number)
            return content;
    }
    return (struct bytes){in.end, in.end};
}

static size_t length_of(struct bytes bytes)
{
    return (size_t)(bytes.end - bytes.at);
}

/* If `symbol` is `name`, or lies in it, returns the rest behind the name and its dot. */
static const char *behind(const char *symbol, struct bytes name)
{
    size_t length = length_of(name);

    if (length == 0 || strncmp(symbol, (const char *)name.at, length) != 0)
        return NULL;
    if (symbol[length] == '\0')
        return symbol + length;
    return symbol[length] == '.' && symbol[length + 1] ? symbol + length + 1 : NULL;
}

/* What a field of a definition defines. */
static enum descriptor_kind defines(enum descriptor_kind parent, unsigned field)
{
    if (parent == DESCRIPTOR_MESSAGE) {
        if (field == MESSAGE_MESSAGE)
            return DESCRIPTOR_MESSAGE;
        if (field == MESSAGE_ENUM)
            return DESCRIPTOR_ENUM;
        if (field == MESSAGE_FIELD || field == MESSAGE_ONEOF)
            return DESCRIPTOR_MEMBER;
    } else if ((parent == DESCRIPTOR_ENUM && field == ENUM_VALUE) ||
               (parent == DESCRIPTOR_SERVICE && field == SERVICE_METHOD)) {
        return DESCRIPTOR_MEMBER;
    } else if (parent == DESCRIPTOR_NONE) { /* a file */
        if (field == FILE_MESSAGE)
            return DESCRIPTOR_MESSAGE;
        if (field == FILE_ENUM)
            return DESCRIPTOR_ENUM;
        if (field == FILE_SERVICE)
            return DESCRIPTOR_SERVICE;
    }
    return DESCRIPTOR_NONE;
}

/* Looks for a symbol, by its name within `in`. Definitions lie at most three deep here.
 * NOLINTNEXTLINE(misc-no-recursion) */
static enum descriptor_kind find_within(struct bytes in, enum descriptor_kind parent,
                                        const char *symbol)
{
    struct bytes content;
    unsigned field;

    while ((field = next_field(&in, &content))) {
        enum descriptor_kind kind = defines(parent, field), found = DESCRIPTOR_NONE;
        const char *rest = kind ? behind(symbol, get(content, NAME)) : NULL;

        if (rest && *rest == '\0')
            return kind;
        if (kind == DESCRIPTOR_ENUM) /* its values are its siblings, in C's way */
            found = find_within(content, kind, symbol);
        else if (rest && kind != DESCRIPTOR_MEMBER)
            found = find_within(content, kind, rest);
        if (found)
            return found;
    }
    return DESCRIPTOR_NONE;
}

static bool next_file(struct bytes *set, struct bytes *file)
{
    return next_field(set, file) == SET_FILE;
}

bool descriptors_find_file(const char *name, struct descriptor_file *file)
{
    struct bytes set = {all, all + sizeof all}, one;

    while (next_file(&set, &one)) {
        const char *rest = behind(name, get(one, NAME));

        if (rest && *rest == '\0') {
            *file = (struct descriptor_file){one.at, length_of(one)};
            return true;
        }
    }
    return false;
}

enum descriptor_kind descriptors_find_symbol(const char *symbol, struct descriptor_file *file)
{
    struct bytes set = {all, all + sizeof all}, one;

    while (next_file(&set, &one)) {
        const char *rest = behind(symbol, get(one, FILE_PACKAGE));
        enum descriptor_kind kind =
            rest ? find_within(one, DESCRIPTOR_NONE, rest) : DESCRIPTOR_NONE;

        if (kind) {
            *file = (struct descriptor_file){one.at, length_of(one)};
            return kind;
        }
    }
    return DESCRIPTOR_NONE;
}

bool descriptors_service(size_t index, char name[DESCRIPTORS_NAME_BYTES])
{
    struct bytes set = {all, all + sizeof all}, file, content;

    while (next_file(&set, &file)) {
        struct bytes package = get(file, FILE_PACKAGE);
        unsigned field;

        while ((field = next_field(&file, &content))) {
            struct bytes own = get(content, NAME);

            if (field != FILE_SERVICE || index-- > 0)
                continue;
            snprintf(name, DESCRIPTORS_NAME_BYTES, "%.*s.%.*s", (int)length_of(package),
                     (const char *)package.at, (int)length_of(own), (const char *)own.at);
            return true;
        }
    }
    return false;
}
