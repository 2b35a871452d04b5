/* GET /metrics: the counts of all devices, or of those that the query asks for. */
#ifndef TALLYD_HTTP_METRICS_H
#define TALLYD_HTTP_METRICS_H

struct request;

/*
 * Answers 200 with an array of {"device_id", "count"}, one line each, in the order that the query
 * asks for (see listing.h); with a limit, and when there are more, a Link of the relation "next"
 * and X-Tally-Next-Cursor lead on. 304 when the client has that already; 400 for a query that makes
 * no sense; 500 when Redis holds something else there; 503 when Redis is away and no snapshot is
 * left. A client that would rather have a form of Prometheus gets what /metrics/prom answers.
 * Returns the status. Called by: http.
 */
int metrics_serve(struct request *request);

#endif
