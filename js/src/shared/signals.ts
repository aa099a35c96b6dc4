/** Event handlers that set a signal. */

import type { Signal } from "@preact/signals-core";

/** A handler that sets the signal to the value it is called with. */
export const into =
  <T>(signal: Signal<T>) =>
  (value: T): void => {
    signal.value = value;
  };

/** A handler that sets the signal to a fixed value. */
export const put =
  <T>(signal: Signal<T>, value: T) =>
  (): void => {
    signal.value = value;
  };

/** A handler that turns a switch on or off. */
export const toggle = (signal: Signal<boolean>) => (): void => {
  signal.value = !signal.value;
};
