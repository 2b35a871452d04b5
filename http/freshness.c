/* See freshness.h. */
#include "http/freshness.h"

#include "common/clock.h"
#include "http/date.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/text.h"

#include <inttypes.h>
#include <stdint.h>

/* In ms since it was begun. */
static uint64_t age_ms(const struct reading *reading)
{
    return clock_now_ms() - reading_began_ms(reading);
}

void freshness_headers(struct request *request, const struct reading *reading, bool stale)
{
    char text[DATE_RFC_3339_BYTES];

    reply_header(request, "Age: %" PRIu64, reading ? age_ms(reading) / 1000 : 0);
    reply_header(request, "X-Tally-Committed-At: %s",
                 date_rfc_3339(reading ? reading_wall_ms(reading) : clock_wall_ms(), text));
    if (stale)
        reply_header(request, "X-Tally-Stale: true");
}

void freshness_members(struct text_writer *writer, const struct reader_answer *answer)
{
    char text[DATE_RFC_3339_BYTES];

    if (answer->result == COUNT_SOURCE_OK)
        text_format(writer, "\"committed_at\":\"%s\",\"age_ms\":%" PRIu64 ",\"stale\":%s",
                    date_rfc_3339(reading_wall_ms(answer->reading), text), age_ms(answer->reading),
                    answer->stale ? "true" : "false");
    else
        text_literal(writer, "\"committed_at\":null,\"age_ms\":null,\"stale\":true");
}

int freshness_refuse(struct request *request, const struct reader_answer *answer)
{
    return reply_problem(request, answer->result == COUNT_SOURCE_WRONG ? 500 : 503, "%s",
                         answer->error);
}
