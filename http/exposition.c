/* See exposition.h. Both forms write the bounds of a histogram as OpenMetrics wants them ("1.0"),
 * so that a series keeps its name whichever form a scraper asks for. */
#include "http/exposition.h"

#include "common/compiler.h"
#include "common/decimal.h"
#include "http/text.h"

#include <stdio.h>
#include <string.h>

/* A number, its point, and the NUL. */
#define NUMBER_BYTES (DECIMAL_BYTES + EXPOSITION_NS + 3)

/* What a type is called in the two dialects, and what its name ends in: in the lines about the
 * family, and in the samples. */
static const struct type {
    const char *name[2], *family_suffix[2], *suffix;
} types[] = {
    [EXPOSITION_COUNTER] = {{"counter", "counter"}, {"_total", ""}, "_total"},
    [EXPOSITION_GAUGE] = {{"gauge", "gauge"}, {"", ""}, ""},
    [EXPOSITION_HISTOGRAM] = {{"histogram", "histogram"}, {"", ""}, ""},
    [EXPOSITION_INFO] = {{"gauge", "info"}, {"_info", ""}, "_info"},
};

static void write_text(struct exposition *exposition, const char *text)
{
    text_raw(exposition->writer, text, strlen(text));
}

const char *exposition_content_type(enum exposition_dialect dialect)
{
    return dialect == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

void exposition_start(struct exposition *exposition, struct text_writer *writer,
                      enum exposition_dialect dialect)
{
    *exposition = (struct exposition){.writer = writer, .dialect = dialect};
}

void exposition_counter(struct exposition *exposition, const char *name, uint64_t value,
                        const char *help)
{
    exposition_family(exposition, name, EXPOSITION_COUNTER, help);
    exposition_sample(exposition, NULL, 0, value, 0);
}

void exposition_gauge(struct exposition *exposition, const char *name, uint64_t value,
                      const char *help)
{
    exposition_family(exposition, name, EXPOSITION_GAUGE, help);
    exposition_sample(exposition, NULL, 0, value, 0);
}

void exposition_labelled(struct exposition *exposition, const char *label, const char *text,
                         uint64_t value)
{
    const struct exposition_label with = exposition_label(label, text);

    exposition_sample(exposition, &with, 1, value, 0);
}

void exposition_end(struct exposition *exposition)
{
    if (exposition->dialect == EXPOSITION_OPENMETRICS)
        text_literal(exposition->writer, "# EOF\n");
}

/* ---- Families ------------------------------------------------------------------------------- */

/* The unit that a name ends in, or NULL. */
static const char *unit_of(const char *name)
{
    static const char *const units[] = {"seconds", "bytes"};
    const char *last = strrchr(name, '_');

    for (size_t i = 0; last && i < ARRAY_LENGTH(units); i++) {
        if (!strcmp(last + 1, units[i]))
            return units[i];
    }
    return NULL;
}

/* Writes a line about the family: "# HELP name text". */
static void write_metadata(struct exposition *exposition, const char *keyword, const char *text)
{
    write_text(exposition, keyword);
    write_text(exposition, exposition->name);
    write_text(exposition, types[exposition->type].family_suffix[exposition->dialect]);
    text_literal(exposition->writer, " ");
    write_text(exposition, text);
    text_literal(exposition->writer, "\n");
}

void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
                       const char *help)
{
    const char *unit = unit_of(name);

    exposition->name = name;
    exposition->type = type;
    write_metadata(exposition, "# HELP ", help);
    write_metadata(exposition, "# TYPE ", types[type].name[exposition->dialect]);
    if (unit && exposition->dialect == EXPOSITION_OPENMETRICS)
        write_metadata(exposition, "# UNIT ", unit);
}

/* ---- Samples -------------------------------------------------------------------------------- */

struct exposition_label exposition_label(const char *name, const char *text)
{
    return (struct exposition_label){name, text, strlen(text)};
}

/* Renders a number without needless zeros: 1500 with three decimals is "1.5", 2000 "2". Returns
 * where it starts in `out`. */
static const char *render(uint64_t value, unsigned decimals, char out[NUMBER_BYTES])
{
    uint64_t scale = 1, rest;
    char *p = out + NUMBER_BYTES;

    for (unsigned i = 0; i < decimals; i++)
        scale *= 10;
    *--p = '\0';
    rest = value % scale;
    if (rest) {
        for (; rest % 10 == 0; decimals--)
            rest /= 10;
        for (; decimals > 0; decimals--, rest /= 10)
            *--p = (char)('0' + rest % 10);
        *--p = '.';
    }
    return decimal_write(value / scale, p);
}

/* Writes a label's value, in which three bytes have to be escaped. All others stand for
 * themselves, NULs too: both forms say so, and Prometheus reads them. */
static void write_escaped(struct text_writer *writer, const char *bytes, size_t length)
{
    size_t done = 0;

    for (size_t i = 0; i < length; i++) {
        const char *escape = bytes[i] == '\\'   ? "\\\\"
                             : bytes[i] == '"'  ? "\\\""
                             : bytes[i] == '\n' ? "\\n"
                                                : NULL;

        if (!escape)
            continue;
        text_raw(writer, bytes + done, i - done);
        text_raw(writer, escape, 2);
        done = i + 1;
    }
    text_raw(writer, bytes + done, length - done);
}

static void write_labels(struct text_writer *writer, const struct exposition_label *labels,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_raw(writer, i == 0 ? "{" : ",", 1);
        text_raw(writer, labels[i].name, strlen(labels[i].name));
        text_literal(writer, "=\"");
        write_escaped(writer, labels[i].value, labels[i].length);
        text_literal(writer, "\"");
    }
    if (count > 0)
        text_literal(writer, "}");
}

static void write_sample(struct exposition *exposition, const char *suffix,
                         const struct exposition_label *labels, size_t count, uint64_t value,
                         unsigned decimals)
{
    char number[NUMBER_BYTES];

    write_text(exposition, exposition->name);
    write_text(exposition, suffix);
    write_labels(exposition->writer, labels, count);
    text_literal(exposition->writer, " ");
    write_text(exposition, render(value, decimals, number));
    text_literal(exposition->writer, "\n");
}

void exposition_sample(struct exposition *exposition, const struct exposition_label *labels,
                       size_t count, uint64_t value, unsigned decimals)
{
    write_sample(exposition, types[exposition->type].suffix, labels, count, value, decimals);
}

/* Writes the sample of one bucket; `bound` is a number, or "+Inf". */
static void write_bucket(struct exposition *exposition, const char *bound, uint64_t count)
{
    const struct exposition_label label = exposition_label("le", bound);

    write_sample(exposition, "_bucket", &label, 1, count, 0);
}

void exposition_histogram(struct exposition *exposition, const struct histogram *histogram,
                          const struct histogram_bounds *bounds, unsigned decimals)
{
    struct histogram_values values = histogram_read(histogram, bounds);

    for (size_t i = 0; i < bounds->count; i++) {
        char number[NUMBER_BYTES], bound[NUMBER_BYTES + 2];
        const char *text = render(bounds->upper[i], decimals, number);

        snprintf(bound, sizeof bound, "%s%s", text, strchr(text, '.') ? "" : ".0");
        write_bucket(exposition, bound, values.up_to[i]);
    }
    write_bucket(exposition, "+Inf", values.count);
    write_sample(exposition, "_sum", NULL, 0, values.sum, decimals);
    write_sample(exposition, "_count", NULL, 0, values.count, 0);
}
