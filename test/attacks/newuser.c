/*
 * newuser: a user namespace of our own gives us all capabilities in it, and so all the kernel's
 * code that is for administrators, where many holes were found. user_namespaces(7)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

int main(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return printf("HOLDS: unshare: %s\n", strerror(errno)), 1;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
        return printf("HOLDS: mount: %s\n", strerror(errno)), 1;
    printf("BROKEN: has all capabilities in a new user namespace, and mounts\n");
    return 0;
}
