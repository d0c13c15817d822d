#pragma once
#define INFINITY ((float)(1e300 * 1e300))
#define NAN ((float)(INFINITY * 0.0f))
double fma(double a, double b, double c);
float fmaf(float a, float b, float c);
double fabs(double a);
float fabsf(float a);
double sqrt(double a);
double pow(double a, double b);
double floor(double a);
double ceil(double a);
double ldexp(double a, int b);
#define isnan(a) ((a) != (a))
#define isinf(a) ((a) == INFINITY || (a) == -INFINITY)
#define isfinite(a) ((a) - (a) == 0)
#define signbit(a) ((a) < 0 || ((a) == 0 && 1 / (a) < 0))
