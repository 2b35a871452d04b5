/* See token_command.h. The file is edited as text, so that comments and order stay. */
#include "server/token_command.h"

#include "common/token_render.h"
#include "common/tokens.h"
#include "common/utf8.h"
#include "server/token_edit.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, FAILED = 1, WRONG_ARGUMENTS = 2 };

#define SHOWN_HASH_BYTES 4 /* enough to tell tokens apart */
#define MAX_ARGUMENTS    32

struct options {
    char *token_file, *prefix;
    uint64_t max_devices; /* 0: no limit */
    bool ingest, read, admin, help;
};

#define FIELD(name) offsetof(struct options, name)
#define FLAG(field, flag, help)                                                                    \
    {                                                                                              \
        flag, NULL, OPT_FLAG, FIELD(field), NULL, 0, 0, NULL, NULL, help, OPT_COMMAND              \
    }

static const struct opt_row rows[] = {
    {"token-file", "TOKEN_FILE", OPT_STRING, FIELD(token_file), NULL, 0, 0, NULL, "FILE",
     "the file that tallyd is given by the same option; add makes it if it is missing", 0},
    FLAG(ingest, "ingest", "add: it may send packets"),
    FLAG(read, "read", "add: it may read over HTTP"),
    FLAG(admin, "admin", "add: it may do both, and have tallyd read its configuration again"),
    {"prefix", NULL, OPT_STRING, FIELD(prefix), NULL, 0, 0, NULL, "TEXT",
     "add: every device_id that is sent with it must begin so; needs --ingest or --admin", 0},
    {"max-devices", NULL, OPT_NUMBER, FIELD(max_devices), NULL, 1, TOKEN_ENTRY_MAX_DEVICES, NULL,
     "N",
     "add: it may bring so many devices into being; no limit if not given; "
     "needs --ingest or --admin",
     0},
    FLAG(help, "help", "print this and exit"),
};

