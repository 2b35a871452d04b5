/* What a token may be good for, and what that is called in a token file. */
#ifndef TALLYD_COMMON_TOKEN_RIGHT_H
#define TALLYD_COMMON_TOKEN_RIGHT_H

enum token_right {
    TOKEN_INGEST = 1, /* to send packets */
    TOKEN_READ = 2,   /* to read over HTTP */
    TOKEN_ADMIN = 4,  /* both, and to make tallyd read its configuration again */
};

#define TOKEN_RIGHTS 3

struct token_right_name {
    const char *name;
    enum token_right right;
};

/* In the order in which they are written. */
extern const struct token_right_name token_right_names[TOKEN_RIGHTS];

#endif
