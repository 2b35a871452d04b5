/* The arithmetic of dividing a run into streams; see plan.h. */
#include "client/plan.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct plan plan_make(uint64_t packets, uint64_t slots, uint64_t per_stream)
{
    struct plan plan = {.packets = packets, .per_stream = per_stream};

    if (per_stream)
        plan.streams = packets / per_stream + (packets % per_stream != 0);
    else
        plan.streams = smaller(packets, slots);
    return plan;
}

struct plan_range plan_stream(const struct plan *plan, uint64_t stream)
{
    struct plan_range range;
    uint64_t share, longer;

    if (plan->per_stream) {
        range.first = stream * plan->per_stream;
        range.count = smaller(plan->per_stream, plan->packets - range.first);
        return range;
    }
    share = plan->packets / plan->streams;
    longer = plan->packets % plan->streams;
    range.first = stream * share + smaller(stream, longer);
    range.count = share + (stream < longer);
    return range;
}
