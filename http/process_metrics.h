/* What the system tells of this process, under the names that Prometheus's own libraries use. */
#ifndef TALLYD_HTTP_PROCESS_METRICS_H
#define TALLYD_HTTP_PROCESS_METRICS_H

struct exposition;

/* Writes the families process_*. What the system does not tell is left out. Any thread; no state.
 */
void process_metrics_write(struct exposition *exposition);

#endif
