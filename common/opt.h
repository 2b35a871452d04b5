/*
 * Options from one table. A row gives an option's name, environment variable, type, range,
 * default and help; the parser, --help, the README's table and the manual page all read it.
 *
 * A value comes from the flag, else the environment variable, else the configuration file, else
 * the default. An environment variable that is set but empty counts as unset.
 */
#ifndef TALLYD_COMMON_OPT_H
#define TALLYD_COMMON_OPT_H

#include "common/compiler.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum opt_type {
    OPT_STRING, /* char *, heap, owned by the struct; NULL when there is no default */
    OPT_NUMBER, /* uint64_t between min and max */
    OPT_CHOICE, /* int, the index into `choices` */
    OPT_FLAG,   /* bool; takes no value on the command line, true|false in a file */
};

enum opt_traits {
    OPT_SECRET = 1,     /* no flag takes it: every user of the machine may read a command line */
    OPT_COMMAND = 2,    /* command line only: --help and the like */
    OPT_FILE = 4,       /* names the configuration file */
    OPT_RELOADABLE = 8, /* a new value is taken when the configuration is read again */
};

struct opt_row {
    const char *name;        /* without the dashes */
    const char *environment; /* NULL: none */
    enum opt_type type;
    size_t offset;        /* of the field in the options struct */
    const char *fallback; /* the default, as text; NULL: none */
    uint64_t min, max;
    const char *const *choices; /* NULL-terminated */
    const char *metavar;        /* what the value is called in help: "HOST" */
    const char *help;           /* one sentence, no full stop needed at the end of a fragment */
    unsigned traits;
};

struct opt_table {
    const char *synopsis; /* the lines of --help above the options */
    const char *epilogue; /* the lines below them, may be NULL */
    const struct opt_row *rows;
    size_t count;
};

/* Fills `options`, whose fields the rows' offsets name, from all four sources. Returns 0, or
 * -EINVAL with a one-line message in `error` that names the option, its range and, for an unknown
 * one, the closest known name. Wipes `argv` of the value of a secret that was given as a flag.
 * Whatever it returns, opt_free() releases the fields. Called by: main. */
int opt_load(const struct opt_table *table, void *options, int argc, char **argv,
             char error[ERROR_BYTES]) MUST_CHECK;

/* Whether a row's field has a value; whether it has the same in both; exchanges it between them. */
bool opt_is_set(const struct opt_row *row, const void *options);
bool opt_is_equal(const struct opt_row *row, const void *a, const void *b);
void opt_exchange(const struct opt_row *row, void *a, void *b);

/* Frees the strings in `options`. */
void opt_free(const struct opt_table *table, void *options);

/* Writes --help. */
void opt_print_help(const struct opt_table *table, FILE *out);

/* Writes the rows as a Markdown table / as roff for the manual page's OPTIONS section. */
void opt_print_markdown(const struct opt_table *table, FILE *out);
void opt_print_roff(const struct opt_table *table, FILE *out);

#endif
