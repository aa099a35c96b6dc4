/**
 * What panels.js uses of paint.js, so that there is one copy of it: Preact, signals, the store, components. build.mjs
 * puts its own module in this one's place.
 */
export const common: Readonly<Record<string, unknown>> = {};