const struct opt_table token_command_table = {
    .synopsis = "Usage: tallyd token add NAME [--ingest] [--read] [--admin] [OPTION]...\n"
                "       tallyd token list [OPTION]...\n"
                "       tallyd token revoke NAME [OPTION]...\n\n"
                "Makes a token and prints it, this once; lists those there are; takes one away.\n"
                "The file holds no token, only what tells that one is right. A tallyd that runs\n"
                "reads it again on SIGHUP.",
    .epilogue = "Exit status: 0 done, 1 could not be done, 2 wrong arguments.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

static int complain(int status, const char *format, ...) PRINTF_LIKE(2, 3);

static int complain(int status, const char *format, ...)
{
    va_list args;

    fputs("tallyd token: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

/* Output that did not get out was not done. */
static int finish(FILE *out)
{
    return fflush(out) || ferror(out) ? complain(FAILED, "cannot write: %s", strerror(errno))
                                      : DONE;
}

static struct token_entry *find(const struct token_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++) {
        if (!strcmp(file->entries[i].name, name))
            return &file->entries[i];
    }
    return NULL;
}

/* ---- add ------------------------------------------------------------------------------------ */

static const char new_file[] =
    "# Who may send to tallyd, and who may read from it: see \"tallyd token --help\".\n"
    "# name rights sha256=HASH [prefix=TEXT] [max-devices=N]\n";

/* The text as it was, with an entry's line at its end. Heap; NULL when memory is short. */
static char *append(const struct token_edit *edit, const struct token_entry *entry, size_t *length)
{
    char line[TOKEN_ENTRY_LINE_BYTES + 2], *text;
    bool ended = !edit->length || edit->text[edit->length - 1] == '\n';
    size_t room = edit->length + sizeof new_file + 1 + token_render_entry(entry, line) + 1;

    text = malloc(room);
    if (!text)
        return NULL;
    memcpy(text, edit->text, edit->length);
    *length =
        edit->length + (size_t)snprintf(text + edit->length, room - edit->length, "%s%s%s",
                                        edit->exists ? "" : new_file, ended ? "" : "\n", line);
    return text;
}

static int write_entry(struct token_edit *edit, const struct token_entry *entry)
{
    char error[ERROR_BYTES];
    size_t length;
    char *text = append(edit, entry, &length);
    int result;

    if (!text)
        return complain(FAILED, "memory is short");
    result = token_edit_commit(edit, text, length, error);
    free(text);
    return result ? complain(FAILED, "%s", error) : DONE;
}

/* Makes the token, writes its entry, and only then shows it. */
static int make_and_show(struct token_edit *edit, struct token_entry *entry)
{
    char secret[TOKEN_SECRET_CHARS + 1];
    int error = token_secret_make(secret), status;

    if (error)
        return complain(FAILED, "the kernel gives no random bytes: %s", strerror(-error));
    if (token_secret_hash(secret, TOKEN_SECRET_CHARS, entry->hash))
        return complain(FAILED, "OpenSSL makes no SHA-256");
    status = write_entry(edit, entry);
    if (status == DONE) {
        printf("%s\n", secret);
        status = finish(stdout);
        fprintf(stderr,
                status == DONE
                    ? "%s is in %s. This is its token, shown this once; a tallyd that "
                      "runs takes it after SIGHUP.\n"
                    : "%s is in %s, but its token is lost: revoke it and add it again.\n",
                entry->name, edit->path);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return status;
}

static int add(const struct options *options, const char *name)
{
    char error[ERROR_BYTES], none[] = "";
    struct token_entry entry = {.prefix = options->prefix ? options->prefix : none};
    struct token_edit edit;
    int status;

    entry.rights = (options->ingest ? TOKEN_INGEST : 0u) | (options->read ? TOKEN_READ : 0u) |
                   (options->admin ? TOKEN_ADMIN : 0u);
    entry.prefix_length = strlen(entry.prefix);
    entry.max_devices = options->max_devices ? options->max_devices : TOKEN_ENTRY_NO_LIMIT;
    if (!token_entry_is_name(name))
        return complain(WRONG_ARGUMENTS,
                        "a name has 1 to %d letters, digits, \"-\", \"_\" or \".\", and does not "
                        "begin with " TOKEN_SECRET_PREFIX,
                        TOKEN_ENTRY_NAME_BYTES);
    if (!entry.rights)
        return complain(WRONG_ARGUMENTS, "say what it may do: --ingest, --read or --admin");
    if ((options->prefix || options->max_devices) && !token_entry_is_limitable(entry.rights))
        return complain(WRONG_ARGUMENTS, "--prefix and --max-devices limit what is sent, and go "
                                         "with --ingest or --admin; --read is for every device");
    if ((options->prefix && !entry.prefix_length) ||
        entry.prefix_length > TOKEN_ENTRY_PREFIX_BYTES ||
        !utf8_is_valid((const uint8_t *)entry.prefix, entry.prefix_length))
        return complain(WRONG_ARGUMENTS, "--prefix must be 1 to %d bytes of UTF-8",
                        TOKEN_ENTRY_PREFIX_BYTES);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    if (token_edit_begin(&edit, options->token_file, true, error))
        status = complain(FAILED, "%s", error);
    else if (find(&edit.file, name))
        status =
            complain(FAILED, "%s has a token already: revoke it, or choose another name", name);
    else
        status = make_and_show(&edit, &entry);
    token_edit_end(&edit);
    return status;
}

/* ---- list, revoke --------------------------------------------------------------------------- */

static void show(const struct token_entry *entry)
{
    char which[TOKEN_RIGHTS_BYTES], prefix[TOKEN_PREFIX_TEXT_BYTES], limit[24] = "-";

    token_render_prefix(entry->prefix, entry->prefix_length, prefix);
    if (entry->max_devices != TOKEN_ENTRY_NO_LIMIT)
        snprintf(limit, sizeof limit, "%" PRIu64, entry->max_devices);
    printf("%-24s %-18s %11s  ", entry->name, token_render_rights(entry->rights, which), limit);
    for (size_t i = 0; i < SHOWN_HASH_BYTES; i++)
        printf("%02x", entry->hash[i]);
    printf("  %s\n", *prefix ? prefix : "-");
}

/* Takes no lock, and needs none: the file is only ever replaced as a whole. */
static int list(const struct options *options, const char *name)
{
    char error[ERROR_BYTES];
    struct token_file file;

    (void)name;
    if (token_file_read(options->token_file, &file, NULL, error))
        return complain(FAILED, "%s", error);
    printf("%-24s %-18s %11s  %-8s  %s\n", "NAME", "RIGHTS", "MAX-DEVICES", "SHA256", "PREFIX");
    for (size_t i = 0; i < file.count; i++)
        show(&file.entries[i]);
    token_file_fini(&file);
    return finish(stdout);
}

/* Takes line `number`, from 1, out of a text; returns what is left of its length. */
static size_t cut_line(char *text, size_t length, unsigned number)
{
    char *line = text, *end = text + length, *next;

    while (--number)
        line = (char *)memchr(line, '\n', (size_t)(end - line)) + 1;
    next = memchr(line, '\n', (size_t)(end - line));
    next = next ? next + 1 : end;
    memmove(line, next, (size_t)(end - next));
    return length - (size_t)(next - line);
}

static int revoke(const struct options *options, const char *name)
{
    char error[ERROR_BYTES];
    const struct token_entry *entry;
    struct token_edit edit;
    int status = DONE;

    if (token_edit_begin(&edit, options->token_file, false, error)) {
        status = complain(FAILED, "%s", error);
    } else if (!(entry = find(&edit.file, name))) {
        status = complain(FAILED, "nobody in %s is called \"%.80s\"", edit.path, name);
    } else {
        edit.length = cut_line(edit.text, edit.length, entry->line);
        if (token_edit_commit(&edit, edit.text, edit.length, error))
            status = complain(FAILED, "%s", error);
        else
            fprintf(stderr, "%s is no longer in %s; a tallyd that runs knows after SIGHUP.\n", name,
                    edit.path);
    }
    token_edit_end(&edit);
    return status;
}

/* ---- The command line ----------------------------------------------------------------------- */

static const struct action {
    const char *name;
    bool named, adds; /* takes a NAME; takes add's options */
    int (*run)(const struct options *options, const char *name);
} actions[] = {
    {"add", true, true, add}, {"list", false, false, list}, {"revoke", true, false, revoke}};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        if (!strcmp(actions[i].name, name))
            return &actions[i];
    }
    return NULL;
}

/* True if an argument is an option whose value is the next argument. */
static bool takes_next(const char *argument)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (rows[i].type != OPT_FLAG && !strcmp(argument + 2, rows[i].name))
            return true;
    }
    return false;
}

