/* What an option table looks like to readers: --help, Markdown, and the manual page's roff. */
#include "common/opt.h"

#include <inttypes.h>
#include <string.h>

static void print_choices(const struct opt_row *row, FILE *out)
{
    for (int i = 0; row->choices[i]; i++)
        fprintf(out, "%s%s", i ? "|" : "", row->choices[i]);
}

static void print_flag(const struct opt_row *row, FILE *out)
{
    if (row->traits & OPT_SECRET) {
        fprintf(out, "%s=%s", row->environment, row->metavar);
        return;
    }
    fprintf(out, "--%s", row->name);
    if (row->type == OPT_CHOICE) {
        fputc(' ', out);
        print_choices(row, out);
    } else if (row->type != OPT_FLAG) {
        fprintf(out, " %s", row->metavar);
    }
}

/* "1 to 65535" for numbers, nothing for the rest. */
static void print_range(const struct opt_row *row, FILE *out)
{
    if (row->type == OPT_NUMBER && row->max == UINT64_MAX)
        fprintf(out, "%" PRIu64 " or more", row->min);
    else if (row->type == OPT_NUMBER)
        fprintf(out, "%" PRIu64 " to %" PRIu64, row->min, row->max);
}

/* Whether the table has a configuration file, in which a secret may stand. */
static bool has_file(const struct opt_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].traits & OPT_FILE)
            return true;
    }
    return false;
}

void opt_print_help(const struct opt_table *table, FILE *out)
{
    fprintf(out, "%s\n\nOptions:\n", table->synopsis);
    for (size_t i = 0; i < table->count; i++) {
        const struct opt_row *row = &table->rows[i];

        fputs("  ", out);
        print_flag(row, out);
        fprintf(out, "\n        %s", row->help);
        if (row->type == OPT_NUMBER) {
            fputs(" (", out);
            print_range(row, out);
            fputc(')', out);
        }
        if (row->fallback && *row->fallback)
            fprintf(out, " [default: %s]", row->fallback);
        if (row->traits & OPT_SECRET && has_file(table))
            fprintf(out, " [no flag; configuration file: %s]", row->name);
        else if (row->traits & OPT_SECRET)
            fputs(" [no flag]", out);
        else if (row->environment)
            fprintf(out, " [env: %s]", row->environment);
        if (row->traits & OPT_RELOADABLE)
            fputs(" [reloadable]", out);
        fputc('\n', out);
    }
    if (table->epilogue)
        fprintf(out, "\n%s\n", table->epilogue);
}

void opt_print_markdown(const struct opt_table *table, FILE *out)
{
    fputs("| flag | environment | default | range | what it does |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < table->count; i++) {
        const struct opt_row *row = &table->rows[i];

        if (row->traits & OPT_SECRET)
            fputs("| none | ", out);
        else
            fprintf(out, "| `--%s` | ", row->name);
        if (row->environment)
            fprintf(out, "`%s`", row->environment);
        fputs(" | ", out);
        if (row->fallback && *row->fallback)
            fprintf(out, "`%s`", row->fallback);
        fputs(" | ", out);
        print_range(row, out);
        for (int c = 0; row->type == OPT_CHOICE && row->choices[c]; c++)
            fprintf(out, "%s`%s`", c ? ", " : "", row->choices[c]);
        fprintf(out, " | %s", row->help);
        if (row->traits & OPT_SECRET && has_file(table))
            fprintf(out, " (in the configuration file: `%s`)", row->name);
        fputs(row->traits & OPT_RELOADABLE ? " (reloadable) |\n" : " |\n", out);
    }
}

/* Roff takes "-" for a hyphen and a leading "." or "'" for a request. */
static void print_roff_text(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
    }
}

/* The line of an entry that names the option. */
static void print_roff_tag(const struct opt_row *row, FILE *out)
{
    if (row->traits & OPT_SECRET) {
        fprintf(out, "\\fB%s\\fR=\\fI%s\\fR\n", row->environment, row->metavar);
        return;
    }
    fputs("\\fB\\-\\-", out);
    print_roff_text(row->name, out);
    fputs("\\fR", out);
    if (row->type == OPT_CHOICE) {
        fputc(' ', out);
        print_choices(row, out);
    } else if (row->type != OPT_FLAG) {
        fprintf(out, " \\fI%s\\fR", row->metavar);
    }
    fputc('\n', out);
}

void opt_print_roff(const struct opt_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct opt_row *row = &table->rows[i];

        fputs(".TP\n", out);
        print_roff_tag(row, out);
        print_roff_text(row->help, out);
        fputs(".\n", out);
        if (row->type == OPT_NUMBER) {
            fputs("Range: ", out);
            print_range(row, out);
            fputs(".\n", out);
        }
        if (row->traits & OPT_SECRET && has_file(table)) {
            fputs("No flag; in the configuration file: ", out);
            print_roff_text(row->name, out);
            fputs(".\n", out);
        } else if (row->traits & OPT_SECRET) {
            fputs("No flag.\n", out);
        } else if (row->environment) {
            fprintf(out, "Environment: \\fB%s\\fR.\n", row->environment);
        }
        if (row->fallback && *row->fallback) {
            fputs("Default: ", out);
            print_roff_text(row->fallback, out);
            fputs(".\n", out);
        }
        if (row->traits & OPT_RELOADABLE)
            fputs("Reloadable.\n", out);
    }
}
