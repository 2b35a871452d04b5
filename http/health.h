/*
 * GET /healthz and /readyz: for supervisors and load balancers.
 */
#ifndef TALLYD_HTTP_HEALTH_H
#define TALLYD_HTTP_HEALTH_H

#include "common/compiler.h"

/* How long an answer of Redis holds for those who ask after it. */
#define HEALTH_CACHE_MS 500

struct health;
struct request;

/* NULL with errno when memory is short. Called by: main. */
struct health *health_create(void) MUST_CHECK;

/* Nobody may be in health_serve_ready() any more. NULL does nothing. Called by: main. */
void health_destroy(struct health *health);

/* Answers 200 {"status":"ok"} and asks nobody. Returns the status. Called by: http. */
int health_serve_alive(struct request *request);

/* Answers 200 {"status":"ready"}, or 503 with the detail "draining" or "redis down". Asks
 * Redis at most once every HEALTH_CACHE_MS. Returns the status. Called by: http. */
int health_serve_ready(struct request *request);

#endif
