"""The chest without its findings: closed formulae for every structure.

Coordinates: u to the right and v downwards, both -1..1 over a field of 36 cm, so
nothing but the sampling depends on the number of pixels.
"""

import math
from functools import lru_cache

import numpy as np

MU_SOFT, MU_LUNG, MU_BONE = 0.20, 0.05, 0.42    # attenuation per cm


# ---- geometry -----------------------------------------------------------------

@lru_cache(maxsize=4)
def grid(size):
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1)
    return np.meshgrid(line, line)


def step(x, width):
    """A smooth 0-to-1 edge at x = 0."""
    return 1 / (1 + np.exp(np.clip(-x / width, -30, 30)))


def ellipsoid(u, v, u0, v0, a, b, depth, tilt=0.0, power=2.0):
    """Chord (cm) through a superellipsoid with in-plane semi-axes a and b and
    the given half-depth in cm."""
    c, s = math.cos(tilt), math.sin(tilt)
    x = ((u - u0) * c + (v - v0) * s) / a
    y = ((v - v0) * c - (u - u0) * s) / b
    r = np.abs(x) ** power + np.abs(y) ** power
    return 2 * depth * np.sqrt(np.clip(1 - r, 0, None))


@lru_cache(maxsize=16)
def blur_matrix(size, sigma):
    """Row-normalised Gaussian as a matrix; what falls off the edge is reflected."""
    at = np.arange(size)[:, None]
    reach = np.arange(-size, 2 * size)
    weight = np.exp(-0.5 * ((reach - at) / sigma) ** 2)
    inner = weight[:, size:2 * size] + weight[:, size - 1::-1] + weight[:, :2 * size - 1:-1]
    return (inner / inner.sum(1, keepdims=True)).astype(np.float32)


def blur(image, sigma):
    k = blur_matrix(len(image), float(sigma))
    return k @ image.astype(np.float32) @ k.T


def texture(rng, size, sigma):
    """A Gaussian random field of unit variance."""
    field_ = blur(rng.standard_normal((size, size)), sigma)
    return field_ / field_.std()


# ---- anatomy ------------------------------------------------------------------

def draw_anatomy(rng, zoom, broad, sex, age):
    """The numbers that make one chest differ from another. A man of 50 is the neutral
    chest. With age the heart and the aorta widen, bone thins, the lung grows coarser."""
    n = rng.standard_normal
    zoom = zoom * (1 + 0.03 * n())
    older = (age - 50) / 40
    return dict(
        sex=sex, broad=broad, aorta=1 + 0.20 * older, bone=1 - 0.15 * older,
        coarse=1 + 0.25 * older, widening=1 + 0.05 * older,
        zoom=zoom, cu=0.03 * n(), cv=0.03 * n() - 0.02,
        torso_width=(0.93 + 0.03 * n()) * zoom,
        torso_depth=(10.5 + 1.2 * n()) * (1.22 if broad else 1.0),
        lung_width=(0.335 + 0.02 * n(), 0.315 + 0.02 * n()),
        lung_height=0.78 + 0.04 * n(), lung_depth=7.0 + 0.5 * n(),
        dome=(0.60 + 0.04 * n(), 0.66 + 0.04 * n()),    # patient's right is higher
        heart=1 + 0.06 * n(), rib_pitch=0.165 * (1 + 0.03 * n()),
        rib_phase=0.03 * n(), rib_drop=1 + 0.12 * n(), clavicle=0.03 * n(),
        gas=rng.random() < 0.6, gas_at=0.05 * n())


def torso_chord(u, v, a):
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    body = ellipsoid(u, v, cu, 0.25, a["torso_width"], 1.9, a["torso_depth"], power=2.6)
    x = np.abs(u - cu) / z
    shoulder = cv - 1.12 + 0.42 * np.clip(x - 0.22, 0, None) ** 0.8
    body = body * step(v - shoulder * z, 0.035) * (1 - 0.35 * step(-(v - cv) - 0.62, 0.12))
    for side in (-1, 1):        # shoulder muscle and the fold of the armpit
        body += 0.045 * ellipsoid(u, v, cu + side * 0.86 * z, cv - 0.58, 0.34, 0.50, 5.0,
                                  side * 0.45) ** 2
    return body


