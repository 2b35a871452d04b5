/* GET /metrics: the counts of all devices. */
#ifndef TALLYD_HTTP_METRICS_H
#define TALLYD_HTTP_METRICS_H

struct request;

/* Answers 200 with an array of {"device_id", "count"}, each device once, in the order of the ids'
 * bytes; 500 when Redis holds something else there; 503 when Redis is away. Returns the status.
 * Called by: http. */
int metrics_serve(struct request *request);

#endif
