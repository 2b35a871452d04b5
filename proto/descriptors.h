/*
 * The .proto files that the server serves, as protoc describes them: each a serialised
 * google.protobuf.FileDescriptorProto, built in. Pure functions; any thread.
 */
#ifndef TALLYD_PROTO_DESCRIPTORS_H
#define TALLYD_PROTO_DESCRIPTORS_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESCRIPTORS_NAME_BYTES 128 /* of the longest full name that there is, and more */

/* A part of what is built in; never goes away. */
struct descriptor_file {
    const uint8_t *bytes;
    size_t length;
};

enum descriptor_kind {
    DESCRIPTOR_NONE,
    DESCRIPTOR_MESSAGE,
    DESCRIPTOR_ENUM,
    DESCRIPTOR_SERVICE,
    DESCRIPTOR_MEMBER, /* a method, a field, a oneof, a value of an enum */
};

/* Finds a file by the name that others would import it by. No file imports another. */
bool descriptors_find_file(const char *name, struct descriptor_file *file) MUST_CHECK;

/* Finds the file that defines a symbol, by its full name without a leading dot, and returns what
 * the symbol is. `file` is set unless that is DESCRIPTOR_NONE. */
enum descriptor_kind descriptors_find_symbol(const char *symbol,
                                             struct descriptor_file *file) MUST_CHECK;

/* Writes the full name of the service number `index`, from 0 on. False past the last one. */
bool descriptors_service(size_t index, char name[DESCRIPTORS_NAME_BYTES]) MUST_CHECK;

#endif
