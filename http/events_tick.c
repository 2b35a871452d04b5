/* See events_tick.h: the names and the framing of the events. */
#include "http/events_tick.h"

#include "http/pipeline.h"
#include "http/rates.h"
#include "http/summary.h"
#include "http/top_table.h"

#include <stdlib.h>

static int render_summary(struct text_buffer *text, const struct http_shared *shared,
                          const struct reader_answer *answer)
{
    text_buffer_start(text);
    text_literal(&text->writer, "event: summary\ndata: {");
    summary_write(&text->writer, shared, answer);
    text_literal(&text->writer, ",\"pipeline\":");
    pipeline_write(&text->writer, shared);
    text_literal(&text->writer, "}\n\n");
    return text_buffer_end(text);
}

static int render_top(struct text_buffer *text, const struct top_table *table,
                      const struct top_table *before)
{
    text_buffer_start(text);
    text_literal(&text->writer, "event: top\ndata: ");
    top_table_write(&text->writer, table, before);
    text_literal(&text->writer, "\n\n");
    return text_buffer_end(text);
}

struct events_tick *events_tick_create(const struct http_shared *shared,
                                       const struct reader_answer *answer,
                                       const struct top_table *table,
                                       const struct top_table *before)
{
    struct events_tick *tick = calloc(1, sizeof *tick);

    if (tick && render_summary(&tick->summary, shared, answer) == 0 &&
        render_top(&tick->whole, table, NULL) == 0 &&
        render_top(&tick->changed, table, before) == 0)
        return tick;
    events_tick_destroy(tick);
    return NULL;
}

void events_tick_destroy(struct events_tick *tick)
{
    if (!tick)
        return;
    text_buffer_free(&tick->summary);
    text_buffer_free(&tick->whole);
    text_buffer_free(&tick->changed);
    free(tick);
}

int events_tick_render_history(struct text_buffer *text, struct rates *rates)
{
    double seconds[RATES_HISTORY_S];
    size_t length = rates_history(rates, seconds);

    text_buffer_start(text);
    text_literal(&text->writer, "retry: 2000\n\nevent: history\ndata: {\"interval_ms\":1000,");
    text_literal(&text->writer, "\"rates\":[");
    for (size_t i = 0; i < length; i++)
        text_format(&text->writer, "%s%.1f", i ? "," : "", seconds[i]);
    text_literal(&text->writer, "]}\n\n");
    return text_buffer_end(text);
}
