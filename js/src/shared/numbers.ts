/** Functions of Math by short names: they are used so often that the bundle gets smaller. */

export const { abs, floor, max, min, round } = Math;

export const clamp = (value: number, low: number, high: number): number => max(low, min(high, value));
