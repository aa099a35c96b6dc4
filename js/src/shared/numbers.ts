/** Math's functions under short names. They are used so often that this makes the bundle smaller. */

export const { abs, floor, max, min, round } = Math;

export const clamp = (value: number, low: number, high: number): number => max(low, min(high, value));
