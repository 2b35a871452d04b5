/* What tallyd tells Prometheus of itself: the metrics tallyd_*, those of single devices apart. */
#ifndef TALLYD_HTTP_SELF_METRICS_H
#define TALLYD_HTTP_SELF_METRICS_H

struct exposition;
struct http_shared;

/* Writes them all. The packets balance, as promise P3 has it: received = committed + pending +
 * rejected, within one writing. Asks nobody and waits for nobody. Called by: http. */
void self_metrics_write(struct exposition *exposition, const struct http_shared *shared);

#endif
