/* See freshness.h. */
#include "http/freshness.h"

#include "common/clock.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define LAST_WALL_MS 253402300799999 /* 9999-12-31T23:59:59.999Z */

char *freshness_text(uint64_t wall_ms, char out[FRESHNESS_TEXT_BYTES])
{
    uint64_t ms = wall_ms < LAST_WALL_MS ? wall_ms : LAST_WALL_MS;
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    size_t length;

    gmtime_r(&seconds, &utc);
    length = strftime(out, FRESHNESS_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, FRESHNESS_TEXT_BYTES - length, ".%03uZ", (unsigned)(ms % 1000));
    return out;
}

static uint64_t wall_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t freshness_age_ms(const struct reading *reading)
{
    return clock_now_ms() - reading_began_ms(reading);
}

void freshness_headers(struct request *request, const struct reading *reading, bool stale)
{
    char text[FRESHNESS_TEXT_BYTES];

    reply_header(request, "Age: %" PRIu64, reading ? freshness_age_ms(reading) / 1000 : 0);
    reply_header(request, "X-Tally-Committed-At: %s",
                 freshness_text(reading ? reading_wall_ms(reading) : wall_now_ms(), text));
    if (stale)
        reply_header(request, "X-Tally-Stale: true");
}

void freshness_members(struct text_writer *writer, const struct reader_answer *answer)
{
    char text[FRESHNESS_TEXT_BYTES];

    if (answer->result == COUNT_SOURCE_OK)
        text_format(writer, "\"committed_at\":\"%s\",\"age_ms\":%" PRIu64 ",\"stale\":%s",
                    freshness_text(reading_wall_ms(answer->reading), text),
                    freshness_age_ms(answer->reading), answer->stale ? "true" : "false");
    else
        text_literal(writer, "\"committed_at\":null,\"age_ms\":null,\"stale\":true");
}

int freshness_refuse(struct request *request, const struct reader_answer *answer)
{
    return reply_problem(request, answer->result == COUNT_SOURCE_WRONG ? 500 : 503, "%s",
                         answer->error);
}
