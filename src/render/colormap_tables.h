/*
 * The colours of the rows in sal_colormaps[], as sRGB.
 */
#ifndef SALISCOPE_RENDER_COLORMAP_TABLES_H
#define SALISCOPE_RENDER_COLORMAP_TABLES_H

#include <stdint.h>

extern const uint8_t sal_colormap_viridis[256][3];
extern const uint8_t sal_colormap_inferno[256][3];
extern const uint8_t sal_colormap_magma[256][3];
extern const uint8_t sal_colormap_cividis[256][3];
extern const uint8_t sal_colormap_gray[256][3];
extern const uint8_t sal_colormap_turbo[256][3];
extern const uint8_t sal_colormap_jet[256][3];
extern const uint8_t sal_colormap_rdbu_r[256][3];
extern const uint8_t sal_colormap_coolwarm[256][3];

#endif
