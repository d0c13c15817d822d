#pragma once
#include <stdint.h>
uintptr_t _beginthreadex(void *security, unsigned stack, unsigned(__stdcall *run)(void *), void *argument,
                         unsigned flags, unsigned *id);
