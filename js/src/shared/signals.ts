/** Event handlers that set a signal. */

import type { Signal } from "@preact/signals-core";

/** A handler that sets the value it is given. */
export const into =
  <T>(signal: Signal<T>) =>
  (value: T): void => {
    signal.value = value;
  };

/** A handler that sets this value. */
export const put =
  <T>(signal: Signal<T>, value: T) =>
  (): void => {
    signal.value = value;
  };

/** A handler that turns a switch on or off. */
export const toggle = (signal: Signal<boolean>) => (): void => {
  signal.value = !signal.value;
};
