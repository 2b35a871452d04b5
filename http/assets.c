/* The table of the files; their bytes and hashes are in what http/www/embed.c made of them. */
#include "http/assets.h"

#include "common/compiler.h"
#include "http/www/docs.inc"
#include "http/www/openapi.inc"
#include "http/www/page.inc"
#if DOCS_UI
#include "http/www/docs_script.inc"
#include "http/www/docs_style.inc"
#include "http/www/licences.inc"
#include "http/www/swagger_script.inc"
#include "http/www/swagger_style.inc"
#endif

#include <string.h>

#define HTML       "text/html; charset=utf-8"
#define JAVASCRIPT "text/javascript; charset=utf-8"
#define CSS        "text/css; charset=utf-8"

/* What a page may do: show its own scripts and styles, ask this server, and no other. */
#define POLICY(scripts, styles)                                                                    \
    "Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src 'self' data:; "      \
    "script-src" scripts "; style-src" styles "; base-uri 'none'; form-action 'none'; "            \
    "frame-ancestors 'none'\r\n"                                                                   \
    "Referrer-Policy: no-referrer\r\n"

/* NAME_TAG, NAME_BYTES and NAME_gzip, which ends in the NUL of a string. */
#define CONTENT(NAME, name)                                                                        \
    .tag = NAME##_TAG, .gzip = name##_gzip, .gzip_bytes = sizeof name##_gzip - 1,                  \
    .bytes = NAME##_BYTES

static const struct asset assets[] = {
    {"/", HTML, POLICY(PAGE_SCRIPTS, PAGE_STYLES), CONTENT(PAGE, page)},
    {"/openapi.json", "application/json", "", CONTENT(OPENAPI, openapi)},
#if DOCS_UI
    {"/docs", HTML, POLICY(" 'self'", " 'self'"), CONTENT(DOCS, docs)},
    {"/docs/docs.js", JAVASCRIPT, "", CONTENT(DOCS_SCRIPT, docs_script)},
    {"/docs/docs.css", CSS, "", CONTENT(DOCS_STYLE, docs_style)},
    {"/docs/swagger-ui-bundle.js", JAVASCRIPT, "", CONTENT(SWAGGER_SCRIPT, swagger_script)},
    {"/docs/swagger-ui.css", CSS, "", CONTENT(SWAGGER_STYLE, swagger_style)},
    {"/docs/licences.txt", "text/plain; charset=utf-8", "", CONTENT(LICENCES, licences)},
#else
    {"/docs", HTML, POLICY(DOCS_SCRIPTS, DOCS_STYLES), CONTENT(DOCS, docs)},
#endif
};

const struct asset *assets_find(const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(assets); i++) {
        if (!strcmp(path, assets[i].path))
            return &assets[i];
    }
    return NULL;
}