def heart_chord(u, v, a):
    """Ventricles, right atrium, aortic knob and mediastinum as one thickness."""
    z, cu, cv, h, k = a["zoom"], a["cu"], a["cv"], a["heart"] * a["widening"], a["aorta"]
    parts = (
        ellipsoid(u, v, cu + 0.14 * z, cv + 0.37 * z, 0.34 * z * h, 0.25 * z * h, 5.0, 0.55),
        ellipsoid(u, v, cu - 0.07 * z, cv + 0.33 * z, 0.17 * z * h, 0.24 * z * h, 4.5),
        ellipsoid(u, v, cu + 0.10 * z, cv - 0.27 * z, 0.085 * z * k, 0.10 * z * k, 4.0),
        ellipsoid(u, v, cu + 0.12 * z, cv - 0.03 * z, 0.085 * z, 0.16 * z, 3.6),
        ellipsoid(u, v, cu + 0.01, cv - 0.15, 0.105 * z, 1.05, 5.0, power=3.0))
    return np.maximum.reduce(parts)


def lung_chord(u, v, a, heart):
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    chord = np.zeros_like(u)
    for k, side in enumerate((-1, 1)):
        y = (v - cv + 0.05) / (a["lung_height"] * z)
        axis = cu + side * (0.42 + 0.045 * y) * z
        half = a["lung_width"][k] * z * (0.93 + 0.13 * y)
        r = np.abs((u - axis) / half) ** 2.5 + np.abs(y) ** 2.3
        lung = 2 * a["lung_depth"] * np.sqrt(np.clip(1 - r, 0, None))
        arch = np.clip(1 - ((u - cu - side * 0.34 * z) / (0.47 * z)) ** 2, 0, None)
        dome = cv + (a["dome"][k] + 0.19 - 0.31 * np.sqrt(arch)) * z
        chord += lung * step(dome - v, 0.010)
    return np.clip(chord - 0.85 * heart, 0, None)


def rib_attenuation(u, v, a):
    """Ten pairs of hollow tubes. A rib is an ellipse seen from the front: its
    upper half runs down and outwards from the spine (posterior), its lower half
    comes forward and inwards (anterior, thinner, ends in cartilage)."""
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    reach = (0.40, 0.56, 0.66, 0.72, 0.76, 0.785, 0.80, 0.81, 0.81, 0.80)
    out = np.zeros_like(u)
    x = np.abs(u - cu) / z
    medial = step(x - 0.075, 0.012)
    cartilage = step(x - 0.34, 0.035)
    for i, width in enumerate(reach):
        top = cv / z - 0.90 + a["rib_phase"] + i * a["rib_pitch"]
        drop = (0.20 + 0.030 * i) * a["rib_drop"]
        y = v / z - (top + drop)
        b = np.where(y < 0, drop, 0.24 + 0.012 * i)
        r = np.sqrt((x / width) ** 2 + (y / b) ** 2) + 1e-6
        slope = np.sqrt((x / width ** 2) ** 2 + (y / b ** 2) ** 2) / r + 1e-6
        t = (r - 1) / slope / 0.027
        tube = np.sqrt(np.clip(1 - t * t, 0, None)) \
            - 0.62 * np.sqrt(np.clip(1 - (t / 0.66) ** 2, 0, None))
        weight = np.where(y < 0, medial, 0.55 * cartilage)
        out += tube * weight * (1 + 0.5 * step(x / width - 0.93, 0.02))
    return 1.15 * MU_BONE * out


def bone_attenuation(u, v, a, rng):
    """Ribs, clavicles, shoulder blades and the vertebral column."""
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    x = np.abs(u - cu) / z
    out = rib_attenuation(u, v, a)

    curve = cv - (0.70 + a["clavicle"]) * z - 0.12 * z * (x - 0.1) \
        + 0.035 * z * np.sin(7.5 * (x - 0.12))
    t = (v - curve) / ((0.030 + 0.012 * np.clip(0.2 - x, 0, 1) * 5) * z)
    shaft = np.sqrt(np.clip(1 - t * t, 0, None)) \
        - 0.45 * np.sqrt(np.clip(1 - (t / 0.6) ** 2, 0, None))
    out += MU_BONE * 1.15 * shaft * step(x - 0.075, 0.012) * step(0.80 - x, 0.02)

    for side in (-1, 1):
        blade = ellipsoid(u, v, cu + side * 0.80 * z, cv - 0.30 * z, 0.13 * z, 0.40 * z, 0.30,
                          side * -0.28, power=3.0)
        out += MU_BONE * 0.45 * blade

    phase = rng.random()
    beat = np.sin((v * 13.5 + phase) * 2)               # bodies and discs
    column = np.sqrt(np.clip(1 - ((u - cu) / (0.082 * z * (1 + 0.06 * beat))) ** 2, 0, None))
    out += (MU_BONE - MU_SOFT) * 1.25 * column * (1 + 0.10 * np.tanh(3 * beat))
    spine = np.exp(-0.5 * (((u - cu) / (0.018 * z)) ** 2)) * np.clip(beat, 0, 1) ** 2
    return a["bone"] * (out + 0.07 * spine)


