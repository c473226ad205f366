/* library.h - what the files of the library share. */
#ifndef TQDIT_LIBRARY_H
#define TQDIT_LIBRARY_H

#include "isa.h"

const tq_isa *tq_current(void);      /* the instruction set that is in use */
int tq_fail(const char *format, ...) /* remember why a call failed; returns -1 */
    __attribute__((format(printf, 1, 2)));
double tq_now(void); /* seconds since some day */
const char *tq_selftest(const tq_isa *isa); /* NULL, or what differs from plain C */

#endif
