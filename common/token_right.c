/* See token_right.h. */
#include "common/token_right.h"

const struct token_right_name token_right_names[TOKEN_RIGHTS] = {
    {"ingest", TOKEN_INGEST},
    {"read", TOKEN_READ},
    {"admin", TOKEN_ADMIN},
};
