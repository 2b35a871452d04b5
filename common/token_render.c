/* See token_render.h. */
#include "common/token_render.h"

#include "common/compiler.h"
#include "common/token_right.h"

#include <inttypes.h>
#include <stdio.h>

const char *token_render_rights(unsigned which, char text[TOKEN_RIGHTS_BYTES])
{
    size_t used = 0;

    *text = '\0';
    for (size_t i = 0; i < TOKEN_RIGHTS; i++) {
        if (which & token_right_names[i].right)
            used += (size_t)snprintf(text + used, TOKEN_RIGHTS_BYTES - used, "%s%s",
                                     used ? "," : "", token_right_names[i].name);
    }
    return text;
}

const char *token_render_prefix(const char *prefix, size_t length,
                                char text[TOKEN_PREFIX_TEXT_BYTES])
{
    char *out = text;

    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)prefix[i];

        if (byte > ' ' && byte < 0x7f && byte != '%')
            *out++ = (char)byte;
        else
            out += sprintf(out, "%%%02X", byte);
    }
    *out = '\0';
    return text;
}

size_t token_render_entry(const struct token_entry *entry, char line[TOKEN_ENTRY_LINE_BYTES + 2])
{
    char which[TOKEN_RIGHTS_BYTES], prefix[TOKEN_PREFIX_TEXT_BYTES];
    int used =
        sprintf(line, "%s %s sha256=", entry->name, token_render_rights(entry->rights, which));

    for (size_t i = 0; i < TOKEN_HASH_BYTES; i++)
        used += sprintf(line + used, "%02x", entry->hash[i]);
    if (entry->prefix_length)
        used += sprintf(line + used, " prefix=%s",
                        token_render_prefix(entry->prefix, entry->prefix_length, prefix));
    if (entry->max_devices != TOKEN_ENTRY_NO_LIMIT)
        used += sprintf(line + used, " max-devices=%" PRIu64, entry->max_devices);
    used += sprintf(line + used, "\n");
    return (size_t)used;
}