def vessel_ridges(u, v, a, rng):
    """Branches from both hila, tapering outwards; dimensionless."""
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    out = np.zeros_like(u)
    half = u.shape[1] // 2 + int(round(cu * u.shape[1] / 2))
    for side, part in ((-1, slice(0, half)), (1, slice(half, None))):
        pu, pv, sum_ = u[:, part], v[:, part], out[:, part]

        def branch(u0, v0, angle, length, bend, width, gain):
            du, dv = (pu - u0) * side, pv - v0
            c, s = math.cos(angle), math.sin(angle)
            along = du * c + dv * s
            across = dv * c - du * s - bend * along * along
            left = np.clip(1 - along / length, 0, 1)
            w = width * (0.30 + 0.70 * left)
            ridge = np.exp(-0.5 * (across / w) ** 2) * np.sqrt(left)
            sum_[...] += gain * ridge * step(along, 0.006)

        hu, hv = cu + side * 0.16 * z, cv + 0.02 * z
        for angle in np.linspace(-1.35, 1.40, 9):
            angle = float(angle) + 0.12 * rng.standard_normal()
            length = rng.uniform(0.42, 0.66) * z
            bend = 0.35 * rng.standard_normal()
            gain = rng.uniform(0.7, 1.0)
            branch(hu, hv, angle, length, bend, 0.017 * z, gain)
            for _ in range(2):                          # daughters
                at = rng.uniform(0.25, 0.6) * length
                fork = angle + math.atan(2 * bend * at) \
                    + int(rng.choice((-1, 1))) * rng.uniform(0.25, 0.6)
                across = bend * at * at
                bu = hu + side * (at * math.cos(angle) - across * math.sin(angle))
                bv = hv + at * math.sin(angle) + across * math.cos(angle)
                branch(bu, bv, fork, 0.55 * length, 0.4 * rng.standard_normal(), 0.010 * z,
                       0.8 * gain)
        hilum = ellipsoid(pu, pv, hu + side * 0.02 * z, hv, 0.075 * z, 0.13 * z, 0.5, side * -0.25)
        sum_ += 0.9 * hilum
    return out


def soft_tissue(u, v, a):
    """What lies over the lungs' bases: a broad chest's fat, a woman's breasts."""
    z, cu, cv = a["zoom"], a["cu"], a["cv"]
    out = np.zeros_like(u)
    for side in (-1, 1):
        if a["broad"]:
            out += 0.15 * ellipsoid(u, v, cu + side * 0.45 * z, cv + 0.42, 0.36 * z, 0.30, 2.2)
        if a["sex"] == "F":
            out += 0.15 * ellipsoid(u, v, cu + side * 0.47 * z, cv + 0.36, 0.29 * z, 0.25 * z, 1.5,
                                    side * 0.20)
    return out


def attenuation(u, v, a, rng):
    """The sum over all structures, and the lungs' chord in cm."""
    size = len(u)
    heart = heart_chord(u, v, a)
    lungs = lung_chord(u, v, a, heart)
    inside = blur(lungs > 2.0, 0.5 * size / 128)

    sum_ = MU_SOFT * torso_chord(u, v, a) - (MU_SOFT - MU_LUNG) * lungs
    sum_ += 0.030 * heart + bone_attenuation(u, v, a, rng)
    sum_ -= 0.20 * ellipsoid(u, v, a["cu"] + 0.005, a["cv"] - 0.80, 0.050, 0.62, 1.1)   # trachea
    if a["gas"]:                                        # stomach, below the left dome
        sum_ -= 0.10 * ellipsoid(u, v, a["cu"] + 0.40 * a["zoom"] + a["gas_at"],
                                 a["cv"] + 0.70 * a["zoom"], 0.17, 0.085, 4.0, 0.15)
    sum_ += 0.20 * np.clip(vessel_ridges(u, v, a, rng), 0, 1.8) * inside
    mottle = texture(rng, size, 0.8 * size / 128) + texture(rng, size, 2.2 * size / 128)
    sum_ += 0.016 * a["coarse"] * mottle * inside
    sum_ += 0.05 * texture(rng, size, 9 * size / 128)
    return sum_ + soft_tissue(u, v, a), lungs
