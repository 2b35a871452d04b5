/*
 * With R = refresh_ms, D = the time that the last reading took, and I = max(R, 2 D):
 *
 *  - a reading may begin I after the last one began, so that Redis spends at most half of its time
 *    on readings, and as a rule much less;
 *  - a snapshot is served at once while its age, counted from when its reading began, is at most
 *    I + 2 D, and a little more. With requests all the time it never gets older: the next reading
 *    begins at the age of I, takes about D, and D is allowed for its being slower than the last;
 *  - who finds an older one waits, unless the last reading failed a moment ago: then waiting would
 *    as a rule be in vain. He waits for a reading like the last, and not for one that hangs.
 *
 * After a reading that failed, R counts as REFRESH_RETRY_MS at most: what ails Redis may be over
 * soon, however seldom it is to be read. A slow failure has its rest all the same, since it may
 * have been a burden to Redis too; but it does not count for D, which says how old a good snapshot
 * may be.
 */
#include "http/refresh.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The time from one beginning to the next, when the first reading took so long. */
static uint64_t interval_ms(uint64_t refresh_ms, uint64_t duration_ms)
{
    return refresh_ms ? larger(refresh_ms, 2 * duration_ms) : 0;
}

void refresh_init(struct refresh *refresh, uint64_t refresh_ms)
{
    *refresh = (struct refresh){.refresh_ms = refresh_ms};
}

bool refresh_may_begin(const struct refresh *refresh, uint64_t now_ms)
{
    return !refresh->reading && now_ms >= refresh->rest_until_ms;
}

void refresh_begin(struct refresh *refresh, uint64_t now_ms)
{
    refresh->reading = true;
    refresh->began_ms = now_ms;
}

void refresh_end(struct refresh *refresh, uint64_t now_ms, bool succeeded)
{
    uint64_t duration_ms = now_ms - refresh->began_ms, refresh_ms = refresh->refresh_ms;

    if (!succeeded && refresh_ms > REFRESH_RETRY_MS)
        refresh_ms = REFRESH_RETRY_MS;
    refresh->reading = false;
    refresh->failed = !succeeded;
    refresh->rest_until_ms = refresh->began_ms + interval_ms(refresh_ms, duration_ms);
    if (succeeded)
        refresh->duration_ms = duration_ms;
    else
        refresh->failed_until_ms =
            larger(refresh->rest_until_ms, now_ms + larger(refresh_ms, REFRESH_FAILURE_MS));
}

void refresh_forget(struct refresh *refresh)
{
    refresh->rest_until_ms = 0;
}

enum refresh_verdict refresh_judge(const struct refresh *refresh, const uint64_t *kept_ms,
                                   uint64_t now_ms)
{
    uint64_t duration_ms = refresh->duration_ms;
    uint64_t usable_ms =
        interval_ms(refresh->refresh_ms, duration_ms) + 2 * duration_ms + REFRESH_SLACK_MS;

    if (refresh->refresh_ms == 0)
        return REFRESH_WAIT;
    if (kept_ms && now_ms - *kept_ms <= refresh->refresh_ms)
        return REFRESH_FRESH;
    if (kept_ms && now_ms - *kept_ms <= usable_ms)
        return REFRESH_USABLE;
    if (refresh->failed && now_ms < refresh->failed_until_ms)
        return REFRESH_USABLE;
    return REFRESH_WAIT;
}

uint64_t refresh_patience_ms(const struct refresh *refresh)
{
    if (refresh->refresh_ms == 0)
        return UINT64_MAX;
    return REFRESH_PATIENCE_MS + (refresh->failed ? 0 : 2 * refresh->duration_ms);
}
