/*
 * The option parser. It first gathers each row's text from the sources, weakest first, so that a
 * stronger one simply overwrites; then it converts each text once. A message about a bad value
 * can therefore say where the value came from.
 */
#include "common/opt.h"

#include "common/edit_distance.h"
#include "common/regular_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct found {
    char *text;         /* heap; NULL: only the default, if any */
    const char *source; /* for messages */
};

struct load {
    const struct opt_table *table;
    struct found *found; /* one a row */
    char *error;
};

static int fail(struct load *load, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct load *load, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(load->error, ERROR_BYTES, format, args);
    va_end(args);
    return -EINVAL;
}

static int take(struct load *load, size_t row, const char *text, const char *source)
{
    free(load->found[row].text);
    load->found[row].source = source;
    load->found[row].text = strdup(text);
    return load->found[row].text ? 0 : fail(load, "out of memory");
}

/* Finds the row called `name`. `where` is the line of a file that names it, for messages; NULL
 * on the command line. */
static int find_row(struct load *load, const char *name, const char *where, size_t *row)
{
    const struct opt_table *table = load->table;
    const char *before = where ? where : "", *dashes = where ? "" : "--";
    size_t best = 0, best_distance = SIZE_MAX;

    for (size_t i = 0; i < table->count; i++) {
        size_t distance = edit_distance(name, table->rows[i].name);

        if (where && table->rows[i].traits & (OPT_COMMAND | OPT_FILE))
            continue;
        if (distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    *row = best;
    if (best_distance == 0)
        return 0;
    if (best_distance == SIZE_MAX)
        return fail(load, "%sunknown option %s%.80s; --help lists all", before, dashes, name);
    return fail(load, "%sunknown option %s%.80s; did you mean %s%s? --help lists all", before,
                dashes, name, dashes, table->rows[best].name);
}

/* A secret is no flag. Wipes its value, the tail of `argument`, and says what to use instead: the
 * environment, or the option for a file, which by convention is called like it, with "-file". */
static int refuse_secret(struct load *load, const struct opt_row *secret, char *argument,
                         const char *value)
{
    size_t length = strlen(value), name = strlen(secret->name);
    const char *file = NULL;

    memset(argument + strlen(argument) - length, 'x', length);
    for (size_t i = 0; i < load->table->count; i++) {
        const char *other = load->table->rows[i].name;

        if (strncmp(other, secret->name, name) == 0 && strcmp(other + name, "-file") == 0)
            file = other;
    }
    return fail(load,
                "--%s: no flag takes a secret, since every user can read a command line; set %s in "
                "the environment%s%s",
                secret->name, secret->environment, file ? ", or give --" : "", file ? file : "");
}

static int read_arguments(struct load *load, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i], *value;
        const struct opt_row *r;
        size_t length, row;
        char name[80];
        int error;

        if (strncmp(argument, "--", 2) != 0 || !argument[2])
            return fail(load, "unexpected argument \"%.80s\"; options start with --", argument);
        length = strcspn(argument + 2, "=");
        snprintf(name, sizeof name, "%.*s", (int)(length < 79 ? length : 79), argument + 2);
        if ((error = find_row(load, name, NULL, &row)))
            return error;
        r = &load->table->rows[row];

        if (argument[2 + length] == '=')
            value = argument + 2 + length + 1;
        else if (r->type == OPT_FLAG)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return fail(load, "--%s needs a value: --%s %s", r->name, r->name, r->metavar);
        if (r->traits & OPT_SECRET) /* in either form, the value is the tail of argv[i] */
            return refuse_secret(load, r, argv[i], value);
        if ((error = take(load, row, value, "flag")))
            return error;
    }
    return 0;
}

static int read_environment(struct load *load)
{
    for (size_t i = 0; i < load->table->count; i++) {
        const char *name = load->table->rows[i].environment;
        const char *value = name ? getenv(name) : NULL;
        int error;

        if (value && *value && (error = take(load, i, value, "environment")))
            return error;
    }
    return 0;
}

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static int read_file_line(struct load *load, const char *path, int number, char *line)
{
    char *equals, *name = trim(line), where[256];
    size_t row;
    int error;

    if (!*name || *name == '#')
        return 0;
    snprintf(where, sizeof where, "%.200s:%d: ", path, number);
    equals = strchr(name, '=');
    if (!equals)
        return fail(load, "%sexpected \"name = value\"", where);
    *equals = '\0';
    name = trim(name);
    if ((error = find_row(load, name, where, &row)))
        return error;
    return take(load, row, trim(equals + 1), "file");
}

static int read_file(struct load *load, const char *path)
{
    FILE *file = regular_file_open(path);
    char *line = NULL;
    size_t size = 0;
    int error = 0;

    if (!file)
        return fail(load, "cannot read configuration file %.200s: %s", path,
                    regular_file_strerror(errno));
    for (int number = 1; !error && getline(&line, &size, file) >= 0; number++)
        error = read_file_line(load, path, number, line);
    if (!error && ferror(file))
        error = fail(load, "cannot read configuration file %.200s: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return error;
}

/* The name a value is known by where it came from. */
static void describe(const struct load *load, size_t row, char out[96])
{
    const struct opt_row *r = &load->table->rows[row];
    const char *source = load->found[row].source;

    if (source && strcmp(source, "environment") == 0)
        snprintf(out, 96, "%s (environment, for --%s)", r->environment, r->name);
    else if (source && strcmp(source, "file") == 0)
        snprintf(out, 96, "%s (configuration file)", r->name);
    else
        snprintf(out, 96, "--%s", r->name);
}

static int convert_number(struct load *load, size_t row, const char *text, uint64_t *number)
{
    const struct opt_row *r = &load->table->rows[row];
    char who[96], *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || *number < r->min || *number > r->max) {
        describe(load, row, who);
        return fail(load, "%s: \"%.40s\" is not a whole number from %llu to %llu", who, text,
                    (unsigned long long)r->min, (unsigned long long)r->max);
    }
    return 0;
}

