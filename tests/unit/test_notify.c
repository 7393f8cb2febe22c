#include "main/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

/* A service manager's socket in a directory of its own. */
struct manager {
    char folder[64], path[96];
    int fd;
};

static void manager_open(struct manager *manager, const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(manager->folder, sizeof manager->folder, "/tmp/posthouse-notify-XXXXXX");
    YES(mkdtemp(manager->folder) != NULL);
    snprintf(manager->path, sizeof manager->path, "%s/%s", manager->folder, name);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", manager->path);
    manager->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    EQ(bind(manager->fd, (struct sockaddr *)&at, sizeof at), 0);
}

static void manager_close(struct manager *manager)
{
    close(manager->fd);
    unlink(manager->path);
    rmdir(manager->folder);
    unsetenv("NOTIFY_SOCKET");
}

TEST(notify, tells_the_service_manager)
{
    struct manager manager;
    manager_open(&manager, "socket");
    setenv("NOTIFY_SOCKET", manager.path, 1);
    notify_send("READY=1");
    char text[64];
    ssize_t n = recv(manager.fd, text, sizeof text, MSG_DONTWAIT);
    EQ(n, 7);
    STR_EQ(((struct str){ text, 7 }), "READY=1");
    manager_close(&manager);
}

TEST(notify, reaches_an_abstract_socket)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char name[64];
    int n = snprintf(name, sizeof name, "@posthouse-notify-%d", (int)getpid());
    memcpy(at.sun_path, name, (size_t)n);
    at.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    EQ(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_send("STOPPING=1");
    char text[64];
    EQ(recv(fd, text, sizeof text, MSG_DONTWAIT), 10);
    close(fd);
    unsetenv("NOTIFY_SOCKET");
}

TEST(notify, says_nothing_where_nobody_listens)
{
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    notify_send("READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify_send("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

TEST(notify, takes_a_socket_only_when_it_is_meant)
{
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1); /* of another process */
    EQ(notify_listen_fd(), 0);
    YES(getenv("LISTEN_FDS") == NULL);
    EQ(notify_listen_fd(), 0);
}
