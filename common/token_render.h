/* The token file's lines, written: what token_entry_parse() reads. Any thread; no state. */
#ifndef TALLYD_COMMON_TOKEN_RENDER_H
#define TALLYD_COMMON_TOKEN_RENDER_H

#include "common/token_entry.h"

#include <stddef.h>

/* Writes an entry as a line, with a newline and a NUL. Returns its length. */
size_t token_render_entry(const struct token_entry *entry, char line[TOKEN_ENTRY_LINE_BYTES + 2]);

/* Writes rights as the file has them: "ingest,read". */
#define TOKEN_RIGHTS_BYTES 24
const char *token_render_rights(unsigned which, char text[TOKEN_RIGHTS_BYTES]);

/* Writes a prefix percent-encoded. */
#define TOKEN_PREFIX_TEXT_BYTES (3 * TOKEN_ENTRY_PREFIX_BYTES + 1)
const char *token_render_prefix(const char *prefix, size_t length,
                                char text[TOKEN_PREFIX_TEXT_BYTES]);

#endif
