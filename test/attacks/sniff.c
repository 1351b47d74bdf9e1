/*
 * sniff WORD: listen to every packet on every interface for three seconds. packet(7)
 * Meanwhile WORD, a password, goes from one program of the host's to another.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char packet[65536];
    const time_t end = time(NULL) + 3;
    const struct timeval second = {1, 0};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), packets = 0;
    if (argc < 2 || fd < 0) return printf("HOLDS: socket: %s\n", strerror(errno)), 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    while (time(NULL) < end) {
        const ssize_t n = recv(fd, packet, sizeof packet, 0);
        if (n > 0) packets++;
        if (n > 0 && memmem(packet, (size_t)n, argv[1], strlen(argv[1])))
            return printf("BROKEN: overheard the password %s on the host\n", argv[1]), 0;
    }
    printf("HOLDS: %d packets, all its own\n", packets);
    return 1;
}
