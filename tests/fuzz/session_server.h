/*
 * The server's side of a session: a real connection with its nghttp2 session, its calls and a real
 * cut, and what worker and flusher do around them, one after the other. What it hands over and
 * commits goes into the oracle's totals. Time stands still but for session_server_pass_time().
 */
#ifndef TALLYD_TESTS_FUZZ_SESSION_SERVER_H
#define TALLYD_TESTS_FUZZ_SESSION_SERVER_H

#include "server/connection.h"
#include "tests/fuzz/session_oracle.h"

#include <stdbool.h>
#include <stdint.h>

struct session_server {
    struct session_oracle *oracle; /* borrowed */
    struct connection_context context;
    struct stats_worker stats;
    struct connection *connection; /* NULL: it has ended */
    uint8_t pattern;               /* how what is received is cut */
    unsigned turn;
    uint64_t cuts; /* asked for */
    bool cut_open; /* the last one is not committed */
};

/* Starts with a connection, whose other end it returns. What is large, and empty after each
 * session, is made once. */
int session_server_start(struct session_server *server, struct session_oracle *oracle,
                         uint8_t pattern);

/* Ends the connection, and checks that nothing is left. All cuts are to be committed. */
void session_server_stop(struct session_server *server);

/* Has the server receive, in parts, what the client has to send, and answer. */
void session_server_pump(struct session_server *server);

/* Takes a cut, unless one is open; commits it, and sends the answers that waited for that. */
void session_server_cut(struct session_server *server);
void session_server_commit(struct session_server *server);

void session_server_pass_time(struct session_server *server, uint64_t ms);

/* The steps of a drain: any of them, and in that order. */
void session_server_interrupt(struct session_server *server, bool announces, bool says_last,
                              bool ends_calls);

#endif
