/* Rows are compared as text: what is written alike is alike. */
#include "http/top_table.h"

#include <stdbool.h>
#include <string.h>

struct row {
    const char *text;
    size_t length;
};

static struct row row_at(const struct top_table *table, enum top_order order, size_t rank)
{
    size_t i = (order == TOP_BY_COUNT ? 0 : table->lengths[TOP_BY_COUNT]) + rank;

    return (struct row){table->text.bytes + table->begins[i],
                        table->begins[i + 1] - table->begins[i]};
}

static void render_row(struct text_writer *writer, const struct snapshot *snapshot,
                       enum top_order order, size_t rank, uint64_t gained_ms)
{
    text_literal(writer, "{\"rank\":");
    text_unsigned(writer, rank + 1);
    text_literal(writer, ",");
    top_write_device(writer, snapshot, order, rank, gained_ms);
    text_literal(writer, "}");
}

int top_table_fill(struct top_table *table, const struct snapshot *snapshot, uint64_t gained_ms)
{
    size_t rows = 0;
    int error;

    table->gained_ms = gained_ms;
    table->begins[0] = 0;
    text_buffer_start(&table->text);
    for (enum top_order order = TOP_BY_COUNT; order <= TOP_BY_RATE; order++) {
        table->lengths[order] = snapshot ? top_length(snapshot, order, TOP_TABLE_ROWS) : 0;
        for (size_t rank = 0; rank < table->lengths[order]; rank++) {
            render_row(&table->text.writer, snapshot, order, rank, gained_ms);
            table->begins[++rows] = text_buffer_length(&table->text);
        }
    }
    error = text_buffer_end(&table->text);
    if (error)
        table->lengths[TOP_BY_COUNT] = table->lengths[TOP_BY_RATE] = 0;
    return error;
}

static bool is_unchanged(const struct top_table *table, const struct top_table *before,
                         enum top_order order, size_t rank)
{
    struct row now = row_at(table, order, rank), then;

    if (!before || rank >= before->lengths[order])
        return false;
    then = row_at(before, order, rank);
    return now.length == then.length && !memcmp(now.text, then.text, now.length);
}

static void write_rows(struct text_writer *writer, const struct top_table *table,
                       const struct top_table *before, enum top_order order)
{
    const char *separator = "";

    text_format(writer, ",\"%s_length\":%zu,\"%s\":[", top_name(order), table->lengths[order],
                top_name(order));
    for (size_t rank = 0; rank < table->lengths[order]; rank++) {
        struct row row = row_at(table, order, rank);

        if (is_unchanged(table, before, order, rank))
            continue;
        text_raw(writer, separator, strlen(separator));
        text_raw(writer, row.text, row.length);
        separator = ",";
    }
    text_literal(writer, "]");
}

void top_table_write(struct text_writer *writer, const struct top_table *table,
                     const struct top_table *before)
{
    text_format(writer, "{\"full\":%s,\"n\":%d,", before ? "false" : "true", TOP_TABLE_ROWS);
    top_write_window(writer, table->gained_ms);
    write_rows(writer, table, before, TOP_BY_COUNT);
    write_rows(writer, table, before, TOP_BY_RATE);
    text_literal(writer, "}");
}

void top_table_free(struct top_table *table)
{
    text_buffer_free(&table->text);
}
