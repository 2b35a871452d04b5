/* Most of it is in /proc, see proc(5). */
#include "http/process_metrics.h"

#include "common/clock.h"
#include "http/exposition.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define START_TIME_DECIMALS 2 /* the kernel tells it in hundredths of a second */

static void write_one(struct exposition *exposition, const char *name, enum exposition_type type,
                      const char *help, uint64_t value, unsigned decimals)
{
    exposition_family(exposition, name, type, help);
    exposition_sample(exposition, NULL, 0, value, decimals);
}

static void write_cpu(struct exposition *exposition)
{
    write_one(exposition, "process_cpu_seconds", EXPOSITION_COUNTER,
              "CPU time that the process has taken, user and system.",
              clock_read_ns(CLOCK_PROCESS_CPUTIME_ID), EXPOSITION_NS);
}

static void write_memory(struct exposition *exposition)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t pages, resident, page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    bool told = /* NOLINTNEXTLINE(cert-err34-c): of the kernel, which writes what 64 bits hold */
        file && fscanf(file, "%" SCNu64 " %" SCNu64, &pages, &resident) == 2;

    if (file)
        fclose(file);
    if (!told)
        return;
    write_one(exposition, "process_resident_memory_bytes", EXPOSITION_GAUGE,
              "Memory of the process that is in RAM.", resident * page_bytes, 0);
    write_one(exposition, "process_virtual_memory_bytes", EXPOSITION_GAUGE,
              "Address space of the process.", pages * page_bytes, 0);
}

static void write_files(struct exposition *exposition)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    struct rlimit limit;
    uint64_t open = 0;

    if (directory) {
        while ((entry = readdir(directory)))
            open += entry->d_name[0] != '.';
        closedir(directory);
        write_one(exposition, "process_open_fds", EXPOSITION_GAUGE, "Open file descriptors.",
                  open - 1, 0); /* one of them was the directory's */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        write_one(exposition, "process_max_fds", EXPOSITION_GAUGE,
                  "File descriptors that the process may have open.", limit.rlim_cur, 0);
}

/* When the process started, in hundredths of a second after the system did. 0 when not told. */
static uint64_t started_after_boot(void)
{
    FILE *file = fopen("/proc/self/stat", "re");
    char text[1024] = "";
    const char *rest;

    if (!file)
        return 0;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    rest = strrchr(text, ')'); /* ends field 2, a name that may hold anything */
    for (int field = 2; rest && field < 22; field++)
        rest = strchr(rest + 1, ' ');
    return rest ? strtoull(rest, NULL, 10) * 100 / (uint64_t)sysconf(_SC_CLK_TCK) : 0;
}

/* When the system started, in seconds since 1970. 0 when not told. */
static uint64_t booted(void)
{
    FILE *file = fopen("/proc/stat", "re");
    uint64_t seconds = 0;
    char line[256]; /* longer lines come in parts, none of which begins like this one */

    while (file && !seconds && fgets(line, sizeof line, file)) {
        /* NOLINTNEXTLINE(cert-err34-c): as above */
        if (sscanf(line, "btime %" SCNu64, &seconds) != 1)
            seconds = 0;
    }
    if (file)
        fclose(file);
    return seconds;
}

static void write_start(struct exposition *exposition)
{
    uint64_t boot = booted(), after = started_after_boot();

    if (boot && after)
        write_one(exposition, "process_start_time_seconds", EXPOSITION_GAUGE,
                  "When the process started, in seconds since 1970.", boot * 100 + after,
                  START_TIME_DECIMALS);
}

void process_metrics_write(struct exposition *exposition)
{
    write_cpu(exposition);
    write_memory(exposition);
    write_files(exposition);
    write_start(exposition);
}
