/*
 * The reader's rule, apart from its threads: when it may read, and who must wait for a reading. The
 * rule is a matter of times and of nothing else, so its tests can go through hours in no time.
 *
 * Times are in ms by one clock that never jumps, and only the caller looks at it. One thread at a
 * time; reader.c calls all of this under its lock.
 */
#ifndef TALLYD_HTTP_REFRESH_H
#define TALLYD_HTTP_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

/* After a failure nobody waits for so long at least, and the next reading is tried after so long at
 * most, but for a slow one. */
#define REFRESH_FAILURE_MS 100
#define REFRESH_RETRY_MS   1000

/* What is there is served so much longer than steady asking makes it old, since a reading can begin
 * a little late on a busy machine; else all who ask meanwhile would wait, and wake at once. */
#define REFRESH_SLACK_MS 100

/* Who has an old snapshot to fall back on waits so long for a new one, and while readings succeed
 * for another two times the duration of the last. */
#define REFRESH_PATIENCE_MS 250

struct refresh {
    uint64_t refresh_ms;      /* the option; 0: every request waits for a reading of its own time */
    uint64_t began_ms;        /* of the last reading */
    uint64_t duration_ms;     /* of the last reading that succeeded */
    uint64_t rest_until_ms;   /* no reading begins before */
    uint64_t failed_until_ms; /* nobody waits before, if `failed`; but with refresh_ms 0 */
    bool reading;             /* one is under way */
    bool failed;              /* the last that ended */
};

enum refresh_verdict {
    REFRESH_FRESH,  /* what is there is served */
    REFRESH_USABLE, /* the same, and a reading is set off if it may begin */
    REFRESH_WAIT,   /* the request waits for the next reading to end */
};

void refresh_init(struct refresh *refresh, uint64_t refresh_ms);

/* Whether a reading may begin now. */
bool refresh_may_begin(const struct refresh *refresh, uint64_t now_ms);

/* A reading begins; a reading ends. */
void refresh_begin(struct refresh *refresh, uint64_t now_ms);
void refresh_end(struct refresh *refresh, uint64_t now_ms, bool succeeded);

/* What was read is given up, so there is nothing that a rest could spare: a reading may begin. */
void refresh_forget(struct refresh *refresh);

/* What a request gets that comes now. `kept_ms` is when the reading of the kept snapshot began, or
 * NULL when there is none; then what is there may be the error of the last reading. */
enum refresh_verdict refresh_judge(const struct refresh *refresh, const uint64_t *kept_ms,
                                   uint64_t now_ms);

/* How long a request that waits, and has an old snapshot to fall back on, waits at most;
 * UINT64_MAX: as long as it takes. */
uint64_t refresh_patience_ms(const struct refresh *refresh);

#endif
