/*
 * "tallyd token": makes, lists and revokes the tokens of a token file. It talks to no tallyd; one
 * that runs reads the file again on SIGHUP.
 */
#ifndef TALLYD_SERVER_TOKEN_COMMAND_H
#define TALLYD_SERVER_TOKEN_COMMAND_H

#include "common/opt.h"

/* Its options, for the documents. */
extern const struct opt_table token_command_table;

/* Runs the command; argv[0] is "token". Returns the exit status: 0, 1 when it could not be done, 2
 * for wrong arguments. Standard output gets the new token, the list, or the help, and nothing else.
 * Called by: main. */
int token_command(int argc, char **argv);

#endif
