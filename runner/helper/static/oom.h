/* What the kernel says of the container's memory. */
#pragma once

#include <stdbool.h>

/* How many processes of this control group the kernel has killed for want of memory. False where
 * that is not to be seen, or cannot be read now: a group without memory has none to read it with,
 * either. Source: memory.events of cgroup-v2.rst, memory.oom_control of version 1. */
bool oom_kills(unsigned long *ret);
