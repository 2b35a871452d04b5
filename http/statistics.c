/*
 * Everything is generated from the lists in common/stats.h, so a new counter shows up here by
 * itself. cJSON keeps numbers as doubles, which are exact only up to 2^53; counters are therefore
 * added as raw decimal text.
 */
#include "http/statistics.h"

#include "common/clock.h"
#include "http/http.h"
#include "http/reply.h"
#include "http/request.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static void add_integer(cJSON *object, const char *name, uint64_t value)
{
    char text[24]; /* 20 digits and a NUL */

    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void add_instance(cJSON *json, const struct http_shared *shared)
{
    const struct http_options *options = shared->options;
    cJSON *object = cJSON_AddObjectToObject(json, "instance");
    char address[REDIS_ERROR_BYTES];

    cJSON_AddStringToObject(object, "version", TALLYD_VERSION);
    add_integer(object, "uptime_ms", clock_now_ms() - shared->started_ms);
    cJSON_AddBoolToObject(object, "draining", atomic_load(options->draining));
    cJSON_AddStringToObject(object, "redis", redis_address(&options->redis, address));
    cJSON_AddStringToObject(object, "redis_key", options->redis.key);
}

static void add_balance(cJSON *json, struct balance *balance)
{
    struct balance_values values = balance_read(balance);
    cJSON *object = cJSON_AddObjectToObject(json, "balance");
    cJSON *rejected;

    add_integer(object, "received", values.received);
    add_integer(object, "committed", values.committed);
    add_integer(object, "quarantined", values.quarantined);
    add_integer(object, "pending", values.pending);
    rejected = cJSON_AddObjectToObject(object, "rejected");
#define ADD(name, help) add_integer(rejected, #name, values.rejected.name);
    BALANCE_REJECTED(ADD)
#undef ADD
    add_integer(object, "rejected_total", balance_rejected_total(&values.rejected));
}

static void add_flusher(cJSON *json, const struct stats_flusher *flusher)
{
    cJSON *object = cJSON_AddObjectToObject(json, "flusher");

#define ADD(name, help) add_integer(object, #name, stats_get(&flusher->name));
    STATS_FLUSHER(ADD)
#undef ADD
}

/* Adds each worker's counters, and their sums. */
static void add_workers(cJSON *json, const struct http_options *options)
{
    cJSON *array = cJSON_AddArrayToObject(json, "workers");
    cJSON *totals = cJSON_AddObjectToObject(json, "totals");
#define SUM(name, help) uint64_t name##_sum = 0;
    STATS_WORKER(SUM)
#undef SUM

    for (size_t i = 0; i < options->worker_count; i++) {
        const struct stats_worker *worker = options->workers[i];
        cJSON *object = cJSON_CreateObject();
        uint64_t value;

#define ADD(name, help)                                                                            \
    value = stats_get(&worker->name);                                                              \
    add_integer(object, #name, value);                                                             \
    name##_sum += value;
        STATS_WORKER(ADD)
#undef ADD
        cJSON_AddItemToArray(array, object);
    }
#define ADD(name, help) add_integer(totals, #name, name##_sum);
    STATS_WORKER(ADD)
#undef ADD
}

int statistics_serve(struct request *request)
{
    const struct http_shared *shared = request->shared;
    cJSON *json = cJSON_CreateObject();

    add_instance(json, shared);
    add_balance(json, shared->options->balance);
    add_flusher(json, shared->options->flusher);
    add_workers(json, shared->options);
    return reply_json(request, 200, "", json);
}
