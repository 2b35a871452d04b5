/*
 * The whole server: what main starts, runs and stops. Thread: main.
 */
#ifndef TALLYD_SERVER_SERVER_H
#define TALLYD_SERVER_SERVER_H

#include "common/compiler.h"
#include "server/config.h"

struct server;

/* Starts everything: the sockets, the workers, the flusher, HTTP. Redis need not be there.
 * `config` is borrowed; main may change what is reloadable in it, and calls server_reload() then.
 * Returns NULL with one line in `error`, and errno EINVAL if an option is wrong or a file that one
 * names, another errno if something else is. */
struct server *server_start(const struct config *config, char error[ERROR_BYTES]) MUST_CHECK;

/* Accepts connections and hands them to the workers, until `signal_fd` (a signalfd) becomes
 * readable, or this instance is fenced. Does not read signal_fd. */
void server_run(struct server *server, int signal_fd);

/* Takes over what main has changed in the configuration, and reads the files of TLS and of tokens
 * again. Returns 0, or -EINVAL with `error`; then nothing has changed. */
int server_reload(struct server *server, char error[ERROR_BYTES]) MUST_CHECK;

/* Counts a reload: `result` is 0, or what was wrong. */
void server_note_reload(struct server *server, int result);

/* How a server ends; each is an exit status. */
enum server_end {
    SERVER_COMMITTED = 0,     /* every packet counted is in Redis */
    SERVER_NOT_COMMITTED = 3, /* some never were; the log says how many */
    SERVER_FENCED = 4,        /* another instance of the same name took over */
};

/* Drains and stops everything, within the drain timeout: no new streams; the open ones end, by
 * themselves or interrupted; a last commit; the last answers. A signal while it waits (readable
 * `signal_fd`) cuts the waiting short. */
enum server_end server_drain(struct server *server, int signal_fd);

/* NULL does nothing. */
void server_destroy(struct server *server);

#endif
