/** The one control that is needed before panels.js is there. */

import type { ComponentProps } from "preact";

export interface Named {
  testid: string;
}

export interface Switch {
  isOn?: boolean;
}

export type PlainProps = Omit<ComponentProps<"button">, "type" | "icon"> & Switch;
export type ButtonProps = PlainProps & Named;

export function Button({ testid, isOn, ...props }: ButtonProps) {
  return <button type="button" data-testid={testid} aria-pressed={isOn} {...props} />;
}
