/* A growing block of rendered commands. An allocation failure is remembered, not reported at each
 * step: the one who sends looks at `failed` once. */
#include "aggregator/resp.h"

#include "common/decimal.h"

#include <stdlib.h>
#include <string.h>

void resp_init(struct resp *resp)
{
    *resp = (struct resp){0};
}

void resp_fini(struct resp *resp)
{
    free(resp->bytes);
    resp_init(resp);
}

void resp_clear(struct resp *resp)
{
    resp->length = 0;
    resp->failed = false;
}

static bool reserve(struct resp *resp, size_t more)
{
    size_t size = resp->size ? resp->size : 4096;
    char *bytes;

    if (resp->size - resp->length >= more)
        return true;
    while (size - resp->length < more)
        size *= 2;
    bytes = realloc(resp->bytes, size);
    if (!bytes) {
        resp->failed = true;
        return false;
    }
    resp->bytes = bytes;
    resp->size = size;
    return true;
}

/* "$12\r\n" or "*3\r\n" */
static void header(struct resp *resp, char kind, size_t number)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text, *start = decimal_write(number, end);
    size_t length = (size_t)(end - start);

    if (!reserve(resp, length + 3))
        return;
    resp->bytes[resp->length++] = kind;
    memcpy(resp->bytes + resp->length, start, length);
    resp->length += length;
    memcpy(resp->bytes + resp->length, "\r\n", 2);
    resp->length += 2;
}

void resp_command(struct resp *resp, size_t count)
{
    header(resp, '*', count);
}

void resp_bytes(struct resp *resp, const void *bytes, size_t length)
{
    header(resp, '$', length);
    if (!reserve(resp, length + 2))
        return;
    memcpy(resp->bytes + resp->length, bytes, length);
    resp->length += length;
    memcpy(resp->bytes + resp->length, "\r\n", 2);
    resp->length += 2;
}

void resp_text(struct resp *resp, const char *text)
{
    resp_bytes(resp, text, strlen(text));
}

void resp_number(struct resp *resp, uint64_t number)
{
    char text[DECIMAL_BYTES], *end = text + sizeof text, *start = decimal_write(number, end);

    resp_bytes(resp, start, (size_t)(end - start));
}

void resp_again(struct resp *resp, size_t start, size_t length)
{
    if (resp->failed || !reserve(resp, length))
        return;
    memcpy(resp->bytes + resp->length, resp->bytes + start, length);
    resp->length += length;
}
