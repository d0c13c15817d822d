#pragma once
#define WINAPI __stdcall
#define CALLBACK __stdcall
#define TRUE 1
#define INFINITE 0xffffffff
#define FLS_OUT_OF_INDEXES 0xffffffff
#define STACK_SIZE_PARAM_IS_A_RESERVATION 0x10000

typedef int BOOL;
typedef unsigned char BYTE;
typedef unsigned short WORD;
typedef unsigned long DWORD, ULONG;
typedef void *HANDLE, *PVOID;

typedef union {
    long long QuadPart;
} LARGE_INTEGER;
BOOL WINAPI QueryPerformanceCounter(LARGE_INTEGER *ticks);
BOOL WINAPI QueryPerformanceFrequency(LARGE_INTEGER *per_second);

typedef struct {
    WORD Group;
    BYTE Number, Reserved;
} PROCESSOR_NUMBER;
void WINAPI GetCurrentProcessorNumberEx(PROCESSOR_NUMBER *number);
BOOL WINAPI SwitchToThread(void);
BOOL WINAPI CloseHandle(HANDLE handle);

typedef struct {
    PVOID Ptr;
} SRWLOCK, CONDITION_VARIABLE, INIT_ONCE;
typedef INIT_ONCE *PINIT_ONCE;
#define SRWLOCK_INIT                                                                                                 \
    {                                                                                                                \
        0                                                                                                            \
    }
#define CONDITION_VARIABLE_INIT                                                                                      \
    {                                                                                                                \
        0                                                                                                            \
    }
#define INIT_ONCE_STATIC_INIT                                                                                        \
    {                                                                                                                \
        0                                                                                                            \
    }
void WINAPI AcquireSRWLockExclusive(SRWLOCK *lock);
void WINAPI ReleaseSRWLockExclusive(SRWLOCK *lock);
BOOL WINAPI SleepConditionVariableSRW(CONDITION_VARIABLE *condition, SRWLOCK *lock, DWORD milliseconds, ULONG flags);
void WINAPI WakeConditionVariable(CONDITION_VARIABLE *condition);
void WINAPI WakeAllConditionVariable(CONDITION_VARIABLE *condition);

BOOL WINAPI InitOnceExecuteOnce(INIT_ONCE *once, BOOL(CALLBACK *run)(PINIT_ONCE, PVOID, PVOID *), PVOID parameter,
                                PVOID *context);
DWORD WINAPI FlsAlloc(void(WINAPI *at_end)(void *));
BOOL WINAPI FlsSetValue(DWORD slot, PVOID value);
