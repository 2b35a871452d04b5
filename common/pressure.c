/*
 * Resident memory is what the kernel counts (/proc/self/statm), since that is what it kills for: it
 * includes what the allocator keeps, which is given back first (malloc_trim()).
 *
 * A level is left at 3 % below where it was entered, so that it does not flutter.
 */
#include "common/pressure.h"

#include "common/clock.h"
#include "common/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define TIGHT_PERCENT 90
#define BACK_PERCENT  3
#define TRIM_EVERY_MS 5000 /* it takes locks that workers may wait for, some milliseconds */

int pressure_init(struct pressure *pressure)
{
    thread_assert_role(THREAD_MAIN);
    *pressure = (struct pressure){.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)};
    return pressure->statm_fd < 0 ? -errno : 0;
}

void pressure_fini(struct pressure *pressure)
{
    if (pressure->statm_fd >= 0)
        close(pressure->statm_fd);
}

/* 0 when it cannot be told. */
static uint64_t resident_bytes(const struct pressure *pressure)
{
    char text[128] = "", *end;

    if (pread(pressure->statm_fd, text, sizeof text - 1, 0) <= 0)
        return 0;
    strtoull(text, &end, 10); /* the first number is of what is mapped */
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

enum pressure_level pressure_judge(enum pressure_level before, uint64_t bytes, uint64_t limit_bytes)
{
    uint64_t percent = limit_bytes / 100 ? bytes / (limit_bytes / 100) : 100;

    if (percent >= 100 || (before == PRESSURE_FULL && percent >= 100 - BACK_PERCENT))
        return PRESSURE_FULL;
    if (percent >= TIGHT_PERCENT ||
        (before != PRESSURE_NONE && percent >= TIGHT_PERCENT - BACK_PERCENT))
        return PRESSURE_TIGHT;
    return PRESSURE_NONE;
}

enum pressure_level pressure_sample(struct pressure *pressure, uint64_t limit_bytes)
{
    uint64_t bytes = limit_bytes ? resident_bytes(pressure) : 0, now;
    enum pressure_level level = limit_bytes ? pressure_level(pressure) : PRESSURE_NONE;

    thread_assert_role(THREAD_MAIN);
    if (bytes)
        level = pressure_judge(level, bytes, limit_bytes);
    atomic_store_explicit(&pressure->level, (int)level, memory_order_relaxed);
    now = clock_now_ms();
    if (level != PRESSURE_NONE && now >= pressure->trim_ms) {
        pressure->trim_ms = now + TRIM_EVERY_MS;
        malloc_trim(0);
    }
    return level;
}
