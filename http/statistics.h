/* GET /stats: what this instance does. */
#ifndef TALLYD_HTTP_STATISTICS_H
#define TALLYD_HTTP_STATISTICS_H

struct request;

/* Answers 200 with the balance of promise P3, the flusher's and each worker's statistics, and the
 * workers' sums. Asks nobody. Returns the status. Called by: http. */
int statistics_serve(struct request *request);

#endif
