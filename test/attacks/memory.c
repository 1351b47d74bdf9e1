/*
 * memory: take 200 MB, 10 at a time, and write to each page: memory that nobody has written to
 * costs nothing. Past its limit the whole container is killed, so then nobody says HOLDS here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    enum { MB = 1 << 20 };
    for (int taken = 10; taken <= 200; taken += 10) {
        char *memory = malloc(10 * MB);
        if (!memory) return printf("HOLDS: no more than %d MB\n", taken - 10), 1;
        memset(memory, taken, 10 * MB);
    }
    printf("BROKEN: holds 200 MB of the host's memory\n");
    return 0;
}
