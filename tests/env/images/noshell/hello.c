#include <stdio.h>
#include <stdlib.h>

/* The only program of an image without a shell: hello [EXIT_CODE]. */
int main(int argc, char **argv)
{
    puts("hello from a static binary");
    return argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
}
