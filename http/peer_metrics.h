/* The metrics of who connects to this instance: connections, streams, what was refused and who was
 * sent away, and the limits that protect it. Any thread. */
#ifndef TALLYD_HTTP_PEER_METRICS_H
#define TALLYD_HTTP_PEER_METRICS_H

struct exposition;
struct http_options;
struct stats_worker_values;

/* `sum` is of all workers. */
void peer_metrics_write(struct exposition *exposition, const struct http_options *options,
                        const struct stats_worker_values *sum);

#endif
