/*
 * Everything is generated from the lists in common/stats.h and common/balance.h, so a new counter
 * shows up here by itself. cJSON keeps numbers as doubles, which are exact only up to 2^53;
 * counters are therefore added as raw decimal text.
 *
 * Memory may run short at any step. cJSON then adds nothing and says so, and takes NULL where an
 * object is missing; so each section adds all it has and tells at its end whether it is whole.
 */
#include "http/statistics.h"

#include "aggregator/redis.h"
#include "common/balance.h"
#include "common/clock.h"
#include "common/decimal.h"
#include "common/stats.h"
#include "http/http.h"
#include "http/reply.h"
#include "http/request.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the digits, which stand in `out`. */
static const char *digits(uint64_t value, char out[DECIMAL_BYTES + 1])
{
    out[DECIMAL_BYTES] = '\0';
    return decimal_write(value, out + DECIMAL_BYTES);
}

static bool add_integer(cJSON *object, const char *name, uint64_t value)
{
    char text[DECIMAL_BYTES + 1];

    return cJSON_AddRawToObject(object, name, digits(value, text));
}

static bool add_text(cJSON *object, const char *name, const char *value)
{
    return cJSON_AddStringToObject(object, name, value);
}

static bool add_instance(cJSON *json, const struct http_shared *shared)
{
    const struct http_options *options = shared->options;
    cJSON *object = cJSON_AddObjectToObject(json, "instance");
    char address[ERROR_BYTES];
    bool whole = add_text(object, "name", options->instance);

    whole &= add_text(object, "version", TALLYD_VERSION);
    whole &= add_integer(object, "uptime_ms", clock_now_ms() - shared->started_ms);
    whole &= cJSON_AddBoolToObject(object, "draining", atomic_load(options->draining)) != NULL;
    whole &= add_text(object, "redis", redis_address(&options->redis, address));
    whole &= add_text(object, "redis_key", options->redis.key);
    return whole;
}

static bool add_balance(cJSON *json, struct balance *balance)
{
    struct balance_values values = balance_read(balance);
    cJSON *object = cJSON_AddObjectToObject(json, "balance"), *rejected;
    bool whole = add_integer(object, "received", values.received);

    whole &= add_integer(object, "committed", values.committed);
    whole &= add_integer(object, "quarantined", values.quarantined);
    whole &= add_integer(object, "pending", values.pending);
    rejected = cJSON_AddObjectToObject(object, "rejected");
#define ADD(name, help) whole &= add_integer(rejected, #name, values.rejected.name);
    BALANCE_REJECTED(ADD)
#undef ADD
    whole &= add_integer(object, "rejected_total", balance_rejected_total(&values.rejected));
    return whole;
}

/* Adds a histogram: the number and the sum of its values, and the number up to each bound. */
static bool add_histogram(cJSON *object, const char *name, const struct histogram *histogram,
                          const struct histogram_bounds *bounds)
{
    struct histogram_values values = histogram_read(histogram, bounds);
    cJSON *json = cJSON_AddObjectToObject(object, name), *buckets;
    bool whole = add_integer(json, "count", values.count);

    whole &= add_integer(json, "sum", values.sum);
    buckets = cJSON_AddObjectToObject(json, "up_to");
    for (size_t i = 0; i < bounds->count; i++) {
        char bound[DECIMAL_BYTES + 1];

        whole &= add_integer(buckets, digits(bounds->upper[i], bound), values.up_to[i]);
    }
    return whole;
}

static bool add_flusher(cJSON *json, const struct stats_flusher *flusher)
{
    cJSON *object = cJSON_AddObjectToObject(json, "flusher");
    bool whole = object;

#define ADD(name, help) whole &= add_integer(object, #name, stats_get(&flusher->name));
    STATS_FLUSHER(ADD)
#undef ADD
#define ADD(name, help)                                                                            \
    whole &= add_histogram(object, #name, &flusher->name, &stats_##name##_bounds);
    STATS_FLUSHER_HISTOGRAMS(ADD)
#undef ADD
    return whole;
}

static bool add_main(cJSON *json, const struct stats_main *stats)
{
    cJSON *object = cJSON_AddObjectToObject(json, "main");
    bool whole = object;

#define ADD(name, help) whole &= add_integer(object, #name, stats_get(&stats->name));
    STATS_MAIN(ADD)
#undef ADD
    return whole;
}

/* Adds one worker's counters to the array and to the sums. */
static bool add_worker(cJSON *array, const struct stats_worker *worker,
                       struct stats_worker_values *sums)
{
    struct stats_worker_values values = stats_worker_read(worker);
    cJSON *object = cJSON_CreateObject();
    bool whole = true;

    stats_worker_sum(sums, &values);
    if (!cJSON_AddItemToArray(array, object)) {
        cJSON_Delete(object); /* the array did not take it */
        return false;
    }
#define ADD(name, help) whole &= add_integer(object, #name, values.name);
    STATS_WORKER(ADD)
#undef ADD
    return whole;
}

/* Adds each worker's counters, and their sums. */
static bool add_workers(cJSON *json, const struct http_options *options)
{
    cJSON *array = cJSON_AddArrayToObject(json, "workers"), *totals;
    struct stats_worker_values sums = {0};
    bool whole = array;

    for (size_t i = 0; i < options->worker_count; i++)
        whole &= add_worker(array, options->workers[i], &sums);
    totals = cJSON_AddObjectToObject(json, "totals");
#define ADD(name, help) whole &= add_integer(totals, #name, sums.name);
    STATS_WORKER(ADD)
#undef ADD
    return whole;
}

cJSON *statistics_create(const struct http_shared *shared)
{
    const struct http_options *options = shared->options;
    cJSON *json = cJSON_CreateObject();

    if (add_instance(json, shared) && add_balance(json, options->balance) &&
        add_flusher(json, options->flusher) && add_main(json, options->main) &&
        add_workers(json, options))
        return json;
    cJSON_Delete(json);
    return NULL;
}

int statistics_serve(struct request *request)
{
    return reply_json(request, 200, statistics_create(request->shared));
}
