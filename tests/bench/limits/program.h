/*
 * The beginning of each of the small C programs here: read the options, or leave.
 */
#ifndef TALLYD_BENCH_PROGRAM_H
#define TALLYD_BENCH_PROGRAM_H

#include "common/opt.h"

#include <stdlib.h>

/* Rows of an option table, for fields of `struct options`. */
#define PROGRAM_NUMBER(option, field, default_value, low, high, meta, text)                        \
    {                                                                                              \
        .name = option, .type = OPT_NUMBER, .offset = offsetof(struct options, field),             \
        .fallback = default_value, .min = low, .max = high, .metavar = meta, .help = text          \
    }
#define PROGRAM_STRING(option, field, default_value, meta, text)                                   \
    {                                                                                              \
        .name = option, .type = OPT_STRING, .offset = offsetof(struct options, field),             \
        .fallback = default_value, .metavar = meta, .help = text                                   \
    }
#define PROGRAM_HELP                                                                               \
    {                                                                                              \
        .name = "help", .type = OPT_FLAG, .offset = offsetof(struct options, help),                \
        .help = "print this help", .traits = OPT_COMMAND                                           \
    }

/* Fills `options` from the command line. Ends the program after a wrong option, and after --help,
 * whose field is `help`. Called by: main. */
static inline void program_options(const char *name, const struct opt_table *table, void *options,
                                   const bool *help, int argc, char **argv)
{
    char error[ERROR_BYTES];

    if (opt_load(table, options, argc, argv, error)) {
        fprintf(stderr, "%s: %s\n", name, error);
        exit(2);
    }
    if (*help) {
        opt_print_help(table, stdout);
        exit(EXIT_SUCCESS);
    }
}

#endif
