/*
 * The text forms in which Prometheus reads metrics: its own, version 0.0.4, and OpenMetrics 1.0.
 *
 * A family is begun by exposition_family() and followed by its samples. Names are given without
 * the suffix that the type brings ("_total", "_info"): where it stands is what the forms differ in.
 * The unit is what the name ends in. Every value is an unsigned integer and a number of decimals,
 * so that none loses a digit on its way.
 *
 * Any thread; one thread an exposition. Errors are the writer's.
 */
#ifndef TALLYD_HTTP_EXPOSITION_H
#define TALLYD_HTTP_EXPOSITION_H

#include "common/histogram.h"

#include <stddef.h>
#include <stdint.h>

struct text_writer;

enum exposition_dialect { EXPOSITION_PROMETHEUS, EXPOSITION_OPENMETRICS };

enum exposition_type {
    EXPOSITION_COUNTER,
    EXPOSITION_GAUGE,
    EXPOSITION_HISTOGRAM,
    EXPOSITION_INFO, /* a sample's value is 1: its labels are what it says */
};

/* Decimals of values that are counted in parts of a second. */
#define EXPOSITION_MS 3
#define EXPOSITION_NS 9

/* A label; the value is UTF-8 of any bytes, NULs too. Borrowed. */
struct exposition_label {
    const char *name;
    const void *value;
    size_t length;
};

/* One whose value is a C string, borrowed too. */
struct exposition_label exposition_label(const char *name, const char *text);

/* Shown so that callers can embed it. */
struct exposition {
    struct text_writer *writer;
    enum exposition_dialect dialect;
    const char *name; /* of the family at hand */
    enum exposition_type type;
};

/* The content type of a dialect, with its version and character set. */
const char *exposition_content_type(enum exposition_dialect dialect);

/* Starts a text on `writer`, which is borrowed. */
void exposition_start(struct exposition *exposition, struct text_writer *writer,
                      enum exposition_dialect dialect);

/* Begins a family. `name` is borrowed until the next one; `help` is one line without quotes and
 * backslashes. */
void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
                       const char *help);

/* Writes a sample with `count` labels: `value`, whose last `decimals` digits, at most EXPOSITION_NS
 * of them, stand behind the point. */
void exposition_sample(struct exposition *exposition, const struct exposition_label *labels,
                       size_t count, uint64_t value, unsigned decimals);

/* Writes the samples of a histogram, whose bounds and sum have so many decimals. */
void exposition_histogram(struct exposition *exposition, const struct histogram *histogram,
                          const struct histogram_bounds *bounds, unsigned decimals);

/* A whole family of one sample without labels; a sample with one label. */
void exposition_counter(struct exposition *exposition, const char *name, uint64_t value,
                        const char *help);
void exposition_gauge(struct exposition *exposition, const char *name, uint64_t value,
                      const char *help);
void exposition_labelled(struct exposition *exposition, const char *label, const char *text,
                         uint64_t value);

/* a - b, or 0: for two counters that were not read at the same instant. */
static inline uint64_t exposition_less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Ends the text. The writer is still to be finished. */
void exposition_end(struct exposition *exposition);

#endif
