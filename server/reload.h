/*
 * What SIGHUP does: the configuration is read again, from the flags and the environment that tallyd
 * was started with and from the file as it is now. It is taken as a whole or not at all. Options
 * that are marked reloadable change; for others that would, a warning names them, and says that
 * they need a restart. Files that options name (TLS, tokens) are read again in any case.
 */
#ifndef TALLYD_SERVER_RELOAD_H
#define TALLYD_SERVER_RELOAD_H

#include "server/config.h"

struct server;

/* Reads it again and changes `config`, the one that `server` runs with. The log says what came of
 * it, and so do the statistics. Strings that are not reloadable stay where they are in memory:
 * others have borrowed them. Called by: main. */
void reload(struct config *config, int argc, char **argv, struct server *server);

#endif
