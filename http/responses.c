/* Many writers, unlike in common/stats.h, so a count is added to by one atomic step. */
#include "http/responses.h"

#define STATUS(status) status,
#define CODE(status)   #status,

void responses_note(struct response_counts *counts, int status)
{
    static const int statuses[] = {RESPONSES_STATUSES(STATUS)};
    size_t i = 0;

    while (i < RESPONSES_COUNTS - 1 && statuses[i] != status)
        i++;
    atomic_fetch_add_explicit(&counts->counts[i], 1, memory_order_relaxed);
}

const char *responses_code(size_t index)
{
    static const char *const codes[] = {RESPONSES_STATUSES(CODE) "other"};

    return codes[index];
}

uint64_t responses_count(const struct response_counts *counts, size_t index)
{
    return atomic_load_explicit(&counts->counts[index], memory_order_relaxed);
}
