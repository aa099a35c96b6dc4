/** Numbers; what Math has is said so often that a name of its own for it is shorter in the bundle. */

export const { abs, floor, max, min, round } = Math;

export const clamp = (value: number, low: number, high: number): number => max(low, min(high, value));
