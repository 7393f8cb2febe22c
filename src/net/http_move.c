/*
 * http_move.c - a connection goes to the first desk, since what it asks for is answered there only.
 *
 * Nothing of it is half done then: all answers so far have left, a head is
 * whole, and no byte behind it has been looked at. So only the descriptor, the
 * address and those bytes go, and there the head is read once more. Times do
 * not begin anew by it: the one that ran was that of the head.
 */
#include <fcntl.h>

#include "net/http_conn.h"

void http_conn_leave(struct http_conn *conn, struct str head)
{
    conn->leaving = true;
    buf_init(&conn->head, HTTP_HEAD_BYTES_MAX + HTTP_HELD_BYTES_MAX);
    buf_add_str(&conn->head, head);
}

/* A second descriptor of its socket, since libuv gives none back. Below zero: none is left. */
static int second_fd(const struct http_conn *conn)
{
    uv_os_fd_t fd;
    return uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

bool http_conn_depart(struct http_conn *conn)
{
    if (!conn->leaving || conn->out.waiting || conn->flush_due)
        return false;
    conn->leaving = false;
    struct http_guest guest = { .fd = second_fd(conn), .peer = conn->peer, .above = -1, .said = conn->head };
    if (guest.fd < 0) {
        http_conn_turn_down(conn, "no descriptor is left");
        return true;
    }
    buf_add_str(&guest.said, buf_str(&conn->held));
    conn->head = (struct buf){ 0 };
    struct http_desk *first = conn->desk->server->desks[0];
    conn->moved = true;
    atomic_fetch_sub(&conn->desk->open, 1);
    atomic_fetch_add(&first->open, 1);
    http_conn_close(conn);
    http_desk_send(first, &guest);
    return true;
}
