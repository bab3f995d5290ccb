// The looks: colours and proportions only; every look is drawn by the same code from the same rig.
// Lengths are units of the drawing, in which the head is about 520 wide and 460 high. Colours are CSS colours.

const BASE = {
  head: { w: 262, h: 228, power: 2.75, visible: true },
  plate: null, // a lighter or darker area of the face: { w, h, y, power }
  ears: { r: 46, z: -90 },
  antenna: false,
  body: true,
  eye: { x: 102, y: 32, a: 61, b: 72, power: 2.1, iris: 39, pupil: 23, rest: 0.97, lash: 8, lid: true },
  brow: { y: 30, width: 17, reach: 66, arch: 13, rise: 1 },
  nose: { r: 17, y: -46, z: 46 },
  cheek: { x: 168, y: -62, r: 58, rest: 0.3, full: 0.95 },
  mouth: { y: -118, w: 64, line: 7.5, upper: 5, lower: 7 },
  motion: 1.12, // gain of the head's rotations
  depth: 1, // how far the face bulges out of the head
  dark: false,
};

export const LOOKS = {
  soft: {
    ...BASE,
    head: { w: 268, h: 232, power: 2.8, visible: true },
    plate: { w: 226, h: 190, y: -8, power: 2.9 },
    ears: { r: 52, z: -90 },
    antenna: true,
    colour: {
      bg0: "#fff8ee", bg1: "#f8d9bf", head0: "#6fd6c8", head1: "#3dbcad", head2: "#1f8f83", edge: "none",
      plate0: "#fffaf1", plate1: "#ffe6cc",
      body0: "#35b2a4", body1: "#1f8579", ear0: "#ff9d7a", ear1: "#e4684a",
      white: "#ffffff", iris0: "#54c7b8", iris1: "#17655f", pupil: "#16232e", shine: "#ffffff",
      lid: "#fbd9b8", lash: "#4b3138", brow: "#6a4438", nose0: "#ffc9a3", nose1: "#ee9f7c", cheek: "#ff7f79",
      lip: "#e0776c", line: "#7c3a3f", inside: "#6b2430", teeth: "#ffffff", tongue: "#f0808a", crease: "#cf8866",
      shade: "#a9552f",
    },
  },
  paper: {
    ...BASE,
    head: { w: 258, h: 230, power: 2.3, visible: true },
    ears: { r: 40, z: -90 },
    eye: { ...BASE.eye, x: 98, a: 55, b: 66, iris: 31, pupil: 31, lash: 9, power: 2 },
    brow: { y: 36, width: 15, reach: 62, arch: 16, rise: 1 },
    nose: { r: 14, y: -40, z: 58 },
    cheek: { ...BASE.cheek, rest: 0.55, full: 1, r: 44 },
    mouth: { ...BASE.mouth, line: 9, upper: 2, lower: 3 },
    antenna: true,
    flat: true,
    colour: {
      bg0: "#eef3f4", bg1: "#cfdde2", head0: "#ffdf9c", head1: "#ffdf9c", head2: "#fbd083", edge: "#33303a",
      body0: "#e4574c", body1: "#e4574c", ear0: "#f0a048", ear1: "#f0a048",
      white: "#fffdf8", rim: "#33303a", iris0: "#33303a", iris1: "#33303a", pupil: "#33303a", shine: "#ffffff",
      lid: "#f7c873", lash: "#33303a", brow: "#33303a", nose0: "#ee8f4f", nose1: "#ee8f4f", cheek: "#f0674f",
      lip: "#33303a", line: "#33303a", inside: "#7a2633", teeth: "#ffffff", tongue: "#f08a86", crease: "#a8742f",
      shade: "#33303a",
    },
  },
  night: {
    ...BASE,
    head: { w: 262, h: 228, power: 2.75, visible: false },
    ears: null,
    body: false,
    eye: { ...BASE.eye, x: 150, y: 52, a: 84, b: 96, iris: 50, pupil: 29, lash: 0, rest: 0.93, power: 2.2 },
    brow: { y: 40, width: 15, reach: 86, arch: 14, rise: 1.15 },
    nose: null,
    cheek: { x: 232, y: -78, r: 74, rest: 0.12, full: 0.7 },
    mouth: { y: -150, w: 86, line: 9, upper: 5, lower: 6 },
    motion: 1.2,
    dark: true,
    colour: {
      bg0: "#1a2145", bg1: "#080b1a", head0: "#1a2145", head1: "#141a38", head2: "#0b0f24", edge: "none",
      body0: "#141a38", body1: "#0b0f24", ear0: "#141a38", ear1: "#0b0f24",
      white: "#ffeecb", iris0: "#ffb65a", iris1: "#d9602b", pupil: "#1b1230", shine: "#fffaf0",
      lid: "#232b57", lash: "#f3d9a8", brow: "#f3d9a8", nose0: "#2b3566", nose1: "#2b3566", cheek: "#ff5f8a",
      lip: "#f3d9a8", line: "#f3d9a8", inside: "#3a1234", teeth: "#fff4dc", tongue: "#e0527c", crease: "#5964a8",
      shade: "#000000",
    },
  },
  robot: {
    ...BASE,
    head: { w: 276, h: 216, power: 3.6, visible: true },
    plate: { w: 226, h: 172, y: -6, power: 3.8 },
    ears: { r: 54, z: -90 },
    antenna: true,
    eye: { x: 94, y: 28, a: 50, b: 58, power: 2.9, iris: 0, pupil: 25, rest: 0.95, lash: 0, lid: false },
    brow: { y: 22, width: 11, reach: 50, arch: 8, rise: 0.72 },
    nose: null,
    cheek: { x: 150, y: -58, r: 46, rest: 0.1, full: 0.75 },
    mouth: { y: -98, w: 54, line: 9, upper: 3, lower: 4 },
    depth: 0.9,
    colour: {
      bg0: "#e9f1fb", bg1: "#b9cde6", head0: "#ffffff", head1: "#eef3fa", head2: "#b5c5dc", edge: "none",
      body0: "#f4f7fc", body1: "#aebfd8", ear0: "#5aa9ff", ear1: "#2a6fd0",
      plate0: "#22304f", plate1: "#0d1428",
      white: "#64e9ff", iris0: "#64e9ff", iris1: "#64e9ff", pupil: "#0c2140", shine: "#f2fdff",
      lid: "#1a2645", lash: "#64e9ff", brow: "#64e9ff", nose0: "#22304f", nose1: "#22304f", cheek: "#ff6fb1",
      lip: "#64e9ff", line: "#64e9ff", inside: "#0a3050", teeth: "#d8faff", tongue: "#ff7fb5", crease: "#3e7fb0",
      shade: "#0b1b3a",
    },
  },
};

export function lookNamed(name) {
  return Object.hasOwn(LOOKS, name) ? { name, ...LOOKS[name] } : { name: "soft", ...LOOKS.soft };
}
