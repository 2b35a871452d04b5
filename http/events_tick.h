/* What /events tells of one second, as the text of its events, rendered once for all listeners. */
#ifndef TALLYD_HTTP_EVENTS_TICK_H
#define TALLYD_HTTP_EVENTS_TICK_H

#include "common/compiler.h"
#include "http/text_buffer.h"

#include <stddef.h>
#include <stdint.h>

struct http_shared;
struct rates;
struct reader_answer;
struct top_table;

struct events_tick {
    uint64_t number;            /* from 1 */
    size_t holders;             /* events.c counts them under its lock */
    struct text_buffer summary; /* the event, as are the others */
    struct text_buffer whole;   /* top, for who comes new */
    struct text_buffer changed; /* top, for who had the tick before */
};

/* Renders a tick. `table` holds the rows of the snapshot in `answer`, `before` those of the tick
 * before. Asks nobody. NULL when memory is short. Called by: http. */
struct events_tick *events_tick_create(const struct http_shared *shared,
                                       const struct reader_answer *answer,
                                       const struct top_table *table,
                                       const struct top_table *before) MUST_CHECK;

/* Frees it; NULL does nothing. */
void events_tick_destroy(struct events_tick *tick);

/* Renders what a listener gets before all ticks: how soon to come again when the connection breaks,
 * and the rates so far. Returns 0 or -ENOMEM; the caller frees `text` in either case. Called by:
 * http. */
int events_tick_render_history(struct text_buffer *text, struct rates *rates) MUST_CHECK;

#endif
