/* See grpc.h. */
#include "proto/grpc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

size_t grpc_encode_message(const char *text, char *out, size_t size)
{
    size_t used = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c && used + 4 <= size; c++) {
        if (*c < 0x20 || *c > 0x7e || *c == '%')
            used += (size_t)snprintf(out + used, size - used, "%%%02X", *c);
        else
            out[used++] = (char)*c;
    }
    out[used] = '\0';
    return used;
}

bool grpc_is_content_type(const uint8_t *value, size_t length)
{
    static const char type[] = "application/grpc";
    size_t type_length = sizeof type - 1;

    if (length < type_length || strncasecmp((const char *)value, type, type_length) != 0)
        return false;
    return length == type_length || value[type_length] == '+' || value[type_length] == ';';
}
