/*
 * Between plain N C H W and blocks of 16 channels. attr: struct sal_blocked.
 */
#ifndef SALISCOPE_ENGINE_INNER_REORDER_H
#define SALISCOPE_ENGINE_INNER_REORDER_H

#include "blocked.h"

extern const struct sal_op sal_inner_block;   /* plain to blocked; lanes past c are 0 */
extern const struct sal_op sal_inner_unblock; /* and back */

#endif