static int convert_choice(struct load *load, size_t row, const char *text, int *choice)
{
    const struct opt_row *r = &load->table->rows[row];
    char who[96], names[128] = "";

    for (int i = 0; r->choices[i]; i++) {
        if (strcmp(text, r->choices[i]) == 0) {
            *choice = i;
            return 0;
        }
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 r->choices[i]);
    }
    describe(load, row, who);
    return fail(load, "%s: \"%.40s\" is not one of %s", who, text, names);
}

static int convert_flag(struct load *load, size_t row, const char *text, bool *flag)
{
    char who[96];

    *flag = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (*flag || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return 0;
    describe(load, row, who);
    return fail(load, "%s: \"%.40s\" is neither true nor false", who, text);
}

static int convert(struct load *load, size_t row, void *options)
{
    const struct opt_row *r = &load->table->rows[row];
    const char *text = load->found[row].text ? load->found[row].text : r->fallback;
    void *field = (char *)options + r->offset;

    if (!text) /* no default: NULL, 0 or false */
        return 0;
    switch (r->type) {
    case OPT_STRING:
        *(char **)field = strdup(text);
        return *(char **)field ? 0 : fail(load, "out of memory");
    case OPT_NUMBER:
        return convert_number(load, row, text, field);
    case OPT_CHOICE:
        return convert_choice(load, row, text, field);
    case OPT_FLAG:
        return convert_flag(load, row, text, field);
    }
    return 0;
}

static size_t field_bytes(const struct opt_row *row)
{
    switch (row->type) {
    case OPT_STRING:
        return sizeof(char *);
    case OPT_NUMBER:
        return sizeof(uint64_t);
    case OPT_CHOICE:
        return sizeof(int);
    case OPT_FLAG:
        return sizeof(bool);
    }
    return 0;
}

/* Makes strings NULL, numbers 0, flags false. */
static void clear_fields(const struct opt_table *table, void *options)
{
    for (size_t i = 0; i < table->count; i++)
        memset((char *)options + table->rows[i].offset, 0, field_bytes(&table->rows[i]));
}

/* The path of the configuration file, if one is named: a flag is the only source. */
static char *config_path(const struct load *load)
{
    for (size_t i = 0; i < load->table->count; i++) {
        if (load->table->rows[i].traits & OPT_FILE && load->found[i].text)
            return strdup(load->found[i].text);
    }
    return NULL;
}

int opt_load(const struct opt_table *table, void *options, int argc, char **argv,
             char error[ERROR_BYTES])
{
    struct load flags = {.table = table, .error = error};
    struct load all = {.table = table, .error = error};
    char *path = NULL;
    int result = -ENOMEM;

    snprintf(error, ERROR_BYTES, "out of memory");
    clear_fields(table, options);
    flags.found = calloc(table->count, sizeof *flags.found);
    all.found = calloc(table->count, sizeof *all.found);
    if (!flags.found || !all.found)
        goto done;
    if ((result = read_arguments(&flags, argc, argv)))
        goto done;
    path = config_path(&flags);
    if (path && (result = read_file(&all, path)))
        goto done;
    if ((result = read_environment(&all)))
        goto done;
    for (size_t i = 0; !result && i < table->count; i++) {
        if (flags.found[i].text)
            result = take(&all, i, flags.found[i].text, flags.found[i].source);
    }
    for (size_t i = 0; !result && i < table->count; i++)
        result = convert(&all, i, options);
done:
    for (size_t i = 0; i < table->count; i++) {
        if (flags.found)
            free(flags.found[i].text);
        if (all.found)
            free(all.found[i].text);
    }
    free(flags.found);
    free(all.found);
    free(path);
    return result;
}

bool opt_is_set(const struct opt_row *row, const void *options)
{
    return row->type != OPT_STRING || *(char *const *)((const char *)options + row->offset) != NULL;
}

bool opt_is_equal(const struct opt_row *row, const void *a, const void *b)
{
    const void *left = (const char *)a + row->offset, *right = (const char *)b + row->offset;

    if (row->type != OPT_STRING)
        return memcmp(left, right, field_bytes(row)) == 0;
    if (!opt_is_set(row, a) || !opt_is_set(row, b))
        return opt_is_set(row, a) == opt_is_set(row, b);
    return strcmp(*(char *const *)left, *(char *const *)right) == 0;
}

void opt_exchange(const struct opt_row *row, void *a, void *b)
{
    void *left = (char *)a + row->offset, *right = (char *)b + row->offset;
    uint64_t kept = 0;

    memcpy(&kept, left, field_bytes(row));
    memcpy(left, right, field_bytes(row));
    memcpy(right, &kept, field_bytes(row));
}

void opt_free(const struct opt_table *table, void *options)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].type == OPT_STRING)
            free(*(char **)((char *)options + table->rows[i].offset));
    }
    clear_fields(table, options);
}
