/* GET /stats: what this instance does. */
#ifndef TALLYD_HTTP_STATISTICS_H
#define TALLYD_HTTP_STATISTICS_H

#include "common/compiler.h"

struct cJSON;
struct http_shared;
struct request;

/* The answer as a tree: the instance, the balance of promise P3, the flusher's and each worker's
 * statistics, and the workers' sums. The caller frees it with cJSON_Delete(); NULL when memory is
 * short. Called by: http. */
struct cJSON *statistics_create(const struct http_shared *shared) MUST_CHECK;

/* Answers 200 with it, or 503 when memory is short. Asks nobody. Returns the status. Called by:
 * http. */
int statistics_serve(struct request *request);

#endif
