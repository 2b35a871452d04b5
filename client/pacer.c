/* A schedule instead of a bucket: one due time, moved on by each packet; see pacer.h. */
#include "client/pacer.h"

void pacer_init(struct pacer *pacer, uint64_t rate, uint64_t now_ns)
{
    pacer->interval_ns = rate ? 1e9 / (double)rate : 0;
    pacer->next_ns = (double)now_ns;
}

uint64_t pacer_credit(struct pacer *pacer, uint64_t now_ns)
{
    double now = (double)now_ns;

    if (pacer->interval_ns == 0)
        return UINT64_MAX;
    if (now < pacer->next_ns)
        return 0;
    if (now - pacer->next_ns > PACER_BURST_NS)
        pacer->next_ns = now - PACER_BURST_NS;
    return (uint64_t)((now - pacer->next_ns) / pacer->interval_ns) + 1;
}

void pacer_take(struct pacer *pacer, uint64_t packets)
{
    pacer->next_ns += (double)packets * pacer->interval_ns;
}

uint64_t pacer_wait_ns(const struct pacer *pacer, uint64_t now_ns)
{
    double now = (double)now_ns;

    return now >= pacer->next_ns ? 0 : (uint64_t)(pacer->next_ns - now) + 1;
}
