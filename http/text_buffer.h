/*
 * A text of any length in memory: write to `writer` as text.h has it. Any thread; one thread a
 * text.
 */
#ifndef TALLYD_HTTP_TEXT_BUFFER_H
#define TALLYD_HTTP_TEXT_BUFFER_H

#include "common/compiler.h"
#include "http/text.h"

#include <stddef.h>

struct text_buffer {
    struct text_writer writer;
    char *bytes;   /* the text, once text_buffer_end() was called; not ended by a NUL */
    size_t length; /* of the text so far, but for what the writer holds */
    size_t room;
    char piece[512]; /* the writer's; so a text_buffer may not be moved while it is written */
};

/* Starts an empty text. `buffer` is zeroed, or held a text before, whose memory is used again. */
void text_buffer_start(struct text_buffer *buffer);

/* The length of the text so far. */
size_t text_buffer_length(const struct text_buffer *buffer);

/* Ends it. Returns 0, or the first error: -ENOMEM, or what text.h names. */
int text_buffer_end(struct text_buffer *buffer) MUST_CHECK;

/* Frees the text; a zeroed one does nothing. */
void text_buffer_free(struct text_buffer *buffer);

#endif
