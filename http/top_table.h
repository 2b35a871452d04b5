/*
 * The first rows of both orders of /top as the text that a `top` event carries, so that it can be
 * compared with the second before and only what changed need be sent. Any thread; one at a time.
 */
#ifndef TALLYD_HTTP_TOP_TABLE_H
#define TALLYD_HTTP_TOP_TABLE_H

#include "common/compiler.h"
#include "http/text_buffer.h"
#include "http/top.h"

#include <stddef.h>
#include <stdint.h>

#define TOP_TABLE_ROWS 20 /* of each order, at most */

struct top_table {
    struct text_buffer text;    /* all rows, one behind the other, those by count first */
    size_t lengths[TOP_ORDERS]; /* rows of each order */
    size_t begins[TOP_ORDERS * TOP_TABLE_ROWS + 1]; /* of each row in the text, and its end */
    uint64_t gained_ms; /* the time in which the rates were gained; 0: there are none */
};

/* Renders the rows of a snapshot, NULL for none, over what was there; a table is zeroed at first.
 * `gained_ms` is reading_gained_ms(). Returns 0, or -ENOMEM: then the table is empty. */
int top_table_fill(struct top_table *table, const struct snapshot *snapshot,
                   uint64_t gained_ms) MUST_CHECK;

/* Writes the data of an event as a JSON object: all rows, or those that differ from the row at the
 * same rank in `before`, when that is not NULL. Whoever puts these rows over his own, and cuts each
 * list to the length that is told, has `table` if he had `before`. */
void top_table_write(struct text_writer *writer, const struct top_table *table,
                     const struct top_table *before);

/* Frees what it holds. */
void top_table_free(struct top_table *table);

#endif
