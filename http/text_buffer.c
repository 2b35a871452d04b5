/* See text_buffer.h. */
#include "http/text_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int append(void *target, const char *bytes, size_t length)
{
    struct text_buffer *buffer = target;

    if (length > buffer->room - buffer->length) {
        size_t room = 2 * buffer->room + length;
        char *larger = realloc(buffer->bytes, room);

        if (!larger)
            return -ENOMEM;
        buffer->bytes = larger;
        buffer->room = room;
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

void text_buffer_start(struct text_buffer *buffer)
{
    buffer->length = 0;
    text_start(&buffer->writer, buffer->piece, sizeof buffer->piece, append, buffer);
}

size_t text_buffer_length(const struct text_buffer *buffer)
{
    return buffer->length + buffer->writer.used;
}

int text_buffer_end(struct text_buffer *buffer)
{
    return text_finish(&buffer->writer);
}

void text_buffer_free(struct text_buffer *buffer)
{
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->length = buffer->room = 0;
}
