/*
 * What a probe changed, as a map that can be laid over the image. Owns its values. Main
 * thread only.
 */
#ifndef SALISCOPE_TUI_CHANGE_H
#define SALISCOPE_TUI_CHANGE_H

#include "saliscope/explain.h"
#include "saliscope/probe.h"

struct sal_change {
    unsigned serial; /* of the snapshot it was made from; 0: of none */
    struct sal_map map; /* values: of the channel that changes most, in levels of the image,
                           signed; by_channel: red, green, blue, or one. width 0: nothing is
                           changed */
};

/* Makes the map of an answer (NULL: there is none) about a picture whose largest level is
 * white, unless it was made from that snapshot. */
enum sal_status sal_change_update(struct sal_change *change, unsigned serial,
                                  const struct sal_probe_answer *answer,
                                  const struct sal_model *model, unsigned white,
                                  struct sal_error *err);
void sal_change_release(struct sal_change *change);

#endif
