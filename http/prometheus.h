/* GET /metrics/prom: what tallyd tells Prometheus. */
#ifndef TALLYD_HTTP_PROMETHEUS_H
#define TALLYD_HTTP_PROMETHEUS_H

#include "http/exposition.h"

struct request;

/* Answers 200 in the dialect that the request's Accept header prefers, Prometheus's own text unless
 * it says otherwise; 503 when memory is short. Returns the status. Called by: http. */
int prometheus_serve(struct request *request);

/* The same in a given dialect, for a path that chose it; the caller adds Vary. 400 if the request
 * has parameters, which are no part of this answer. Called by: http. */
int prometheus_serve_as(struct request *request, enum exposition_dialect dialect);

#endif
