/*
 * One request at a time asks Redis, under the lock; those who wait for the lock meanwhile find its
 * answer fresh, so a storm of probes is at most one PING every HEALTH_CACHE_MS. The lock is held
 * for as long as a PING may take (count_source.h) and wait for its turn (lookup.h), and nothing but
 * lookup's lock is taken under it.
 */
#include "http/health.h"

#include "common/clock.h"
#include "common/thread.h"
#include "http/count_source.h"
#include "http/http.h"
#include "http/lookup.h"
#include "http/reply.h"
#include "http/request.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct health {
    pthread_mutex_t lock;
    bool redis_up;
    uint64_t valid_until_ms;
};

struct health *health_create(void)
{
    struct health *health = calloc(1, sizeof *health);

    thread_assert_role(THREAD_MAIN);
    if (health)
        pthread_mutex_init(&health->lock, NULL);
    return health;
}

void health_destroy(struct health *health)
{
    if (!health)
        return;
    pthread_mutex_destroy(&health->lock);
    free(health);
}

static bool is_redis_up(struct health *health, struct lookup *lookup)
{
    char error[ERROR_BYTES];
    bool up;

    pthread_mutex_lock(&health->lock);
    if (clock_now_ms() >= health->valid_until_ms) {
        health->redis_up = lookup_ping(lookup, error) == COUNT_SOURCE_OK;
        health->valid_until_ms = clock_now_ms() + HEALTH_CACHE_MS;
    }
    up = health->redis_up;
    pthread_mutex_unlock(&health->lock);
    return up;
}

int health_serve_alive(struct request *request)
{
    static const char alive[] = "{\"status\":\"ok\"}";

    return reply_body(request, 200, REPLY_JSON, alive, strlen(alive));
}

int health_serve_ready(struct request *request)
{
    static const char ready[] = "{\"status\":\"ready\"}";
    const struct http_shared *shared = request->shared;

    if (atomic_load(shared->options->draining))
        return reply_problem(request, 503, "draining");
    /* The first is what new streams are refused by; the second knows sooner, while nothing comes.
     */
    if (commits_redis_down(shared->options->commits, shared->options->redis_grace_ms) ||
        !is_redis_up(shared->health, shared->lookup))
        return reply_problem(request, 503, "redis down");
    return reply_body(request, 200, REPLY_JSON, ready, strlen(ready));
}
