/* See token_entry.h. The bytes are read in place; only prefixes are copied. */
#include "common/token_entry.h"

#include "common/hex.h"
#include "common/token_right.h"
#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t length;
};

static int fail(char *error, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, ERROR_BYTES, format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off a line; an empty one at its end. */
static struct text take_word(struct text *line)
{
    struct text word;

    while (line->length && is_blank(*line->bytes)) {
        line->bytes++;
        line->length--;
    }
    word = (struct text){line->bytes, 0};
    while (word.length < line->length && !is_blank(word.bytes[word.length]))
        word.length++;
    line->bytes += word.length;
    line->length -= word.length;
    return word;
}

static bool is_text(struct text text, const char *other)
{
    return text.length == strlen(other) && !memcmp(text.bytes, other, text.length);
}

/* Takes `before` off a text, if it begins with it. */
static bool take_prefix(struct text *text, const char *before)
{
    size_t length = strlen(before);

    if (text->length < length || memcmp(text->bytes, before, length) != 0)
        return false;
    text->bytes += length;
    text->length -= length;
    return true;
}

static bool is_name(struct text text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    for (size_t i = 0; i < text.length; i++) {
        if (!memchr(allowed, text.bytes[i], sizeof allowed - 1))
            return false;
    }
    /* A token is no name: it would be shown in lists and logs. */
    return text.length > 0 && text.length <= TOKEN_ENTRY_NAME_BYTES &&
           !take_prefix(&text, TOKEN_SECRET_PREFIX);
}

bool token_entry_is_name(const char *text)
{
    return is_name((struct text){text, strlen(text)});
}

bool token_entry_is_limitable(unsigned held)
{
    return held & (TOKEN_INGEST | TOKEN_ADMIN);
}

/* ---- Fields --------------------------------------------------------------------------------- */

static int parse_name(struct text word, struct token_entry *entry, char *error)
{
    if (!is_name(word))
        return fail(error,
                    "a name has 1 to %d letters, digits, \"-\", \"_\" or \".\", and does not begin "
                    "with " TOKEN_SECRET_PREFIX,
                    TOKEN_ENTRY_NAME_BYTES);
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a name has a length */
    memcpy(entry->name, word.bytes, word.length);
    return 0;
}

static int parse_rights(struct text word, struct token_entry *entry, char *error)
{
    unsigned rights = 0;

    while (word.length) {
        const char *comma = memchr(word.bytes, ',', word.length);
        struct text one = {word.bytes, comma ? (size_t)(comma - word.bytes) : word.length};
        unsigned right = 0;

        for (size_t i = 0; i < TOKEN_RIGHTS; i++)
            right |= is_text(one, token_right_names[i].name) ? token_right_names[i].right : 0u;
        if (!right || rights & right || (comma && one.length + 1 == word.length))
            break;
        rights |= right;
        word.bytes += one.length + !!comma;
        word.length -= one.length + !!comma;
    }
    if (word.length || !rights)
        return fail(error, "after the name come rights: ingest, read or admin, each once, with "
                           "commas and no blanks between them");
    entry->rights = rights;
    return 0;
}

static int parse_hash(struct text value, struct token_entry *entry, char *error)
{
    for (size_t i = 0; value.length == 2 * TOKEN_HASH_BYTES && i < TOKEN_HASH_BYTES; i++) {
        const char digits[3] = {value.bytes[2 * i], value.bytes[2 * i + 1], '\0'};
        int byte = hex_byte(digits);

        if (byte < 0)
            value.length = 0;
        entry->hash[i] = (uint8_t)byte;
    }
    if (value.length != 2 * TOKEN_HASH_BYTES)
        return fail(error, "sha256 must have %d hexadecimal digits", 2 * TOKEN_HASH_BYTES);
    return 0;
}

static int decode_prefix(struct text value, struct token_entry *entry)
{
    while (value.length) {
        bool escaped = *value.bytes == '%';
        const char digits[3] = {value.length > 1 ? value.bytes[1] : '\0',
                                value.length > 2 ? value.bytes[2] : '\0', '\0'};
        int byte = escaped ? hex_byte(digits) : (unsigned char)*value.bytes;

        if (byte < 0 || entry->prefix_length == TOKEN_ENTRY_PREFIX_BYTES)
            return -EINVAL;
        entry->prefix[entry->prefix_length++] = (char)byte;
        value.bytes += escaped ? 3 : 1;
        value.length -= escaped ? 3 : 1;
    }
    return utf8_is_valid((const uint8_t *)entry->prefix, entry->prefix_length) ? 0 : -EINVAL;
}

static int parse_prefix(struct text value, struct token_entry *entry, char *error)
{
    if (!value.length || decode_prefix(value, entry))
        return fail(error,
                    "prefix must be 1 to %d bytes of UTF-8, with %%20 for a blank and %%25 for %%",
                    TOKEN_ENTRY_PREFIX_BYTES);
    return 0;
}

static int parse_max_devices(struct text value, struct token_entry *entry, char *error)
{
    uint64_t number = 0;
    size_t i = 0;

    while (i < value.length && value.bytes[i] >= '0' && value.bytes[i] <= '9' &&
           number <= TOKEN_ENTRY_MAX_DEVICES)
        number = 10 * number + (uint64_t)(value.bytes[i++] - '0');
    if (number == 0 || i < value.length || number > TOKEN_ENTRY_MAX_DEVICES)
        return fail(error, "max-devices must be a whole number from 1 to %" PRIu64,
                    TOKEN_ENTRY_MAX_DEVICES);
    entry->max_devices = number;
    return 0;
}

static const struct {
    const char *begins;
    int (*parse)(struct text value, struct token_entry *entry, char *error);
} fields[] = {
    {"sha256=", parse_hash}, {"prefix=", parse_prefix}, {"max-devices=", parse_max_devices}};

static int parse_fields(struct text line, struct token_entry *entry, char *error)
{
    bool seen[ARRAY_LENGTH(fields)] = {false};
    struct text word;

    while ((word = take_word(&line)).length) {
        size_t i = 0;
        int result;

        while (i < ARRAY_LENGTH(fields) && !take_prefix(&word, fields[i].begins))
            i++;
        if (i == ARRAY_LENGTH(fields))
            return fail(error, "behind the rights come sha256=, prefix= and max-devices=, and "
                               "nothing else");
        if (seen[i])
            return fail(error, "%s stands there twice", fields[i].begins);
        seen[i] = true;
        if ((result = fields[i].parse(word, entry, error)))
            return result;
    }
    if (!seen[0])
        return fail(error, "sha256= is missing");
    if ((seen[1] || seen[2]) && !token_entry_is_limitable(entry->rights))
        return fail(error, "prefix= and max-devices= limit what is sent, and this one may not "
                           "send: it reads every device");
    return 0;
}

/* ---- The line ------------------------------------------------------------------------------- */

bool token_entry_is_absent(const char *line, size_t length)
{
    struct text rest = {line, length}, word = take_word(&rest);

    return !word.length || *word.bytes == '#';
}

static bool is_plain(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)line[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return false;
    }
    return true;
}

int token_entry_parse(struct token_entry *entry, const char *line, size_t length,
                      char error[ERROR_BYTES])
{
    struct text rest = {line, length};
    int result;

    *entry = (struct token_entry){.max_devices = TOKEN_ENTRY_NO_LIMIT};
    if (!is_plain(line, length))
        return fail(error, "a byte that is neither text nor a blank");
    entry->prefix = calloc(1, TOKEN_ENTRY_PREFIX_BYTES + 1);
    if (!entry->prefix)
        return -ENOMEM;
    if ((result = parse_name(take_word(&rest), entry, error)) ||
        (result = parse_rights(take_word(&rest), entry, error)))
        return result;
    return parse_fields(rest, entry, error);
}

void token_entry_fini(struct token_entry *entry)
{
    free(entry->prefix);
    entry->prefix = NULL;
}
