/*
 * The progress bar: one line on a terminal, drawn over itself about ten times a second and gone
 * at the end. On anything that is not a terminal it does nothing. One thread.
 */
#ifndef TALLYD_CLIENT_PROGRESS_H
#define TALLYD_CLIENT_PROGRESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PROGRESS_INTERVAL_MS 100

struct progress_values {
    uint64_t planned, sent, acknowledged; /* packets */
    double rate;                          /* packets a second, lately */
};

/* Its fields belong to progress.c. */
struct progress {
    FILE *out; /* NULL: not a terminal */
    uint64_t drawn_ns;
    uint64_t drawn_sent;
    double rate; /* packets a second, smoothed; negative: not known yet */
};

/* Starts at `now_ns`. `out` is borrowed. */
void progress_init(struct progress *progress, FILE *out, uint64_t now_ns);

/* Draws the bar if it is time to. */
void progress_update(struct progress *progress, uint64_t planned, uint64_t sent,
                     uint64_t acknowledged, uint64_t now_ns);

/* Takes the bar away. */
void progress_clear(struct progress *progress);

/* Writes the bar as a string of at most `width` columns to `out`, which has `size` bytes. */
void progress_format(char *out, size_t size, size_t width, const struct progress_values *values);

#endif
