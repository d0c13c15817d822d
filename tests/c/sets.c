/* The instruction sets this machine can run, best first, one a line. */
#include <stdio.h>

#include "fastsoftmax.h"

int main(void)
{
    for (size_t i = 0; fs_available(i); i++)
        printf("%s\n", fs_available(i));
    return 0;
}