/* Parts the words of the command, of which there may be two, from the options, which opt_load()
 * reads. Returns the number of words. */
static int take_words(int argc, char **argv, const char *words[3], char **rest, int *rest_count)
{
    int count = 0;

    *rest_count = 0;
    rest[(*rest_count)++] = argv[0];
    for (int i = 1; i < argc; i++) {
        bool option = *argv[i] == '-';

        if (!option && count < 3)
            words[count++] = argv[i];
        else
            rest[(*rest_count)++] = argv[i];
        if (option && !strncmp(argv[i], "--", 2) && takes_next(argv[i]) && i + 1 < argc)
            rest[(*rest_count)++] = argv[++i];
    }
    return count;
}

static int act(const struct options *options, const char *const words[3], int count)
{
    const struct action *action = count ? find_action(words[0]) : NULL;

    if (options->help) {
        opt_print_help(&token_command_table, stdout);
        return finish(stdout);
    }
    if (!action)
        return complain(WRONG_ARGUMENTS, "say what to do: add, list or revoke; --help tells more");
    if (count != 1 + action->named)
        return complain(WRONG_ARGUMENTS, "%s takes %s; --help tells more", action->name,
                        action->named ? "one name" : "no name");
    if (!action->adds && (options->ingest || options->read || options->admin || options->prefix ||
                          options->max_devices))
        return complain(WRONG_ARGUMENTS, "%s takes no option but --token-file", action->name);
    if (!options->token_file)
        return complain(WRONG_ARGUMENTS, "say which file: --token-file FILE, or TOKEN_FILE in the "
                                         "environment");
    return action->run(options, words[1]);
}

int token_command(int argc, char **argv)
{
    char error[ERROR_BYTES], *rest[MAX_ARGUMENTS];
    const char *words[3] = {NULL};
    struct options options;
    int count, rest_count, status;

    if (argc > MAX_ARGUMENTS)
        return complain(WRONG_ARGUMENTS, "too many arguments");
    count = take_words(argc, argv, words, rest, &rest_count);
    if (opt_load(&token_command_table, &options, rest_count, rest, error))
        status = complain(WRONG_ARGUMENTS, "%s", error);
    else
        status = act(&options, words, count);
    opt_free(&token_command_table, &options);
    return status;
}
