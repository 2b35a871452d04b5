/*
 * Renders Redis commands in its wire protocol (RESP: arrays of bulk strings), many into one block
 * of memory, so that a batch of thousands of commands is formatted once and can be sent again
 * unchanged.
 */
#ifndef TALLYD_AGGREGATOR_RESP_H
#define TALLYD_AGGREGATOR_RESP_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resp {
    char *bytes; /* owned; freed by resp_fini() */
    size_t length, size;
    bool failed; /* memory ran out: what was rendered is not complete */
};

/* Starts empty, without memory. */
void resp_init(struct resp *resp);
void resp_fini(struct resp *resp);

/* Empties it and keeps its memory. */
void resp_clear(struct resp *resp);

/* Begins a command of `count` arguments, its name the first; exactly so many calls of the next
 * three must follow. */
void resp_command(struct resp *resp, size_t count);
void resp_bytes(struct resp *resp, const void *bytes, size_t length);
void resp_text(struct resp *resp, const char *text);
void resp_number(struct resp *resp, uint64_t number);

/* Renders once more the `length` bytes that were rendered at offset `start`. */
void resp_again(struct resp *resp, size_t start, size_t length);

#endif
