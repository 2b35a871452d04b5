/*
 * How recent is recent. A worker goes round at least once a second, since it waits for events no
 * longer, and a round takes milliseconds; three seconds without one, or half of what the manager
 * waits, mean that it hangs. The flusher stamps before whatever can take long: each wait, and each
 * exchange with Redis. One exchange ends within some time-outs of three seconds, but a connect
 * takes one for each address of Redis's name; and to restart an instance that counts, only because
 * Redis is away, would lose what it has counted. Hence the two minutes.
 */
#include "server/watchdog.h"

#include "aggregator/flusher.h"
#include "common/log.h"
#include "common/thread.h"
#include "server/notify.h"
#include "server/worker.h"

#include <inttypes.h>
#include <stdio.h>

#define WORKER_PATIENCE_MS  3000
#define FLUSHER_PATIENCE_MS 120000
#define WHY_BYTES           128

void watchdog_init(struct watchdog *watchdog, struct worker *const *workers, size_t worker_count,
                   const struct flusher *flusher)
{
    *watchdog = (struct watchdog){
        .workers = workers,
        .worker_count = worker_count,
        .flusher = flusher,
        .period_ms = notify_watchdog_ms(),
    };
}

static uint64_t silence(uint64_t alive_ms, uint64_t now_ms)
{
    return now_ms > alive_ms ? now_ms - alive_ms : 0; /* it stamps while we look */
}

/* Returns false, and which one and since when in `why`, when a thread does not go round. */
static bool all_alive(const struct watchdog *watchdog, uint64_t now_ms, char why[WHY_BYTES])
{
    uint64_t patience = watchdog->period_ms / 2, silent;

    if (patience < WORKER_PATIENCE_MS)
        patience = WORKER_PATIENCE_MS;
    for (size_t i = 0; i < watchdog->worker_count; i++) {
        silent = silence(worker_alive_ms(watchdog->workers[i]), now_ms);
        if (silent > patience) {
            snprintf(why, WHY_BYTES, "worker %zu has not gone round for %" PRIu64 " ms", i, silent);
            return false;
        }
    }
    silent = silence(flusher_alive_ms(watchdog->flusher), now_ms);
    if (silent > FLUSHER_PATIENCE_MS) {
        snprintf(why, WHY_BYTES, "the flusher has not gone round for %" PRIu64 " ms", silent);
        return false;
    }
    return true;
}

uint64_t watchdog_tick(struct watchdog *watchdog, uint64_t now_ms)
{
    char why[WHY_BYTES];

    thread_assert_role(THREAD_MAIN);
    if (!watchdog->period_ms)
        return UINT64_MAX;
    if (now_ms < watchdog->due_ms)
        return watchdog->due_ms;
    watchdog->due_ms = now_ms + (watchdog->period_ms / 2 ? watchdog->period_ms / 2 : 1);
    if (all_alive(watchdog, now_ms, why)) {
        notify_alive();
        if (watchdog->in_trouble) {
            log_info("all threads go round again");
            notify_ready(); /* for its status */
        }
        watchdog->in_trouble = false;
    } else if (!watchdog->in_trouble) {
        watchdog->in_trouble = true;
        log_error("%s; the service manager is not told any more that all is well", why);
        notify_trouble(why);
    }
    return watchdog->due_ms;
}
